"""Logging in at an OpenID provider: a real one, by authlib, and answers that are not its."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.conftest import ClientFactory
from tests.services.openid import CLIENT_ID, CLIENT_SECRET, openid_provider
from velithon import Middleware, Request, Velithon
from velithon.middleware.sessions import SessionMiddleware
from velithon.responses import RedirectResponse
from velithon.security.oidc import OpenIDLogin

BACK = "http://testserver/back"


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """A provider that knows Ann."""
    with openid_provider([BACK]) as url:
        yield url


def application(issuer: str, client_secret: str = CLIENT_SECRET) -> Velithon:
    app = Velithon(middleware=[Middleware(SessionMiddleware, secret_key="only for tests, 32 bytes or more")])
    login = OpenIDLogin(issuer, CLIENT_ID, client_secret)

    @app.get("/login")
    async def start(request: Request) -> RedirectResponse:
        return await login.redirect(request, BACK)

    @app.get("/back")
    async def back(request: Request) -> dict[str, Any]:
        found = await login.identity(request)
        return {"issuer": found.issuer, "subject": found.subject, "name": found.name, "email": found.email}

    return app


def agree(url: str) -> str:
    """Do what the browser does at the provider; return where it is sent back, without the host."""
    answer = httpx.get(url, trust_env=False)
    assert answer.status_code == 302, answer.text
    parts = urlsplit(answer.headers["location"])
    return f"{parts.path}?{parts.query}"


def test_a_login_from_the_redirect_to_the_identity(client: ClientFactory, provider: str) -> None:
    """With state, nonce and PKCE in the request; what the provider has not confirmed is no address."""
    with client(application(provider)) as browser:
        sent = browser.get("/login", follow_redirects=False)
        query = parse_qs(urlsplit(sent.headers["location"]).query)
        assert query["code_challenge_method"] == ["S256"]
        assert query["response_type"] == ["code"]
        assert set(query["scope"][0].split()) == {"openid", "email", "profile"}
        assert {"state", "nonce", "code_challenge"} <= query.keys()
        back = agree(sent.headers["location"])
        found = browser.get(back).json()
        assert found == {"issuer": provider, "subject": "ann", "name": "Ann", "email": None}
        assert browser.get(back).status_code == 400  # an answer is used once


def test_an_answer_of_somebody_elses_login_is_refused(client: ClientFactory, provider: str) -> None:
    """Who is made to open a stranger's way back is not logged in as that stranger."""
    with client(application(provider)) as stranger, client(application(provider)) as victim:
        back = agree(stranger.get("/login", follow_redirects=False).headers["location"])
        assert victim.get(back).status_code == 400
        victim.get("/login", follow_redirects=False)
        assert victim.get(back).status_code == 400


@pytest.mark.parametrize("query", ["error=access_denied", "code=x", "state=x", "", "code=x&state=x"])
def test_a_login_that_did_not_come_about(client: ClientFactory, provider: str, query: str) -> None:
    """The user did not agree, or made the address up: 400."""
    with client(application(provider)) as browser:
        browser.get("/login", follow_redirects=False)
        answer = browser.get(f"/back?{query}")
        assert (answer.status_code, answer.json()["detail"]) == (400, "The login at the provider did not come about.")


def test_an_invented_code_is_refused(client: ClientFactory, provider: str) -> None:
    """The provider does not take it, whatever the state."""
    with client(application(provider)) as browser:
        url = browser.get("/login", follow_redirects=False).headers["location"]
        state = parse_qs(urlsplit(url).query)["state"][0]
        assert browser.get("/back", params={"code": "x", "state": state}).status_code == 400


def test_a_wrong_secret_is_a_failed_login(client: ClientFactory, provider: str) -> None:
    """And no 500."""
    with client(application(provider, "not the secret")) as browser:
        back = agree(browser.get("/login", follow_redirects=False).headers["location"])
        assert browser.get(back).status_code == 400


def test_a_provider_that_is_away_or_another(client: ClientFactory, provider: str) -> None:
    """400 each, with what it is."""
    with client(application("http://127.0.0.1:1")) as browser:
        assert browser.get("/login").json() == {"detail": "The provider does not answer."}
    with client(application(provider.replace("127.0.0.1", "localhost"))) as browser:
        assert browser.get("/login").json() == {"detail": "The provider is not the one that was asked."}


@pytest.mark.parametrize(
    ("issuer", "client_id", "part"),
    [
        ("http://login.example.org", "shop", "https://"),
        ("login.example.org", "shop", "https://"),
        ("https://login.example.org", "", "client_id"),
    ],
)
def test_a_wrong_setting_raises(issuer: str, client_id: str, part: str) -> None:
    """When the application is made."""
    with pytest.raises(ValueError, match=part):
        OpenIDLogin(issuer, client_id)
