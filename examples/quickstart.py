"""A first application: typed parameters, a checked body, a described answer. Start it with `make run`."""

from typing import Annotated

from pydantic import BaseModel, Field
from velithon import Path, Velithon

app = Velithon(title="Quick start", description="A first Velithon application.")


class Order(BaseModel):
    """What a client orders."""

    quantity: Annotated[int, Field(ge=1, le=100)]
    note: str | None = None


class Receipt(Order):
    """What the client gets back."""

    item_id: int


@app.get("/")
async def hello() -> dict[str, str]:
    """Say hello."""
    return {"hello": "world"}


@app.get("/items/{item_id}")
async def show_item(item_id: int, unit: str = "piece") -> dict[str, int | str]:
    """Show an item: `item_id` comes from the path, `unit` from the query."""
    return {"item": item_id, "unit": unit}


@app.post("/items/{item_id}/orders", status_code=201)
async def order(item_id: Annotated[int, Path(ge=1)], order: Order) -> Receipt:
    """Order an item."""
    return Receipt(item_id=item_id, **order.model_dump())
