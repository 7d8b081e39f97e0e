"""Requests of both faces: a Starlette `Request`, and one that reads RSGI objects until its scope is asked for."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

from starlette._utils import get_route_path
from starlette.datastructures import Address, FormData, Headers, QueryParams, State
from starlette.formparsers import FormParser, MultiPartException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.requests import Request as StarletteRequest

from velithon.datastructures import RSGIHeaders
from velithon.exceptions import HTTPException
from velithon.formparsers import CHUNK_SIZE, WHOLE_SIZE, MultiPartParser, joined
from velithon.unread import Unread
from velithon_adapters import rsgi
from velithon_adapters.http import HTTPReceive, HTTPSend
from velithon_adapters.scope import RSGIScope, asgi_scope, body_length, parse_address

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, MutableMapping
    from contextlib import AsyncExitStack

    from starlette.types import Message, Receive, Scope, Send

    from velithon.application import Velithon
    from velithon_adapters.rsgi import HTTPProtocol, HTTPScope

__all__ = ["ClientDisconnect", "HTTPConnection", "Request"]


class LimitedReceive:
    """A receive callable that raises as soon as more than `left` bytes came."""

    def __init__(self, inner: Any, left: int) -> None:
        self.inner = inner
        self.left = left

    async def __call__(self) -> Message:
        """Return the next message.

        Raises:
            HTTPException: 413, when the body grew over the limit.
        """
        message: Message = await self.inner()
        if message["type"] == "http.request":
            self.left -= len(message.get("body", b""))
            if self.left < 0:
                raise HTTPException(413, "Content Too Large")
        return message

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Request(StarletteRequest[Any]):
    """An HTTP request: Starlette's, with a bound on its body where one was asked for.

    Args:
        scope: The ASGI scope (`type` is `"http"`).
        receive: The ASGI receive callable, for reading the body.
        send: The ASGI send callable, for server push and early hints.
    """

    _max_body_size: int | None = None
    _is_unread = False
    _put_back: Receive | None = None
    _unread: Unread | None = None

    @property
    def _stack(self) -> AsyncExitStack | None:
        """Closed by the face once the response was sent, with the exception if there was one.

        Kept in the scope, which a middleware's own request for the same scope shares.
        """
        return self.scope.get("velithon.stack")

    @_stack.setter
    def _stack(self, stack: AsyncExitStack) -> None:
        self.scope["velithon.stack"] = stack

    @property
    def _route_path(self) -> str:
        return get_route_path(self.scope)

    def _asked(self) -> tuple[str, str]:
        """Return the method and the path, within the part of the application that is asked."""
        return self.scope["method"], get_route_path(self.scope)

    @property
    def _path(self) -> str:
        return cast("str", self.scope["path"])

    def _header(self, name: str) -> str | None:
        """Return a header's first value; `name` is in lower case, and neither `cookie` nor `host`."""
        return self.headers.get(name)

    @property
    def _scheme(self) -> str:
        return cast("str", self.scope.get("scheme", "http"))

    @property
    def _http_version(self) -> str:
        return cast("str", self.scope.get("http_version", "1.1"))

    def _matched(self, route: Any, path_params: dict[str, Any], root_path: str | None = None) -> None:
        """Note the route that answers and the values in its path, where Starlette's helpers look for them."""
        scope = self.scope
        scope["route"] = route
        scope["endpoint"] = getattr(route, "endpoint", None)
        scope["path_params"] = path_params
        if root_path is not None:
            scope.setdefault("app_root_path", scope.get("root_path", ""))
            scope["root_path"] = root_path

    def limit_body(self, size: int) -> None:
        """Refuse a body of more than `size` bytes: at once when `Content-Length` says so, else as its bytes arrive.

        Raises:
            HTTPException: 413, when the announced length is over the limit.
        """
        self._max_body_size = size
        self._is_unread = False
        read = self.__dict__.get("_body")
        if read is not None and len(read) > size:
            # By a layer, before it was known which route answers.
            raise HTTPException(413, "Content Too Large")
        announced = self.headers.get("content-length")
        if announced is not None and announced.isdecimal() and int(announced) > size:
            raise HTTPException(413, "Content Too Large")

    @property
    def receive(self) -> Receive:
        """The ASGI receive callable; it keeps to the limit of the body as `stream` does."""
        return self._put_back or self._channel()

    def _channel(self) -> Receive:
        return self._receive if self._max_body_size is None else self._limited(self._receive)

    async def is_disconnected(self) -> bool:
        """Tell whether the client is known to be gone; a body that was not read stays to be read."""
        unread = self._unread
        if unread is None:
            if self._is_disconnected or self._stream_consumed or hasattr(self, "_body"):
                return await super().is_disconnected()
            unread = self._unread = self._look_ahead()
            limited: LimitedReceive | None = self.__dict__.get("_limited_receive")
            if limited is not None:
                limited.inner = unread
        if not self._is_disconnected:
            self._is_disconnected = await unread.left()
        return self._is_disconnected

    def _look_ahead(self) -> Unread:
        unread = self._receive = Unread(self._receive)
        return unread

    def put_back(self) -> None:
        """Give a body that was read to whoever calls `receive` next, such as another request for the same scope."""
        body: bytes | None = getattr(self, "_body", None)
        if body is None and not self._stream_consumed:
            return
        given = False

        async def receive() -> Message:
            nonlocal given
            if given:
                return await self._channel()()
            given = True
            return {"type": "http.request", "body": body or b"", "more_body": False}

        self._put_back = receive

    def _limited(self, receive: Receive) -> Receive:
        limited: Receive | None = self.__dict__.get("_limited_receive")
        if limited is None:
            limited = self._limited_receive = LimitedReceive(receive, cast("int", self._max_body_size))
        return limited

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Yield the body's chunks as they arrive, then `b""`.

        Raises:
            ClientDisconnect: The client went away before the body was complete.
            HTTPException: 413, when the body grew over its limit.
        """
        limit = self._max_body_size
        if limit is None:
            async for chunk in super().stream():
                yield chunk
            return
        size = 0
        async for chunk in super().stream():
            size += len(chunk)
            if size > limit:
                raise HTTPException(413, "Content Too Large")
            yield chunk

    async def _get_form(
        self, *, max_files: float = 1000, max_fields: float = 1000, max_part_size: int = 1024 * 1024
    ) -> FormData:
        if self._form is None:
            try:
                self._form = await self._parsed_form(max_files, max_fields, max_part_size)
            except MultiPartException as exc:
                if "app" in self.scope:
                    raise HTTPException(400, exc.message) from exc
                raise
        return self._form

    async def _parsed_form(self, max_files: float, max_fields: float, max_part_size: int) -> FormData:
        headers = self.headers
        kind = headers.get("content-type", "").partition(";")[0].strip(" \t").lower()
        parser: MultiPartParser | FormParser
        async with aclosing(self._form_chunks()) as chunks:
            if kind == "multipart/form-data":
                parser = MultiPartParser(
                    headers, chunks, max_files=max_files, max_fields=max_fields, max_part_size=max_part_size
                )
            elif kind == "application/x-www-form-urlencoded":
                parser = FormParser(headers, chunks, max_fields=max_fields, max_part_size=max_part_size)
            else:
                return FormData()
            return await parser.parse()

    async def _form_chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body for a parser of forms, for which few large chunks are cheaper than many small ones."""
        async with aclosing(self.stream()) as stream, aclosing(joined(stream, CHUNK_SIZE)) as chunks:
            async for chunk in chunks:
                yield chunk


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
    _route: Any = None
    _params: dict[str, Any] | None = None
    _asgi_receive: HTTPReceive | None = None
    _asgi_send: Send | None = None
    _exits: AsyncExitStack | None = None
    _headers: Headers | None = None  # type: ignore[assignment]
    _query_params: QueryParams | None = None  # type: ignore[assignment]
    # The state, while there is no scope to keep it.
    _early_state: State | None = None
    # Whether the face has anything to close once the response was given to the server.
    _opened = False

    def __init__(self, scope: HTTPScope, protocol: HTTPProtocol, app: Velithon) -> None:
        self._rsgi = scope
        self._protocol = protocol
        self._app = app
        # Read by nearly every plan; a default of the class takes four times as long to find.
        self._scope: MutableMapping[str, Any] | None = None
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
    def _stack(self) -> AsyncExitStack | None:
        if self._exits is None and self._scope is not None:
            return self._scope.get("velithon.stack")
        return self._exits

    @_stack.setter
    def _stack(self, stack: AsyncExitStack) -> None:
        self._exits = stack
        self._opened = True

    @property
    def _route_path(self) -> str:
        if self._scope is None and not self._app.root_path:
            return self._rsgi.path
        return get_route_path(self.scope)

    def _asked(self) -> tuple[str, str]:
        if self._scope is None and not self._app.root_path:
            return self._rsgi.method, self._rsgi.path
        return super()._asked()

    def _matched(self, route: Any, path_params: dict[str, Any], root_path: str | None = None) -> None:
        if self._scope is None and root_path is None:
            self._route = route
            self._params = path_params
        else:
            super()._matched(route, path_params, root_path)

    @property
    def app(self) -> Any:
        return self._app if self._scope is None else self._scope["app"]

    @property
    def method(self) -> str:
        return self._rsgi.method if self._scope is None else cast("str", self._scope["method"])

    def _header(self, name: str) -> str | None:
        value: str | None = (self._rsgi if self._scope is None else self).headers.get(name)
        return value

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
    def path_params(self) -> dict[str, Any]:
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

    @property
    def state(self) -> Any:
        if self._scope is not None:
            return super().state
        state = self._early_state
        if state is None:
            state = self._early_state = State(dict(self._app._lifespan_state))
        return state

    def _channel(self) -> Receive:
        receive = self._receive
        return receive if self._max_body_size is None else self._limited(receive)

    def _body_receive(self) -> HTTPReceive:
        receive = self._asgi_receive
        if receive is None:
            self._is_unread = False
            receive = self._asgi_receive = HTTPReceive(self._protocol, body_length(self._rsgi))
            if self._stream_consumed:
                receive.skip_body()
            self._opened = True
        return receive

    def _close_receive(self) -> None:
        """Tell those who wait for the client to leave that the response is done, as ASGI servers do."""
        if self._asgi_receive is not None:
            self._asgi_receive.close()
        if self._unread is not None:
            self._unread.close()

    @property
    def _receive(self) -> Receive:  # type: ignore[override]
        return self._unread or self._body_receive()

    def _look_ahead(self) -> Unread:
        return Unread(self._body_receive())

    @property
    def _send(self) -> Send:  # type: ignore[override]
        send = self._asgi_send
        if send is None:
            send = self._asgi_send = HTTPSend(self._protocol, method=self._rsgi.method, receive=self._body_receive())
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
        body = self._body = await self._whole()
        return body

    async def _whole(self) -> bytes:
        """Read the whole body in one go; `limit_body` has looked at its announced length."""
        self._is_unread = False
        self._stream_consumed = True
        try:
            body = await self._protocol()
        except rsgi.ProtocolClosed:
            self._is_disconnected = True
            raise ClientDisconnect from None
        if self._max_body_size is not None and len(body) > self._max_body_size:
            # A layer may give more than came, such as what it unpacked.
            raise HTTPException(413, "Content Too Large")
        return body

    async def _form_chunks(self) -> AsyncGenerator[bytes, None]:
        if not self._stream_consumed and self._asgi_receive is None and not hasattr(self, "_body"):
            length = body_length(self._rsgi)
            if length is not None and length <= WHOLE_SIZE:
                yield await self._whole()
                return
        async with aclosing(super()._form_chunks()) as chunks:
            async for chunk in chunks:
                yield chunk
