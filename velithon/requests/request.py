"""The request: Starlette's, with a bound on its body where one was asked for."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException
from starlette.requests import Request as StarletteRequest

from velithon._compat.starlette import get_route_path
from velithon.exceptions import HTTPException
from velithon.requests.body_json import read_json
from velithon.requests.cookies import WithCookies
from velithon.requests.forms import CHUNK_SIZE, FormFields, MultiPartParser, join_pieces
from velithon.requests.readahead import DisconnectPoll
from velithon_adapters.stopping import stopping

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AsyncExitStack

    from starlette.types import Message, Receive

PathParams: TypeAlias = dict[str, Any]
"""The values in a path, by the parameter's name, converted."""


__all__ = ["ContentTooLarge", "LimitedReceive", "Request"]


class ContentTooLarge(HTTPException):
    """A body is over its limit: 413, wherever it was read, in a layer too."""

    def __init__(self) -> None:
        super().__init__(413, "Content Too Large")


class LimitedReceive:
    """A receive callable that raises as soon as more than `left` bytes came."""

    def __init__(self, inner: Receive, left: int) -> None:
        self.inner = inner
        self.left = left

    async def __call__(self) -> Message:
        """Return the next message.

        Raises:
            HTTPException: 413, when the body grew over the limit.
        """
        message = await self.inner()
        if message["type"] == "http.request":
            self.left -= len(message.get("body", b""))
            if self.left < 0:
                raise ContentTooLarge
        return message

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Request(WithCookies, StarletteRequest[Any]):
    """An HTTP request: Starlette's, with a bound on its body where one was asked for.

    Args:
        scope: The ASGI scope (`type` is `"http"`).
        receive: The ASGI receive callable, for reading the body.
        send: The ASGI send callable, for server push and early hints.
    """

    _max_body_size: int | None = None
    _is_unread = False
    _put_back: Receive | None = None
    _poll: DisconnectPoll | None = None

    @classmethod
    def from_starlette(cls, request: StarletteRequest[Any]) -> Self:
        """Return our request for a request that a layer has made.

        Both have the same scope, and what was read of the body.
        """
        made = cls(request.scope, request.receive, request._send)
        made._stream_consumed = request._stream_consumed
        if hasattr(request, "_body"):
            made._body = request._body
        return made

    @property
    def _exit_stack(self) -> AsyncExitStack | None:
        """Closed by the face once the response was sent, with the exception if there was one.

        Kept in the scope, which a middleware's own request for the same scope shares.
        """
        return self.scope.get("velithon.exits")

    @_exit_stack.setter
    def _exit_stack(self, stack: AsyncExitStack) -> None:
        self.scope["velithon.exits"] = stack

    @property
    def _route_path(self) -> str:
        return get_route_path(self.scope)

    def _get_target(self) -> tuple[str, str]:
        """Return the method and the path, within the part of the application that is asked."""
        return self.scope["method"], get_route_path(self.scope)

    @property
    def _path(self) -> str:
        return cast("str", self.scope["path"])

    def _client_host(self) -> str:
        client = self.client
        return "-" if client is None else client.host

    def _header(self, name: str) -> str | None:
        """Return a header's first value; `name` is in lower case, and neither `cookie` nor `host`."""
        wanted = name.encode("latin-1")
        for key, value in self.scope["headers"]:
            if key == wanted:
                return cast("bytes", value).decode("latin-1")
        return None

    @property
    def _scheme(self) -> str:
        return cast("str", self.scope.get("scheme", "http"))

    @property
    def _http_version(self) -> str:
        return cast("str", self.scope.get("http_version", "1.1"))

    def _note_route(self, route: object, path_params: PathParams, root_path: str | None = None) -> None:
        """Note the route that answers and the values in its path, where Starlette's helpers look for them."""
        scope = self.scope
        scope["route"] = route
        scope["endpoint"] = getattr(route, "endpoint", None)
        # A mount or a host around this router may have parameters too.
        outer = scope.get("path_params")
        scope["path_params"] = {**outer, **path_params} if outer else path_params
        if root_path is not None:
            scope.setdefault("app_root_path", scope.get("root_path", ""))
            scope["root_path"] = root_path

    def limit_body(self, size: int) -> None:
        """Refuse a body of more than `size` bytes.

        That is at once when `Content-Length` says so, else as its bytes arrive.

        Raises:
            HTTPException: 413, when the announced length is over the limit.
        """
        self._max_body_size = size
        self._is_unread = False
        read = self.__dict__.get("_body")
        if read is not None and len(read) > size:
            # By a layer, before it was known which route answers.
            raise ContentTooLarge
        announced = self.headers.get("content-length")
        if announced is not None and announced.isdecimal() and int(announced) > size:
            raise ContentTooLarge

    @property
    def receive(self) -> Receive:
        """The ASGI receive callable; it keeps to the limit of the body as `stream` does."""
        return self._put_back or self._choose_receive()

    def _choose_receive(self) -> Receive:
        return self._receive if self._max_body_size is None else self._limit(self._receive)

    async def is_disconnected(self) -> bool:
        """Tell whether the client is known to be gone.

        A body that was not read stays to be read.
        """
        if stopping.halfway:
            # Who waits for a client to leave would keep a server that stops.
            return True
        poll = self._poll
        if poll is None:
            if self._is_disconnected or self._stream_consumed or hasattr(self, "_body"):
                return await super().is_disconnected()
            poll = self._poll = self._start_poll()
            limited: LimitedReceive | None = self.__dict__.get("_limited_receive")
            if limited is not None:
                limited.inner = poll
        if not self._is_disconnected:
            self._is_disconnected = await poll.is_disconnected()
        return self._is_disconnected

    def _start_poll(self) -> DisconnectPoll:
        poll = self._receive = DisconnectPoll(self._receive)
        return poll

    def put_back(self) -> None:
        """Give a body that was read to whoever calls `receive` next.

        That may be another request for the same scope.
        """
        body: bytes | None = getattr(self, "_body", None)
        if body is None and not self._stream_consumed:
            return
        given = False

        async def receive() -> Message:
            nonlocal given
            if given and self._is_disconnected:
                return {"type": "http.disconnect"}
            if given:
                return await self._choose_receive()()
            given = True
            return {"type": "http.request", "body": body or b"", "more_body": False}

        self._put_back = receive

    def _limit(self, receive: Receive) -> Receive:
        limited: Receive | None = self.__dict__.get("_limited_receive")
        if limited is None:
            limited = self._limited_receive = LimitedReceive(receive, cast("int", self._max_body_size))
        return limited

    async def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            MalformedJSONError: It is none, which is a `json.JSONDecodeError`, and a 400 where nobody catches it.
        """
        if not hasattr(self, "_json"):
            self._json = read_json(await self.body())
        return self._json

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
                raise ContentTooLarge
            yield chunk

    async def _get_form(
        self, *, max_files: float = 1000, max_fields: float = 1000, max_part_size: int = 1024 * 1024
    ) -> FormData:
        if self._form is None:
            try:
                self._form = await self._parse_form(max_files, max_fields, max_part_size)
            except UnicodeError as exc:
                raise HTTPException(400, "The form's charset cannot be read.") from exc
            except MultiPartException as exc:
                if "app" in self.scope:
                    raise HTTPException(400, exc.message) from exc
                raise
        return self._form

    async def _parse_form(self, max_files: float, max_fields: float, max_part_size: int) -> FormData:
        headers = self.headers
        kind = headers.get("content-type", "").partition(";")[0].strip(" \t").lower()
        if kind == "application/x-www-form-urlencoded":
            fields = FormFields(max_fields, max_part_size)
            whole = await self._read_small_form()
            if whole is not None:
                return fields.finish(whole)
            async with aclosing(self._iterate_form()) as chunks:
                async for chunk in chunks:
                    fields.feed(chunk)
            return fields.finish()
        if kind != "multipart/form-data":
            return FormData()
        async with aclosing(self._iterate_form()) as chunks:
            parser = MultiPartParser(
                headers, chunks, max_files=max_files, max_fields=max_fields, max_part_size=max_part_size
            )
            return await parser.parse()

    async def _read_small_form(self) -> bytes | None:
        """Return the body where it is small and can be had in one go, without a generator around it."""
        return None

    async def _iterate_form(self) -> AsyncGenerator[bytes, None]:
        """Yield the body for a parser of forms, for which few large chunks are cheaper than many small ones."""
        async with aclosing(self.stream()) as stream, aclosing(join_pieces(stream, CHUNK_SIZE)) as chunks:
            async for chunk in chunks:
                yield chunk
