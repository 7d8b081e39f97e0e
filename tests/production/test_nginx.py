"""Behind nginx with TLS and HTTP/2, with the configuration that `deploy/` has."""

import ssl
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest
from websockets.sync import client as websocket_client

from tests.servers import Server, ServerName, serve
from tests.services.nginx import Nginx, nginx

pytestmark = pytest.mark.server

connect: Any = websocket_client.connect

APP = """
import asyncio
from velithon import Request, UploadFile, Velithon, WebSocket
from velithon.responses import EventSourceResponse

app = Velithon()

@app.get("/where")
async def where(request: Request):
    return {"client": request.client.host, "url": str(request.url), "link": str(request.url_for("where")),
            "id": request.headers["x-request-id"], "host": request.headers["host"],
            "prefix": request.scope["root_path"]}

@app.post("/upload")
async def upload(file: UploadFile):
    return len(await file.read())

@app.get("/metrics")
async def metrics():
    return "secret"

@app.websocket("/echo")
async def echo(websocket: WebSocket):
    await websocket.accept()
    await websocket.send_text(f"{websocket.url} {await websocket.receive_text()}")
    await websocket.close()
"""


@pytest.fixture(scope="module", params=["granian-rsgi", "uvicorn"])
def behind(request: pytest.FixtureRequest) -> Iterator[tuple[Nginx, Server]]:
    server: ServerName = request.param
    with serve(APP, server) as running, nginx([running.port]) as front:
        yield front, running


def context(front: Nginx) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(front.certificate))


@pytest.fixture
def http(behind: tuple[Nginx, Server]) -> Iterator[httpx.Client]:
    front, _ = behind
    with httpx.Client(base_url=front.url, verify=context(front), http2=True, timeout=20) as client:
        yield client


def test_urls_are_those_that_the_client_asked_for(behind: tuple[Nginx, Server], http: httpx.Client) -> None:
    front, _ = behind
    forged = {
        "x-forwarded-for": "6.6.6.6",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "evil.example",
        "x-forwarded-prefix": "/evil",
        "forwarded": "for=6.6.6.6;host=evil.example",
    }
    answer = http.get("/where", headers=forged)
    told = answer.json()
    assert answer.http_version == "HTTP/2"
    assert (told["url"], told["link"]) == (f"{front.url}/where", f"{front.url}/where")
    assert (told["client"], told["prefix"]) == ("127.0.0.1", "")
    assert len(told["id"]) == 32
    assert http.get("/where/", follow_redirects=False).headers["location"] == f"{front.url}/where"
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    plain = httpx.get(f"{front.plain_url}/where?q=1", follow_redirects=False)
    assert (plain.status_code, plain.headers["location"]) == (308, "https://localhost/where?q=1")


def test_websockets_uploads_and_files_pass(behind: tuple[Nginx, Server], http: httpx.Client) -> None:
    front, _ = behind
    secure = front.url.replace("https", "wss")
    with connect(f"{secure}/echo", ssl=context(front)) as websocket:
        websocket.send("hello")
        assert websocket.recv() == f"{secure}/echo hello"
    assert http.post("/upload", files={"file": b"x" * 5_000_000}).json() == 5_000_000
    (front.static / "a.txt").write_text("static")
    assert http.get("/static/a.txt").text == "static"
    assert http.get("/static/none.txt").status_code == 404
    assert http.get("/metrics").status_code == 404


SHOP = """
import os
from authlib.integrations.starlette_client import OAuth
from velithon import Middleware, Request, Velithon
from velithon.middleware.sessions import SessionMiddleware
from velithon.responses import RedirectResponse

oauth = OAuth()
oauth.register(
    "provider",
    server_metadata_url=os.environ["ISSUER"] + "/.well-known/openid-configuration",
    client_id="shop",
    client_secret="secret of the shop",
    client_kwargs={"scope": "openid profile"},
)
app = Velithon(middleware=[Middleware(SessionMiddleware, secret_key="of the test", https_only=True)])

@app.get("/login")
async def login(request: Request):
    return await oauth.provider.authorize_redirect(request, str(request.url_for("callback")))

@app.get("/callback")
async def callback(request: Request):
    token = await oauth.provider.authorize_access_token(request)
    request.session["user"] = dict(token["userinfo"])
    return RedirectResponse(request.url_for("me"))

@app.get("/me")
async def me(request: Request):
    return {"url": str(request.url), "name": request.session["user"]["name"]}
"""


@pytest.mark.parametrize("server", ["granian-rsgi", "uvicorn"])
def test_a_login_at_a_provider_comes_back_over_tls(server: ServerName) -> None:
    """The provider accepts the https URI alone, and the session's cookie is for https alone."""
    from tests.services.openid import openid_provider

    allowed: list[str] = []
    with openid_provider(allowed) as issuer:
        env = {"ISSUER": issuer, "AUTHLIB_INSECURE_TRANSPORT": "1"}
        with serve(SHOP, server, env=env) as running, nginx([running.port]) as front:
            allowed.append(f"{front.url}/callback")
            with httpx.Client(verify=context(front), follow_redirects=True, timeout=20) as http:
                answer = http.get(f"{front.url}/login")
    assert (answer.status_code, answer.json()) == (200, {"url": f"{front.url}/me", "name": "Ann"})
    ways = [(str(step.url).split("?")[0], step.status_code) for step in answer.history]
    assert ways[0][0] == f"{front.url}/login"
    assert ways[1][0] == f"{issuer}/authorize"
    assert ways[2][0] == f"{front.url}/callback"
