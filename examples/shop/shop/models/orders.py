"""Baskets and orders."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shop.models.base import Base, now
from shop.models.catalogue import Variant


class Basket(Base):
    """What somebody wants to buy; a visitor's has no user until they log in."""

    __tablename__ = "baskets"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
    updated_at: Mapped[datetime] = mapped_column(default=now, index=True)

    items: Mapped[list["BasketItem"]] = relationship(lazy="raise", order_by="BasketItem.variant_id")


class BasketItem(Base):
    """So many pieces of a variant."""

    __tablename__ = "basket_items"
    __table_args__ = (CheckConstraint("quantity > 0", name="quantity_positive"),)

    basket_id: Mapped[int] = mapped_column(ForeignKey("baskets.id", ondelete="CASCADE"), primary_key=True)
    variant_id: Mapped[int] = mapped_column(ForeignKey("variants.id", ondelete="CASCADE"), primary_key=True)
    quantity: Mapped[int]

    variant: Mapped[Variant] = relationship(lazy="raise")


class OrderState(StrEnum):
    """How far an order is."""

    AWAITING_PAYMENT = "awaiting_payment"
    PAID = "paid"
    PACKED = "packed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


class Order(Base):
    """What somebody bought, as it was when they did: prices and names of products change later.

    `idempotency_key` is the client's: who asks twice for one checkout gets one order.
    """

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("user_id", "idempotency_key"),
        Index(None, "user_id", "created_at", "id"),
        Index(None, "state", "created_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(20), unique=True)
    """What customers see; it cannot be guessed, and does not tell how many orders there are."""
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    state: Mapped[OrderState] = mapped_column(default=OrderState.AWAITING_PAYMENT)
    total_cents: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3), default="EUR")
    recipient: Mapped[str] = mapped_column(String(100))
    address: Mapped[str] = mapped_column(String(500))
    idempotency_key: Mapped[str] = mapped_column(String(64))
    payment_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)

    items: Mapped[list["OrderItem"]] = relationship(lazy="raise", order_by="OrderItem.id")
    changes: Mapped[list["OrderChange"]] = relationship(lazy="raise", order_by="OrderChange.id")


class OrderItem(Base):
    """One line of an order."""

    __tablename__ = "order_items"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"), index=True)
    variant_id: Mapped[int] = mapped_column(ForeignKey("variants.id"), index=True)
    name: Mapped[str] = mapped_column(String(150))
    price_cents: Mapped[int]
    quantity: Mapped[int]


class OrderChange(Base):
    """When an order came into a state."""

    __tablename__ = "order_changes"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"), index=True)
    state: Mapped[OrderState]
    at: Mapped[datetime] = mapped_column(default=now)


class Refund(Base):
    """Money that has to go back, or has: written in the transaction that owes it."""

    __tablename__ = "refunds"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), index=True)
    payment_id: Mapped[str] = mapped_column(String(64), unique=True)
    amount_cents: Mapped[int]
    done_at: Mapped[datetime | None] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class ProviderEvent(Base):
    """A webhook of the payment provider that was worked on; each comes at least once."""

    __tablename__ = "provider_events"

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now)
