"""The two clients: one for plain test functions, one for `async def` tests."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING, Any, Literal, Self

from starlette.applications import Starlette
from starlette.testclient import TestClient as StarletteTestClient
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from velithon.application import Velithon
from velithon.testclient.asgi import end_websockets
from velithon.testclient.http import AsyncRSGITransport, RSGIApp, RSGITransport
from velithon.testclient.worker import LoopFactory, worker
from velithon_adapters import LifespanError
from velithon_adapters.asgi import State

if TYPE_CHECKING:
    import httpx2 as httpx

    from velithon._compat.httpx2 import CookieTypes
else:
    from starlette.testclient import httpx

ProtocolName = Literal["asgi", "rsgi"]


class TestClient(StarletteTestClient):
    """Starlette's test client, over either protocol.

    `with TestClient(app)` runs the application's lifespan: ASGI's, or `__rsgi_init__` and `__rsgi_del__` with a loop
    that is not running, as Granian calls them.

    Over RSGI, what the protocol does not carry is missing as it is on Granian: a WebSocket's subprotocol and close
    codes, and header values outside visible ASCII.

    Args:
        app: The application. Over RSGI one with `__rsgi__`, or a function `(scope, protocol)`.
        base_url: Where relative URLs begin.
        raise_server_exceptions: Whether the application's exceptions reach the test; over RSGI its misuse of the
            protocol too. When False the answer is what the server would send.
        root_path: ASGI's root path.
        backend: The event loop's library; RSGI, and a Velithon application on either protocol, know only "asyncio".
        backend_options: anyio's options for it; over RSGI `use_uvloop` and `loop_factory`.
        cookies: Cookies sent with each request.
        headers: Headers sent with each request.
        follow_redirects: Whether redirects are followed.
        client: The client's address, host and port.
        protocol: "asgi" or "rsgi".

    Raises:
        ValueError: An option does not exist over RSGI, the protocol is unknown, or a Velithon application is to run on
            trio.
        TypeError: The application does not speak RSGI.
    """

    __test__ = False

    def __init__(
        self,
        app: Any,
        base_url: str = "http://testserver",
        raise_server_exceptions: bool = True,
        root_path: str = "",
        backend: Literal["asyncio", "trio"] = "asyncio",
        backend_options: dict[str, Any] | None = None,
        cookies: "CookieTypes | None" = None,
        headers: Mapping[str, str] | None = None,
        follow_redirects: bool = True,
        client: tuple[str, int] = ("testclient", 50000),
        *,
        protocol: ProtocolName = "asgi",
    ) -> None:
        if backend != "asyncio" and isinstance(app, Velithon):
            raise ValueError(f"Velithon runs on asyncio: TestClient takes backend='asyncio' for it, not {backend!r}.")
        rsgi = _find_rsgi(app, protocol, root_path)
        if rsgi is not None:
            self._loop_factory = _make_loop_factory(backend, backend_options)
        super().__init__(
            app,
            base_url=base_url,
            raise_server_exceptions=raise_server_exceptions,
            root_path=root_path,
            backend=backend,
            backend_options=backend_options,
            cookies=cookies,
            headers=None if headers is None else dict(headers),
            follow_redirects=follow_redirects,
            client=client,
        )
        self.protocol: ProtocolName = protocol
        if rsgi is not None:
            self.app = app
            self._transport = RSGITransport(
                rsgi,
                portal_factory=self._portal_factory,
                raise_server_exceptions=raise_server_exceptions,
                client=client,
                app_state=self.app_state,
            )
        else:
            # In the transport alone: `client.app` is what was given.
            transport: Any = self._transport
            transport.app = end_websockets(transport.app)

    def __enter__(self) -> Self:
        """Start the application."""
        if self.protocol == "asgi":
            return super().__enter__()
        with ExitStack() as stack:
            try:
                self.portal = stack.enter_context(worker(self.app, self._loop_factory))
                # Where Starlette's client has what the lifespan yielded.
                self.app_state.update(getattr(self.app, "_lifespan_state", {}))
            except LifespanError as error:
                # What was raised, as over ASGI.
                if error.__cause__ is None:
                    raise
                raise error.__cause__ from None
            stack.callback(setattr, self, "portal", None)
            stack.callback(self._transport.close)
            self.exit_stack = stack.pop_all()
        return self


class AsyncTestClient(httpx.AsyncClient):
    """A client for `async def` tests: the application runs in the test's own loop.

    `async with AsyncTestClient(app)` runs the application's lifespan, in one task. It is driven over ASGI on both
    protocols, because RSGI's two functions need a loop that is not running; an application that has only these is
    refused there. Streamed answers stream over RSGI; over ASGI they arrive when they are complete.

    Args:
        app: The application. Over RSGI one with `__rsgi__`, or a function `(scope, protocol)`.
        base_url: Where relative URLs begin.
        raise_server_exceptions: As in `TestClient`.
        root_path: ASGI's root path.
        client: The client's address, host and port.
        protocol: "asgi" or "rsgi".
        options: What `httpx2.AsyncClient` takes.

    Raises:
        ValueError: An option does not exist over RSGI, or the protocol is unknown.
        TypeError: The application does not speak RSGI.
    """

    __test__ = False

    def __init__(
        self,
        app: Any,
        base_url: str = "http://testserver",
        raise_server_exceptions: bool = True,
        root_path: str = "",
        client: tuple[str, int] = ("testclient", 50000),
        *,
        protocol: ProtocolName = "asgi",
        **options: Any,
    ) -> None:
        rsgi = _find_rsgi(app, protocol, root_path)
        self._app_state: State = {}
        transport: httpx.AsyncBaseTransport
        if rsgi is not None:
            transport = AsyncRSGITransport(rsgi, client=client, raise_server_exceptions=raise_server_exceptions)
        else:
            transport = httpx.ASGITransport(self._call_asgi, raise_server_exceptions, root_path, client)
        options.setdefault("follow_redirects", True)
        options["headers"] = {"user-agent": "testclient", **(options.get("headers") or {})}
        super().__init__(transport=transport, base_url=base_url, **options)
        self.app = app
        self.protocol: ProtocolName = protocol
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start the application.

        Raises:
            TypeError: It has `__rsgi_init__` and no ASGI lifespan.
        """
        async with AsyncExitStack() as stack:
            if isinstance(self.app, Starlette) or self.protocol == "asgi":
                lifespan = _Lifespan(self.app, self._app_state)
                await lifespan.start()
                if isinstance(self.app, Velithon):
                    # where `__rsgi_init__` leaves it
                    self.app._lifespan_state = self._app_state
                stack.push_async_callback(lifespan.stop)
            elif hasattr(self.app, "__rsgi_init__"):
                raise TypeError("__rsgi_init__ needs a loop that is not running: use TestClient for this application.")
            await super().__aenter__()
            self._stack = stack.pop_all()
        return self

    async def _call_asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add what httpx's transport leaves out: the lifespan's state, as Starlette's client gives it."""
        await self.app({**scope, "state": self._app_state.copy()}, receive, send)

    async def __aexit__(self, *exc_info: Any) -> None:
        """Close the client, then stop the application."""
        async with self._stack:
            await super().__aexit__(*exc_info)


