"""Your orders."""

from typing import Annotated

from velithon import Header, Query, Response, Router
from velithon.ext.pagination import Page, PageQuery

from shop.announce import Announce
from shop.database import Session
from shop.models import OrderState
from shop.schemas.orders import Checkout, IdempotencyKey, OrderOut, OrderSummary, PaymentStart
from shop.security import UserId
from shop.services import orders, payments
from shop.services.invoices import make_invoice

router = Router(prefix="/orders", tags=["orders"])


@router.post("", status_code=201)
async def check_out(
    wish: Checkout,
    idempotency_key: Annotated[IdempotencyKey, Header()],
    user_id: UserId,
    session: Session,
    announce: Announce,
    response: Response,
) -> OrderOut:
    """Order what is in your basket; with the same `Idempotency-Key` again, you get the same order (200)."""
    order, is_new = await orders.check_out(session, user_id, idempotency_key, wish)
    if is_new:
        announce(order)
    else:
        response.status_code = 200
    return OrderOut.model_validate(order)


@router.get("")
async def list_orders(query: Annotated[PageQuery, Query()], user_id: UserId, session: Session) -> Page[OrderSummary]:
    """List your orders, the newest first."""
    return await orders.list_orders(session, query, user_id=user_id)


@router.get("/{number}")
async def show(number: str, user_id: UserId, session: Session) -> OrderOut:
    """Show an order."""
    return OrderOut.model_validate(await orders.get_order(session, number, user_id))


@router.get("/{number}/invoice.pdf", response_class=Response)
async def invoice(number: str, user_id: UserId, session: Session) -> Response:
    """Show an order's invoice, as PDF."""
    return await make_invoice(await orders.get_order(session, number, user_id))


@router.post("/{number}/payment")
async def pay(number: str, user_id: UserId, provider: payments.PaymentProvider) -> PaymentStart:
    """Get the address where you pay; the order is paid when the provider has told the shop so."""
    return PaymentStart(payment_url=await payments.start_payment(provider, number, user_id))


@router.post("/{number}/cancellation")
async def cancel(number: str, user_id: UserId, session: Session, announce: Announce) -> OrderOut:
    """Cancel an order that is not paid."""
    order = await orders.get_order(session, number, user_id, lock=True)
    await orders.move(session, order, OrderState.CANCELLED)
    announce(order)
    return OrderOut.model_validate(order)
