"""What a request opened is closed behind a layer that puts its own protocol object in the server's place."""

from typing import Annotated, Any

import pytest

from tests.conftest import ClientFactory
from tests.servers import SERVERS, ServerName, serve
from velithon import Depends, Request, Velithon
from velithon.background import BackgroundTask
from velithon.responses import PlainTextResponse, Response
from velithon.testclient import TestClient


class Recorder:
    """A protocol that writes down what is responded before it passes it on."""

    def __init__(self, inner: Any, seen: list[str]) -> None:
        self.inner = inner
        self.seen = seen

    def __call__(self) -> Any:
        return self.inner()

    def __aiter__(self) -> Any:
        return self.inner.__aiter__()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("response_"):
            self.seen.append("response")
        return getattr(self.inner, name)


def make(seen: list[str]) -> Velithon:
    class Layer:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, protocol: Any) -> None:
            await self.app(scope, Recorder(protocol, seen))
            seen.append("layer ended")

    async def resource() -> Any:
        seen.append("opened")
        try:
            yield "resource"
        except BaseException as exc:
            seen.append(type(exc).__name__)
            raise
        finally:
            seen.append("closed")

    app = Velithon()
    app.add_middleware(Layer)

    @app.get("/value")
    async def value(resource: Annotated[str, Depends(resource)]) -> str:
        return resource

    @app.get("/background", response_model=None)
    async def background(resource: Annotated[str, Depends(resource)]) -> Response:
        return PlainTextResponse("x", background=BackgroundTask(seen.append, "background"))

    @app.get("/stream")
    async def stream(resource: Annotated[str, Depends(resource)]) -> Any:
        yield resource

    @app.get("/fails")
    async def fails(resource: Annotated[str, Depends(resource)]) -> None:
        raise KeyError

    @app.exception_handler(KeyError)
    async def handle(request: Any, exc: KeyError) -> Response:
        return PlainTextResponse("handled", 418)

    @app.post("/body")
    async def body(resource: Annotated[str, Depends(resource)], data: dict[str, int]) -> dict[str, int]:
        return data

    return app


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/value", ["opened", "response", "closed", "layer ended"]),
        ("/background", ["opened", "response", "background", "closed", "layer ended"]),
        ("/stream", ["opened", "response", "closed", "layer ended"]),
        ("/fails", ["opened", "KeyError", "closed", "response", "layer ended"]),
    ],
)
def test_exits_run_once_and_in_order(client: ClientFactory, path: str, expected: list[str]) -> None:
    """After the response and its background task, before the layer goes on; over ASGI likewise."""
    seen: list[str] = []
    with client(make(seen)) as c:
        c.get(path)
        assert seen == expected
        seen.clear()
        assert c.post("/body", json={"a": 1}).json() == {"a": 1}
        assert seen == ["opened", "response", "closed", "layer ended"]


served: list[str] = []
app = make(served)


@app.get("/seen")
async def seen() -> list[str]:
    return [*served]


def test_a_body_that_was_read_outside_of_such_a_layer_is_not_lost() -> None:
    """The endpoint gets it, though the server's has been read."""
    app = make([])

    @app.middleware("http")
    async def read(request: Request, call_next: Any) -> Any:
        assert await request.body() == b'{"a":1}'
        return await call_next(request)

    with TestClient(app, protocol="rsgi") as c:
        assert c.post("/body", json={"a": 1}).json() == {"a": 1}


@pytest.mark.server
@pytest.mark.parametrize("server", SERVERS)
def test_exits_run_on_servers(server: ServerName) -> None:
    """Likewise."""
    import httpx

    with serve(f"{__name__}:app", server) as running, httpx.Client(base_url=running.url) as c:
        assert c.get("/value").json() == "resource"
        assert c.get("/seen").json()[:4] == ["opened", "response", "closed", "layer ended"]
