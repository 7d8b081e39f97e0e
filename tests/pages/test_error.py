"""Errors are pages in browsers, and what they were before for everybody else."""

import pytest

from tests.conftest import ClientFactory
from velithon import HTTPException, Velithon

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.fixture
def app() -> Velithon:
    app = Velithon()

    @app.get("/items/{name}")
    async def read(name: str) -> str:
        if name == "<b>":
            raise HTTPException(404, f"There is no {name}.", headers={"X-Reason": "name"})
        if name == "dict":
            raise HTTPException(409, {"reason": "other"})
        if name == "login":
            raise HTTPException(401, headers={"WWW-Authenticate": "Basic"})
        raise RuntimeError("This is a secret.")

    return app


@pytest.mark.parametrize(
    ("method", "path", "status", "phrase"),
    [
        ("GET", "/nowhere", 404, "Not Found"),
        ("GET", "/items/a/nowhere", 404, "Not Found"),
        ("POST", "/items/a", 405, "Method Not Allowed"),
        ("GET", "/items/login", 401, "Unauthorized"),
        ("GET", "/items/broken", 500, "Internal Server Error"),
    ],
)
def test_a_browser_gets_a_page(
    client: ClientFactory, app: Velithon, method: str, path: str, status: int, phrase: str
) -> None:
    """With a policy that lets it run nothing, and with the headers that the answer has anyway."""
    caller = client(app, raise_server_exceptions=False)
    answer = caller.request(method, path, headers={"accept": BROWSER})
    plain = caller.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert f"<h1>{phrase}</h1>" in answer.text
    assert "secret" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["vary"] == "Accept"
    for name in ("allow", "www-authenticate"):
        assert answer.headers.get(name) == plain.headers.get(name)


def test_the_page_says_what_the_endpoint_says(client: ClientFactory, app: Velithon) -> None:
    """As text, whatever it is made of."""
    answer = client(app).get("/items/<b>", headers={"accept": BROWSER})
    assert "There is no &lt;b&gt;." in answer.text
    assert answer.headers["x-reason"] == "name"


@pytest.mark.parametrize(
    "accept",
    ["*/*", "application/json", "application/json, text/html;q=0.9", "text/html;q=0.5, */*;q=0.8", "text/html;q=x", ""],
)
def test_others_get_what_they_got(client: ClientFactory, app: Velithon, accept: str) -> None:
    """JSON, unless the client says that it prefers HTML."""
    caller = client(app, raise_server_exceptions=False)
    assert caller.get("/nowhere", headers={"accept": accept}).json() == {"detail": "Not Found"}
    assert caller.post("/items/a", headers={"accept": accept}).json() == {"detail": "Method Not Allowed"}
    assert "vary" not in caller.get("/nowhere", headers={"accept": accept}).headers


def test_a_detail_that_is_no_text_stays_json(client: ClientFactory, app: Velithon) -> None:
    answer = client(app).get("/items/dict", headers={"accept": BROWSER})
    assert (answer.status_code, answer.json()) == (409, {"detail": {"reason": "other"}})


def test_a_failure_is_json_for_those_who_ask_for_json(client: ClientFactory, app: Velithon) -> None:
    """And the text that it was for those who do not say."""
    caller = client(app, raise_server_exceptions=False)
    answer = caller.get("/items/broken", headers={"accept": "application/json"})
    assert (answer.status_code, answer.json()) == (500, {"detail": "Internal Server Error"})
    answer = caller.get("/items/broken")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
