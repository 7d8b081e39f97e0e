"""The chat on real servers: joins, messages, leaves, members that break, and a hundred in one room."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

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
        name: What the others read.
    """

    def __init__(self, socket: ClientConnection, name: str) -> None:
        self.socket = socket
        self.name = name

    async def say(self, text: str) -> None:
        """Send a remark."""
        await self.socket.send(json.dumps({"text": text}))

    async def hear(self) -> dict[str, str]:
        """Return what comes next."""
        heard: dict[str, str] = json.loads(await asyncio.wait_for(self.socket.recv(), SECONDS))
        return heard

    async def expect(self, kind: str, who: "Member", text: str = "") -> None:
        """Hear one thing next."""
        assert await self.hear() == {"kind": kind, "who": who.name, "text": text}


@asynccontextmanager
async def join(server: Server, name: str, **options: Any) -> AsyncGenerator[Member, None]:
    """Join the chat, and leave it."""
    url = f"ws://127.0.0.1:{server.port}/chat?name={name}"
    # a member who does not listen is no slow one: what is said is kept for it, whatever there is
    limits: dict[str, Any] = {"open_timeout": SECONDS, "close_timeout": SECONDS, "max_queue": None}
    async with connect(url, proxy=None, **limits, **options) as socket:
        yield Member(socket, name)


def test_members_hear_joins_remarks_and_leaves(server: Server) -> None:
    """Everybody who is there hears everything, also what they say themselves."""

    async def run() -> None:
        async with join(server, "ada") as ada:
            await ada.expect("joined", ada)
            async with join(server, "grace", compression=None) as grace:
                for member in (ada, grace):
                    await member.expect("joined", grace)
                async with join(server, "edsger") as edsger:
                    for member in (ada, grace, edsger):
                        await member.expect("joined", edsger)
                    for speaker, words in ((ada, "hello"), (edsger, "grüße 👋"), (grace, "x" * 2_000)):
                        await speaker.say(words)
                        for member in (ada, grace, edsger):
                            await member.expect("said", speaker, words)
                for member in (ada, grace):
                    await member.expect("left", edsger)
            await ada.expect("left", grace)

    asyncio.run(run())


@pytest.mark.parametrize("remark", ["{", "[1]", '{"text": ""}', json.dumps({"text": "x" * 2_001})])
def test_the_speaker_alone_hears_what_is_refused(server: Server, remark: str) -> None:
    """What is no remark, or too long, reaches nobody else, and the speaker may go on."""

    async def run() -> None:
        async with join(server, "ada") as ada, join(server, "grace") as grace:
            await ada.expect("joined", ada)
            for member in (ada, grace):
                await member.expect("joined", grace)
            await ada.socket.send(remark)
            assert (await ada.hear())["kind"] == "refused"
            await ada.say("still here")
            for member in (ada, grace):
                await member.expect("said", ada, "still here")

    asyncio.run(run())


def test_a_name_that_is_none_is_refused(server: Server) -> None:
    """The handshake fails, and nobody hears of it."""

    async def run() -> None:
        async with join(server, "ada") as ada:
            await ada.expect("joined", ada)
            with pytest.raises(InvalidStatus):
                async with join(server, "x" * 41):
                    pass
            await ada.say("alone")
            await ada.expect("said", ada, "alone")

    asyncio.run(run())


async def vanish(member: Member) -> None:
    """The connection is cut, without a word."""
    member.socket.transport.abort()


async def unmasked(member: Member) -> None:
    """A frame that no client may send (RFC 6455, section 5.1: a client's frames are masked)."""
    member.socket.transport.write(b"\x81\x02hi")
    await refused(member)


async def refused(member: Member) -> None:
    """The server ends the connection."""
    with pytest.raises(ConnectionClosed):
        await member.hear()


@pytest.mark.parametrize("breaking", [vanish, unmasked])
def test_the_chat_outlives_broken_members(
    server: Server, breaking: Callable[[Member], Coroutine[Any, Any, None]]
) -> None:
    """Who breaks leaves, the others hear of it, and the chat goes on."""

    async def run() -> None:
        async with join(server, "ada") as ada, join(server, "grace") as grace:
            await ada.expect("joined", ada)
            for member in (ada, grace):
                await member.expect("joined", grace)
            async with join(server, "mallory") as mallory:
                for member in (ada, grace, mallory):
                    await member.expect("joined", mallory)
                await breaking(mallory)
                for member in (ada, grace):
                    await member.expect("left", mallory)
            await grace.say("still here")
            for member in (ada, grace):
                await member.expect("said", grace, "still here")

    asyncio.run(run())


def test_a_hundred_members_hear_every_message_in_order(server: Server) -> None:
    """A hundred in one room: each hears all that ten of them say, and each speaker's words in their order."""
    members, speakers, messages = 100, 10, 20

    async def listen(member: Member) -> dict[str, list[int]]:
        """Collect all messages, by speaker."""
        heard: dict[str, list[int]] = {}
        for _ in range(speakers * messages):
            while (item := await member.hear())["kind"] != "said":
                pass
            heard.setdefault(item["who"], []).append(int(item["text"]))
        return heard

    async def speak(member: Member) -> None:
        for number in range(messages):
            await member.say(str(number))

    async def run() -> Any:
        async with AsyncExitStack() as stack:
            room = await gather(
                [stack.enter_async_context(join(server, f"member-{number}")) for number in range(members)]
            )
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
    """The page speaks to the server that it came from, and writes what others say as text."""
    page = httpx.get(server.url, trust_env=False)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "location.href" in page.text
    assert "innerHTML" not in page.text
