"""Messages to customers: promised with the change that they tell of, and sent until they are."""

import logging

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from velithon import BackgroundTasks
from velithon.jobs import every, job

from workshop.database import Base, get_engine
from workshop.repairs import Repair, State

logger = logging.getLogger("workshop.messages")

MAX_ATTEMPTS = 10


class MessageRow(Base):
    """A message that has to be sent, or was."""

    __tablename__ = "messages"

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str]
    text: Mapped[str]
    sent: Mapped[bool] = mapped_column(default=False, index=True)
    attempts: Mapped[int] = mapped_column(default=0)


def promise_message(repair: Repair, session: AsyncSession, tasks: BackgroundTasks) -> None:
    """Write the message down in the transaction of the change: there are both, or neither."""
    if repair.state is State.READY:
        session.add(MessageRow(address=repair.customer_email, text=f"Your bicycle is ready: {repair.bicycle}."))
        tasks.add_task(send_messages.enqueue)


async def deliver(address: str, text: str) -> None:
    """Hand a message to the mail server; here it is only logged."""
    logger.info("To %s: %s", address, text)


@job(schedule=every(seconds=30), unique=True)
async def send_messages() -> None:
    """Send what waits, each message in a transaction of its own."""
    waiting = MessageRow.sent.is_(False) & (MessageRow.attempts < MAX_ATTEMPTS)
    async with AsyncSession(get_engine()) as session:
        numbers = list(await session.scalars(select(MessageRow.id).where(waiting).order_by(MessageRow.id)))
    for number in numbers:
        try:
            await send(number)
        except Exception:
            logger.exception("Message %d could not be sent", number)
            async with AsyncSession(get_engine()) as session, session.begin():
                failed = MessageRow.id == number
                await session.execute(update(MessageRow).where(failed).values(attempts=MessageRow.attempts + 1))


async def send(number: int) -> None:
    """Send one message, unless somebody else does.

    It goes twice if the process dies between sending and noting it, and never not at all.
    """
    async with AsyncSession(get_engine()) as session, session.begin():
        mine = select(MessageRow).where(MessageRow.id == number, MessageRow.sent.is_(False))
        # Of several workers that look at once, one gets the row (SQLite lets one write at a time).
        message = await session.scalar(mine.with_for_update(skip_locked=True))
        if message is not None:
            await deliver(message.address, message.text)
            message.sent = True
