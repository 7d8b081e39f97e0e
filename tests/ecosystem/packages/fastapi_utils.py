"""Class-based views, tasks that repeat, and timings."""
# /// script
# dependencies = ["fastapi-utils", "typing-inspect"]
# ///

import asyncio
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi_utils.api_model import APIModel
from fastapi_utils.cbv import cbv
from fastapi_utils.cbv_base import Api, Resource
from fastapi_utils.tasks import repeat_every
from fastapi_utils.timing import add_timing_middleware

from tests.ecosystem.plugin import Clients

ticks = []
timings = []


@repeat_every(seconds=0.01, max_repetitions=3)
async def tick() -> None:
    ticks.append(len(ticks))


@asynccontextmanager
async def lifespan(app: FastAPI):
    await tick()
    while len(ticks) < 3:
        await asyncio.sleep(0.01)
    yield


class Item(APIModel):
    item_name: str


def who(user: str = "nobody") -> str:
    if user == "eve":
        raise HTTPException(403)
    return user


router = APIRouter()


@cbv(router)
class Items:
    user: str = Depends(who)

    @router.get("/items/{item}")
    async def read(self, item: int) -> Item:
        return Item(item_name=f"{item} of {self.user}")

    @router.post("/items")
    def add(self, item: Item) -> Item:
        return item


class Greeting(Resource):
    def get(self, name: str = "world"):
        return f"Hello {name}"


app = FastAPI(lifespan=lifespan)
add_timing_middleware(app, record=timings.append, prefix="shop")
app.include_router(router)
Api(app).add_resource(Greeting(), "/greeting")


def test_views_of_a_class_share_its_dependencies(client: Clients) -> None:
    with client(app) as http:
        assert http.get("/items/3?user=ada").json() == {"itemName": "3 of ada"}
        assert http.get("/items/3?user=eve").status_code == 403
        assert http.post("/items", json={"itemName": "book"}).json() == {"itemName": "book"}
        assert http.post("/items", json={}).status_code == 422
        operation = http.get("/openapi.json").json()["paths"]["/items/{item}"]["get"]
        assert sorted(item["name"] for item in operation["parameters"]) == ["item", "user"]


def test_a_resource(client: Clients) -> None:
    with client(app) as http:
        assert http.get("/greeting?name=Ada").json() == "Hello Ada"


def test_a_task_is_repeated(client: Clients) -> None:
    ticks.clear()
    with client(app):
        assert ticks == [0, 1, 2]


def test_requests_are_timed(client: Clients) -> None:
    timings.clear()
    with client(app) as http:
        http.get("/items/3")
    assert timings[0].startswith("TIMING: Wall:")
    assert len(timings) == 1
