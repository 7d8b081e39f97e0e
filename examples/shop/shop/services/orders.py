"""Orders: checking a basket out, and the states that an order goes through."""

import secrets
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload
from velithon.ext.pagination import Keyset, Page, PageQuery

from shop.errors import ConflictError, NotFoundError
from shop.models import BasketItem, Order, OrderChange, OrderItem, OrderState, Refund, User, now
from shop.schemas.orders import Checkout, OrderSummary
from shop.services import mails, stock
from shop.services.basket import basket_of, lines_of

TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    OrderState.AWAITING_PAYMENT: frozenset({OrderState.PAID, OrderState.CANCELLED}),
    OrderState.PAID: frozenset({OrderState.PACKED, OrderState.REFUNDED}),
    OrderState.PACKED: frozenset({OrderState.SHIPPED, OrderState.REFUNDED}),
    OrderState.SHIPPED: frozenset({OrderState.DELIVERED, OrderState.REFUNDED}),
    OrderState.DELIVERED: frozenset({OrderState.REFUNDED}),
    OrderState.CANCELLED: frozenset(),
    OrderState.REFUNDED: frozenset(),
}
# In these the pieces are still in the house.
_IN_HOUSE = frozenset({OrderState.AWAITING_PAYMENT, OrderState.PAID, OrderState.PACKED})

NEWEST = Keyset(Order.created_at.desc(), Order.id.desc())
_PARTS = (selectinload(Order.items), selectinload(Order.changes))
# Without letters and digits that look alike.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


async def check_out(session: AsyncSession, user_id: int, key: str, wish: Checkout) -> tuple[Order, bool]:
    """Make an order of a user's basket.

    Args:
        session: All of it is one transaction.
        user_id: Whose basket.
        key: The client's name for this checkout: the second time it gets the order of the first.
        wish: Where to, and the total that the customer has seen.

    Returns:
        The order, and whether it is new.

    Raises:
        ConflictError: The basket is empty, or costs something else by now.
        OutOfStockError: There are not enough pieces.
    """
    basket = await basket_of(session, user_id, lock=True)
    before = await session.scalar(
        select(Order).where(Order.user_id == user_id, Order.idempotency_key == key).options(*_PARTS)
    )
    if before is not None:
        return before, False
    lines = await lines_of(session, basket.id)
    if not lines:
        raise ConflictError("The basket is empty.")
    await stock.take(session, {line.variant_id: line.quantity for line in lines})
    # Read once more: the rows are ours now, and no price changes under us.
    lines = await lines_of(session, basket.id)
    total = sum(line.variant.price_cents * line.quantity for line in lines)
    if total != wish.expected_total_cents:
        raise ConflictError(f"The basket costs {total} cents by now, not {wish.expected_total_cents}.")
    order = Order(
        number=_new_number(),
        user_id=user_id,
        state=OrderState.AWAITING_PAYMENT,
        total_cents=total,
        currency="EUR",
        recipient=wish.recipient,
        address=wish.address,
        idempotency_key=key,
        items=[_item(line) for line in lines],
        changes=[OrderChange(state=OrderState.AWAITING_PAYMENT)],
    )
    session.add(order)
    await session.execute(delete(BasketItem).where(BasketItem.basket_id == basket.id))
    await session.flush()
    mails.write_order(session, await session.get_one(User, user_id), order)
    return order, True


def _item(line: BasketItem) -> OrderItem:
    variant = line.variant
    name = f"{variant.product.name}, {variant.name}"
    return OrderItem(variant_id=variant.id, name=name, price_cents=variant.price_cents, quantity=line.quantity)


def _new_number() -> str:
    text = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    return f"{text[:4]}-{text[4:8]}-{text[8:]}"


async def get_order(session: AsyncSession, number: str, user_id: int | None, *, lock: bool = False) -> Order:
    """Return an order.

    Args:
        session: The database's.
        number: The order's.
        user_id: Whose it has to be; `None` for whoever works here.
        lock: Whether nobody else may change it before this transaction ends.

    Raises:
        NotFoundError: There is none, or it is somebody else's.
    """
    statement = select(Order).where(Order.number == number).options(*_PARTS)
    if user_id is not None:
        statement = statement.where(Order.user_id == user_id)
    order = await session.scalar(statement.with_for_update() if lock else statement)
    if order is None:
        raise NotFoundError("There is no such order.")
    return order


async def list_orders(
    session: AsyncSession, query: PageQuery, *, user_id: int | None = None, state: OrderState | None = None
) -> Page[OrderSummary]:
    """Return orders, the newest first: somebody's, or everybody's."""
    statement = select(Order)
    if user_id is not None:
        statement = statement.where(Order.user_id == user_id)
    if state is not None:
        statement = statement.where(Order.state == state)
    return await NEWEST.page(session, statement, query, OrderSummary.model_validate)


async def move(session: AsyncSession, order: Order, to: OrderState) -> None:
    """Bring a locked order into its next state, with all that goes with it.

    Raises:
        ConflictError: There is no way from its state to that one.
    """
    if to not in TRANSITIONS[order.state]:
        raise ConflictError(f"An order that is {order.state} cannot become {to}.")
    if to in (OrderState.CANCELLED, OrderState.REFUNDED) and order.state in _IN_HOUSE:
        await stock.give_back(session, {item.variant_id: item.quantity for item in order.items})
    if to is OrderState.REFUNDED:
        owe_refund(session, order)
    order.state = to
    order.changes.append(OrderChange(state=to))
    await session.flush()
    mails.write_order(session, await session.get_one(User, order.user_id), order)


async def move_by_hand(session: AsyncSession, order: Order, to: OrderState) -> None:
    """Bring a locked order into its next state, as somebody who works here wishes.

    Raises:
        ConflictError: There is no way there, or it is the payment provider's to say so.
    """
    if to is OrderState.PAID:
        raise ConflictError("An order is paid when the payment provider says so.")
    await move(session, order, to)


def owe_refund(session: AsyncSession, order: Order) -> None:
    """Note that an order's money has to go back; a job sees to it."""
    if order.payment_id is None:
        raise ConflictError("There is no payment to give back.")
    session.add(Refund(order_id=order.id, payment_id=order.payment_id, amount_cents=order.total_cents))


async def cancel_unpaid(session: AsyncSession, older_than: timedelta) -> list[Order]:
    """Cancel orders that nobody has paid for in time; return them."""
    late = (Order.state == OrderState.AWAITING_PAYMENT) & (Order.created_at < now() - older_than)
    # Several workers may look at once: each takes the orders that no other has.
    statement = select(Order).where(late).order_by(Order.id).limit(100).with_for_update(skip_locked=True)
    found = list(await session.scalars(statement.options(*_PARTS)))
    for order in found:
        await move(session, order, OrderState.CANCELLED)
    return found
