"""Baskets: what is in one, and for how much."""

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from shop.errors import ConflictError, NotFoundError
from shop.models import Basket, BasketItem, Product, Variant, now

MAX_QUANTITY = 99
MAX_LINES = 50


async def basket_of(session: AsyncSession, user_id: int, *, lock: bool = False) -> Basket:
    """Return a user's basket; locked, nobody else changes it or checks it out before this transaction ends."""
    statement = select(Basket).where(Basket.user_id == user_id)
    basket = await session.scalar(statement.with_for_update() if lock else statement)
    if basket is None:
        raise NotFoundError("This account has no basket.")
    return basket


async def lines_of(session: AsyncSession, basket_id: int) -> list[BasketItem]:
    """Return what is in a basket, with variants and products."""
    parts = selectinload(BasketItem.variant).selectinload(Variant.product)
    found = select(BasketItem).where(BasketItem.basket_id == basket_id).order_by(BasketItem.variant_id)
    return list(await session.scalars(found.options(parts).execution_options(populate_existing=True)))


async def put(session: AsyncSession, basket: Basket, variant_id: int, quantity: int) -> None:
    """Have so many pieces of a variant in a locked basket.

    Raises:
        NotFoundError: There is no such variant, or it is not sold.
        ConflictError: The basket is full.
    """
    sold = select(Variant.id).join(Product).where(Variant.id == variant_id, Product.is_active)
    if await session.scalar(sold) is None:
        raise NotFoundError("There is no such variant.")
    item = await session.get(BasketItem, (basket.id, variant_id))
    if item is not None:
        item.quantity = quantity
    else:
        lines = await session.scalars(select(BasketItem.variant_id).where(BasketItem.basket_id == basket.id))
        if len(lines.all()) >= MAX_LINES:
            raise ConflictError(f"A basket holds {MAX_LINES} different things.")
        session.add(BasketItem(basket_id=basket.id, variant_id=variant_id, quantity=quantity))
    basket.updated_at = now()
    await session.flush()


async def take_out(session: AsyncSession, basket: Basket, variant_id: int) -> None:
    """Take a variant out; it is no error where it is not in."""
    await session.execute(
        delete(BasketItem).where(BasketItem.basket_id == basket.id, BasketItem.variant_id == variant_id)
    )


async def merge(session: AsyncSession, visitors_id: int, user_id: int) -> None:
    """Put what a visitor had chosen into the basket of the user who they turned out to be."""
    visitors = await session.scalar(
        select(Basket).where(Basket.id == visitors_id, Basket.user_id.is_(None)).with_for_update()
    )
    if visitors is None:
        return
    own = await basket_of(session, user_id, lock=True)
    for item in await lines_of(session, visitors.id):
        mine = await session.get(BasketItem, (own.id, item.variant_id))
        quantity = min(MAX_QUANTITY, item.quantity + (mine.quantity if mine else 0))
        await put(session, own, item.variant_id, quantity)
    await session.execute(delete(BasketItem).where(BasketItem.basket_id == visitors_id))
    await session.execute(delete(Basket).where(Basket.id == visitors_id))
