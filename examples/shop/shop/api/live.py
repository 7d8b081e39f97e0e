"""What happens to an order, as it happens: over a WebSocket, and as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated

from velithon import Header, Request, Router, Velithon, WebSocket
from velithon.responses import EventSourceResponse
from velithon.security.jwt import TokenError
from velithon.sse import ServerSentEvent

from shop.database import database
from shop.errors import NotFoundError
from shop.security import UserId, tokens
from shop.services.orders import get_order

router = Router(prefix="/orders", tags=["orders"])

SECONDS_TO_LOG_IN = 10
POLICY_VIOLATION = 1008


def channel_of(number: str) -> str:
    """Return the name of an order's channel."""
    return f"orders:{number}"


@router.get("/{number}/events")
async def events(
    number: str, user_id: UserId, request: Request, last_event_id: Annotated[str | None, Header()] = None
) -> EventSourceResponse:
    """Follow an order: its state, and each that follows; a client that comes back gets what it missed."""
    async with database.begin() as session:
        await get_order(session, number, user_id)
    return EventSourceResponse(follow(request.app, number, user_id, last_event_id))


@router.websocket("/{number}/live", heartbeat=30)
async def live(websocket: WebSocket, number: str) -> None:
    """Follow an order: the first message is an access token, as browsers can give a WebSocket no header."""
    await websocket.accept()
    try:
        token = await asyncio.wait_for(websocket.receive_text(), SECONDS_TO_LOG_IN)
        user_id = int(tokens.verify(token).subject)
        async with database.begin() as session:
            await get_order(session, number, user_id)
    except (TimeoutError, TokenError, NotFoundError):
        await websocket.close(POLICY_VIOLATION)
        return
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(_send_news(websocket, number, user_id))
        async for _ in websocket.iter_text():
            pass  # what it says is not needed; waiting for it shows when it leaves
        sending.cancel()


async def _send_news(websocket: WebSocket, number: str, user_id: int) -> None:
    async for news in follow(websocket.app, number, user_id):
        await websocket.send_json(news.data)


async def follow(
    app: Velithon, number: str, user_id: int, last_event_id: str | None = None
) -> AsyncGenerator[ServerSentEvent, None]:
    """Yield an order's state, and each that follows.

    Args:
        app: Its channels carry the news.
        number: The order's.
        user_id: Whose it has to be.
        last_event_id: What a client had last: it gets what came after that, and not the state first.

    Raises:
        NotFoundError: There is no such order.
    """
    # Subscribed before the state is read: no change falls in between.
    async with app.channels.subscribe(channel_of(number), after=last_event_id) as subscription:
        async with database.begin() as session:
            order = await get_order(session, number, user_id)
        if last_event_id is None:
            yield ServerSentEvent(data={"number": order.number, "state": order.state})
        async for message in subscription:
            yield ServerSentEvent(data=message.data, id=message.id)
