"""Routers as FastAPI's users and packages treat them: Starlette's forms, and what is changed after they were made."""

from __future__ import annotations

import importlib
from typing import Any

import fastapi
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route as StarletteRoute
from starlette.routing import WebSocketRoute as StarletteWebSocketRoute

import velithon
from tests.conftest import ClientFactory
from velithon import APIRouter, Depends, HTTPException, Request, Velithon, WebSocket


def test_endpoints_in_starlettes_form(client: ClientFactory) -> None:
    """Their parameter is the request, however it is called."""
    app, router = Velithon(), APIRouter()

    async def anything(_):  # type: ignore[no-untyped-def]
        return PlainTextResponse(_.url.path)

    async def talk(ws):  # type: ignore[no-untyped-def]
        await ws.accept()
        await ws.send_text(ws.url.path)
        await ws.close()

    app.add_route("/async", anything)
    app.add_route("/sync", lambda r: PlainTextResponse(r.method), methods=["POST"])
    app.add_websocket_route("/ws", talk)
    app.route("/decorated")(anything)
    app.websocket_route("/decorated-ws")(talk)
    app.add_route("/path/{_}", lambda _: _)
    router.routes.append(StarletteRoute("/inner", anything))
    router.routes.append(StarletteWebSocketRoute("/inner-ws", talk))
    app.include_router(router, prefix="/in")
    app.router.routes.append(StarletteRoute("/plain", anything))
    caller = client(app)
    for path in ("/async", "/decorated", "/in/inner", "/plain"):
        assert caller.get(path).text == path
    assert caller.post("/sync").text == "POST"
    assert caller.get("/path/x").json() == "x"
    for path in ("/ws", "/decorated-ws", "/in/inner-ws"):
        with caller.websocket_connect(path) as websocket:
            assert websocket.receive_text() == path


def refuse(request: Request) -> None:
    raise HTTPException(401, request.url.path)


def test_what_routers_share_may_change(client: ClientFactory) -> None:
    """For the routes that come after: nothing that is set on a router is ignored."""
    app, router = Velithon(), APIRouter(tags=["first"])
    app.get("/before")(lambda: 1)
    app.router.dependencies.append(Depends(refuse))
    app.get("/after")(lambda: 1)
    router.get("/x")(lambda: 1)
    router.tags.append("second")
    router.responses[418] = {"description": "tea"}
    router.deprecated = True
    router.get("/y")(lambda: 1)
    router.include_in_schema = False
    router.get("/z")(lambda: 1)
    app.include_router(router)
    caller = client(app)
    assert [caller.get(path).status_code for path in ("/before", "/after", "/x", "/y", "/z")] == [
        200,
        401,
        401,
        401,
        401,
    ]
    paths = app.openapi()["paths"]
    assert set(paths) == {"/before", "/after", "/x", "/y"}
    assert paths["/x"]["get"]["tags"] == ["first"]
    assert paths["/y"]["get"]["tags"] == ["first", "second"]
    assert (set(paths["/y"]["get"]["responses"]), paths["/y"]["get"]["deprecated"]) == ({"200", "418"}, True)


def test_root_paths_of_applications(client: ClientFactory) -> None:
    """A proxy may strip the prefix or leave it: both faces answer, and links carry it."""
    app, sub = Velithon(root_path="/api/v1"), Velithon()

    @app.get("/here")
    def here(request: Request) -> list[Any]:
        return [str(request.url_for("here")), str(request.base_url), request.scope["root_path"]]

    @sub.get("/below")
    def below(request: Request) -> Any:
        return request.scope["root_path"]

    app.mount("/sub", sub)

    @app.websocket("/ws")
    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(str(websocket.url_for("talk")))
        await websocket.close()

    caller = client(app)
    known = ["http://testserver/api/v1/here", "http://testserver/api/v1/", "/api/v1"]
    assert caller.get("/here").json() == caller.get("/api/v1/here").json() == known
    assert caller.get("/api/v1/sub/below").json() == "/api/v1/sub"
    assert caller.get("/api/v1").status_code == caller.get("/api/v1x/here").status_code == 404
    for path in ("/ws", "/api/v1/ws"):
        with caller.websocket_connect(path) as websocket:
            assert websocket.receive_text() == "ws://testserver/api/v1/ws"


def test_starlette_applications_hold_our_routes(client: ClientFactory) -> None:
    """A route of ours works in a router that is not."""
    from velithon.routing import Route

    outer = Velithon()
    outer.mount("/s", Starlette(routes=[Route("/n/{n}", lambda n: n)]))
    assert client(outer).get("/s/n/3").json() == "3"


def test_contexts_of_routes() -> None:
    """Packages walk them; here every route is in the list, with its whole path."""
    seen = []
    for module, app in ((fastapi, fastapi.FastAPI()), (velithon, Velithon())):
        router: Any = module.APIRouter(prefix="/in")
        router.get("/{x:int}", name="one", summary="Sum")(lambda x: x)
        router.websocket("/ws")(lambda websocket: None)
        app.include_router(router, prefix="/api")
        contexts = list(module.routing.iter_route_contexts(app.routes))
        assert list(module.routing.iter_route_contexts(contexts)) == contexts
        last = contexts[-2:]
        seen.append([(c.path, c.path_format, c.name, c.methods, callable(c.endpoint)) for c in last])
        assert last[0].summary == "Sum"
        assert last[0].original_route is not None
        utils = importlib.import_module(f"{module.__name__}.openapi.utils")
        assert list(utils.get_openapi(title="x", version="1", routes=contexts)["paths"]) == ["/api/in/{x}"]
    assert seen[0] == seen[1]
