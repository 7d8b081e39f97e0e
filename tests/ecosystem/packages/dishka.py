"""Dependencies by type from a container: of the application, of the request, and in WebSockets."""
# /// script
# dependencies = ["dishka"]
# ///

from collections.abc import AsyncIterator, Iterator

from dishka import Provider, Scope, make_async_container, make_container, provide
from dishka.integrations.fastapi import (
    DishkaRoute,
    FastapiProvider,
    FromDishka,
    inject,
    inject_sync,
    setup_dishka,
)
from fastapi import APIRouter, FastAPI, Request, WebSocket

from tests.ecosystem.plugin import Clients

closed: list[str] = []


class Engine:
    pass


class Session:
    def __init__(self, engine: Engine, who: str) -> None:
        self.engine = engine
        self.who = who


class Services(Provider):
    @provide(scope=Scope.APP)
    async def engine(self) -> AsyncIterator[Engine]:
        yield Engine()
        closed.append("engine")

    @provide(scope=Scope.REQUEST)
    async def session(self, engine: Engine, request: Request) -> AsyncIterator[Session]:
        yield Session(engine, request.headers.get("x-user", "nobody"))
        closed.append("session")


class SyncServices(Provider):
    @provide(scope=Scope.APP)
    def engine(self) -> Iterator[Engine]:
        yield Engine()


def shop() -> FastAPI:
    router = APIRouter(route_class=DishkaRoute)

    @router.get("/routed/{item}")
    async def routed(item: int, session: FromDishka[Session], other: FromDishka[Session]):
        return {"item": item, "who": session.who, "same": session is other}

    app = FastAPI()
    app.include_router(router)

    @app.get("/injected")
    @inject
    async def injected(engine: FromDishka[Engine], session: FromDishka[Session], q: str = "none"):
        return {"q": q, "same": session.engine is engine}

    @app.websocket("/ws")
    @inject
    async def chat(websocket: WebSocket, engine: FromDishka[Engine]):
        await websocket.accept()
        await websocket.send_text(type(engine).__name__)
        await websocket.close()

    return app


def test_dependencies_are_injected_and_closed(client: Clients) -> None:
    app = shop()
    container = make_async_container(Services(), FastapiProvider())
    setup_dishka(container, app)
    closed.clear()
    with client(app) as http:
        answer = http.get("/routed/3", headers={"x-user": "ada"})
        assert answer.json() == {"item": 3, "who": "ada", "same": True}
        assert closed == ["session"]
        assert http.get("/injected?q=x").json() == {"q": "x", "same": True}
        assert http.get("/routed/x").status_code == 422
        with http.websocket_connect("/ws") as websocket:
            assert websocket.receive_text() == "Engine"
        names = http.get("/openapi.json").json()["paths"]["/injected"]["get"]["parameters"]
        assert [item["name"] for item in names] == ["q"]


def test_functions_that_do_not_wait(client: Clients) -> None:
    app = FastAPI()

    @app.get("/")
    @inject_sync
    def home(engine: FromDishka[Engine]):
        return type(engine).__name__

    setup_dishka(make_container(SyncServices()), app)
    assert client(app).get("/").json() == "Engine"
