"""Routes that a package looks into or rebuilds, as it does with FastAPI's, answer accordingly on both faces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fastapi.dependencies.utils
import fastapi.openapi.utils
import fastapi.routing
import pytest
from pydantic import BaseModel
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse

from tests.conftest import ClientFactory
from velithon import Body, Depends, HTTPException, Request, Router, Velithon, WebSocket
from velithon.compat import internals
from velithon.exceptions import RegistrationError
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.routing import Route


class Item(BaseModel):
    name: str


def last(app: Velithon | Router) -> Any:
    return app.routes[-1]


def nobody() -> None:
    raise HTTPException(401)


REQUEST_RESPONSE = [
    pytest.param(internals.request_response, id="ours"),
    pytest.param(fastapi.routing.request_response, id="fastapi's"),
]


@pytest.mark.parametrize("request_response", REQUEST_RESPONSE)
def test_a_route_is_rebuilt_with_a_dependency_of_both_lists(client: ClientFactory, request_response: Any) -> None:
    """The dependency runs once for each request, and the document shows what it takes, the body too."""
    app, pages = Velithon(), list[int]()
    utils = fastapi.dependencies.utils

    def page(size: int = 10, extra: Item | None = Body(None)) -> None:
        pages.append(size)

    @app.post("/items")
    async def read(item: Item) -> list[Item]:
        return [item]

    route = last(app)
    depends = fastapi.Depends(page, use_cache=False)
    route.dependencies.append(depends)
    route.dependant.dependencies.append(utils.get_parameterless_sub_dependant(depends=depends, path=route.path_format))
    route.body_field = utils._get_body_field(
        body_params=utils._get_flat_body_params(route.dependant),
        name=route.unique_id,
        embed_body_fields=route._embed_body_fields,
    )
    route.app = request_response(route.get_route_handler())
    http = client(app)
    assert http.post("/items?size=3", json={"item": {"name": "a"}}).json() == [{"name": "a"}]
    assert http.post("/items?size=x", json={"item": {"name": "a"}}).status_code == 422
    assert pages == [3]
    operation = http.get("/openapi.json").json()["paths"]["/items"]["post"]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["size"]
    assert route.body_field.annotation.model_fields.keys() == {"item", "extra"}


def test_a_route_that_was_rebuilt_heeds_what_comes_later(client: ClientFactory) -> None:
    """Its own handler is no replacement: dependencies count, and an inclusion takes them along."""
    app, router = Velithon(), Router()
    router.get("/")(lambda: 1)
    route = last(router)
    route.app = internals.request_response(route.get_route_handler())
    route.dependencies.append(Depends(nobody))
    app.include_router(router, prefix="/in")
    assert client(app).get("/in/").status_code == 401


@pytest.mark.parametrize("request_response", REQUEST_RESPONSE)
@pytest.mark.parametrize("kind", ["async", "sync"])
def test_a_handler_around_the_routes_own(client: ClientFactory, request_response: Any, kind: str) -> None:
    """It sees the request and the response, and the middleware of the route stays around both."""
    app = Velithon()

    class Marked(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            response = await call_next(request)
            response.headers["x-marked"] = "yes"
            return response

    @app.get("/items/{number}", middleware=[Middleware(Marked)])
    def read(number: int) -> dict[str, int]:
        return {"number": number}

    route = last(app)
    inner = route.get_route_handler()

    async def handler(request: Any) -> Any:
        response = await inner(request)
        response.headers["x-path"] = request.url.path
        return response

    def plain(request: Any) -> Any:
        return PlainTextResponse("plain", headers={"x-path": request.url.path})

    route.app = request_response(handler if kind == "async" else plain)
    http = client(app)
    answer = http.get("/items/3")
    assert answer.headers["x-path"] == "/items/3"
    assert answer.headers["x-marked"] == "yes"
    assert answer.text == ('{"number":3}' if kind == "async" else "plain")
    assert http.post("/items/3").status_code == 405


def test_an_application_around_the_routes_own(client: ClientFactory) -> None:
    """What is assigned may call what was there; before the first request and after it, and it can be taken back."""
    app, seen = Velithon(), list[str]()
    app.get("/items/{number}")(lambda number: {"number": number})
    route = last(app)
    own = route.app

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path_params"]["number"])
        await own(scope, receive, send)

    http = client(app)
    assert http.get("/items/1").json() == {"number": "1"}
    route.app = counted
    assert route.app is counted
    assert [http.get(f"/items/{number}").json()["number"] for number in "23"] == ["2", "3"]
    route.app = own
    assert http.get("/items/4").json() == {"number": "4"}
    assert seen == ["2", "3"]


@pytest.mark.parametrize("replace", [lambda route: PlainTextResponse("else"), lambda route: wrapped(route.app)])
def test_what_an_assigned_application_would_not_heed_is_refused(client: ClientFactory, replace: Any) -> None:
    """A guard that comes later would be passed by: for HTTP and for WebSockets."""
    app, router = Velithon(), Router()
    router.get("/")(lambda: 1)

    @router.websocket("/ws")
    async def chat(websocket: WebSocket) -> None:
        await websocket.close()

    for route in router.routes:
        changed: Any = route
        changed.app = replace(route)
        with pytest.raises(RegistrationError, match="the app of the route '/.*' was assigned"):
            changed.dependencies.append(Depends(nobody))
    with pytest.raises(RegistrationError, match="before assigning route.app"):
        app.include_router(router, prefix="/in", dependencies=[Depends(nobody)])


def wrapped(app: Any) -> Callable[..., Any]:
    async def outer(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return outer


def test_the_response_model_of_a_route(client: ClientFactory) -> None:
    """It is what was said, or the return annotation; another may be put in its place."""
    app = Velithon()

    @app.get("/said", response_model=list[Item])
    def said() -> Any:
        return []

    @app.get("/annotated")
    def annotated() -> Item:
        return Item(name="a")

    @app.get("/response")
    def response() -> PlainTextResponse:
        return PlainTextResponse("a")

    @app.get("/nothing")
    def nothing(request: Request):  # type: ignore[no-untyped-def]  # without an annotation, on purpose
        return {"name": "a", "secret": 1}

    models = {route.path: route.response_model for route in app.routes if isinstance(route, Route)}
    assert [models[path] for path in ("/said", "/annotated", "/response", "/nothing")] == [list[Item], Item, None, None]
    http = client(app)
    assert http.get("/nothing").json() == {"name": "a", "secret": 1}
    last(app).response_model = Item
    assert last(app).response_field.annotation is Item
    assert http.get("/nothing").json() == {"name": "a"}


def test_a_body_that_is_not_the_endpoints_is_refused() -> None:
    """Documents and handlers would not follow it."""
    app = Velithon()
    app.get("/")(lambda: 1)
    last(app).body_field = None
    with pytest.raises(RegistrationError, match="made of the parameters"):
        last(app).body_field = object()


def test_fastapis_own_document_of_our_routes_is_refused_with_the_cure() -> None:
    """It reads fields that only FastAPI's routes have."""
    app = Velithon()
    app.get("/")(lambda: 1)
    with pytest.raises(AttributeError, match=r"use app\.openapi\(\)"):
        fastapi.openapi.utils.get_openapi(title="", version="", routes=app.routes)
