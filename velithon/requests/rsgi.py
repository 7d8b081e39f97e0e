"""The request over RSGI.

It reads the server's objects until its ASGI scope is asked for.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

from starlette.datastructures import Address, Headers, QueryParams, State
from starlette.requests import ClientDisconnect

from velithon._compat.starlette import get_route_path
from velithon.datastructures import RSGIHeaders
from velithon.requests.forms import WHOLE_SIZE
from velithon.requests.readahead import DisconnectPoll
from velithon.requests.request import ContentTooLarge, Request
from velithon_adapters import rsgi
from velithon_adapters.body import is_http2, read_http2
from velithon_adapters.http import HTTPReceive, HTTPSend
from velithon_adapters.scope import RSGIScope, asgi_scope, body_length, parse_address

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AsyncExitStack

    from starlette.types import Receive, Scope

    from velithon._runtime.owner import Owner
    from velithon.requests.request import PathParams
    from velithon_adapters.rsgi import HTTPProtocol, HTTPScope

__all__ = ["RSGIRequest"]


class RSGIRequest(Request):
    """The same request over RSGI objects.

    What handlers read most comes straight from the server's objects; `scope` builds the ASGI dictionary when it is
    first asked for, and from then on that dictionary is the truth.
    """

    # Starlette's constructor would build what this class exists to avoid; its per-request defaults live here instead.
    # Nothing below asks for `__dict__`, which Python would have to make first.
    _stream_consumed = False
    _is_disconnected = False
    _form = None
    _route: object = None
    _params: PathParams | None = None
    _asgi_receive: HTTPReceive | None = None
    _asgi_send: HTTPSend | None = None
    _exits: AsyncExitStack | None = None
    _headers: Headers | None = None  # type: ignore[assignment]  # made when somebody asks; Starlette's are always there
    _query_params: QueryParams | None = None  # type: ignore[assignment]  # made when somebody asks; Starlette's are always there
    # The state, while there is no scope to keep it.
    _early_state: State | None = None
    # Whether the face has anything to close once the response was given to the server.
    _opened = False
    _at_end: Callable[[], None] | None = None

    def __init__(self, scope: HTTPScope, protocol: HTTPProtocol, app: Owner) -> None:
        self._rsgi = scope
        self._protocol = protocol
        self._app = app
        # Read by nearly every plan; a default of the class takes four times as long to find.
        self._scope: Scope | None = None
        # Whether the server's own call may read the body: nobody has begun, nothing bounds it.
        self._is_unread = True

    @property
    def scope(self) -> Scope:
        scope = self._scope
        if scope is None:
            app = self._app
            if isinstance(self._rsgi, RSGIScope):
                # An RSGI layer on an ASGI server: the dictionary is there already, and shared.
                scope = self._rsgi.asgi
            else:
                scope = asgi_scope(self._rsgi, state=dict(app._lifespan_state), root_path=app.root_path)
            scope["app"] = app
            scope["router"] = app.router
            scope["starlette.exception_handlers"] = app._errors.tables
            if self._route is not None:
                scope["path_params"] = self._params if self._params is not None else {}
                scope["route"] = self._route
                scope["endpoint"] = getattr(self._route, "endpoint", None)
            if self._early_state is not None:
                scope["state"] = self._early_state._state
            self._scope = scope
            self._opened = True
        return scope

    @scope.setter
    def scope(self, value: Scope) -> None:
        self._scope = value
        self._opened = True

    @property
    def _exit_stack(self) -> AsyncExitStack | None:
        if self._exits is None and self._scope is not None:
            return self._scope.get("velithon.exits")
        return self._exits

    @_exit_stack.setter
    def _exit_stack(self, stack: AsyncExitStack) -> None:
        self._exits = stack
        self._opened = True

    def call_at_end(self, function: Callable[[], None]) -> None:
        """Have a function called once response, background tasks or failure are dealt with."""
        self._at_end = function
        self._opened = True

    @property
    def _route_path(self) -> str:
        if self._scope is None and not self._app.root_path:
            return self._rsgi.path
        return get_route_path(self.scope)

    def _get_target(self) -> tuple[str, str]:
        if self._scope is None and not self._app.root_path:
            return self._rsgi.method, self._rsgi.path
        return super()._get_target()

    def _note_route(self, route: object, path_params: PathParams, root_path: str | None = None) -> None:
        if self._scope is None and root_path is None:
            self._route = route
            self._params = path_params
        else:
            super()._note_route(route, path_params, root_path)

    @property
    def app(self) -> Any:
        return self._app if self._scope is None else self._scope["app"]

    @property
    def method(self) -> str:
        return self._rsgi.method if self._scope is None else cast("str", self._scope["method"])

    def _header(self, name: str) -> str | None:
        return (self._rsgi if self._scope is None else self).headers.get(name)

    @property
    def _path(self) -> str:
        if self._scope is None and not self._app.root_path:
            return self._rsgi.path
        return super()._path

    @property
    def _scheme(self) -> str:
        return self._rsgi.scheme if self._scope is None else super()._scheme

    @property
    def _http_version(self) -> str:
        return self._rsgi.http_version if self._scope is None else super()._http_version

    @property
    def path_params(self) -> PathParams:
        if self._scope is None:
            return self._params if self._params is not None else {}
        return super().path_params

    @property
    def headers(self) -> Headers:
        headers = self._headers
        if headers is None:
            headers = RSGIHeaders(self._rsgi) if self._scope is None else Headers(scope=self._scope)
            self._headers = headers
        return headers

    def _get_cookie_headers(self) -> list[str]:
        # One header's cookies after another's are those of both joined, as ASGI has them.
        return self._rsgi.headers.get_all("cookie") if self._scope is None else super()._get_cookie_headers()

    @property
    def query_params(self) -> QueryParams:
        query_params = self._query_params
        if query_params is None:
            raw = self._rsgi.query_string if self._scope is None else self._scope["query_string"]
            query_params = self._query_params = QueryParams(raw)
        return query_params

    @property
    def client(self) -> Address | None:
        if self._scope is not None:
            return super().client
        address = parse_address(self._rsgi.client)
        return None if address is None else Address(*address)

    def _client_host(self) -> str:
        if self._scope is not None:
            return super()._client_host()
        host, _, port = self._rsgi.client.rpartition(":")
        return host.strip("[]") if host and port.isdecimal() else "-"

    @property
    def state(self) -> Any:
        if self._scope is not None:
            return super().state
        state = self._early_state
        if state is None:
            state = self._early_state = State(dict(self._app._lifespan_state))
        return state

    def _choose_receive(self) -> Receive:
        receive = self._receive
        return receive if self._max_body_size is None else self._limit(receive)

    def _make_receive(self) -> HTTPReceive:
        receive = self._asgi_receive
        if receive is None:
            self._is_unread = False
            receive = self._asgi_receive = HTTPReceive(
                self._protocol, body_length(self._rsgi), http2=is_http2(self._rsgi)
            )
            if self._stream_consumed:
                receive.skip_body()
            self._opened = True
        return receive

    def _close_receive(self) -> None:
        """Tell those who wait for the client to leave that the response is done, as ASGI servers do."""
        if self._asgi_receive is not None:
            self._asgi_receive.close()
        if self._poll is not None:
            self._poll.stop()

    @property
    def _receive(self) -> Receive:  # type: ignore[override]  # a property where Starlette has an attribute
        return self._poll or self._make_receive()

    def _start_poll(self) -> DisconnectPoll:
        return DisconnectPoll(self._make_receive())

    @property
    def _send(self) -> HTTPSend:  # type: ignore[override]  # a property where Starlette has an attribute
        send = self._asgi_send
        if send is None:
            send = self._asgi_send = HTTPSend(
                self._protocol, method=self._rsgi.method, receive=self._make_receive(), scope=self._rsgi
            )
        return send

    async def body(self) -> bytes:
        """Return the whole body.

        Raises:
            ClientDisconnect: The client went away before the body was complete.
            HTTPException: 413, when the body grew over its limit.
        """
        if (
            self._stream_consumed
            or self._asgi_receive is not None
            or (self._max_body_size is not None and body_length(self._rsgi) is None)
        ):
            return await super().body()
        body = self._body = await self._read_whole()
        return body

    async def _read_whole(self) -> bytes:
        """Read the whole body in one go; `limit_body` has looked at its announced length."""
        self._is_unread = False
        self._stream_consumed = True
        try:
            scope, protocol = self._rsgi, self._protocol
            body = await (read_http2(protocol, body_length(scope)) if is_http2(scope) else protocol())
        except rsgi.ProtocolClosed:
            self._is_disconnected = True
            raise ClientDisconnect from None
        if self._max_body_size is not None and len(body) > self._max_body_size:
            # A layer may give more than came, such as what it unpacked.
            raise ContentTooLarge
        return body

    async def _read_small_form(self) -> bytes | None:
        if not self._stream_consumed and self._asgi_receive is None and not hasattr(self, "_body"):
            length = body_length(self._rsgi)
            if length is not None and length <= WHOLE_SIZE:
                return await self._read_whole()
        return None

    async def _iterate_form(self) -> AsyncGenerator[bytes, None]:
        whole = await self._read_small_form()
        if whole is not None:
            yield whole
            return
        async with aclosing(super()._iterate_form()) as chunks:
            async for chunk in chunks:
                yield chunk
