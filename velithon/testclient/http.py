"""HTTP over RSGI in memory: one exchange, and the transports of the two clients."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from velithon._compat.starlette_testclient import _TestClientTransport, _Upgrade
from velithon._runtime.json_values import JSONObject
from velithon.testclient.memory import (
    Answer,
    Body,
    FileSlice,
    Headers,
    HTTPProtocol,
    RSGIMisuseError,
    Scope,
    _build_error,
)
from velithon.testclient.websocket import RSGIWebSocketTestSession

if TYPE_CHECKING:
    import httpx2 as httpx

else:
    from starlette.testclient import httpx

# how long an application may take to notice that its client went away, in seconds
GRACE = 2.0
_CHUNK = 64 * 1024
_WATCHED = "client_disconnect() is still awaited after the response; cancel it"
_UNNOTICED = "the application still ran long after its client had left; await client_disconnect(), or send"
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}

RSGIApp = Callable[[Any, Any], Awaitable[None]]


def make_scope(request: httpx.Request, client: tuple[str, int]) -> Scope:
    """Return the RSGI scope of a client's request, as Granian builds it for HTTP/1.1."""
    url = request.url
    path, _, query = url.raw_path.partition(b"?")
    websocket = url.scheme in ("ws", "wss")
    headers = request.headers.raw
    if websocket and "upgrade" not in request.headers:
        headers.append((b"upgrade", b"websocket"))
    return Scope(
        proto="ws" if websocket else "http",
        method=request.method,
        path=unquote(path.decode("ascii"), errors="replace"),
        query_string=query.decode("ascii"),
        headers=Headers(headers),
        scheme="https" if url.scheme in ("https", "wss") else "http",
        server=f"{url.raw_host.decode('ascii')}:{_PORTS[url.scheme] if url.port is None else url.port}",
        client=f"{client[0]}:{client[1]}",
    )


class Exchange:
    """One request and its answer, in the loop that the application runs in.

    Args:
        app: The application's RSGI callable.
        scope: The request's scope.
        protocol: The request's protocol object.
    """

    def __init__(self, app: RSGIApp, scope: Scope, protocol: HTTPProtocol) -> None:
        self._app = app
        self._scope = scope
        self._protocol = protocol
        self._body: AsyncGenerator[bytes, None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._complete = False
        # Whether the answer was given whole: what runs after it is background work, which no client waits for.
        self._handed_over = False
        self._abandoned = False
        self.error: BaseException | None = None

    @property
    def misuse(self) -> list[str]:
        """What the application did wrong with the protocol."""
        return self._protocol.misuse

    @property
    def debug(self) -> JSONObject:
        """What the application shows of its answer: `template` and `context`."""
        return self._protocol.debug

    async def start(self) -> Answer:
        """Call the application and wait for the head of its answer.

        None is a bare 500, as on Granian.
        """
        self._task = asyncio.create_task(self._run())
        await self._protocol.answered.wait()
        if self._protocol.answer is None:
            await self._task
            if self.error is None:
                self.misuse.append("the application returned without a response")
        answer = self._protocol.answer or _build_error(self._scope.method)
        self._handed_over = not isinstance(answer.body, asyncio.Queue)
        self._body = self._iterate_body(answer.body)
        return answer

    async def read(self) -> bytes | None:
        """Return the next chunk of the answer's body, None at its end."""
        assert self._body is not None
        chunk = await anext(self._body, None)
        self._complete = chunk is None
        return chunk

    async def finish(self) -> None:
        """Wait for the application's end.

        The client leaves first if it has not read the body to its end.

        Granian never cancels an application. One that does not notice within `GRACE` seconds that its client went
        away is cancelled here, so that the test ends, and fails: see `raise_unnoticed`. Background work behind an
        answer that nobody read to its end is cancelled too, and no fault.
        """
        assert self._task is not None
        if self._body is not None:
            await self._body.aclose()
        if not self._complete:
            self._protocol.disconnect()
        while not self._task.done():
            await asyncio.wait({self._task}, timeout=GRACE)
            if not self._task.done() and (not self._complete or self._protocol.watched):
                if self._complete or not self._handed_over:
                    self.misuse.append(_WATCHED if self._complete else _UNNOTICED)
                self._abandoned = True
                self._task.cancel()
                await asyncio.wait({self._task})
        await asyncio.sleep(0)  # cancelled watchers end in the loop's next turn
        if self._protocol.watched:
            self.misuse.append(_WATCHED)
            self._protocol.disconnect()

    def raise_error(self) -> None:
        """Raise what the application raised, or what it did wrong.

        Raises:
            BaseException: What the application raised.
            RSGIMisuseError: What Granian would hide.
        """
        if self.error is not None:
            raise self.error
        if self.misuse:
            raise RSGIMisuseError("; ".join(self.misuse))

    def raise_unnoticed(self) -> None:
        """Raise if the application had to be cancelled.

        Then it did not notice that its client had left.

        Raises:
            RSGIMisuseError: It had to be.
        """
        if _UNNOTICED in self.misuse:
            raise RSGIMisuseError(_UNNOTICED)

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._protocol)
        except BaseException as error:  # noqa: BLE001 Granian outlives whatever an application raises, SystemExit too
            if not self._abandoned:
                self.error = error
        finally:
            self._protocol.finish()

    async def _iterate_body(self, body: Body) -> AsyncGenerator[bytes, None]:
        sent = 0
        async for chunk in _iterate_pieces(body):
            sent += len(chunk)
            yield chunk
        if not isinstance(body, bytes):
            self._protocol.check_length(sent)


