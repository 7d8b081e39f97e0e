"""Logging in by a provider that runs, with the state in a cookie."""
# /// script
# dependencies = ["fastapi-sso", "authlib", "flask", "python-multipart"]
# ///

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi_sso.sso.base import OpenID
from fastapi_sso.sso.generic import create_provider

from tests.ecosystem.plugin import Clients
from tests.services.openid import CLIENT_ID, CLIENT_SECRET, openid_provider


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with openid_provider(["http://testserver/login/back"]) as url:
        yield url


def shop(provider: str) -> FastAPI:
    kind = create_provider(
        name="provider",
        default_scope=["openid", "email"],
        discovery_document={
            "authorization_endpoint": f"{provider}/authorize",
            "token_endpoint": f"{provider}/token",
            "userinfo_endpoint": f"{provider}/user",
        },
        response_convertor=lambda answer, session: OpenID(email=answer["email"], display_name=answer["name"]),
    )
    sso = kind(CLIENT_ID, CLIENT_SECRET, "http://testserver/login/back", allow_insecure_http=True)
    app = FastAPI()

    @app.get("/login")
    async def login():
        async with sso:
            return await sso.get_login_redirect(params={"nonce": "once"})

    @app.get("/login/back")
    async def back(request: Request) -> OpenID:
        async with sso:
            return await sso.verify_and_process(request)

    return app


def test_a_user_logs_in(client: Clients, provider: str) -> None:
    http = client(shop(provider))
    sent = http.get("/login", follow_redirects=False)
    assert (sent.status_code, "sso_state" in sent.cookies) == (303, True)
    returned = httpx.get(sent.headers["location"], timeout=10)
    answer = http.get(returned.headers["location"])
    assert answer.status_code == 200
    assert answer.json()["email"] == "ann@example.com"
    assert answer.json()["display_name"] == "Ann"


@pytest.mark.parametrize(("query", "status"), [("", 400), ("?code=x", 400), ("?code=x&state=y", 401)])
def test_an_answer_that_nobody_asked_for_is_refused(client: Clients, provider: str, query: str, status: int) -> None:
    assert client(shop(provider)).get(f"/login/back{query}").status_code == status
