"""What FastAPI's own code, and packages that know Starlette's classes, take our objects for."""

from __future__ import annotations

import copy
import dataclasses
from typing import Annotated, Any

import fastapi
import fastapi.params
import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware

from tests.conftest import ClientFactory
from velithon import Depends, Header, HTTPException, Query, Security, Velithon, params


class Session:
    """What no framework can make of a query."""


def session(x_user: Annotated[str, Header()]) -> Session:
    """Refuse those whom the header does not name."""
    if x_user != "ada":
        raise HTTPException(403)
    return Session()


@pytest.mark.parametrize("marked", [Annotated[Session, Depends(session)], Annotated[Session, Security(session)]])
def test_a_router_of_fastapis_takes_our_markers(client: ClientFactory, marked: Any) -> None:
    """A package's router is given a dependency that is written with `velithon.Depends`."""

    def read(found: Any, page: int = Query(1, ge=1)) -> dict[str, Any]:
        return {"found": type(found).__name__, "page": page}

    read.__annotations__["found"] = marked
    router = fastapi.APIRouter()
    router.get("/")(read)
    app = Velithon()
    app.include_router(router)
    http = client(app)
    assert http.get("/", headers={"x-user": "ada"}).json() == {"found": "Session", "page": 1}
    assert http.get("/?found=Session", headers={"x-user": "eve"}).status_code == 403
    assert http.get("/?page=0", headers={"x-user": "ada"}).status_code == 422


def test_a_marker_stays_ours_and_is_copied_as_ours() -> None:
    """It is an instance of both classes; `copy` and `dataclasses.replace` make one of ours."""
    query, depends = Query(3, gt=1), Depends(session, raises=[HTTPException(403)])
    assert isinstance(query, params.Query)
    assert isinstance(query, fastapi.params.Query)
    assert not isinstance(query, fastapi.params.Header)
    assert type(copy.copy(query)) is params.Query
    replaced = dataclasses.replace(depends, dependency=len)
    assert type(replaced) is params.Depends
    assert (replaced.dependency, replaced.raises) == (len, depends.raises)
    assert isinstance(replaced, fastapi.params.Depends)
    assert not isinstance(replaced, fastapi.params.Security)
    assert depends == Depends(session)
    assert depends != Depends(len)


def test_packages_take_ours_for_fastapis() -> None:
    """Applications, routers and routes are instances of both classes; their names are their own."""

    class Own(Velithon):
        pass

    app = Own()
    app.get("/")(lambda: 1)
    app.websocket("/ws")(lambda websocket: None)
    assert isinstance(app, fastapi.FastAPI)
    assert isinstance(app, Velithon)
    assert type(app) is Own
    assert not isinstance(app, fastapi.APIRouter)
    assert isinstance(app.router, fastapi.APIRouter)
    assert isinstance(app.routes[-2], APIRoute)
    assert isinstance(app.routes[-1], APIWebSocketRoute)
    assert not isinstance(app.routes[-1], APIRoute)
    assert type(app.__class__(title="Other")) is Own
    assert set(dir(app)) == {*dir(Own), *vars(app)}


def test_an_instrument_that_patches_the_exception_layer_sees_refusals(
    client: ClientFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Sentry does: `Middleware(ExceptionMiddleware)` is where it replaces the handlers."""
    seen = []
    original = Middleware.__init__

    class Patched(ExceptionMiddleware):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            for key, handler in self._exception_handlers.items():
                self._exception_handlers[key] = self.watched(handler)

        @staticmethod
        def watched(handler: Any) -> Any:
            async def watch(request: Any, exc: Any) -> Any:
                seen.append(exc.status_code)
                return await handler(request, exc)

            return watch

    def patched(self: Any, cls: Any, *args: Any, **options: Any) -> None:
        original(self, Patched if cls is ExceptionMiddleware else cls, *args, **options)

    monkeypatch.setattr(Middleware, "__init__", patched)
    app = Velithon()

    @app.get("/")
    async def refuse() -> None:
        raise HTTPException(503)

    assert client(app).get("/").status_code == 503
    assert seen == [503]
