"""Captures an ASGI application's answer as a response object, before it is sent.

The application runs in a task of its own, which hands over one message at a time: nothing is buffered, and the
application is no faster than its reader. A response that nobody sends lets its application run on without a reader.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
from starlette.background import BackgroundTask as StarletteBackgroundTask

from velithon.background import ASIDE, set_aside
from velithon.exceptions import VelithonError, as_exception
from velithon.faces.serve import to_response
from velithon.requests.request import Request
from velithon.requests.rsgi import RSGIRequest
from velithon.responses.app import AppResponse
from velithon.responses.base import HTMLResponse, PlainTextResponse, Response
from velithon.responses.json import JSONResponse
from velithon.responses.stream import StreamingResponse
from velithon_adapters.readahead import ReadAhead
from velithon_adapters.scope import FILE_RANGE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable

    from starlette.types import ASGIApp, Message, Receive, Send

    from velithon.faces.serve import ErrorHandlers, Responder
    from velithon_adapters.rsgi import HTTPProtocol, HTTPScope

__all__ = ["AS_THEY_ARE", "CapturedResponse", "as_response", "build_call_next", "capture"]

FILE_CHUNK = 256 * 1024
# What most endpoints return, told in a fifth of the time that two questions for base classes take.
AS_THEY_ARE = frozenset({JSONResponse, Response, PlainTextResponse, HTMLResponse})

_OF_THE_BODY = frozenset({"http.response.body", "http.response.pathsend", "http.response.trailers", FILE_RANGE})
_AT_ONCE = frozenset({"http.response.debug", "http.response.early_hint"})

# The loop itself only knows tasks weakly, and work after the response may outlive its request.
_running: set[asyncio.Task[None]] = set()


class SharedReceive(ReadAhead):
    """Shares a request's messages between two readers.

    They are the application, and who sends its answer and waits for a disconnect.

    The application's messages wait for it, one part of a body at a time.
    """

    __slots__ = ("_abandoned",)

    def __init__(self, receive: Receive) -> None:
        super().__init__(receive)
        self._abandoned = False

    async def receive_disconnect(self) -> Message:
        """Wait until the client leaves."""
        message = await self.wait_until_ended()
        if self._abandoned:
            # The application is done, not the client: a layer may have more to send than the application had.
            await asyncio.get_running_loop().create_future()
        return message

    def abandon(self) -> None:
        """Tell the application that the client is gone: nobody sends its answer any more."""
        self._abandoned = self._abandoned or self.ended is None
        self.close({"type": "http.disconnect"})


class Run:
    """One run of an ASGI application whose messages are taken, not sent."""

    def __init__(self, app: ASGIApp, request: Request) -> None:
        self.app = app
        self.request = request
        self.started: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.messages: asyncio.Queue[Message | None] = asyncio.Queue(maxsize=1)
        self.reading = True
        # Whether the whole body was handed over.
        self.complete = False
        # The message with the end of the body, while it waits to be read.
        self.last: Message | None = None
        # ASGI's messages of trailers, which follow the body where the start has announced them.
        self.trailers: list[Message] = []
        self.task: asyncio.Task[None] | None = None
        # Whether who sends the answer waits for what follows it, too.
        self.is_awaited = False
        self.incoming = SharedReceive(AppResponse.receive_of(request))

    async def send(self, message: Message) -> None:
        """Take a message."""
        kind = message["type"]
        if kind == "http.response.start":
            if not self.started.done():
                self.started.set_result(message)
        elif kind in _OF_THE_BODY:
            if self.reading:
                await self.messages.put(message)
                if kind == "http.response.body" and not message.get("more_body", False):
                    self.last = message
            else:
                # An application that sends without end would never let the loop tell it that nobody reads.
                await asyncio.sleep(0)
        elif kind in _AT_ONCE and not isinstance(self.request, RSGIRequest):
            await self.request._send(message)

    async def run(self) -> None:
        """Run the application."""
        try:
            await self.app(self.request.scope, self.incoming.receive, self.send)
        except (SystemExit, KeyboardInterrupt) as exc:
            raise as_exception(exc) from exc
        finally:
            if self.reading and self.started.done():
                await self.messages.put(None)

    async def start(self) -> CapturedResponse:
        """Run the application until its response begins.

        Raises:
            VelithonError: It ended before that.
        """
        self.task = task = asyncio.get_running_loop().create_task(self.run())
        _running.add(task)
        task.add_done_callback(_running.discard)
        try:
            await asyncio.wait((self.started, task), return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            task.cancel()
            raise
        if not self.started.done():
            await task
            raise VelithonError("The application behind a middleware ended without starting a response.")
        if self.incoming.ended is not None:
            # The application has been told, and so may be the layer: servers may tell only once.
            self.request._is_disconnected = True
        # The request is in hand until the application's own background tasks have run.
        response = CapturedResponse(self)
        self.request.scope.setdefault(ASIDE, []).append(response.awaits)
        return response

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the chunks of the body."""
        try:
            while (message := await self.messages.get()) is not None:
                self.last = None
                if message["type"] in ("http.response.pathsend", FILE_RANGE):
                    async with aclosing(
                        _read_file(message["path"], message.get("start", 0), message.get("end"))
                    ) as chunks:
                        async for chunk in chunks:
                            yield chunk
                    self.complete = True
                    return
                if chunk := message.get("body", b""):
                    yield chunk
                if not message.get("more_body", False):
                    if self.announces_trailers:
                        await self._read_trailers()
                    self.complete = True
                    return
            if self.task is not None:
                await self.task
        finally:
            self.abandon()

    def take_last(self) -> bytes | None:
        """Take the rest of the body; `None` where there is more to come."""
        message, self.last = self.last, None
        if message is None:
            return None
        self.messages.get_nowait()
        self.complete = True
        return bytes(message.get("body", b""))

    @property
    def announces_trailers(self) -> bool:
        """Whether the application said that trailers follow its body."""
        return bool(self.started.result().get("trailers", False))

    async def _read_trailers(self) -> None:
        while (message := await self.messages.get()) is not None:
            self.trailers.append(message)
            if not message.get("more_trailers", False):
                return

    async def ended(self) -> None:
        """Wait for what the application does after its answer.

        Raises:
            Exception: What it raised then, such as the error that its answer was about.
        """
        if self.complete and self.task is not None:
            self.is_awaited = True
            await asyncio.shield(self.task)

    async def finish(self) -> None:
        """Wait as `ended` does, for an answer that a layer has read and not sent."""
        if not self.is_awaited:
            await self.ended()

    def abandon(self) -> None:
        """Stop reading the application's answer.

        An application that waits to hand over a chunk goes on.
        """
        self.reading = False
        self.incoming.abandon()
        while not self.messages.empty():
            self.messages.get_nowait()


