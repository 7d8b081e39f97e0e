"""For those who work here."""

from typing import Annotated

from shop.announce import Announce
from shop.database import Session
from shop.models import OrderState
from shop.schemas.catalogue import NewProduct, NewVariant, ProductOut, VariantChange, VariantOut
from shop.schemas.orders import Move, OrderOut, OrderSummary
from shop.security import admins_only, clerks_only
from shop.services import catalogue, orders
from velithon import Query, Request, Router
from velithon.cache import invalidate
from velithon.ext.pagination import Page, PageQuery

router = Router(prefix="/admin", tags=["administration"])


@router.post("/products", status_code=201, dependencies=[admins_only])
async def add_product(new: NewProduct, session: Session, request: Request) -> ProductOut:
    """Add a product with its variants."""
    product = ProductOut.model_validate(await catalogue.add_product(session, new))
    await invalidate(request.app.store, "catalogue")
    return product


@router.post("/products/{slug}/variants", status_code=201, dependencies=[admins_only])
async def add_variant(slug: str, new: NewVariant, session: Session, request: Request) -> ProductOut:
    """Add a variant to a product."""
    product = ProductOut.model_validate(await catalogue.add_variant(session, slug, new))
    await invalidate(request.app.store, "catalogue")
    return product


@router.patch("/variants/{sku}", dependencies=[admins_only])
async def change_variant(sku: str, change: VariantChange, session: Session, request: Request) -> VariantOut:
    """Change a variant's price, or say what has come in."""
    variant = VariantOut.model_validate(await catalogue.change_variant(session, sku, change))
    await invalidate(request.app.store, "catalogue")
    return variant


@router.get("/orders", dependencies=[clerks_only])
async def list_orders(
    query: Annotated[PageQuery, Query()], session: Session, state: OrderState | None = None
) -> Page[OrderSummary]:
    """List everybody's orders."""
    return await orders.list_orders(session, query, state=state)


@router.put("/orders/{number}/state", dependencies=[clerks_only])
async def move(number: str, to: Move, session: Session, announce: Announce) -> OrderOut:
    """Bring an order into its next state."""
    order = await orders.get_order(session, number, None, lock=True)
    await orders.move(session, order, to.state)
    announce(order)
    return OrderOut.model_validate(order)
