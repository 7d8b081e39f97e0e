"""The guide's quick start, and a route with types. Start it with `make run`."""

from typing import Annotated

from pydantic import BaseModel, Field

from velithon import Path, Velithon
from velithon.responses import JSONResponse

app = Velithon(title="Quick start", description="A first Velithon application.")


class Order(BaseModel):
    quantity: Annotated[int, Field(ge=1, le=100)]
    note: str | None = None


class Receipt(Order):
    item_id: int


@app.get("/")
async def root() -> JSONResponse:
    return JSONResponse({"message": "Hello, World!"})


@app.get("/items/{item_id}")
async def get_item(item_id: int) -> JSONResponse:
    return JSONResponse({"item_id": item_id})


@app.post("/items/{item_id}/orders", status_code=201)
async def order(item_id: Annotated[int, Path(ge=1)], order: Order) -> Receipt:
    return Receipt(item_id=item_id, **order.model_dump())
