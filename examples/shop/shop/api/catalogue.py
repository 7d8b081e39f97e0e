"""The catalogue, for everybody."""

from typing import Annotated

from velithon import Query, Request, Router
from velithon.cache import cache, invalidate
from velithon.ext.pagination import Page, PageQuery

from shop.database import Session
from shop.schemas.catalogue import (
    CategoryOut,
    NewReview,
    ProductOut,
    ProductQuery,
    ProductSummary,
    ReviewOut,
)
from shop.security import UserId
from shop.services import catalogue, reviews

router = Router(tags=["catalogue"])

# Everybody sees the same, whether they are logged in or not. Changes end what is kept; sales do not, so stock in lists
# may be some seconds old: checking out asks the database.
SECONDS = 10


@router.get("/categories")
@cache(expire=SECONDS, tags=["catalogue"], credentials=True)
async def categories(session: Session) -> list[CategoryOut]:
    """List the categories."""
    return [CategoryOut.model_validate(category) for category in await catalogue.categories(session)]


@router.get("/products")
@cache(expire=SECONDS, tags=["catalogue"], credentials=True)
async def search(query: Annotated[ProductQuery, Query()], session: Session) -> Page[ProductSummary]:
    """Find products: by words, category, price and stock, in an order, page by page."""
    return await catalogue.search(session, query)


@router.get("/products/{slug}")
@cache(expire=SECONDS, tags=["catalogue"], credentials=True)
async def product(slug: str, session: Session) -> ProductOut:
    """Show a product, with what can be bought."""
    return ProductOut.model_validate(await catalogue.get_product(session, slug))


@router.get("/products/{slug}/reviews")
async def list_reviews(slug: str, query: Annotated[PageQuery, Query()], session: Session) -> Page[ReviewOut]:
    """List a product's reviews, the newest first."""
    return await reviews.list_reviews(session, slug, query)


@router.post("/products/{slug}/reviews", status_code=201)
async def review(slug: str, new: NewReview, user_id: UserId, session: Session, request: Request) -> NewReview:
    """Say what you think of a product that you have bought."""
    await reviews.add_review(session, slug, user_id, new)
    await invalidate(request.app.store, "catalogue")
    return new
