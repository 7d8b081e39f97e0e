"""The tables."""

from shop.models.accounts import Identity, Mail, PasswordReset, Registration, Role, User
from shop.models.base import Base, now
from shop.models.catalogue import Category, Image, Product, Review, Variant
from shop.models.orders import (
    Basket,
    BasketItem,
    Order,
    OrderChange,
    OrderItem,
    OrderState,
    ProviderEvent,
    Refund,
)

__all__ = [
    "Base",
    "Basket",
    "BasketItem",
    "Category",
    "Identity",
    "Image",
    "Mail",
    "Order",
    "OrderChange",
    "OrderItem",
    "OrderState",
    "PasswordReset",
    "Product",
    "ProviderEvent",
    "Refund",
    "Registration",
    "Review",
    "Role",
    "User",
    "Variant",
    "now",
]
