"""Logging in by an OpenID Connect provider that runs, with the state in a session."""
# /// script
# dependencies = ["authlib", "flask", "httpx", "itsdangerous"]
# ///

from collections.abc import Iterator

import httpx
import pytest
from authlib.integrations.starlette_client import OAuth, OAuthError
from fastapi import FastAPI, HTTPException, Request
from starlette.middleware.sessions import SessionMiddleware

from tests.ecosystem.plugin import Clients
from tests.services.openid import CLIENT_ID, CLIENT_SECRET, openid_provider


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with openid_provider(["http://testserver/login/back"]) as url:
        yield url


def shop(provider: str) -> FastAPI:
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key="secret")
    oauth = OAuth()
    oauth.register(
        "provider",
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        server_metadata_url=f"{provider}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid email profile"},
    )

    @app.get("/login")
    async def login(request: Request):
        return await oauth.provider.authorize_redirect(request, request.url_for("back"))

    @app.get("/login/back")
    async def back(request: Request):
        try:
            token = await oauth.provider.authorize_access_token(request)
        except OAuthError as exc:
            raise HTTPException(401, exc.description) from exc
        request.session["user"] = token["userinfo"]["email"]

    @app.get("/me")
    async def me(request: Request):
        return request.session.get("user")

    return app


def test_a_user_logs_in(client: Clients, provider: str) -> None:
    http = client(shop(provider))
    sent = http.get("/login", follow_redirects=False)
    assert sent.status_code == 302
    returned = httpx.get(sent.headers["location"], timeout=10)
    assert returned.headers["location"].startswith("http://testserver/login/back?")
    assert http.get("/me").json() is None
    assert http.get(returned.headers["location"]).status_code == 200
    assert http.get("/me").json() == "ann@example.com"


def test_an_answer_that_nobody_asked_for_is_refused(client: Clients, provider: str) -> None:
    http = client(shop(provider))
    returned = httpx.get(http.get("/login", follow_redirects=False).headers["location"], timeout=10)
    assert client(shop(provider)).get(returned.headers["location"]).status_code == 401
    assert http.get("/login/back?error=access_denied&error_description=no").json() == {"detail": "no"}
