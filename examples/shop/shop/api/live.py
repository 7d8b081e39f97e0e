"""What happens to an order, as it happens: over a WebSocket, and as server-sent events."""

import asyncio
from typing import Annotated

from shop.database import Session, database
from shop.errors import NotFoundError
from shop.security import UserId, tokens
from shop.services.orders import get_order
from velithon import Header, Request, Router, WebSocket
from velithon.responses import EventSourceResponse
from velithon.security.jwt import TokenError

router = Router(prefix="/orders", tags=["orders"])

SECONDS_TO_LOG_IN = 10
POLICY_VIOLATION = 1008


def channel_of(number: str) -> str:
    """Return the name of an order's channel."""
    return f"orders:{number}"


@router.get("/{number}/events")
async def events(
    number: str,
    user_id: UserId,
    session: Session,
    request: Request,
    last_event_id: Annotated[str | None, Header()] = None,
) -> EventSourceResponse:
    """Follow an order; a client that comes back gets what it missed."""
    await get_order(session, number, user_id)
    return EventSourceResponse(request.app.channels.events(channel_of(number), last_event_id=last_event_id))


@router.websocket("/{number}/live", heartbeat=30)
async def live(websocket: WebSocket, number: str) -> None:
    """Follow an order: the first message is an access token, as browsers can give a WebSocket no header."""
    await websocket.accept()
    try:
        token = await asyncio.wait_for(websocket.receive_text(), SECONDS_TO_LOG_IN)
        user_id = int(tokens.verify(token).subject)
        await send_news(websocket, number, user_id)
    except (TimeoutError, TokenError, NotFoundError):
        await websocket.close(POLICY_VIOLATION)


async def send_news(websocket: WebSocket, number: str, user_id: int) -> None:
    """Send an order's state, and each that follows.

    Raises:
        NotFoundError: There is no such order.
    """
    # Subscribed before the state is read: no change falls in between.
    async with websocket.app.channels.subscribe(channel_of(number)) as news:
        async with database.begin() as session:
            order = await get_order(session, number, user_id)
        await websocket.send_json({"number": order.number, "state": order.state})
        async for message in news:
            await websocket.send_json(message.data)
