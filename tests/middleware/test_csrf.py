"""Forged requests from other sites are refused, and a site's own are not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import ClientFactory
from velithon import Form, Middleware, Request, Velithon
from velithon.middleware.csrf import CSRFMiddleware, csrf_token

KEY = "k" * 32


def application(**options: Any) -> Velithon:
    app = Velithon(middleware=[Middleware(CSRFMiddleware, secret_key=KEY, **options)])

    @app.get("/form")
    async def form(request: Request) -> str:
        return csrf_token(request)

    @app.get("/plain")
    async def plain() -> str:
        return "plain"

    @app.post("/json")
    async def take_json(data: dict[str, int]) -> dict[str, int]:
        return data

    @app.post("/form")
    async def take_form(name: str = Form()) -> str:
        return name

    @app.post("/hooks/{name}")
    async def hook(name: str) -> str:
        return name

    @app.api_route("/any", methods=["PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
    async def anything() -> str:
        return "any"

    return app


def test_the_token_in_a_header_lets_a_request_through(client: ClientFactory) -> None:
    c = client(application())
    token = c.get("/form").json()
    assert c.cookies["csrftoken"] == token
    answer = c.post("/json", json={"a": 1}, headers={"x-csrf-token": token})
    assert (answer.status_code, answer.json()) == (200, {"a": 1})


@pytest.mark.parametrize("multipart", [False, True])
def test_the_token_in_a_form_lets_it_through_and_the_endpoint_reads_the_form(
    client: ClientFactory, multipart: bool
) -> None:
    c = client(application())
    fields = {"name": "Ada", "csrf_token": c.get("/form").json()}
    files = {"file": ("f", b"x")} if multipart else None
    assert c.post("/form", data=fields, files=files).json() == "Ada"
    del fields["csrf_token"]
    assert c.post("/form", data=fields, files=files).status_code == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_without_a_token_nothing_that_changes_something_runs(client: ClientFactory, method: str) -> None:
    c = client(application())
    answer = c.request(method, "/any")
    assert (answer.status_code, answer.json()["detail"]) == (
        403,
        "The CSRF token is missing or wrong: load the page again.",
    )


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_what_changes_nothing_needs_no_token(client: ClientFactory, method: str) -> None:
    assert client(application()).request(method, "/any").status_code == 200


def test_a_cookie_that_we_did_not_sign_does_not_count(client: ClientFactory) -> None:
    """A subdomain may set a cookie, and send the same in a header."""
    c = client(application())
    for token in ("x", "nonce.signature", "nonce.", ".", "é.é"):
        headers = {b"cookie": f"csrftoken={token}".encode(), b"x-csrf-token": token.encode()}
        assert c.post("/json", json={}, headers=headers).status_code == 403


def test_a_token_of_another_key_does_not_count(client: ClientFactory) -> None:
    app = Velithon(middleware=[Middleware(CSRFMiddleware, secret_key="o" * 32)])

    @app.get("/form")
    async def form(request: Request) -> str:
        return csrf_token(request)

    token = client(app).get("/form").json()
    headers = {"cookie": f"csrftoken={token}", "x-csrf-token": token}
    assert client(application()).post("/json", json={}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://testserver"}, 200),
        ({"origin": "https://testserver"}, 403),
        ({"origin": "http://testserver.evil.example"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://app.example.com"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_a_request_of_another_site_is_refused_with_the_right_token_too(
    client: ClientFactory, headers: dict[str, str], status: int
) -> None:
    c = client(application(trusted_origins=["https://app.example.com"]))
    token = c.get("/form").json()
    assert c.post("/json", json={}, headers={**headers, "x-csrf-token": token}).status_code == status


def test_a_token_belongs_to_whom_it_is_bound_to(client: ClientFactory) -> None:
    c = client(application(bind=lambda request: request.headers.get("x-user", "")))
    token = c.get("/form", headers={"x-user": "ada"}).json()
    for user, status in (("ada", 200), ("bob", 403)):
        headers = {"x-user": user, "x-csrf-token": token}
        assert c.post("/json", json={}, headers=headers).status_code == status


def test_exempt_paths_are_let_through(client: ClientFactory) -> None:
    c = client(application(exempt_paths=["/json", "/hooks/*"]))
    assert c.post("/json", json={}).status_code == 200
    assert c.post("/hooks/payment").json() == "payment"
    assert c.post("/form", data={"name": "x"}).status_code == 403


def test_the_cookie_is_set_where_a_token_was_asked_for_and_once(client: ClientFactory) -> None:
    c = client(application(https_only=True, max_age=60, same_site="strict"))
    assert "set-cookie" not in c.get("/plain").headers
    answer = c.get("/form")
    expected = "; Path=/; SameSite=strict; Secure; Max-Age=60"
    assert answer.headers["set-cookie"] == f"csrftoken={answer.json()}{expected}"
    assert answer.headers["vary"] == "Cookie"
    again = c.get("/form", headers={"cookie": f"csrftoken={answer.json()}"})
    assert again.json() == answer.json()
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"secret_key": "short"}, "at least 32 characters, not 5"),
        ({"secret_key": KEY, "trusted_origins": ["example.org"]}, "looks like 'https://example.org'"),
        ({"secret_key": KEY, "trusted_origins": "https://example.org"}, "takes lists"),
    ],
)
def test_options_that_protect_nobody_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CSRFMiddleware(Velithon(), **options)


def test_a_token_needs_the_layer(client: ClientFactory) -> None:
    app = Velithon()

    @app.get("/")
    async def form(request: Request) -> str:
        return csrf_token(request)

    with pytest.raises(RuntimeError, match="needs the CSRFMiddleware"):
        client(app).get("/")
