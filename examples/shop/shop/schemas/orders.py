"""Baskets and orders, as clients see them. Money is in cents."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shop.models import BasketItem, OrderState

Quantity = Annotated[int, Field(ge=1, le=99)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Address = Annotated[str, StringConstraints(strip_whitespace=True, min_length=5, max_length=500)]
IdempotencyKey = Annotated[str, Field(pattern=r"^[\x21-\x7e]{8,64}$")]


class BasketChange(BaseModel):
    """How many pieces there are to be."""

    quantity: Quantity


class BasketLine(BaseModel):
    """So many pieces of something."""

    variant_id: int
    sku: str
    product: str
    product_slug: str
    variant: str
    price_cents: int
    quantity: int
    in_stock: bool


class BasketOut(BaseModel):
    """What somebody wants to buy."""

    lines: list[BasketLine]
    total_cents: int

    @classmethod
    def of(cls, items: list[BasketItem]) -> Self:
        """Return a basket with these items."""
        lines = [
            BasketLine(
                variant_id=item.variant_id,
                sku=item.variant.sku,
                product=item.variant.product.name,
                product_slug=item.variant.product.slug,
                variant=item.variant.name,
                price_cents=item.variant.price_cents,
                quantity=item.quantity,
                in_stock=item.variant.stock >= item.quantity,
            )
            for item in items
        ]
        return cls(lines=lines, total_cents=sum(line.price_cents * line.quantity for line in lines))


class Checkout(BaseModel):
    """Where to send it, and what the customer has seen that it costs."""

    recipient: Line
    address: Address
    expected_total_cents: Annotated[int, Field(ge=1)]


class _Row(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class OrderSummary(_Row):
    """An order, in a list."""

    number: str
    state: OrderState
    total_cents: int
    currency: str
    created_at: datetime


class OrderItemOut(_Row):
    """A line of an order."""

    name: str
    price_cents: int
    quantity: int


class OrderChangeOut(_Row):
    """When an order came into a state."""

    state: OrderState
    at: datetime


class OrderOut(OrderSummary):
    """An order."""

    recipient: str
    address: str
    items: list[OrderItemOut]
    changes: list[OrderChangeOut]


class Move(BaseModel):
    """The state that an order is to have."""

    state: OrderState


class PaymentStart(BaseModel):
    """Where the customer pays."""

    payment_url: str


class OrderNews(BaseModel):
    """What whoever watches an order is told."""

    number: str
    state: OrderState
