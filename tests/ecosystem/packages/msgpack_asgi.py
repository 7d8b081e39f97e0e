"""Bodies and answers as MessagePack for clients that ask for it, from endpoints that know JSON alone."""
# /// script
# dependencies = ["msgpack-asgi"]
# ///

import msgpack
from fastapi import FastAPI
from msgpack_asgi import MessagePackMiddleware
from pydantic import BaseModel

from tests.ecosystem.plugin import Clients

TYPE = "application/vnd.msgpack"
app = FastAPI()
app.add_middleware(MessagePackMiddleware)


class Item(BaseModel):
    name: str
    price: float


@app.post("/items", status_code=201)
async def create(item: Item) -> Item:
    return item


def test_messagepack_comes_and_goes(client: Clients) -> None:
    http = client(app)
    item = {"name": "Räucherofen", "price": 4.5}
    packed = msgpack.packb(item)
    answer = http.post("/items", content=packed, headers={"content-type": TYPE, "accept": TYPE})
    assert (answer.status_code, answer.headers["content-type"]) == (201, TYPE)
    assert msgpack.unpackb(answer.content) == item
    assert http.post("/items", content=packed, headers={"content-type": TYPE}).json() == item
    assert http.post("/items", json=item).json() == item


def test_an_invalid_body_is_explained_in_it(client: Clients) -> None:
    answer = client(app).post(
        "/items", content=msgpack.packb({"name": "x"}), headers={"content-type": TYPE, "accept": TYPE}
    )
    assert answer.status_code == 422
    assert msgpack.unpackb(answer.content)["detail"][0]["loc"] == ["body", "price"]
