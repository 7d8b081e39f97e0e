"""The two adapters: ASGI applications on RSGI servers, RSGI applications on ASGI servers."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from velithon_adapters.body import is_http2
from velithon_adapters.http import HTTPReceive, HTTPSend, unwrap
from velithon_adapters.lifespan import Lifespan, LifespanError, LifespanMode
from velithon_adapters.protocol import RSGIProtocol
from velithon_adapters.scope import RSGIScope, asgi_scope, body_length
from velithon_adapters.stopping import stopping
from velithon_adapters.websocket import ASGIWebsocket, ClientDisconnected, RSGIWebsocketProtocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextvars import Context

    from velithon_adapters.asgi import ASGIScope, Message, Receive, Send
    from velithon_adapters.rsgi import HTTPProtocol, RSGIApp, RSGICallable, Scope, WebsocketProtocol

__all__ = ["ASGIAdapter", "RSGIAdapter"]

T = TypeVar("T")

logger = logging.getLogger("velithon_adapters")


class RSGIAdapter:
    """Runs an ASGI application on an RSGI server.

    So Starlette, FastAPI and Django run on Granian in RSGI mode:

    ```python
    app = RSGIAdapter(asgi_app)  # granian --interface rsgi module:app
    ```

    Args:
        app: An ASGI 3 application.
        lifespan: ``"auto"``, ``"on"`` or ``"off"`` (see `velithon_adapters.lifespan.LifespanMode`).
        root_path: What a proxy took off the front of the path.
        drain_timeout: Seconds for which the end of a worker waits for requests that still run, background tasks
            included; they are told that their clients are gone. What is left then is abandoned, and logged.

    Attributes:
        lifespan: The `Lifespan` that the worker runs.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[object]],
        lifespan: LifespanMode = "auto",
        *,
        root_path: str = "",
        drain_timeout: float = 5.0,
    ) -> None:
        self.app = app
        self.lifespan = Lifespan(app, lifespan)
        self.root_path = root_path
        self.drain_timeout = drain_timeout
        self._running: set[HTTPReceive | ASGIWebsocket] = set()
        self._idle: asyncio.Event | None = None

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the application's startup.

        Raises:
            SystemExit: It failed, which is logged. The worker ends with exit code 1.
            LifespanError: The loop already runs, as it does in Granian's embedded server.
        """
        if self.lifespan.mode == "off":
            return
        if loop.is_running():
            raise LifespanError(
                "The event loop already runs, so the application's startup cannot be waited for. "
                "Pass lifespan='off' and drive a velithon_adapters.Lifespan where the loop is started."
            )
        try:
            loop.run_until_complete(self.lifespan.startup())
        except LifespanError as exc:
            logger.error("%s", exc, exc_info=exc.__cause__)
            sys.exit(1)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait for what still runs, then run the application's shutdown; its failure is logged."""
        if loop.is_running():
            return
        loop.run_until_complete(self._drain())
        try:
            loop.run_until_complete(self.lifespan.shutdown())
        except LifespanError as exc:
            logger.error("%s", exc, exc_info=exc.__cause__)

    def __rsgi__(self, scope: Scope, protocol: Any) -> Coroutine[object, object, None]:
        """Answer one request or run one WebSocket.

        Raises:
            BaseException: What the application raised, for Granian to log, after a 500 where nothing had been sent.
        """
        return self._run_http(scope, protocol) if scope.proto == "http" else self._run_websocket(scope, protocol)

    async def _run_http(self, scope: Scope, protocol: HTTPProtocol | RSGIProtocol) -> None:
        if isinstance(protocol, RSGIProtocol) and isinstance(scope, RSGIScope):
            original = unwrap(protocol)
            if original is not None:
                await self.app(scope.asgi, *original)
                return
        receive = HTTPReceive(protocol, body_length(scope), http2=is_http2(scope))
        send = HTTPSend(protocol, method=scope.method, receive=receive, is_outermost=True, scope=scope)
        self._running.add(receive)
        try:
            async with send:
                await self.app(self._build_scope(scope), receive, send)
        finally:
            receive.close()
            self._forget(receive)

    async def _run_websocket(self, scope: Scope, protocol: WebsocketProtocol) -> None:
        websocket = ASGIWebsocket(protocol)
        task = asyncio.current_task()
        assert task is not None, "A server runs a coroutine in a task."
        self._running.add(websocket)
        stopping.at_once.add(websocket.close)
        stopping.streams.add(task.cancel)
        try:
            with suppress(ClientDisconnected):
                async with websocket:
                    await self.app(self._build_scope(scope), websocket.receive, websocket.send)
        except asyncio.CancelledError:
            if not stopping.active:
                raise
        finally:
            stopping.at_once.discard(websocket.close)
            stopping.streams.discard(task.cancel)
            self._forget(websocket)

    def _forget(self, connection: HTTPReceive | ASGIWebsocket) -> None:
        self._running.discard(connection)
        if self._idle is not None and not self._running:
            self._idle.set()

    def _build_scope(self, scope: Scope) -> ASGIScope:
        return asgi_scope(scope, state=self.lifespan.state.copy(), root_path=self.root_path)

    async def _drain(self) -> None:
        if not self._running:
            return
        self._idle = asyncio.Event()
        # Granian has let go of its connections: nothing arrives any more, and nobody tells who waits for it.
        for connection in tuple(self._running):
            connection.close()
        try:
            await asyncio.wait_for(self._idle.wait(), self.drain_timeout)
        except TimeoutError:
            logger.warning(
                "%d request(s) still ran %g seconds after the server stopped and were abandoned.",
                len(self._running),
                self.drain_timeout,
            )