async def _iterate_pieces(body: Body) -> AsyncIterator[bytes]:
    if isinstance(body, asyncio.Queue):
        while (chunk := await body.get()) is not None:
            yield chunk
    elif isinstance(body, FileSlice):
        for chunk in _read_file(body):
            yield chunk
    elif body:
        yield body


def _read_file(part: FileSlice) -> Generator[bytes, None, None]:
    left = None if part.end is None else part.end - part.start
    with Path(part.path).open("rb") as file:
        file.seek(part.start)
        while chunk := file.read(_CHUNK if left is None else min(_CHUNK, left)):
            left = None if left is None else left - len(chunk)
            yield chunk


class RSGITransport(_TestClientTransport):
    """Starlette's test transport with an RSGI application behind it.

    Args:
        app: The application's RSGI callable.
        options: What Starlette's transport takes.
    """

    def __init__(self, app: RSGIApp, **options: object) -> None:
        super().__init__(app, **options)  # type: ignore[arg-type] # only this class calls it
        self._rsgi = app

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Run one request, or start a WebSocket session."""
        scope = make_scope(request, self.client)
        if scope.proto == "ws":
            raise _Upgrade(RSGIWebSocketTestSession(self._rsgi, scope, self.portal_factory))
        chunks = iter(request.stream)  # type: ignore[arg-type] # the synchronous client sends synchronous streams

        async def read() -> bytes | None:
            return next(chunks, None)

        async def make() -> Exchange:
            return Exchange(self._rsgi, scope, HTTPProtocol(scope.method, read))

        with ExitStack() as stack:
            portal = stack.enter_context(self.portal_factory())
            exchange = portal.call(make)
            stack.callback(portal.call, exchange.finish)
            answer = portal.call(exchange.start)
            open_request = stack.pop_all()

        def close() -> None:
            self._open_requests.discard(close)
            open_request.close()
            if self.raise_server_exceptions:
                exchange.raise_unnoticed()

        def body() -> Generator[bytes, None, None]:
            while (chunk := portal.call(exchange.read)) is not None:
                yield chunk
            close()
            if self.raise_server_exceptions:
                exchange.raise_error()

        self._open_requests.add(close)
        response = httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_SyncBody(body(), close),
            request=request,
            extensions={"velithon.misuse": exchange.misuse},
        )
        # As Starlette's transport does.
        if exchange.debug:
            response.extensions["http.response.debug"] = exchange.debug
            vars(response).update(exchange.debug)
        return response


class _SyncBody(httpx.SyncByteStream):
    def __init__(self, body: Generator[bytes, None, None], close: Callable[[], None]) -> None:
        self._body = body
        self._close = close

    def __iter__(self) -> Generator[bytes, None, None]:
        return self._body

    def close(self) -> None:
        self._close()


class AsyncRSGITransport(httpx.AsyncBaseTransport):
    """Drives an RSGI application in the running loop.

    Args:
        app: The application's RSGI callable.
        client: The client's address, host and port.
        raise_server_exceptions: Whether the application's exceptions reach the test.
    """

    def __init__(self, app: RSGIApp, *, client: tuple[str, int], raise_server_exceptions: bool) -> None:
        self._app = app
        self._client = client
        self._raise = raise_server_exceptions

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Run one request."""
        scope = make_scope(request, self._client)
        chunks = aiter(request.stream)  # type: ignore[arg-type] # the asynchronous client sends asynchronous streams

        async def read() -> bytes | None:
            return await anext(chunks, None)

        exchange = Exchange(self._app, scope, HTTPProtocol(scope.method, read))
        try:
            answer = await exchange.start()
        except BaseException:
            await exchange.finish()
            raise
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_AsyncBody(exchange, self._raise),
            request=request,
            extensions={"velithon.misuse": exchange.misuse},
        )


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, exchange: Exchange, raise_errors: bool) -> None:
        self._exchange = exchange
        self._raise = raise_errors

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._exchange.read()) is not None:
            yield chunk
        await self._exchange.finish()
        if self._raise:
            self._exchange.raise_error()

    async def aclose(self) -> None:
        await self._exchange.finish()
        if self._raise:
            self._exchange.raise_unnoticed()
