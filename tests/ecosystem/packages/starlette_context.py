"""A context of the request that every function sees, filled by plugins from headers."""
# /// script
# dependencies = ["starlette-context"]
# ///

import pytest
from fastapi import Depends, FastAPI
from starlette.middleware import Middleware
from starlette_context import context, plugins, request_cycle_context
from starlette_context.middleware import ContextMiddleware, RawContextMiddleware

from tests.ecosystem.plugin import Clients


def shop(layer) -> FastAPI:
    app = FastAPI(middleware=[Middleware(layer, plugins=(plugins.RequestIdPlugin(), plugins.UserAgentPlugin()))])

    def visitor():
        context["visitor"] = "ada"

    @app.get("/async", dependencies=[Depends(visitor)])
    async def asynchronous():
        return context.data

    @app.get("/sync", dependencies=[Depends(visitor)])
    def synchronous():
        return context.data

    return app


@pytest.mark.parametrize("path", ["/async", "/sync"])
@pytest.mark.parametrize("layer", [ContextMiddleware, RawContextMiddleware])
def test_every_function_sees_the_context(client: Clients, layer, path: str) -> None:
    http = client(shop(layer))
    answer = http.get(path, headers={"user-agent": "browser"})
    assert answer.json()["User-Agent"] == "browser"
    assert answer.json()["visitor"] == "ada"
    assert answer.headers["x-request-id"] == answer.json()["X-Request-ID"]
    assert http.get(path, headers={"x-request-id": "none"}).status_code == 400


def test_a_dependency_is_a_context_too(client: Clients) -> None:
    async def around():
        with request_cycle_context({"place": "dependency"}):
            yield

    app = FastAPI(dependencies=[Depends(around)])

    @app.get("/")
    async def home():
        return context["place"]

    assert client(app).get("/").json() == "dependency"
