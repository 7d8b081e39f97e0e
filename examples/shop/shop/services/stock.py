"""Stock, which cannot be sold twice: each piece is taken by an update that only happens where there is one."""

from collections.abc import Mapping

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shop.errors import ConflictError
from shop.models import Variant


class OutOfStockError(ConflictError):
    """There are not as many pieces as somebody wants."""


async def take(session: AsyncSession, quantities: Mapping[int, int]) -> None:
    """Take pieces of variants; the transaction that does is rolled back as a whole.

    Args:
        session: Holds the rows from here on: whoever wants the same pieces waits for the end of its transaction.
        quantities: Pieces by variant.

    Raises:
        OutOfStockError: There are not so many.
    """
    # Always in the same order: of two transactions that want the same variants, neither waits for the other.
    for variant_id in sorted(quantities):
        wanted = quantities[variant_id]
        there_are = (Variant.id == variant_id) & (Variant.stock >= wanted)
        taken = update(Variant).where(there_are).values(stock=Variant.stock - wanted).returning(Variant.id)
        if (await session.execute(taken)).scalar_one_or_none() is None:
            sku, left = (
                await session.execute(select(Variant.sku, Variant.stock).where(Variant.id == variant_id))
            ).one()
            raise OutOfStockError(f"Of {sku} there are {left} left, not {wanted}.")


async def give_back(session: AsyncSession, quantities: Mapping[int, int]) -> None:
    """Put pieces back."""
    for variant_id in sorted(quantities):
        returned = Variant.stock + quantities[variant_id]
        await session.execute(update(Variant).where(Variant.id == variant_id).values(stock=returned))
