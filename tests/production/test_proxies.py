"""Behind a proxy, on real servers: who the client is, and what its URL was."""

from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from websockets.sync import client as websocket_client

from tests.cli.processes import velithon_run
from tests.servers import SERVERS, ServerName, serve
from tests.waiting import until

pytestmark = pytest.mark.server

connect: Any = websocket_client.connect

APP = """
from velithon import Request, Velithon, WebSocket

app = Velithon()

@app.get("/where")
async def where(request: Request):
    client = request.client
    return {
        "client": client and client.host,
        "url": str(request.url),
        "link": str(request.url_for("where")),
        "host": request.headers["host"],
        "route": request.scope["route"].path,
    }

@app.get("/client")
async def client(request: Request):
    return request.client.host

@app.websocket("/socket")
async def socket(websocket: WebSocket):
    await websocket.accept()
    await websocket.send_json({"client": websocket.client.host, "url": str(websocket.url)})
    await websocket.close()
"""

TOLD = {
    "x-forwarded-for": "6.6.6.6, 203.0.113.5",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "shop.example",
    "x-forwarded-prefix": "/v1",
}


@pytest.mark.parametrize("server", SERVERS)
def test_named_proxies_say_client_scheme_host_and_prefix(server: ServerName) -> None:
    with (
        serve(APP, server, "--forwarded-allow-ips", "127.0.0.0/8") as running,
        httpx.Client(base_url=running.url, timeout=20) as http,
    ):
        assert http.get("/where", headers=TOLD).json() == {
            "client": "203.0.113.5",
            "url": "https://shop.example/v1/where",
            "link": "https://shop.example/v1/where",
            "host": "shop.example",
            "route": "/where",
        }
        # A proxy that leaves the prefix in the path.
        assert http.get("/v1/where", headers=TOLD).json()["url"] == "https://shop.example/v1/where"
        assert http.get("/client", headers=TOLD).json() == "203.0.113.5"
        standard = {"forwarded": 'for="[2001:db8::7]:1234";proto=https;host=shop.example'}
        told = http.get("/where", headers=standard).json()
        assert (told["client"], told["url"]) == ("2001:db8::7", "https://shop.example/where")
        assert http.get("/where").json()["client"] == "127.0.0.1"
        redirected = http.get("/where/", headers=TOLD, follow_redirects=False)
        assert redirected.headers["location"] == "https://shop.example/v1/where"
        with connect(f"ws://127.0.0.1:{running.port}/socket", additional_headers=TOLD) as websocket:
            assert '"url":"wss://shop.example/v1/socket"' in (said := str(websocket.recv()))
            assert '"client":"203.0.113.5"' in said


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("trusted", [None, "10.0.0.0/8"])
def test_by_default_a_proxy_on_this_machine_says_client_and_scheme(server: ServerName, trusted: str | None) -> None:
    """As Uvicorn has it; where others are named, it is a client like any."""
    env = {} if trusted is None else {"FORWARDED_ALLOW_IPS": trusted}
    with serve(APP, server, env=env) as running:
        told = httpx.get(f"{running.url}/where", headers=TOLD).json()
        expected = f"http{'s' if trusted is None else ''}://127.0.0.1:{running.port}/where"
        assert told["url"] == expected
        assert told["client"] == ("203.0.113.5" if trusted is None else "127.0.0.1")


@pytest.mark.parametrize("server", SERVERS)
def test_who_opens_the_unix_socket_is_believed(server: ServerName, tmp_path: Path) -> None:
    """Only those whom the file's permissions let in can open it."""
    (tmp_path / "main.py").write_text(APP)
    path = tmp_path / "app.sock"
    kind, _, interface = server.partition("-")
    mode = ["--interface", interface] if interface else []
    with velithon_run(tmp_path, "main:app", "--server", kind, *mode, "--uds", str(path)):
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(transport=transport, base_url="http://inside.example", timeout=20) as http:
            until(path.exists, "the socket")
            told = http.get("/where", headers=TOLD).json()
            assert (told["client"], told["url"]) == ("203.0.113.5", "https://inside.example/where")


def test_a_network_that_is_none_ends_the_start_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APP)
    with velithon_run(tmp_path, "main:app", "--forwarded-allow-ips", "10.0.0.1/8", wait=False) as failed:
        assert failed.wait() == 1
        assert "--forwarded-allow-ips: '10.0.0.1/8' is no network of trusted proxies" in failed.text
        assert len(failed.text.strip().splitlines()) == 1
