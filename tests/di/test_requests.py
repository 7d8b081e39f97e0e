from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest

from tests.conftest import ClientFactory
from velithon import Depends, Velithon, WebSocket
from velithon.di import AsyncFactoryProvider, FactoryProvider, Provide, ServiceContainer, SingletonProvider, inject
from velithon.endpoint import HTTPEndpoint
from velithon.responses import JSONResponse
from velithon.websocket import WebSocketEndpoint


class Database:
    def __init__(self) -> None:
        self.closed = False

    async def query(self, sql: str) -> dict[str, str]:
        return {"result": sql}

    async def aclose(self) -> None:
        self.closed = True


class Repository:
    def __init__(self, db: Database) -> None:
        self.db = db


class Service:
    def __init__(self, repository: Repository, key: str) -> None:
        self.repository = repository
        self.key = key

    async def get(self, number: int) -> dict[str, str]:
        return await self.repository.db.query(f"{number} {self.key}")


async def make_service(repository: Repository, key: str = "default") -> Service:
    return Service(repository, key)


class Container(ServiceContainer):
    db = SingletonProvider(Database)
    repository = FactoryProvider(Repository, db=db)
    service = AsyncFactoryProvider(make_service, repository=repository, key="key")


container = Container()


class FakeService(Service):
    def __init__(self) -> None: ...

    async def get(self, number: int) -> dict[str, str]:
        return {"result": f"fake {number}"}


async def numbered(service: Annotated[Service, Provide[container.service]], number: int = 0) -> dict[str, str]:
    return await service.get(number)


def make_app() -> Velithon:
    app = Velithon()
    app.register_container(container)

    @inject
    @app.get("/above/{number}")
    async def above(number: int, service: Service = Provide[container.service]) -> JSONResponse:
        return JSONResponse(await service.get(number))

    @app.get("/below/{number}")
    @inject
    async def below(number: int, service: Service = Provide[container.service]) -> dict[str, str]:
        return await service.get(number)

    @app.get("/none/{number}")
    async def none(number: int, service: Service = Provide[container.service]) -> dict[str, str]:
        return await service.get(number)

    @app.get("/annotated/{number}")
    @inject
    async def annotated(number: int, service: Annotated[Service, Provide[container.service]]) -> dict[str, str]:
        return await service.get(number)

    @app.get("/sync/{number}")
    @inject
    def sync(number: int, service: Service = Provide[container.service]) -> dict[str, str]:
        return {"result": f"{number} {service.key}"}

    @app.get("/dependency/{number}")
    async def dependency(found: Annotated[dict[str, str], Depends(numbered)]) -> dict[str, str]:
        return found

    class Endpoint(HTTPEndpoint):
        @inject
        async def get(self, number: int, service: Service = Provide[container.service]) -> JSONResponse:
            return JSONResponse(await service.get(number))

    app.add_route("/class/{number}", Endpoint, methods=["GET"])

    @app.websocket("/websocket/{number}")
    @inject
    async def websocket(websocket: WebSocket, number: int, service: Service = Provide[container.service]) -> None:
        await websocket.accept()
        await websocket.send_json(await service.get(number))
        await websocket.close()

    return app


PATHS = ["above", "below", "none", "annotated", "sync", "dependency", "class"]


@pytest.mark.parametrize("path", PATHS)
def test_endpoints_get_what_they_ask_for(path: str, client: ClientFactory) -> None:
    """`inject` above, below or nowhere, on functions, methods and dependencies."""
    number = "7" if path != "dependency" else "7?number=7"
    with client(make_app()) as http:
        response = http.get(f"/{path}/{number}")
    assert (response.status_code, response.json()) == (200, {"result": "7 key"})


@pytest.mark.parametrize("path", [path for path in PATHS if path != "sync"])
def test_an_override_is_seen_by_routes_that_exist(path: str, client: ClientFactory) -> None:
    with client(make_app()) as http:
        with container.override(container.service, FakeService):
            assert http.get(f"/{path}/7").json()["result"].startswith("fake")
        assert http.get(f"/{path}/7").json()["result"].endswith("key")


def test_websockets_get_what_they_ask_for(client: ClientFactory) -> None:
    with client(make_app()) as http, http.websocket_connect("/websocket/7") as session:
        assert session.receive_json() == {"result": "7 key"}


def test_websocket_endpoints_get_what_they_ask_for(client: ClientFactory) -> None:
    app = Velithon()

    class Chat(WebSocketEndpoint):
        encoding = "text"

        @inject
        async def on_receive(self, websocket: WebSocket, data: str, db: Database = Provide[container.db]) -> None:
            await websocket.send_json(await db.query(data))

    app.add_websocket_route("/chat", Chat)
    with client(app) as http, http.websocket_connect("/chat") as session:
        session.send_text("question")
        assert session.receive_json() == {"result": "question"}


def test_a_provided_parameter_is_no_part_of_the_request(client: ClientFactory) -> None:
    """The documentation does not show it, and a query parameter of its name changes nothing."""
    http = client(make_app())
    operation = http.get("/openapi.json").json()["paths"]["/none/{number}"]["get"]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["number"]
    assert "requestBody" not in operation
    assert http.get("/none/7?service=x").json() == {"result": "7 key"}


def test_an_injected_endpoint_is_resolved_once(client: ClientFactory) -> None:
    made: list[object] = []

    class Counting(ServiceContainer):
        thing = FactoryProvider(lambda: made.append(object()))

    counting = Counting()
    app = Velithon()

    @inject
    @app.get("/")
    @inject
    async def endpoint(thing: Any = Provide[counting.thing]) -> None:
        return None

    assert client(app).get("/").status_code == 200
    assert len(made) == 1


def test_the_container_lives_with_the_application(client: ClientFactory) -> None:
    """Singletons are entered and closed with the lifespan, and made anew by the next one."""
    lines: list[str] = []

    @asynccontextmanager
    async def connect() -> AsyncIterator[str]:
        lines.append("open")
        yield "connection"
        lines.append("close")

    class Resources(ServiceContainer):
        connection = SingletonProvider(connect)
        db = SingletonProvider(Database)

    resources = Resources()
    app = Velithon()
    app.register_container(resources)
    seen: list[Database] = []

    @app.get("/")
    async def endpoint(connection: str = Provide[resources.connection], db: Database = Provide[resources.db]) -> str:
        seen.append(db)
        return connection

    for _ in range(2):
        with client(app) as http:
            assert lines[-1] == "open"
            assert http.get("/").json() == http.get("/").json() == "connection"
        assert lines[-1] == "close"
    assert lines == ["open", "close"] * 2
    assert seen[0] is seen[1] is not seen[2]
    assert [db.closed for db in seen] == [True] * 4
