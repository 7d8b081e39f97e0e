"""What is sold."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shop.models.accounts import User
from shop.models.base import Base, now


class Category(Base):
    """A kind of product; one may be within another."""

    __tablename__ = "categories"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    name: Mapped[str] = mapped_column(String(60))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("categories.id"))


class Product(Base):
    """A product; what is bought is one of its variants.

    `price_cents` is the lowest of its variants', and `rating_sum` that of its reviews: lists sort by them.
    """

    __tablename__ = "products"
    __table_args__ = (Index(None, "price_cents", "id"), Index(None, "created_at", "id"), Index(None, "name", "id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(80), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    description: Mapped[str]
    category_id: Mapped[int] = mapped_column(ForeignKey("categories.id"), index=True)
    price_cents: Mapped[int] = mapped_column(default=0)
    rating_sum: Mapped[int] = mapped_column(default=0)
    rating_count: Mapped[int] = mapped_column(default=0)
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=now)

    category: Mapped[Category] = relationship(lazy="raise")
    variants: Mapped[list["Variant"]] = relationship(lazy="raise", back_populates="product", order_by="Variant.id")
    images: Mapped[list["Image"]] = relationship(lazy="raise", order_by="Image.id")


class Variant(Base):
    """A product as it is bought: in a size, a colour."""

    __tablename__ = "variants"
    __table_args__ = (
        CheckConstraint("stock >= 0", name="stock_not_negative"),
        CheckConstraint("price_cents > 0", name="price_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"), index=True)
    sku: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(60))
    price_cents: Mapped[int]
    stock: Mapped[int] = mapped_column(default=0)

    product: Mapped[Product] = relationship(lazy="raise", back_populates="variants")


class Image(Base):
    """A product's picture, in several widths: `<key>-<width>.webp` in the media directory."""

    __tablename__ = "images"

    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id", ondelete="CASCADE"), index=True)
    key: Mapped[str] = mapped_column(String(64))
    alt: Mapped[str] = mapped_column(String(200))


class Review(Base):
    """What a customer thinks of a product that they bought; one each."""

    __tablename__ = "reviews"
    __table_args__ = (
        UniqueConstraint("product_id", "user_id"),
        CheckConstraint("rating BETWEEN 1 AND 5", name="rating_range"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    rating: Mapped[int]
    text: Mapped[str] = mapped_column(String(2_000))
    created_at: Mapped[datetime] = mapped_column(default=now)

    user: Mapped[User] = relationship(lazy="raise")
