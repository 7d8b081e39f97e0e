"""Payments: asking the provider for one, and working on what it tells.

The shop believes what the provider's signed webhooks say, and nothing that a customer's browser brings back.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import httpx
from pydantic import BaseModel, ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from velithon import Depends

from shop.database import database
from shop.errors import ConflictError, ProviderError
from shop.models import Order, OrderState, ProviderEvent, Refund, now
from shop.services.orders import get_order, move, owe_refund
from shop.settings import get_settings

TIMEOUT_SECONDS = 10.0


class Payment(BaseModel):
    """A payment, as the provider made it."""

    id: str
    url: str
    """Where the customer pays."""


class Refunded(BaseModel):
    """The provider gives money back."""

    id: str


M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Provider:
    """The payment provider.

    Attributes:
        client: Knows its address and our key.
    """

    client: httpx.AsyncClient

    async def create(self, order: Order) -> Payment:
        """Ask for a payment; asked again for the same order, the provider gives the same one.

        Raises:
            ProviderError: It did not answer, or not as it should.
        """
        settings = get_settings()
        wish = {
            "reference": order.number,
            "amount_cents": order.total_cents,
            "currency": order.currency,
            "return_url": f"{settings.public_url}/orders/{order.number}",
            "webhook_url": f"{settings.public_url}/webhooks/payments",
        }
        return await self._post("/payments", wish, Payment, key=order.number)

    async def refund(self, payment_id: str, amount_cents: int) -> None:
        """Give money back; asked again, the provider does it once.

        Raises:
            ProviderError: It did not answer, or not as it should.
        """
        await self._post(
            f"/payments/{payment_id}/refund", {"amount_cents": amount_cents}, Refunded, key=f"refund-{payment_id}"
        )

    async def _post(self, path: str, content: dict[str, Any], answers: type[M], *, key: str) -> M:
        try:
            answer = await self.client.post(path, json=content, headers={"idempotency-key": key})
            answer.raise_for_status()
            return answers.model_validate_json(answer.content)
        except (httpx.HTTPError, ValidationError) as exc:
            raise ProviderError("The payment provider does not answer: try again in a moment.") from exc


def make_provider() -> Provider:
    """Return the provider that the settings name."""
    settings = get_settings()
    headers = {"authorization": f"Bearer {settings.payment_key.get_secret_value()}"}
    return Provider(httpx.AsyncClient(base_url=settings.provider_url, headers=headers, timeout=TIMEOUT_SECONDS))


_providers: list[Provider] = []


def get_provider() -> Provider:
    """Return the provider; its connections are made when somebody first pays."""
    if not _providers:
        _providers.append(make_provider())
    return _providers[0]


async def close_provider() -> None:
    """Close the connections."""
    while _providers:
        await _providers.pop().client.aclose()


PaymentProvider = Annotated[Provider, Depends(get_provider)]


async def start_payment(provider: Provider, number: str, user_id: int) -> str:
    """Return where a customer pays for an order.

    The provider is asked between two transactions, so that none is open while it thinks.

    Raises:
        NotFoundError: There is no such order.
        ConflictError: It does not wait for a payment.
        ProviderError: The provider does not answer.
    """
    async with database.begin() as session:
        order = await get_order(session, number, user_id)
        if order.state is not OrderState.AWAITING_PAYMENT:
            raise ConflictError(f"An order that is {order.state} waits for no payment.")
    payment = await provider.create(order)
    async with database.begin() as session:
        locked = await get_order(session, number, user_id, lock=True)
        locked.payment_id = payment.id
    return payment.url


class _Paid(BaseModel):
    payment_id: str
    reference: str
    amount_cents: int
    currency: str


class Notice(BaseModel):
    """What a webhook says."""

    id: str
    event_type: Literal["payment.succeeded", "payment.failed"]
    data: _Paid


async def take_notice(session: AsyncSession, notice: Notice) -> Order | None:
    """Work on a webhook, once however often it comes.

    Returns:
        The order that has changed by it, if one has.

    Raises:
        NotFoundError: It is about no order of ours.
        ConflictError: It is about another sum.
    """
    data = notice.data
    # The lock makes two deliveries of one webhook wait for each other.
    order = await get_order(session, data.reference, None, lock=True)
    if await session.get(ProviderEvent, notice.id) is not None:
        return None
    session.add(ProviderEvent(id=notice.id))
    if notice.event_type == "payment.failed":
        return None  # the customer may try again until the order is cancelled
    if (data.amount_cents, data.currency) != (order.total_cents, order.currency):
        raise ConflictError(f"The order {order.number} costs {order.total_cents} {order.currency} cents.")
    order.payment_id = data.payment_id
    if order.state is OrderState.AWAITING_PAYMENT:
        await move(session, order, OrderState.PAID)
        return order
    if order.state is OrderState.CANCELLED:
        owe_refund(session, order)  # it came too late: the pieces may be somebody else's by now
    return None


async def pay_back(provider: Provider) -> int:
    """Give back what is owed; return how many payments that were."""
    done = 0
    while True:
        async with database.begin() as session:
            due = select(Refund).where(Refund.done_at.is_(None)).order_by(Refund.id).limit(1)
            refund = await session.scalar(due.with_for_update(skip_locked=True))
            if refund is None:
                return done
            # The provider does each once, so it does no harm if the process ends before the commit.
            await provider.refund(refund.payment_id, refund.amount_cents)
            refund.done_at = now()
            done += 1
