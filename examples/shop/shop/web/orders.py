"""Pages of the basket and of orders."""

import secrets
from typing import Annotated

from pydantic import BaseModel
from velithon import Form, Header, Query, Request, Router
from velithon.ext.pagination import PageQuery
from velithon.responses import EventSourceResponse, HTMLResponse, RedirectResponse, Response

from shop.announce import Announce
from shop.api.live import follow
from shop.database import Session
from shop.models import OrderState
from shop.schemas.orders import BasketOut, Checkout, IdempotencyKey, OrderOut, Quantity
from shop.services import basket, orders, payments
from shop.services.invoices import make_invoice
from shop.web.render import page
from shop.web.visitors import PageUser, Visit, find_basket, get_basket

router = Router(include_in_schema=False)


class Choice(BaseModel):
    """So many pieces of a variant."""

    variant_id: int
    quantity: Quantity = 1


class CheckoutForm(Checkout):
    """The form of the checkout; its key was made with the page, so that sending it twice orders once."""

    key: IdempotencyKey


@router.get("/basket")
async def show_basket(request: Request, session: Session, visit: Visit) -> HTMLResponse:
    """Show what is in the basket."""
    found = await find_basket(session, visit)
    lines = await basket.lines_of(session, found.id) if found else []
    return page(request, "basket", basket=BasketOut.of(lines))


@router.post("/basket")
async def put(choice: Annotated[Choice, Form()], session: Session, visit: Visit) -> RedirectResponse:
    """Put something into it."""
    found = await get_basket(session, visit)
    await basket.put(session, found, choice.variant_id, choice.quantity)
    return RedirectResponse("/basket", 303)


@router.post("/basket/{variant_id}/removal")
async def take_out(variant_id: int, session: Session, visit: Visit) -> RedirectResponse:
    """Take something out."""
    found = await get_basket(session, visit)
    await basket.take_out(session, found, variant_id)
    return RedirectResponse("/basket", 303)


@router.get("/checkout")
async def show_checkout(request: Request, user_id: PageUser, session: Session, visit: Visit) -> HTMLResponse:
    """Show the form."""
    found = await basket.basket_of(session, user_id)
    lines = await basket.lines_of(session, found.id)
    return page(request, "checkout", basket=BasketOut.of(lines), recipient=visit["name"], key=secrets.token_urlsafe(16))


@router.post("/checkout")
async def check_out(
    form: Annotated[CheckoutForm, Form()],
    user_id: PageUser,
    session: Session,
    announce: Announce,
) -> RedirectResponse:
    """Order what is in the basket."""
    order, is_new = await orders.check_out(session, user_id, form.key, form)
    if is_new:
        announce(order)
    return RedirectResponse(f"/orders/{order.number}", 303)


@router.get("/orders")
async def list_orders(
    request: Request, query: Annotated[PageQuery, Query()], user_id: PageUser, session: Session
) -> HTMLResponse:
    """List your orders."""
    found = await orders.list_orders(session, query, user_id=user_id)
    return page(request, "orders", orders=found.items, next=found.next)


@router.get("/orders/{number}")
async def show(number: str, request: Request, user_id: PageUser, session: Session) -> HTMLResponse:
    """Show an order."""
    order = OrderOut.model_validate(await orders.get_order(session, number, user_id))
    return page(request, "order", order=order, states=list(OrderState)[:5])


@router.get("/orders/{number}/events")
async def events(
    number: str, user_id: PageUser, request: Request, last_event_id: Annotated[str | None, Header()] = None
) -> EventSourceResponse:
    """Follow an order."""
    return EventSourceResponse(follow(request.app, number, user_id, last_event_id))


@router.get("/orders/{number}/invoice.pdf")
async def invoice(number: str, user_id: PageUser, session: Session) -> Response:
    """Show an order's invoice."""
    return await make_invoice(await orders.get_order(session, number, user_id))


@router.post("/orders/{number}/payment")
async def pay(number: str, user_id: PageUser, provider: payments.PaymentProvider) -> RedirectResponse:
    """Go to where you pay."""
    return RedirectResponse(await payments.start_payment(provider, number, user_id), 303)


@router.post("/orders/{number}/cancellation")
async def cancel(number: str, user_id: PageUser, session: Session, announce: Announce) -> RedirectResponse:
    """Cancel an order that is not paid."""
    order = await orders.get_order(session, number, user_id, lock=True)
    await orders.move(session, order, OrderState.CANCELLED)
    announce(order)
    return RedirectResponse(f"/orders/{number}", 303)
