"""An access line for each request."""

from __future__ import annotations

import logging
import re
from time import perf_counter, time
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from velithon._runtime.access import log_websockets, mark_access_logged
from velithon._runtime.lines import access_fields, find_line_handlers
from velithon.concurrency import close_iterator
from velithon.faces.capture import AS_THEY_ARE, as_response
from velithon.logging import access_level, escape_controls, quiet_paths
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.middleware.request_id import get_request_id
from velithon.responses.stream import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from velithon.middleware.base import CallNext
    from velithon.requests.request import Request
    from velithon.responses.base import Response

__all__ = ["LoggingMiddleware"]

C = TypeVar("C")

_PATH_SAFE = "/:@!$&'()*+,;=~"
# A path that quoting would not change: most are, and finding that out takes a tenth of the time.
_is_safe = re.compile(rf"[\w.\-{_PATH_SAFE}]*", re.ASCII).fullmatch
_LINE = '%(client)s "%(method)s %(path)s %(protocol)s" %(status)s %(duration_ms)sms'


class LoggingMiddleware(BaseHTTPMiddleware):
    """Logs `client "METHOD path HTTP/version" status 1.234ms` to `velithon.access` once a response was made.

    A stream is logged at its end. The level is INFO, WARNING from status 400 on, ERROR from 500 on. The record carries
    `client`, `method`, `path`, `protocol`, `status`, `duration_ms` and, with `RequestIDMiddleware`, `request_id`, which
    `velithon.logging.JSONFormatter` writes as fields. Nothing in a request can forge a line: the path is quoted, and
    control characters are escaped. The query is left out, as it may hold secrets.

    Args:
        app: The next layer.
        logger: The logger's name.
        exclude_paths: Paths that are not logged, such as that of a health check.
    """

    def __init__(self, app: ASGIApp, *, logger: str = "velithon.access", exclude_paths: Collection[str] = ()) -> None:
        super().__init__(app)
        self.logger = logging.getLogger(logger)
        self._shown_name = logger.lstrip("_")
        self.exclude_paths = frozenset(exclude_paths)
        log_websockets()

    takes_responder = True

    async def dispatch(self, request: Request, call_next: CallNext) -> Response:
        """Take the time and log."""
        path = request._path
        if path in self.exclude_paths or path in quiet_paths:
            return await call_next(request)
        mark_access_logged()
        start = perf_counter()
        try:
            response = await call_next(request)
            if type(response) not in AS_THEY_ARE:
                response = await as_response(response, request)
        except Exception:
            self._log(request, path, 500, start)
            raise
        if isinstance(response, StreamingResponse):
            response.body_iterator = self._log_stream(response.body_iterator, request, path, response, start)
        else:
            self._log(request, path, response.status_code, start)
        return response

    async def dispatch_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Log a WebSocket once it is over, with the status of its handshake."""
        start = perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            kind = message["type"]
            if kind == "websocket.accept":
                status = 101
            elif kind == "websocket.close" and status != 101:
                status = 403
            elif kind == "websocket.http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            client = scope.get("client")
            host = client[0] if client else "-"
            self._write(host, "WEBSOCKET", scope["path"], scope.get("http_version", "1.1"), status, start)

    async def _log_stream(
        self, chunks: AsyncIterable[C], request: Request, path: str, response: StreamingResponse, start: float
    ) -> AsyncIterator[C]:
        status = response.status_code
        try:
            async for chunk in chunks:
                yield chunk
        except Exception:
            if not response.started:
                status = 500
            raise
        finally:
            self._log(request, path, status, start)
            await close_iterator(chunks)

    def _log(self, request: Request, path: str, status: int, start: float) -> None:
        self._write(request._client_host(), request.method, path, request._http_version, status, start)

    def _write(self, client: str, method: str, path: str, version: str, status: int, start: float) -> None:
        level, logger = access_level(status), self.logger
        if not logger.isEnabledFor(level):
            return
        if not (client.isprintable() and method.isprintable()):
            client, method = escape_controls(client), escape_controls(method)
        if not _is_safe(path):
            path = quote(path, safe=_PATH_SAFE)
        # `round` to three places takes four times as long.
        duration = int((perf_counter() - start) * 1e6 + 0.5) / 1000
        request_id = get_request_id()
        protocol = f"HTTP/{version}"
        values = (client, method, path, protocol, status, duration, request_id)
        handlers = find_line_handlers(logger, level)
        if handlers is None or (request_id is not None and not request_id.isprintable()):
            self._log_record(level, access_fields(values))
            return
        message = f'{client} "{method} {path} {protocol}" {status} {duration}ms'
        if request_id is not None:
            message += f" {request_id}"
        name, now = logging.getLevelName(level), time()
        for handler in handlers:
            handler.put_line(handler.formatter.format_access(self._shown_name, name, now, message, values))

    def _log_record(self, level: int, known: dict[str, object]) -> None:
        line = f"{_LINE} %(request_id)s" if "request_id" in known else _LINE
        # As `logger.log` would, without looking for its caller, which is always this class.
        record = self.logger.makeRecord(self.logger.name, level, __file__, _LINE_NUMBER, line, (known,), None, "_write")
        record.__dict__.update(known)
        self.logger.handle(record)


_LINE_NUMBER = LoggingMiddleware._write.__code__.co_firstlineno
