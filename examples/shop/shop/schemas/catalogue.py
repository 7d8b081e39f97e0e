"""The catalogue, as clients see it. Money is in cents."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, computed_field
from velithon.ext.pagination import PageQuery

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
Cents = Annotated[int, Field(ge=1, le=100_000_000)]
WIDTHS = (320, 640, 1280)


class Sort(StrEnum):
    """What comes first."""

    NEWEST = "newest"
    CHEAPEST = "price"
    DEAREST = "-price"
    NAME = "name"


class ProductQuery(PageQuery):
    """What a customer looks for."""

    model_config = ConfigDict(extra="forbid")

    q: Annotated[str, Field(max_length=100)] | None = None
    category: Slug | None = None
    min_price_cents: Annotated[int, Field(ge=0)] | None = None
    max_price_cents: Annotated[int, Field(ge=0)] | None = None
    in_stock: bool = False
    sort: Sort = Sort.NEWEST


class _Row(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class CategoryOut(_Row):
    """A category."""

    id: int
    slug: str
    name: str
    parent_id: int | None


class ImageOut(_Row):
    """A picture, in several widths."""

    key: str = Field(exclude=True)
    alt: str

    @computed_field
    def urls(self) -> dict[int, str]:
        """Where it is, by width."""
        return {width: f"/media/{self.key}-{width}.webp" for width in WIDTHS}


class VariantOut(_Row):
    """What is bought."""

    id: int
    sku: str
    name: str
    price_cents: int
    stock: int


class ProductSummary(_Row):
    """A product, in a list."""

    slug: str
    name: str
    price_cents: int
    """Of the cheapest variant."""
    rating_count: int
    rating_sum: int = Field(exclude=True)
    category: CategoryOut
    images: list[ImageOut]
    variants: list[VariantOut] = Field(exclude=True)
    created_at: datetime

    @computed_field
    def rating(self) -> float | None:
        """The average of its reviews."""
        return round(self.rating_sum / self.rating_count, 1) if self.rating_count else None

    @computed_field
    def in_stock(self) -> bool:
        """Whether there is a piece of any variant."""
        return any(variant.stock for variant in self.variants)


class ProductOut(ProductSummary):
    """A product, with what can be bought."""

    description: str
    variants: list[VariantOut]


class NewVariant(BaseModel):
    """A variant to be sold."""

    sku: Annotated[str, Field(pattern=r"^[A-Z0-9-]{3,40}$")]
    name: Annotated[str, Field(min_length=1, max_length=60)]
    price_cents: Cents
    stock: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class NewProduct(BaseModel):
    """A product to be sold."""

    slug: Slug
    name: Annotated[str, Field(min_length=1, max_length=80)]
    description: Annotated[str, Field(max_length=5_000)]
    category: Slug
    variants: Annotated[list[NewVariant], Field(min_length=1, max_length=50)]


class VariantChange(BaseModel):
    """What changes of a variant."""

    price_cents: Cents | None = None
    add_stock: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0
    """Pieces that have come in, or have gone where it is negative: a difference, so that none that is sold meanwhile is
    counted again."""


class NewReview(BaseModel):
    """What a customer thinks."""

    rating: Annotated[int, Field(ge=1, le=5)]
    text: Annotated[str, Field(max_length=2_000)] = ""


class ReviewOut(BaseModel):
    """A review."""

    author: str
    rating: int
    text: str
    created_at: datetime
