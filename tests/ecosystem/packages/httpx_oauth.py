"""The way back from a provider that runs, as a dependency that has the token."""
# /// script
# dependencies = ["httpx-oauth", "authlib", "flask"]
# ///

from collections.abc import Iterator
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse
from httpx_oauth.integrations.fastapi import OAuth2AuthorizeCallback, OAuth2AuthorizeCallbackError
from httpx_oauth.oauth2 import OAuth2

from tests.ecosystem.plugin import Clients
from tests.services.openid import CLIENT_ID, CLIENT_SECRET, openid_provider


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with openid_provider(["http://testserver/login/back"]) as url:
        yield url


def shop(provider: str) -> FastAPI:
    oauth = OAuth2(
        CLIENT_ID,
        CLIENT_SECRET,
        f"{provider}/authorize",
        f"{provider}/token",
        base_scopes=["openid", "email"],
        token_endpoint_auth_method="client_secret_basic",
    )
    app = FastAPI()

    @app.get("/login")
    async def login(request: Request):
        url = await oauth.get_authorization_url(
            str(request.url_for("back")), state="kept", extras_params={"nonce": "once"}
        )
        return RedirectResponse(url)

    @app.get("/login/back", name="back")
    async def back(came: Annotated[tuple, Depends(OAuth2AuthorizeCallback(oauth, "back"))]):
        token, state = came
        async with httpx.AsyncClient() as http:
            headers = {"authorization": f"Bearer {token['access_token']}"}
            user = await http.get(f"{provider}/user", headers=headers)
        return {"state": state, "user": user.json()["email"]}

    @app.exception_handler(OAuth2AuthorizeCallbackError)
    async def refuse(request: Request, exc: OAuth2AuthorizeCallbackError):
        return JSONResponse({"refused": exc.detail}, exc.status_code)

    return app


def test_a_user_logs_in(client: Clients, provider: str) -> None:
    http = client(shop(provider))
    sent = http.get("/login", follow_redirects=False)
    returned = httpx.get(sent.headers["location"], timeout=10)
    assert http.get(returned.headers["location"]).json() == {"state": "kept", "user": "ann@example.com"}


def test_an_error_has_a_handler(client: Clients, provider: str) -> None:
    http = client(shop(provider))
    answer = http.get("/login/back?error=access_denied")
    assert (answer.status_code, answer.json()) == (400, {"refused": "access_denied"})
    assert http.get("/login/back?code=wrong").status_code == 500
