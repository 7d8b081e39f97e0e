"""Background tasks of a response that goes through layers: none is lost, whatever the layers make of the response."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.background import BackgroundTask as StarletteTask
from starlette.responses import JSONResponse as StarletteJSONResponse
from starlette.responses import StreamingResponse as StarletteStreamingResponse

from tests.conftest import ClientFactory
from velithon import BackgroundTasks, Depends, Middleware, Request, Velithon
from velithon.background import BackgroundTask
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.responses import JSONResponse, Response


def with_own(done: list[str]) -> Any:
    """Give the response a task of the layer's, as loggers of responses do."""

    async def dispatch(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        assert response.background is None
        response.background = BackgroundTask(done.append, "layer")
        return response

    return dispatch


def in_its_place(done: list[str]) -> Any:
    """Read the body and answer with another response, as layers that sign or log bodies do."""

    async def dispatch(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        chunks = getattr(response, "body_iterator", None)
        body = response.body if chunks is None else b"".join([chunk async for chunk in chunks])
        return Response(body, response.status_code, background=StarletteTask(done.append, "layer"))

    return dispatch


def with_another_request(done: list[str]) -> Any:
    """Go on with a request of its own for the same scope."""

    async def dispatch(request: Request, call_next: Any) -> Any:
        response = await call_next(Request(request.scope, request.receive))
        response.background = BackgroundTask(done.append, "layer")
        return response

    return dispatch


LAYERS = {"own": with_own, "in its place": in_its_place, "another request": with_another_request}


def endpoints(done: list[str]) -> dict[str, Callable[..., Any]]:
    def injected(background: BackgroundTasks) -> str:
        background.add_task(done.append, "endpoint")
        return "x"

    async def returned() -> Any:
        return JSONResponse("x", background=BackgroundTask(done.append, "endpoint"))

    async def starlettes() -> Any:
        return StarletteJSONResponse("x", background=StarletteTask(done.append, "endpoint"))

    def late(background: BackgroundTasks) -> Iterator[None]:
        yield
        background.add_task(done.append, "endpoint")

    async def after_yield(_: None = Depends(late)) -> str:
        return "x"

    async def raised(request: Request) -> None:
        raise LookupError

    async def streamed() -> Any:
        return StarletteStreamingResponse(iter([b'"x"']), background=StarletteTask(done.append, "endpoint"))

    made: list[Callable[..., Any]] = [injected, returned, starlettes, after_yield, raised, streamed]
    return {endpoint.__name__: endpoint for endpoint in made}


@pytest.mark.parametrize("endpoint", endpoints([]))
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("outside", [0, 1])
def test_all_run(client: ClientFactory, layer: str, endpoint: str, outside: int) -> None:
    """Those of the endpoint, of its dependencies and of handlers run, then those of the layers."""
    done: list[str] = []
    app = Velithon(middleware=[Middleware(BaseHTTPMiddleware, dispatch=LAYERS[layer](done))] * (outside + 1))
    app.get("/")(endpoints(done)[endpoint])

    @app.exception_handler(LookupError)
    async def handled(request: Request, exc: LookupError) -> Any:
        return JSONResponse("x", background=BackgroundTask(done.append, "endpoint"))

    with client(app) as tested:
        assert tested.get("/").status_code == 200
    # A dependency adds its own when the others had run; another framework's stream runs its own when it ends.
    if endpoint in ("after_yield", "streamed"):
        assert sorted(done) == sorted(["endpoint", *["layer"] * (outside + 1)])
    else:
        assert done == ["endpoint", *["layer"] * (outside + 1)]


def test_a_layer_of_a_route(client: ClientFactory) -> None:
    """Layers around one route lose none either."""
    done: list[str] = []
    app = Velithon()
    app.get("/", middleware=[Middleware(BaseHTTPMiddleware, dispatch=with_own(done))])(endpoints(done)["injected"])
    with client(app) as tested:
        assert tested.get("/").json() == "x"
    assert done == ["endpoint", "layer"]
