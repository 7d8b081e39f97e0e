"""Providers as dependencies, with a scope of the request by a layer or by a route class."""
# /// script
# dependencies = ["that-depends"]
#
# [tool.ecosystem]
# remarks = "`@inject` above an endpoint with `= Provide[...]` is refused: FastAPI takes such a value from the query."
# ///

from collections.abc import AsyncIterator, Iterator

from fastapi import APIRouter, Depends, FastAPI
from starlette.middleware import Middleware
from that_depends import BaseContainer, ContextScopes, container_context
from that_depends.integrations.fastapi import create_fastapi_route_class
from that_depends.providers import ContextResource, DIContextMiddleware, Factory, Singleton

from tests.ecosystem.plugin import Clients

events = []


async def make_session() -> AsyncIterator[str]:
    events.append("open")
    yield "session"
    events.append("close")


def make_cursor() -> Iterator[str]:
    yield "cursor"


class Service:
    def __init__(self, session: str, name: str) -> None:
        self.described = f"{name} with {session}"


class Container(BaseContainer):
    default_scope = ContextScopes.INJECT
    name = Singleton(lambda: "service")
    session = ContextResource(make_session).with_config(scope=ContextScopes.REQUEST)
    cursor = ContextResource(make_cursor)
    service = Factory(Service, session=session.cast, name=name.cast)


app = FastAPI(middleware=[Middleware(DIContextMiddleware, Container, scope=ContextScopes.REQUEST)])
router = APIRouter(route_class=create_fastapi_route_class(Container, scope=ContextScopes.REQUEST))


@app.get("/depends")
async def by_depends(service: Service = Depends(Container.service)):
    return service.described


@router.get("/routed")
async def routed(service: Service = Container.service, q: str = "none"):
    return {"service": service.described, "q": q}


app.include_router(router)


def test_a_resource_lives_as_long_as_the_request(client: Clients) -> None:
    events.clear()
    with client(app) as http:
        assert http.get("/depends").json() == "service with session"
        assert events == ["open", "close"]
        assert http.get("/depends").json() == "service with session"
        assert events == ["open", "close"] * 2


def test_a_route_class_reads_providers_from_defaults(client: Clients) -> None:
    with client(app) as http:
        assert http.get("/routed?q=x").json() == {"service": "service with session", "q": "x"}
        parameters = http.get("/openapi.json").json()["paths"]["/routed"]["get"]["parameters"]
        assert [item["name"] for item in parameters] == ["q"]


def test_a_provider_is_overridden(client: Clients) -> None:
    with Container.name.override_context_sync("fake"), client(app) as http:
        assert http.get("/depends").json() == "fake with session"


def test_its_scopes_work_without_a_request() -> None:
    with container_context(Container.cursor, scope=ContextScopes.INJECT):
        assert Container.cursor.resolve_sync() == "cursor"
