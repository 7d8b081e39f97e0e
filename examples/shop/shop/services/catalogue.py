"""The catalogue: finding products, and changing them."""

from typing import Any

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload
from velithon.ext.pagination import Keyset, Page

from shop.errors import ConflictError, NotFoundError
from shop.models import Category, Product, Variant
from shop.schemas.catalogue import NewProduct, NewVariant, ProductQuery, ProductSummary, Sort, VariantChange

ORDERS = {
    Sort.NEWEST: Keyset(Product.created_at.desc(), Product.id.desc()),
    Sort.CHEAPEST: Keyset(Product.price_cents, Product.id),
    Sort.DEAREST: Keyset(Product.price_cents.desc(), Product.id.desc()),
    Sort.NAME: Keyset(Product.name, Product.id),
}
_PARTS = (selectinload(Product.category), selectinload(Product.variants), selectinload(Product.images))


def _matching(query: ProductQuery) -> Select[Any]:
    """Return the statement for what a customer looks for."""
    statement = select(Product).where(Product.is_active).options(*_PARTS)
    if query.q:
        text = or_(
            Product.name.icontains(query.q, autoescape=True), Product.description.icontains(query.q, autoescape=True)
        )
        statement = statement.where(text)
    if query.category:
        statement = statement.where(Product.category_id.in_(_categories_within(query.category)))
    if query.min_price_cents is not None:
        statement = statement.where(Product.price_cents >= query.min_price_cents)
    if query.max_price_cents is not None:
        statement = statement.where(Product.price_cents <= query.max_price_cents)
    if query.in_stock:
        statement = statement.where(Product.variants.any(Variant.stock > 0))
    return statement


def _categories_within(slug: str) -> Select[Any]:
    """Select a category's id and those of the categories below it."""
    within = select(Category.id).where(Category.slug == slug).cte("within", recursive=True)
    below = select(Category.id).join(within, Category.parent_id == within.c.id)
    return select(within.union_all(below).c.id)


async def search(session: AsyncSession, query: ProductQuery) -> Page[ProductSummary]:
    """Return a page of what matches."""
    return await ORDERS[query.sort].page(session, _matching(query), query, ProductSummary.model_validate)


async def categories(session: AsyncSession) -> list[Category]:
    """Return all categories, by name."""
    return list(await session.scalars(select(Category).order_by(Category.name)))


async def get_product(session: AsyncSession, slug: str) -> Product:
    """Return a product that is sold, with its variants and images.

    Raises:
        NotFoundError: There is none.
    """
    product = await session.scalar(select(Product).where(Product.slug == slug, Product.is_active).options(*_PARTS))
    if product is None:
        raise NotFoundError("There is no such product.")
    return product


async def add_product(session: AsyncSession, new: NewProduct) -> Product:
    """Add a product with its variants.

    Raises:
        NotFoundError: There is no such category.
        ConflictError: The slug, or the number of a variant, is taken.
    """
    category = await session.scalar(select(Category).where(Category.slug == new.category))
    if category is None:
        raise NotFoundError("There is no such category.")
    product = Product(
        slug=new.slug,
        name=new.name,
        description=new.description,
        category=category,
        price_cents=min(variant.price_cents for variant in new.variants),
        variants=[Variant(**variant.model_dump()) for variant in new.variants],
        images=[],
    )
    session.add(product)
    await _flush(session)
    return product


async def add_variant(session: AsyncSession, slug: str, new: NewVariant) -> Product:
    """Add a variant to a product.

    Raises:
        NotFoundError: There is no such product.
        ConflictError: Its number is taken.
    """
    product = await get_product(session, slug)
    product.variants.append(Variant(**new.model_dump()))
    await _flush(session)
    await note_lowest_price(session, product.id)
    await session.refresh(product, ["price_cents"])
    return product


async def change_variant(session: AsyncSession, sku: str, change: VariantChange) -> Variant:
    """Change a variant's price, or add pieces to its stock.

    Raises:
        NotFoundError: There is no such variant.
        ConflictError: More pieces were to be taken out than there are.
    """
    changes = (
        update(Variant)
        .where(Variant.sku == sku, Variant.stock + change.add_stock >= 0)
        .values(stock=Variant.stock + change.add_stock)
    )
    if change.price_cents is not None:
        changes = changes.values(price_cents=change.price_cents)
    variant: Variant | None = await session.scalar(changes.returning(Variant))
    if variant is None:
        if await session.scalar(select(Variant.id).where(Variant.sku == sku)) is None:
            raise NotFoundError("There is no such variant.")
        raise ConflictError("There are not so many pieces.")
    await note_lowest_price(session, variant.product_id)
    return variant


async def note_lowest_price(session: AsyncSession, product_id: int) -> None:
    """Have a product know the lowest price of its variants."""
    lowest = select(func.min(Variant.price_cents)).where(Variant.product_id == product_id).scalar_subquery()
    await session.execute(update(Product).where(Product.id == product_id).values(price_cents=lowest))


async def _flush(session: AsyncSession) -> None:
    try:
        await session.flush()
    except IntegrityError as exc:
        raise ConflictError("The product's slug, or a variant's number, is taken.") from exc
