"""The sending side of a response: whether it has begun, and how leaving it ends it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.adapters.memory import Protocol
from velithon_adapters import HTTPSend
from velithon_adapters.sending import TrackedProtocol, TrackedSend

pytestmark = pytest.mark.asyncio

START = {"type": "http.response.start", "status": 200, "headers": []}
PART = {"type": "http.response.body", "body": b"a", "more_body": True}


async def leave(send: Any, *messages: dict[str, Any]) -> None:
    """Run an application that sends these messages and raises."""
    async with send:
        for message in messages:
            await send(message)
        raise ValueError("boom")


@pytest.mark.parametrize(
    ("is_outermost", "messages", "responded"),
    [
        (False, [], []),
        (True, [], ["bytes"]),
        (False, [START], ["bytes"]),
        (True, [START], ["bytes"]),
        (False, [START, PART], ["stream", "chunk"]),
        (True, [START, PART], ["stream", "chunk"]),
    ],
)
async def test_what_is_raised_is_answered_once(
    is_outermost: bool, messages: list[dict[str, Any]], responded: list[str]
) -> None:
    """Before the response began by whoever is outside, if anybody is; after that here, while nothing was given."""
    protocol = Protocol()
    send = HTTPSend(protocol, is_outermost=is_outermost)
    with pytest.raises(ValueError, match="boom"):
        await leave(send, *messages)
    assert [call[0] for call in protocol.calls] == responded
    assert all(call[1] == 500 for call in protocol.calls if call[0] == "bytes")
    assert send.started is bool(messages)


@pytest.mark.parametrize("messages", [[], [START]])
async def test_who_returns_without_a_whole_response_is_answered_500(messages: list[dict[str, Any]]) -> None:
    """Also where somebody is outside: nothing was raised that could tell them."""
    protocol = Protocol()
    async with HTTPSend(protocol) as send:
        for message in messages:
            await send(message)
    assert [call[:2] for call in protocol.calls] == [("bytes", 500)]


async def test_a_tracked_send_has_begun_with_its_first_message() -> None:
    """Also when the server then refuses it: ASGI has no second start."""

    async def refuse(message: Any) -> None:
        raise OSError("gone")

    send = TrackedSend(refuse)
    assert not send.started
    with pytest.raises(OSError, match="gone"):
        await leave(send, START)
    assert send.started


async def test_a_tracked_protocol_has_begun_with_its_response() -> None:
    """Reading the body, or waiting for the client to leave, begins nothing."""
    scope: Any = None
    protocol = TrackedProtocol(Protocol(b"a").end(), scope)
    assert await protocol() == b"a"
    protocol.client_disconnect()
    assert not protocol.started
    protocol.response_empty(204, [])
    assert protocol.started
