"""The body of the model scenario, for those who validate with pydantic."""

from pydantic import BaseModel


class Item(BaseModel):
    """Something for sale."""

    name: str
    price: float
    tags: list[str] = []
