"""Tasks whose dependencies are those of the application, with its request and state."""
# /// script
# dependencies = ["taskiq-fastapi"]
# ///

from contextlib import asynccontextmanager

import taskiq_fastapi
from fastapi import FastAPI, Request
from taskiq import InMemoryBroker, TaskiqDepends

from tests.ecosystem.plugin import Clients

broker = InMemoryBroker()


@asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.shop = "open"
    await broker.startup()
    taskiq_fastapi.populate_dependency_context(broker, app, {"word": "state"})
    yield
    await broker.shutdown()


app = FastAPI(lifespan=lifespan)
taskiq_fastapi.init(broker, lambda: app)


def word(request: Request = TaskiqDepends()) -> str:
    return f"{request.app.state.shop} {request.state.word}"


@broker.task
async def add(one: int, two: int, told: str = TaskiqDepends(word)) -> str:
    return f"{one + two} {told}"


@app.get("/add")
async def ask(one: int, two: int):
    task = await add.kiq(one, two)
    result = await task.wait_result(timeout=5)
    result.raise_for_error()
    return result.return_value


def test_a_task_sees_the_application(client: Clients) -> None:
    with client(app) as http:
        assert http.get("/add?one=1&two=2").json() == "3 open state"


def test_a_worker_starts_the_application(client: Clients) -> None:
    import asyncio

    async def work() -> str:
        worker = InMemoryBroker()
        worker.is_worker_process = True
        taskiq_fastapi.init(worker, lambda: app)

        @worker.task
        async def look(request: Request = TaskiqDepends()) -> str:
            return request.app.state.shop

        await worker.startup()
        result = await (await look.kiq()).wait_result(timeout=5)
        await worker.shutdown()
        return result.return_value

    assert asyncio.run(work()) == "open"
