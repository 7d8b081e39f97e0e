"""Pages of the catalogue."""

from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import Field, model_validator
from velithon import Form, Query, Request, Router
from velithon.cache import invalidate
from velithon.ext.pagination import PageQuery
from velithon.responses import HTMLResponse, RedirectResponse

from shop.database import Session
from shop.schemas.catalogue import NewReview, ProductOut, ProductQuery, Sort
from shop.services import catalogue, reviews
from shop.web.render import page
from shop.web.visitors import PageUser, Visit

router = Router(include_in_schema=False)

_SORTS = {
    Sort.NEWEST: "Newest first",
    Sort.CHEAPEST: "Cheapest first",
    Sort.DEAREST: "Dearest first",
    Sort.NAME: "By name",
}


class Search(ProductQuery):
    """What the form of the search sends."""

    limit: Annotated[int, Field(ge=1, le=60)] = 12

    @model_validator(mode="before")
    @classmethod
    def leave_out_empty(cls, given: Any) -> Any:
        """Leave fields out that nobody has filled in: a form sends them all the same."""
        return {name: value for name, value in given.items() if value != ""} if isinstance(given, dict) else given


@router.get("/")
async def home(request: Request, query: Annotated[Search, Query()], session: Session) -> HTMLResponse:
    """Show what there is, or what somebody looks for."""
    found = await catalogue.search(session, query)
    asked = query.model_dump(mode="json", exclude_unset=True, exclude={"cursor"})
    more = f"/?{urlencode({**asked, 'cursor': found.next})}" if found.next else None
    return page(
        request,
        "home",
        query=query,
        products=found.items,
        more=more,
        sorts=_SORTS,
        categories=await catalogue.categories(session),
    )


@router.get("/products/{slug}")
async def show(slug: str, request: Request, session: Session) -> HTMLResponse:
    """Show a product."""
    product = ProductOut.model_validate(await catalogue.get_product(session, slug))
    said = await reviews.list_reviews(session, slug, PageQuery(cursor=None, limit=20))
    return page(request, "product", product=product, reviews=said.items)


@router.post("/products/{slug}/reviews")
async def review(
    slug: str, new: Annotated[NewReview, Form()], user_id: PageUser, session: Session, visit: Visit, request: Request
) -> RedirectResponse:
    """Say what you think of a product that you have bought."""
    await reviews.add_review(session, slug, user_id, new)
    await invalidate(request.app.store, "catalogue")
    visit["message"] = "Thank you for your review."
    return RedirectResponse(f"/products/{slug}", 303)
