"""The chat on real servers: joins, messages, leaves, members that break, and a hundred in one room."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.servers import Server, ServerName, serve

pytestmark = pytest.mark.server

SECONDS = 30.0


@pytest.fixture(scope="module", params=["granian-rsgi", "uvicorn"])
def server(request: pytest.FixtureRequest) -> Generator[Server, None, None]:
    """The chat on a server."""
    with serve("examples.chat:app", cast("ServerName", request.param)) as running:
        yield running


class Member:
    """Somebody in the chat.

    Attributes:
        socket: The connection.
        port: The client's port, by which the chat names its members.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.port = int(socket.local_address[1])

    async def say(self, message: str) -> None:
        """Send a message."""
        await self.socket.send(json.dumps({"message": message}))

    async def hear(self) -> dict[str, str]:
        """Return what comes next."""
        heard: dict[str, str] = json.loads(await asyncio.wait_for(self.socket.recv(), SECONDS))
        return heard

    async def expect(self, kind: str, message: str, of: "Member") -> None:
        """Hear one thing next: of that type, with those words, by or about that member."""
        heard = await self.hear()
        assert heard["type"] == kind
        assert message in heard["message"]
        assert str(of.port) in heard.get("user", heard["message"])


@asynccontextmanager
async def join(server: Server, **options: Any) -> AsyncGenerator[Member, None]:
    """Join the chat, and leave it."""
    url = f"ws://127.0.0.1:{server.port}/ws/chat"
    # a member who does not listen is no slow one: what is said is kept for it, whatever there is
    limits: dict[str, Any] = {"open_timeout": SECONDS, "close_timeout": SECONDS, "max_queue": None}
    async with connect(url, proxy=None, **limits, **options) as socket:
        yield Member(socket)


def test_members_hear_joins_messages_and_leaves(server: Server) -> None:
    """Everybody who is there hears everything, also what they say themselves."""

    async def run() -> None:
        async with join(server) as ada:
            await ada.expect("user_joined", "joined the chat", ada)
            async with join(server, compression=None) as grace:
                for member in (ada, grace):
                    await member.expect("user_joined", "joined the chat", grace)
                async with join(server) as edsger:
                    for member in (ada, grace, edsger):
                        await member.expect("user_joined", "joined the chat", edsger)
                    for speaker, words in ((ada, "hello"), (edsger, "grüße 👋"), (grace, "x" * 100_000), (ada, "")):
                        await speaker.say(words)
                        for member in (ada, grace, edsger):
                            await member.expect("message", words, speaker)
                for member in (ada, grace):
                    await member.expect("user_left", "left the chat", edsger)
            await ada.expect("user_left", "left the chat", grace)

    asyncio.run(run())


async def vanish(member: Member) -> None:
    """The connection is cut, without a word."""
    member.socket.transport.abort()


async def unmasked(member: Member) -> None:
    """A frame that no client may send (RFC 6455, section 5.1: a client's frames are masked)."""
    member.socket.transport.write(b"\x81\x02hi")
    await refused(member)


async def no_json(member: Member) -> None:
    """Words that the chat's own code cannot read, so that it raises."""
    await member.socket.send("{")
    await refused(member)


async def no_object(member: Member) -> None:
    """JSON of another shape."""
    await member.socket.send("[1]")
    await refused(member)


async def refused(member: Member) -> None:
    """The server ends the connection."""
    with pytest.raises(ConnectionClosed):
        await member.hear()


@pytest.mark.parametrize("breaking", [vanish, unmasked, no_json, no_object])
def test_the_chat_outlives_broken_members(
    server: Server, breaking: Callable[[Member], Coroutine[Any, Any, None]]
) -> None:
    """Who breaks leaves, the others hear of it, and the chat goes on."""

    async def run() -> None:
        async with join(server) as ada, join(server) as grace:
            await ada.expect("user_joined", "", ada)
            for member in (ada, grace):
                await member.expect("user_joined", "", grace)
            async with join(server) as mallory:
                for member in (ada, grace, mallory):
                    await member.expect("user_joined", "", mallory)
                await breaking(mallory)
                for member in (ada, grace):
                    await member.expect("user_left", "left the chat", mallory)
            await grace.say("still here")
            for member in (ada, grace):
                await member.expect("message", "still here", grace)

    asyncio.run(run())


def test_a_hundred_members_hear_every_message_in_order(server: Server) -> None:
    """A hundred in one room: each hears all that ten of them say, and each speaker's words in their order."""
    members, speakers, messages = 100, 10, 20

    async def listen(member: Member) -> dict[str, list[int]]:
        """Collect all messages, by speaker."""
        heard: dict[str, list[int]] = {}
        for _ in range(speakers * messages):
            while (item := await member.hear())["type"] != "message":
                pass
            heard.setdefault(item["user"], []).append(int(item["message"]))
        return heard

    async def speak(member: Member) -> None:
        for number in range(messages):
            await member.say(str(number))

    async def run() -> Any:
        async with AsyncExitStack() as stack:
            room = await gather([stack.enter_async_context(join(server)) for _ in range(members)])
            # who hears anything is in the room
            await gather([member.hear() for member in room])
            listening = [asyncio.create_task(listen(member)) for member in room]
            await gather([speak(member) for member in room[:speakers]])
            return await gather(listening)

    heard: list[dict[str, list[int]]] = asyncio.run(run())
    everything = dict.fromkeys(heard[0], list(range(messages)))
    assert len(everything) == speakers
    assert heard == [everything] * members


async def gather(awaitables: list[Any]) -> Any:
    """Wait for all of them."""
    return await asyncio.gather(*awaitables)


def test_the_page_finds_the_chat(server: Server) -> None:
    """The page speaks to the server that it came from, whatever its port is."""
    page = httpx.get(server.url, trust_env=False)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "location.origin" in page.text
    assert "localhost:8000" not in page.text
