"""Messages from a broker that runs, to handlers whose dependencies are FastAPI's, and out again from endpoints."""
# /// script
# dependencies = ["faststream[redis]"]
#
# [tool.ecosystem.fails]
# as-fastapi-asgi = "It calls `solve_dependencies` of FastAPI: install FastAPI, and change the imports."
# as-fastapi-rsgi = "It calls `solve_dependencies` of FastAPI: install FastAPI, and change the imports."
# ///

import queue
from typing import Annotated

from fastapi import Depends, FastAPI
from faststream.redis.fastapi import RedisRouter
from pydantic import BaseModel

from tests.ecosystem.plugin import Clients


class Order(BaseModel):
    item: str
    amount: int = 1


def shop(url: str, heard: queue.Queue) -> FastAPI:
    router = RedisRouter(url)

    def price(order: Order) -> int:
        return order.amount * 10

    @router.subscriber("orders")
    @router.publisher("bills")
    async def take(order: Order, total: Annotated[int, Depends(price)]) -> dict[str, int]:
        return {order.item: total}

    @router.subscriber("bills")
    async def bill(message: dict[str, int]):
        heard.put(message)

    @router.post("/orders", status_code=202)
    async def order(order: Order):
        await router.broker.publish(order, "orders")

    app = FastAPI()
    app.include_router(router)
    return app


def test_messages_reach_their_handlers(client: Clients, redis_url: str) -> None:
    heard = queue.Queue()
    app = shop(redis_url, heard)
    with client(app) as http:
        assert http.post("/orders", json={"item": "lamp", "amount": 3}).status_code == 202
        assert heard.get(timeout=10) == {"lamp": 30}
        assert http.post("/orders", json={"amount": 3}).status_code == 422


def test_the_documents_have_both(client: Clients, redis_url: str) -> None:
    with client(shop(redis_url, queue.Queue())) as http:
        assert "orders" in http.get("/asyncapi").text
        assert "post" in http.get("/openapi.json").json()["paths"]["/orders"]
