"""What is done beside requests: mails, refunds, orders that nobody pays for."""

import logging
from datetime import timedelta
from pathlib import Path

import anyio
from sqlalchemy import select, update
from velithon import Velithon
from velithon.jobs import JobContext, every, job

from shop.announce import tell
from shop.database import database
from shop.models import Mail, now
from shop.services import accounts, orders
from shop.services.invoices import stream_orders
from shop.services.mails import mailer
from shop.services.payments import PaymentProvider, pay_back
from shop.settings import get_settings

logger = logging.getLogger("shop.jobs")

MAX_ATTEMPTS = 10
PROGRESS_EVERY = 1_000


@job(schedule=every(seconds=30))
async def send_mails() -> int:
    """Send what waits, each mail in a transaction of its own; return how many were sent.

    It is not `unique`: a mail that is written while one run is at its end would wait for the schedule.
    """
    waiting = Mail.sent_at.is_(None) & (Mail.attempts < MAX_ATTEMPTS)
    async with database.begin() as session:
        numbers = list(await session.scalars(select(Mail.id).where(waiting).order_by(Mail.id)))
    sent = 0
    for number in numbers:
        try:
            sent += await _send(number)
        except Exception:
            logger.exception("Mail %d could not be sent", number)
            async with database.begin() as session:
                await session.execute(update(Mail).where(Mail.id == number).values(attempts=Mail.attempts + 1))
    return sent


async def _send(number: int) -> bool:
    """Send one mail, unless somebody else does.

    It goes twice if the process ends between sending and noting it, and never not at all.
    """
    async with database.begin() as session:
        mine = select(Mail).where(Mail.id == number, Mail.sent_at.is_(None))
        mail = await session.scalar(mine.with_for_update(skip_locked=True))
        if mail is None:
            return False
        await mailer.send(mail.to, mail.subject, mail.text)
        mail.sent_at, mail.text = now(), ""
        return True


@job(retries=3)
async def start_reset(email: str) -> None:
    """Send the link to a new password; as a job, so that asking takes the same time for every address."""
    async with database.begin() as session:
        await accounts.ask_for_reset(session, email)
    await send_mails.enqueue()


@job(schedule=every(minutes=1), unique=True)
async def cancel_unpaid(app: Velithon) -> int:
    """Give the pieces of orders back that nobody has paid for; return how many orders those were."""
    async with database.begin() as session:
        cancelled = await orders.cancel_unpaid(session, timedelta(minutes=get_settings().payment_minutes))
    for order in cancelled:
        await tell(app, order)
    return len(cancelled)


@job(schedule=every(minutes=1))
async def refund(provider: PaymentProvider) -> int:
    """Give back what is owed."""
    return await pay_back(provider)


@job(schedule=every(hours=1), unique=True)
async def forget_expired() -> None:
    """Remove registrations and links whose time is over."""
    async with database.begin() as session:
        await accounts.forget_expired(session)


def export_path(id: str) -> Path:
    """Return where a job writes its file; workers and servers share the directory."""
    return get_settings().export_dir / f"{id}.csv"


@job(retries=2)
async def export_orders(context: JobContext) -> int:
    """Write all orders into a file; return how many rows it has."""
    path = export_path(context.id)
    part = path.with_suffix(".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = 0
    async with await anyio.open_file(part, "w", newline="", encoding="utf-8") as file:
        async for row in stream_orders():
            await file.write(row)
            rows += 1
            if rows % PROGRESS_EVERY == 0:
                await context.progress({"rows": rows})
    # Whoever asks for it gets a whole file or none.
    part.rename(path)
    await context.progress({"rows": rows})
    return rows