class ASGIAdapter:
    """Runs an RSGI application on an ASGI server, or inside an ASGI application.

    ``__rsgi_init__`` and ``__rsgi_del__`` run on the ASGI lifespan, each in a thread: they expect a loop that does not
    run, and from a thread ``run_until_complete`` of a running one can be waited for.

    Args:
        app: An RSGI application: an ``async def app(scope, protocol)``, or an object with ``__rsgi__``.
    """

    def __init__(self, app: RSGIApp | RSGICallable) -> None:
        self.app = app
        bare: Any = app
        self._call: RSGICallable = getattr(app, "__rsgi__", bare)

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Answer one request, or run one WebSocket or the lifespan.

        Raises:
            RuntimeError: The scope is of another type.
        """
        kind = scope["type"]
        if kind == "http":
            await self._run_http(scope, receive, send)
        elif kind == "websocket":
            async with RSGIWebsocketProtocol(scope, receive, send) as protocol:
                await self._call(RSGIScope(scope), protocol)
        elif kind == "lifespan":
            await self._run_lifespan(receive, send)
        else:
            raise RuntimeError(f"Unknown ASGI scope type {kind!r}.")

    async def _run_http(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        original = unwrap(receive, send)
        if original is not None:
            await self._call(RSGIScope(scope), original)
            return
        async with RSGIProtocol(scope, receive, send) as protocol:
            await self._call(RSGIScope(scope), protocol)

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        for phase, hook in (("startup", "__rsgi_init__"), ("shutdown", "__rsgi_del__")):
            await receive()
            answer: Message = {"type": f"lifespan.{phase}.complete"}
            call = getattr(self.app, hook, None)
            if call is not None:
                try:
                    await asyncio.to_thread(call, StoppedLoop(asyncio.get_running_loop()))
                except (Exception, SystemExit) as exc:
                    await send({"type": f"lifespan.{phase}.failed", "message": f"{hook} raised {exc!r}"})
                    if isinstance(exc, SystemExit):
                        return
                    raise
            await send(answer)


class StoppedLoop:
    """A running event loop for a thread beside it, which may call `run_until_complete`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        """Look everything else up on the loop."""
        return getattr(self._loop, name)

    def is_running(self) -> bool:
        """Return ``False``: `run_until_complete` may be called."""
        return False

    def run_until_complete(self, future: Awaitable[T]) -> T:
        """Run a coroutine on the loop, or wait for a future of it.

        Return its result or raise its exception.
        """
        return asyncio.run_coroutine_threadsafe(_await(future), self._loop).result()

    def create_task(self, coro: Coroutine[object, Any, T], **options: Any) -> asyncio.Task[T]:
        """Create a task on the loop."""

        async def create() -> asyncio.Task[T]:
            return self._loop.create_task(coro, **options)

        return self.run_until_complete(create())

    def call_soon(
        self, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> asyncio.Handle:
        """Schedule a call on the loop."""
        return self._loop.call_soon_threadsafe(callback, *args, context=context)


async def _await(future: Awaitable[T]) -> T:
    return await future