class _Lifespan:
    """An application's ASGI lifespan, in a task of its own."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._outgoing: asyncio.Queue[Message | None] = asyncio.Queue()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())
        await self._send("lifespan.startup")

    async def stop(self) -> None:
        await self._send("lifespan.shutdown")
        await self._task

    async def _run(self) -> None:
        try:
            await self._app(
                {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state},
                self._incoming.get,
                self._outgoing.put,
            )
        finally:
            self._outgoing.put_nowait(None)

    async def _send(self, message: str) -> None:
        self._incoming.put_nowait({"type": message})
        answer = await self._outgoing.get()
        if answer is None or answer["type"] == f"{message}.failed":
            await self._task
            raise RuntimeError(f"The application ended at {message}: {answer and answer.get('message')}")


def _find_rsgi(app: object, protocol: str, root_path: str) -> RSGIApp | None:
    if protocol == "asgi":
        return None
    if protocol != "rsgi":
        raise ValueError(f"protocol must be 'asgi' or 'rsgi', not {protocol!r}")
    if root_path:
        raise ValueError("RSGI carries no root_path: give it to the application.")
    rsgi: Any = getattr(app, "__rsgi__", app)
    if not callable(rsgi) or (isinstance(app, Starlette) and rsgi is app):
        raise TypeError(f"{type(app).__name__} does not speak RSGI: it has no __rsgi__.")
    return rsgi  # type: ignore[no-any-return]  # a callable, as was just asked


def _make_loop_factory(backend: str, options: dict[str, Any] | None) -> LoopFactory | None:
    if backend != "asyncio":
        raise ValueError(f"RSGI runs on asyncio, not on {backend}")
    given = dict(options or {})
    factory: LoopFactory | None = given.pop("loop_factory", None)
    if given.pop("use_uvloop", False):
        import uvloop

        factory = uvloop.new_event_loop
    if given:
        raise ValueError(f"Unknown backend_options over RSGI: {', '.join(sorted(given))}")
    return factory
