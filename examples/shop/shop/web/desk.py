"""The desk: where clerks bring orders on their way."""

from typing import Annotated, Literal

from velithon import Form, Query, Request, Router
from velithon.ext.pagination import PageQuery
from velithon.responses import HTMLResponse, RedirectResponse

from shop.announce import Announce
from shop.database import Session
from shop.models import OrderState
from shop.services import orders
from shop.services.orders import TRANSITIONS
from shop.web.render import page
from shop.web.visitors import PageUser, get_staff

router = Router(prefix="/desk", include_in_schema=False)


@router.get("")
async def show(
    request: Request,
    user_id: PageUser,
    session: Session,
    query: Annotated[PageQuery, Query()],
    state: OrderState | Literal[""] = "",
) -> HTMLResponse:
    """List orders, with what can become of each."""
    await get_staff(session, user_id)
    found = await orders.list_orders(session, query, state=state or None)
    by_hand = {before: sorted(after - {OrderState.PAID}) for before, after in TRANSITIONS.items()}
    return page(
        request, "desk", orders=found.items, next=found.next, moves=by_hand, states=list(OrderState), state=state
    )


@router.post("/orders/{number}")
async def move(
    number: str, state: Annotated[OrderState, Form()], user_id: PageUser, session: Session, announce: Announce
) -> RedirectResponse:
    """Bring an order into its next state."""
    await get_staff(session, user_id)
    order = await orders.get_order(session, number, None, lock=True)
    await orders.move_by_hand(session, order, state)
    announce(order)
    return RedirectResponse("/desk", 303)
