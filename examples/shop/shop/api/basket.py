"""Your basket."""

from sqlalchemy.ext.asyncio import AsyncSession
from velithon import Router

from shop.database import Session
from shop.schemas.orders import BasketChange, BasketOut
from shop.security import UserId
from shop.services import basket

router = Router(prefix="/basket", tags=["basket"])


async def _shown(session: AsyncSession, basket_id: int) -> BasketOut:
    return BasketOut.of(await basket.lines_of(session, basket_id))


@router.get("")
async def show(user_id: UserId, session: Session) -> BasketOut:
    """Show what is in it."""
    found = await basket.basket_of(session, user_id)
    return await _shown(session, found.id)


@router.put("/{variant_id}")
async def put(variant_id: int, change: BasketChange, user_id: UserId, session: Session) -> BasketOut:
    """Have so many pieces of a variant in it."""
    found = await basket.basket_of(session, user_id, lock=True)
    await basket.put(session, found, variant_id, change.quantity)
    return await _shown(session, found.id)


@router.delete("/{variant_id}")
async def take_out(variant_id: int, user_id: UserId, session: Session) -> BasketOut:
    """Take a variant out."""
    found = await basket.basket_of(session, user_id, lock=True)
    await basket.take_out(session, found, variant_id)
    return await _shown(session, found.id)