async def _read_file(path: str, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
    """Yield a file from `start` to `end`, the end excluded, or to its own end."""
    with anyio.CancelScope(shield=True):
        # Who is cancelled while a thread opens the file would leave it open.
        file = await anyio.open_file(path, "rb")
    try:
        await file.seek(start)
        left = sys.maxsize if end is None else end - start
        while left and (chunk := await file.read(min(FILE_CHUNK, left))):
            left -= len(chunk)
            yield chunk
    finally:
        with anyio.CancelScope(shield=True):
            await file.aclose()


class CapturedResponse(StreamingResponse):
    """The response of an ASGI application, taken between its start and its body."""

    # The application has decided to begin.
    start_delay = 0.0
    _started = True

    def __init__(self, run: Run) -> None:
        message = run.started.result()
        self._own_body = run.body()
        self.init_raw(message["status"], list(message.get("headers", [])), self._own_body)
        self._run = run
        # For a layer that sends another answer in place of this one.
        self.awaits = StarletteBackgroundTask(run.finish)

    def _take_whole(self, method: str) -> bytes | None:
        """Return the body where it can go out in one piece; `None` where it is streamed.

        It is all here, and no layer has put another in its place.
        """
        if method == "HEAD" or self.body_iterator is not self._own_body or self._run.announces_trailers:
            return None
        return self._run.take_last()

    async def __call__(self, scope: Any, receive: object, send: Send | None = None) -> None:
        """Send over either face; on ASGI the server's messages are shared with the application."""
        if send is not None and (whole := self._take_whole(scope.get("method", "GET"))) is not None:
            self._check_headers(scope.get("method", "GET"))
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": whole, "more_body": False})
            self._run.abandon()
            if self.background is not None:
                await self.background()
            await self._run.ended()
            return
        if send is not None and self._run.announces_trailers and scope.get("method") != "HEAD":
            send = self._add_trailers(send)
        await super().__call__(scope, receive if send is None else self._run.incoming.receive_disconnect, send)
        if send is not None:
            await self._run.ended()

    def _add_trailers(self, send: Send) -> Send:
        """Return a `send` that announces the application's trailers and sends them after the body."""

        async def with_trailers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "trailers": True}
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                for trailers in self._run.trailers or [{"type": "http.response.trailers", "headers": []}]:
                    await send(trailers)

        return with_trailers

    async def _skip_body(self) -> None:
        """Let the application make its answer to `HEAD` as it would without a reader in between."""
        async for _ in self.body_iterator:
            pass

    def send_rsgi(self, scope: HTTPScope, protocol: HTTPProtocol) -> Awaitable[None] | None:
        """Send a whole body, or start the stream; the rest is returned."""
        if self._has_length() and (whole := self._take_whole(scope.method)) is not None:
            protocol.response_bytes(self.status_code, self._build_headers(scope), whole)
            self._run.abandon()
            return self._send_all(None)
        return self._send_all(super().send_rsgi(scope, protocol))

    async def _send_all(self, pending: Awaitable[None] | None) -> None:
        if pending is not None:
            await pending
        await self._run.ended()

    def __del__(self) -> None:
        # Dropped, perhaps for another response: the generator of the body may never have begun, nor then ends.
        if not self._run.started.get_loop().is_closed():
            self._run.abandon()


def capture(app: ASGIApp) -> Responder:
    """Return the responder of an ASGI application."""

    def respond(request: Request) -> Awaitable[Response]:
        return Run(app, request).start()

    return respond


def build_call_next(respond: Responder, errors: ErrorHandlers | None = None) -> Responder:
    """Return a responder whose responses have what dispatch layers expect.

    That is Velithon's class, a status and headers.

    Args:
        respond: What is inside of the layer.
        errors: Answers what that raises; given here, it saves a call around it.
    """

    async def call_next(request: Request) -> object:
        if type(request) is not RSGIRequest and not isinstance(request, Request):
            request = Request.from_starlette(request)
        if request._stream_consumed:
            request.put_back()
        try:
            response = await respond(request)
        except Exception as exc:
            if errors is None:
                raise
            response = await errors.respond(request, exc)
        if type(response) not in AS_THEY_ARE:
            response = await as_response(response, request)
        if response.background is not None:
            set_aside(request.scope, response)
        return response

    return call_next


async def as_response(response: object, request: Request) -> Response:
    """Return the response with a status and headers that dispatch layers expect."""
    if not isinstance(response, Response):
        response = to_response(response, request)
    if isinstance(response, AppResponse):
        return await Run(response.handled, request).start()
    if isinstance(response, StreamingResponse) and not isinstance(response, CapturedResponse):
        response.encode_for_layers()
    return response
