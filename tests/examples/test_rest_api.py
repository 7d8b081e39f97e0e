"""The REST API on real servers: the life of a user, CORS headers on every answer, an access line for every request."""

import re
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import httpx
import pytest

from tests.cli.processes import until
from tests.servers import Server, ServerName, serve

pytestmark = pytest.mark.server

ORIGIN = {"origin": "https://shop.example"}


@pytest.fixture(scope="module", params=["granian-rsgi", "uvicorn"])
def server(request: pytest.FixtureRequest) -> Generator[Server, None, None]:
    """The API on a server."""
    with serve("examples.rest_api:app", cast("ServerName", request.param)) as running:
        yield running


@pytest.fixture
def api(server: Server) -> Generator[httpx.Client, None, None]:
    """A client on a page of another origin."""
    with httpx.Client(base_url=server.url, headers=ORIGIN, trust_env=False) as client:
        yield client


def create(api: httpx.Client, name: str) -> int:
    """Create a user and return the id."""
    answer = api.post("/users", json={"name": name, "email": f"{name}@example.com"})
    assert answer.status_code == 201
    user_id = answer.json()["id"]
    assert answer.json() == {"id": user_id, "name": name, "email": f"{name}@example.com"}
    return int(user_id)


def test_the_life_of_a_user(api: httpx.Client) -> None:
    """Created, listed, read, changed, read again, deleted, gone: each step is allowed to other origins."""
    assert api.get("/health").json() == {"status": "healthy"}
    ada = create(api, "ada")
    grace = create(api, "grace")
    assert grace > ada
    steps: list[httpx.Response] = []

    def call(method: str, path: str, **options: object) -> httpx.Response:
        steps.append(api.request(method, path, **options))  # type: ignore[arg-type]
        return steps[-1]

    assert {user["id"] for user in call("GET", "/users").json()} >= {ada, grace}
    assert call("GET", f"/users/{ada}").json()["name"] == "ada"
    changed = {"id": ada, "name": "Ada", "email": "ada@example.com"}
    assert call("PUT", f"/users/{ada}", json={"name": "Ada"}).json() == changed
    assert call("GET", f"/users/{ada}").json() == changed
    assert call("DELETE", f"/users/{ada}").json() == {"message": "User deleted"}
    assert [step.status_code for step in steps] == [200] * 5
    for method in ("GET", "PUT", "DELETE"):
        missing = call(method, f"/users/{ada}", json={})
        assert (missing.status_code, missing.json()) == (404, {"error": "User not found"})
    left = call("GET", "/users").json()
    assert ada not in {user["id"] for user in left}
    assert grace in {user["id"] for user in left}
    assert {step.headers["access-control-allow-origin"] for step in steps} == {"*"}
    assert {step.headers["content-type"] for step in steps} == {"application/json"}


def test_one_service_serves_everybody(api: httpx.Client) -> None:
    """Users that are created at the same time get ids of their own."""
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda number: create(api, f"user-{number}"), range(40)))
    assert len(set(ids)) == 40
    assert {user["id"] for user in api.get("/users").json()} >= set(ids)


def test_other_origins_may_ask(api: httpx.Client) -> None:
    """A preflight is answered for each method, and errors carry the header too."""
    asked = {"access-control-request-method": "DELETE", "access-control-request-headers": "content-type"}
    preflight = api.options("/users/1", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert {"GET", "POST", "PUT", "DELETE"} <= set(preflight.headers["access-control-allow-methods"].split(", "))
    answers = [
        api.patch("/users"),
        api.get("/none"),
        # the example reads the body by itself, so what it cannot read is an error of its own;
        # after one Uvicorn ends the connection without saying so in the response, hence one for each
        api.post("/users", content=b"{", headers={"connection": "close"}),
        api.post("/users", json={"name": "no address"}, headers={"connection": "close"}),
    ]
    assert [answer.status_code for answer in answers] == [405, 404, 500, 500]
    assert {answer.headers["access-control-allow-origin"] for answer in answers} == {"*"}
    assert set(answers[0].headers["allow"].split(", ")) >= {"GET", "POST"}
    assert "Traceback" not in answers[2].text
    without = httpx.get(api.base_url.join("/health"), trust_env=False)
    assert "access-control-allow-origin" not in without.headers


def test_every_request_is_logged(api: httpx.Client, server: Server) -> None:
    """One access line each, with method, path, status and duration; an exception with its traceback."""
    before = len(server.log)
    user = create(api, "logged")
    api.get(f"/users/{user}")
    api.delete(f"/users/{user}")
    api.get(f"/users/{user}")
    api.get("/users/not-a-number")

    def lines() -> list[tuple[str, ...]]:
        access = r'(\w+) +velithon\.access: 127\.0\.0\.1 "(\w+) (\S+) HTTP/1\.1" (\d+) [\d.]+ms$'
        return [match.groups() for match in re.finditer(access, server.log[before:], re.MULTILINE)]

    expected = [
        ("INFO", "POST", "/users", "201"),
        ("INFO", "GET", f"/users/{user}", "200"),
        ("INFO", "DELETE", f"/users/{user}", "200"),
        ("WARNING", "GET", f"/users/{user}", "404"),
        ("ERROR", "GET", "/users/not-a-number", "500"),
    ]
    until(lambda: len(lines()) >= len(expected), f"{len(expected)} lines in {server.log[before:]}")
    assert lines() == expected
    until(lambda: "invalid literal for int()" in server.log[before:], "the exception is logged")


def test_the_api_is_described(api: httpx.Client) -> None:
    """The document names each operation, with the docstring of the method."""
    document = api.get("/openapi.json").json()
    assert (document["info"]["title"], document["info"]["version"]) == ("User API", "1.0.0")
    assert set(document["paths"]) == {"/users", "/users/{user_id}", "/health"}
    assert set(document["paths"]["/users/{user_id}"]) >= {"get", "put", "delete"}
    summaries = {method: operation["summary"] for method, operation in document["paths"]["/users"].items()}
    assert summaries == {"get": "Get all users", "post": "Create a new user"}
