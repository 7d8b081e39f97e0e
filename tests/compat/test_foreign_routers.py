"""FastAPI's routers and routes, handed to an application as a package brings them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import fastapi
import fastapi.routing
import pytest
from pydantic import BaseModel

from tests.conftest import ClientFactory
from velithon import Depends, HTTPException, Response, Velithon
from velithon.exceptions import RegistrationError
from velithon.websockets import WebSocketDisconnect


class Item(BaseModel):
    """What an endpoint returns, less its secret."""

    name: str


class Timed(fastapi.routing.APIRoute):
    """A route class as FastAPI's guide has it."""

    def get_route_handler(self) -> Callable[[fastapi.Request], Any]:
        """Put a header on what FastAPI's own handler answers."""
        original = super().get_route_handler()

        async def timed(request: fastapi.Request) -> fastapi.Response:
            response = await original(request)
            response.headers["x-path"] = self.path
            return response

        return timed


def locked() -> None:
    """Let nobody in."""
    raise fastapi.HTTPException(401)


def package() -> fastapi.APIRouter:
    """Return a router with a router inside, and most of what a route can be given."""
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        events.append("up")
        yield {"events": events}
        events.append("down")

    inner = fastapi.APIRouter(prefix="/inner", dependencies=[fastapi.Depends(locked)])
    inner.get("/open")(lambda: "never")

    @inner.websocket("/ws")
    async def chat(websocket: fastapi.WebSocket) -> None:
        await websocket.accept()

    router = fastapi.APIRouter(prefix="/items", tags=["items"], lifespan=lifespan)

    @router.get("/{name}", response_model=Item, status_code=203, summary="Read it", responses={404: {}})
    def read(name: str, size: int = fastapi.Query(1, le=9)) -> Any:
        return {"name": name * size, "secret": "x"}

    @router.get("/state/events")
    def state(request: fastapi.Request) -> Any:
        return request.state.events

    router.include_router(inner, tags=["inner"])
    return router


def test_a_foreign_router_is_included(client: ClientFactory) -> None:
    """With its prefix, tags, dependencies, lifespan, response models, and the routers in it."""
    app = Velithon()
    app.include_router(package(), prefix="/v1", tags=["ours"])
    with client(app) as http:
        answer = http.get("/v1/items/ab?size=2")
        assert (answer.status_code, answer.json()) == (203, {"name": "abab"})
        assert http.get("/v1/items/ab?size=10").status_code == 422
        assert http.get("/v1/items/inner/open").status_code == 401
        assert http.get("/v1/items/state/events").json() == ["up"]
        with pytest.raises(WebSocketDisconnect), http.websocket_connect("/v1/items/inner/ws"):
            pass
    operation = app.openapi()["paths"]["/v1/items/{name}"]["get"]
    assert (operation["tags"], operation["summary"]) == (["ours", "items"], "Read it")
    assert {"203", "404", "422"} <= set(operation["responses"])


def test_our_dependencies_guard_a_foreign_router(client: ClientFactory) -> None:
    """Those of the inclusion run before its endpoints, HTTP and WebSocket alike."""

    def guard() -> None:
        raise HTTPException(403)

    app, router = Velithon(), fastapi.APIRouter()
    router.get("/a")(lambda: 1)
    app.include_router(router, dependencies=[Depends(guard)])
    assert client(app).get("/a").status_code == 403


def test_foreign_routes_in_the_list_of_routes(client: ClientFactory) -> None:
    """`app.router.routes.extend(router.routes)`, with what guards them."""
    app, router = Velithon(), fastapi.APIRouter(dependencies=[fastapi.Depends(locked)])
    router.get("/a")(lambda: 1)
    app.router.routes.extend(router.routes)
    assert client(app).get("/a").status_code == 401


def test_foreign_route_classes(client: ClientFactory) -> None:
    """A `get_route_handler` wraps our handler; its validation and dependencies are ours."""
    app, router = Velithon(), fastapi.APIRouter(route_class=Timed)
    router.get("/a/{number}")(lambda number, q=fastapi.Query(): Response(f"{number}{q}"))
    app.include_router(router, prefix="/v1")
    http = client(app)
    answer = http.get("/v1/a/3?q=4")
    assert (answer.text, answer.headers["x-path"]) == ("34", "/a/{number}")
    assert http.get("/v1/a/3").status_code == 422


def test_a_refused_router_leaves_nothing_behind() -> None:
    """Whatever route of it is refused."""

    class Unknown:
        use_cache = True
        dependency = None

    app, router = Velithon(), fastapi.APIRouter()
    before = list(app.routes)
    router.get("/good")(lambda: 1)
    router.routes.append(_route_with(Unknown()))
    with pytest.raises(RegistrationError, match="would be ignored"):
        app.include_router(router)
    with pytest.raises(RegistrationError, match="takes a Router"):
        app.include_router(object())  # type: ignore[arg-type]
    assert app.routes == before
    assert app.router._included == []


def _route_with(marker: Any) -> fastapi.routing.APIRoute:
    def endpoint(user: str = marker) -> None: ...

    return fastapi.routing.APIRoute("/bad", endpoint)
