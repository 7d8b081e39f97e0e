"""A registry of services with a lifespan, and a container for each request that closes what it made."""
# /// script
# dependencies = ["svcs"]
# ///

import svcs
from fastapi import FastAPI

from tests.ecosystem.plugin import Clients

closed = []


class Database:
    pass


class Engine:
    pass


@svcs.fastapi.lifespan
async def lifespan(app: FastAPI, registry: svcs.Registry):
    async def database():
        yield Database()
        closed.append("database")

    registry.register_factory(Database, database)
    registry.register_value(Engine, Engine(), on_registry_close=lambda: closed.append("engine"))
    yield {"word": "from the lifespan"}


app = FastAPI(lifespan=lifespan)


@app.get("/async")
async def asynchronous(services: svcs.fastapi.DepContainer):
    database, engine = await services.aget(Database, Engine)
    again = await services.aget(Database)
    return {"database": type(database).__name__, "same": database is again, "engine": type(engine).__name__}


@app.get("/sync")
def synchronous(services: svcs.fastapi.DepContainer):
    return type(services.get(Engine)).__name__


def test_services_are_made_once_a_request_and_closed(client: Clients) -> None:
    closed.clear()
    with client(app) as http:
        assert http.get("/async").json() == {"database": "Database", "same": True, "engine": "Engine"}
        assert closed == ["database"]
        assert http.get("/sync").json() == "Engine"
        assert "services" not in http.get("/openapi.json").text
    assert closed == ["database", "engine"]


def test_a_service_is_replaced_in_tests(client: Clients) -> None:
    class Fake:
        pass

    with client(app) as http:
        svcs.fastapi.get_registry(app).register_value(Engine, Fake())
        assert http.get("/sync").json() == "Fake"
