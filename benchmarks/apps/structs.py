"""The body of the struct scenario, for those who validate with msgspec."""

from __future__ import annotations

import msgspec


class Item(msgspec.Struct):
    """Something for sale."""

    name: str
    price: float
    tags: list[str] = []
