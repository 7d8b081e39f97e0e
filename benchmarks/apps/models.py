"""The body of the model scenario, for those who validate with pydantic."""

from pydantic import BaseModel


class Item(BaseModel):
    """Something for sale."""

    name: str
    price: float
    tags: list[str] = []


class Fields(BaseModel):
    """A form of twenty fields."""

    f0: str
    f1: str
    f2: str
    f3: str
    f4: str
    f5: str
    f6: str
    f7: str
    f8: str
    f9: str
    f10: str
    f11: str
    f12: str
    f13: str
    f14: str
    f15: str
    f16: str
    f17: str
    f18: str
    f19: str
