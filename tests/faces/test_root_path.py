"""Below a path that a proxy takes off, both faces answer as they would with the path left on."""

from typing import Any

import pytest

from tests.conftest import ClientFactory
from velithon import Request, Velithon, WebSocket


def make() -> Velithon:
    app = Velithon(root_path="/api")
    inner = Velithon()

    @app.get("/here")
    @inner.get("/here")
    async def here(request: Request) -> dict[str, Any]:
        return {
            "url": str(request.url),
            "base": str(request.base_url),
            "link": str(request.url_for("here")),
            "path": request.scope["path"],
            "raw": request.scope["raw_path"].decode(),
            "root": request.scope["root_path"],
        }

    @app.get("/name/{name}")
    async def name(name: str, request: Request) -> list[str]:
        return [name, request.scope["path"], request.scope["raw_path"].decode()]

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json([websocket.scope["path"], websocket.scope["root_path"], str(websocket.url)])

    app.mount("/inner", inner)
    return app


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_a_route_sees_the_whole_path(client: ClientFactory, prefix: str) -> None:
    response = client(make()).get(f"{prefix}/here")
    assert response.json() == {
        "url": "http://testserver/api/here",
        "base": "http://testserver/api/",
        "link": "http://testserver/api/here",
        "path": "/api/here",
        "raw": "/api/here",
        "root": "/api",
    }


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_a_mounted_application_answers(client: ClientFactory, prefix: str) -> None:
    seen = client(make()).get(f"{prefix}/inner/here").json()
    assert (seen["url"], seen["path"], seen["root"]) == (
        "http://testserver/api/inner/here",
        "/api/inner/here",
        "/api/inner",
    )


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_a_redirection_leads_below_the_root(client: ClientFactory, prefix: str) -> None:
    response = client(make()).get(f"{prefix}/here/", follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (307, "http://testserver/api/here")


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_a_path_that_no_route_has_is_404(client: ClientFactory, prefix: str) -> None:
    response = client(make()).get(f"{prefix}/nowhere")
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})


def test_what_only_begins_like_the_root_is_not_below_it(client: ClientFactory) -> None:
    app = make()

    @app.get("/apiary")
    async def apiary(request: Request) -> str:
        return request.scope["path"]  # type: ignore[no-any-return]

    assert client(app).get("/apiary").json() == "/api/apiary"


def test_quoted_characters_stay_quoted(client: ClientFactory) -> None:
    response = client(make()).get("/name/a%20b%C3%A9")
    assert response.json() == ["a bé", "/api/name/a bé", "/api/name/a%20b%C3%A9"]


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_a_websocket_sees_the_whole_path(client: ClientFactory, prefix: str) -> None:
    with client(make()).websocket_connect(f"{prefix}/socket") as websocket:
        assert websocket.receive_json() == ["/api/socket", "/api", "ws://testserver/api/socket"]


@pytest.mark.parametrize("path", ["/here", "/api/here", "/name/a", "/api/name/a"])
def test_a_layer_changes_nothing_of_it(client: ClientFactory, path: str) -> None:
    """The routes behind a function around requests are those without it."""
    layered = make()

    @layered.middleware("http")
    async def through(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    expected = client(make()).get(path)
    answer = client(layered).get(path)
    assert (answer.status_code, answer.json()) == (expected.status_code, expected.json()) == (200, expected.json())
