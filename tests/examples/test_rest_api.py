"""The REST API on real servers: the life of a book, CORS headers on every answer, an access line for every request."""

import re
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import httpx
import pytest

from tests.servers import Server, ServerName, serve
from tests.waiting import until

pytestmark = pytest.mark.server

ORIGIN = "https://shop.example"


@pytest.fixture(scope="module", params=["granian-rsgi", "uvicorn"])
def server(request: pytest.FixtureRequest) -> Generator[Server, None, None]:
    """The API on a server."""
    with serve("examples.rest_api:app", cast("ServerName", request.param), env={"BOOKS_ORIGINS": ORIGIN}) as running:
        yield running


@pytest.fixture
def api(server: Server) -> Generator[httpx.Client, None, None]:
    """A client on a page of another origin."""
    with httpx.Client(base_url=server.url, headers={"origin": ORIGIN}, trust_env=False) as client:
        yield client


def create(api: httpx.Client, title: str) -> int:
    """Add a book and return its number."""
    answer = api.post("/books", json={"title": title, "author": "A. Writer", "year": 1999})
    assert answer.status_code == 201
    book_id = answer.json()["id"]
    assert answer.json() == {"id": book_id, "title": title, "author": "A. Writer", "year": 1999}
    assert answer.headers["location"] == f"/books/{book_id}"
    return int(book_id)


def test_the_life_of_a_book(api: httpx.Client) -> None:
    """Added, listed, read, changed, read again, removed, gone: each step is allowed to other origins."""
    assert api.get("/health").json() == {"status": "up"}
    first, second = create(api, "One"), create(api, "Two")
    assert second > first
    steps: list[httpx.Response] = []

    def call(method: str, path: str, **options: object) -> httpx.Response:
        steps.append(api.request(method, path, **options))  # type: ignore[arg-type]
        return steps[-1]

    assert {book["id"] for book in call("GET", "/books?limit=100").json()} >= {first, second}
    assert call("GET", f"/books/{first}").json()["title"] == "One"
    changed = {"id": first, "title": "Uno", "author": "A. Writer", "year": 1999}
    assert call("PATCH", f"/books/{first}", json={"title": "Uno"}).json() == changed
    assert call("GET", f"/books/{first}").json() == changed
    assert call("DELETE", f"/books/{first}").content == b""
    assert [step.status_code for step in steps] == [200, 200, 200, 200, 204]
    for method in ("GET", "PATCH", "DELETE"):
        missing = call(method, f"/books/{first}", json={})
        assert (missing.status_code, missing.json()) == (404, {"detail": "There is no such book."})
    assert {step.headers["access-control-allow-origin"] for step in steps} == {ORIGIN}


def test_pages_of_the_list(api: httpx.Client) -> None:
    """`offset` and `limit` choose some of the books, within limits."""
    numbers = [create(api, f"Volume {number}") for number in range(3)]
    everything = [book["id"] for book in api.get("/books?limit=100").json()]
    assert everything[-3:] == numbers
    some = api.get("/books", params={"offset": len(everything) - 2, "limit": 1}).json()
    assert [book["id"] for book in some] == numbers[1:2]
    assert api.get("/books?limit=101").status_code == 422


def test_one_catalogue_serves_everybody(api: httpx.Client) -> None:
    """Books that are added at the same time get numbers of their own."""
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda number: create(api, f"book {number}"), range(40)))
    assert len(set(numbers)) == 40


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"{", ["body", 1]),
        (b'{"title": "T"}', ["body", "author"]),
        (b'{"title": "T", "author": "A", "year": 1000}', ["body", "year"]),
    ],
)
def test_a_wrong_body_is_the_clients_mistake(api: httpx.Client, body: bytes, where: list[str | int]) -> None:
    """It is answered with 422, which says where."""
    answer = api.post("/books", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == where
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_named_origins_may_ask(api: httpx.Client) -> None:
    """A preflight is answered for each method; errors carry the header too; other origins get none."""
    asked = {"access-control-request-method": "DELETE", "access-control-request-headers": "content-type"}
    preflight = api.options("/books/1", headers=asked)
    assert preflight.status_code == 200
    assert {"GET", "POST", "PATCH", "DELETE"} <= set(preflight.headers["access-control-allow-methods"].split(", "))
    for answer, status in ((api.put("/books"), 405), (api.get("/none"), 404), (api.get("/books/0"), 422)):
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, ORIGIN)
    other = api.get("/health", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


def test_every_request_is_logged(api: httpx.Client, server: Server) -> None:
    """One access line each, with method, path, status and duration."""
    # What was asked before may be written now.
    api.get("/before")
    until(lambda: "/before" in server.log, "all lines of before")
    before = len(server.log)
    book = create(api, "Logged")
    api.get(f"/books/{book}")
    api.delete(f"/books/{book}")
    api.get(f"/books/{book}")

    def lines() -> list[tuple[str, ...]]:
        access = r'(\w+) +velithon\.access: 127\.0\.0\.1 "(\w+) (\S+) HTTP/1\.1" (\d+) [\d.]+ms$'
        return [match.groups() for match in re.finditer(access, server.log[before:], re.MULTILINE)]

    expected = [
        ("INFO", "POST", "/books", "201"),
        ("INFO", "GET", f"/books/{book}", "200"),
        ("INFO", "DELETE", f"/books/{book}", "204"),
        ("WARNING", "GET", f"/books/{book}", "404"),
    ]
    until(lambda: len(lines()) >= len(expected), f"{len(expected)} lines in {server.log[before:]}")
    assert lines() == expected


def test_the_api_is_described(api: httpx.Client) -> None:
    """The document names each operation, with the docstring of the method and the shape of its answer."""
    document = api.get("/openapi.json").json()
    assert (document["info"]["title"], document["info"]["version"]) == ("Books", "1.0.0")
    assert set(document["paths"]) == {"/books", "/books/{book_id}", "/health"}
    summaries = {method: operation["summary"] for method, operation in document["paths"]["/books"].items()}
    assert summaries == {"get": "List books.", "post": "Add a book."}
    shown = document["paths"]["/books/{book_id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert shown == {"$ref": "#/components/schemas/Book"}
