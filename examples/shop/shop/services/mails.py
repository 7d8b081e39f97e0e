"""Mails: written down with the change that they tell of, so that there are both or neither, and sent by a job."""

from urllib.parse import quote

from sqlalchemy.ext.asyncio import AsyncSession
from velithon.mail import mailer_from_url

from shop.models import Mail, Order, OrderState, User
from shop.money import as_text
from shop.settings import get_settings

mailer = mailer_from_url(get_settings().mail_url, sender=get_settings().mail_sender)

_ABOUT = {
    OrderState.AWAITING_PAYMENT: "We keep your order for you until you have paid.",
    OrderState.PAID: "Thank you: your payment has arrived.",
    OrderState.SHIPPED: "Your order is on its way.",
    OrderState.CANCELLED: "Your order was cancelled.",
    OrderState.REFUNDED: "Your money is on its way back to you.",
}


def _write(session: AsyncSession, to: str, subject: str, *paragraphs: str) -> None:
    session.add(Mail(to=to, subject=subject, text="\n\n".join(paragraphs) + "\n"))


def _link(path: str, **query: str) -> str:
    pairs = "&".join(f"{name}={quote(value)}" for name, value in query.items())
    return f"{get_settings().public_url}{path}" + (f"?{pairs}" if pairs else "")


def write_confirmation(session: AsyncSession, to: str, token: str) -> None:
    """Ask whether somebody has registered."""
    _write(
        session,
        to,
        "Confirm your address",
        "Somebody, we hope you, has registered at the shop with this address. Confirm it within a day:",
        _link("/confirm", token=token),
        "If it was not you, do nothing: the registration will be forgotten.",
    )


def write_already_registered(session: AsyncSession, to: str) -> None:
    """Tell somebody that they have an account."""
    _write(
        session,
        to,
        "You have an account already",
        "Somebody, we hope you, wanted to register at the shop with this address. There is an account with it:",
        _link("/login"),
        "There you can also choose a new password.",
    )


def write_reset(session: AsyncSession, to: str, token: str) -> None:
    """Give the link to a new password."""
    _write(
        session,
        to,
        "Choose a new password",
        "Somebody, we hope you, has forgotten the password of this address. Choose a new one within an hour:",
        _link("/reset", token=token),
        "If it was not you, do nothing: the old one stays.",
    )


def write_order(session: AsyncSession, user: User, order: Order) -> None:
    """Tell a customer how far an order is, where that is worth a mail."""
    about = _ABOUT.get(order.state)
    if about is not None:
        total = as_text(order.total_cents, order.currency)
        _write(
            session,
            user.email,
            f"Your order {order.number}",
            about,
            f"Total: {total}",
            _link(f"/orders/{order.number}"),
        )
