"""Reviews: from who has bought the product, one each."""

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload
from velithon.ext.pagination import Keyset, Page, PageQuery

from shop.errors import ConflictError, RefusedError
from shop.models import Order, OrderItem, OrderState, Product, Review, Variant
from shop.schemas.catalogue import NewReview, ReviewOut
from shop.services.catalogue import get_product

NEWEST = Keyset(Review.created_at.desc(), Review.id.desc())
_BOUGHT = (OrderState.PAID, OrderState.PACKED, OrderState.SHIPPED, OrderState.DELIVERED)


async def add_review(session: AsyncSession, slug: str, user_id: int, new: NewReview) -> None:
    """Keep what a customer thinks of a product.

    Raises:
        RefusedError: They have not bought it.
        ConflictError: They have reviewed it before.
    """
    product = await get_product(session, slug)
    bought = (
        select(Order.id)
        .join(Order.items)
        .join(Variant, Variant.id == OrderItem.variant_id)
        .where(Order.user_id == user_id, Order.state.in_(_BOUGHT), Variant.product_id == product.id)
    )
    if await session.scalar(bought.limit(1)) is None:
        raise RefusedError("Reviews are for those who have bought the product.")
    session.add(Review(product_id=product.id, user_id=user_id, rating=new.rating, text=new.text))
    try:
        await session.flush()
    except IntegrityError as exc:
        raise ConflictError("You have reviewed this product before.") from exc
    # In the database: of two reviews at once, neither is lost from the sum.
    counted = update(Product).where(Product.id == product.id)
    await session.execute(
        counted.values(rating_sum=Product.rating_sum + new.rating, rating_count=Product.rating_count + 1)
    )


async def list_reviews(session: AsyncSession, slug: str, query: PageQuery) -> Page[ReviewOut]:
    """Return a product's reviews, the newest first."""
    product = await get_product(session, slug)
    statement = select(Review).where(Review.product_id == product.id).options(selectinload(Review.user))
    return await NEWEST.page(session, statement, query, _shown)


def _shown(review: Review) -> ReviewOut:
    # The first name alone: the review is for everybody to read.
    author = review.user.name.split()[0]
    return ReviewOut(author=author, rating=review.rating, text=review.text, created_at=review.created_at)
