"""An identifier for each request, in its state, its response and its log lines."""

from __future__ import annotations

import logging
import os
import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from velithon.middleware.base import BaseHTTPMiddleware
from velithon.middleware.errors import change_response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from velithon.middleware.base import CallNext
    from velithon.requests.request import Request
    from velithon.responses.base import Response

__all__ = ["RequestIDMiddleware", "get_request_id", "request_id_of_records"]

# What a client or a proxy may choose: nothing that could end a log field or a header.
_SANE = re.compile(r"[A-Za-z0-9._~+/=:@-]{1,128}")

_request_id: ContextVar[str | None] = ContextVar("velithon.request_id", default=None)


def get_request_id() -> str | None:
    """Return the identifier of the request that is being answered, or `None` outside of one."""
    return _request_id.get()


def new_request_id() -> str:
    """Return 32 hexadecimal digits, random."""
    return os.urandom(16).hex()


class RequestIDMiddleware(BaseHTTPMiddleware):
    """Gives each request an identifier.

    The incoming header's value is taken if it is a short token; otherwise a new one is made.

    It is in `request.state.request_id`, in `get_request_id()`, in the response's header, and as `request_id` in every
    log record that is made while the request is answered. WebSockets have one too, except for the header.

    Args:
        app: The next layer.
        header: The header, in both directions.
        generate: Makes an identifier; 32 random hexadecimal digits by default.
    """

    def __init__(
        self, app: ASGIApp, *, header: str = "x-request-id", generate: Callable[[], str] = new_request_id
    ) -> None:
        super().__init__(app)
        self.header = header.lower()
        self.generate = generate
        _mark_records()

    async def dispatch(self, request: Request, call_next: CallNext) -> Response:
        """Set the identifier and answer with it."""
        request_id = self._choose(request.headers.get(self.header))
        request.state.request_id = request_id
        _request_id.set(request_id)
        return await change_response(request, call_next, self._add_header)

    def _add_header(self, request: Request, response: Response) -> None:
        response.set_header(self.header, request.state.request_id)

    async def dispatch_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set the identifier."""
        request_id = self._choose(Headers(scope=scope).get(self.header))
        scope.setdefault("state", {})["request_id"] = request_id
        _request_id.set(request_id)
        await self.app(scope, receive, send)

    def _choose(self, given: str | None) -> str:
        if given is not None and _SANE.fullmatch(given):
            return given
        return self.generate()


@contextmanager
def request_id_of_records(request_id: str | None) -> Iterator[None]:
    """Mark what is logged in the block with a request's identifier.

    The request may be over, as with background tasks and jobs.
    """
    _mark_records()
    token = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(token)


def _mark_records() -> None:
    """Let log records carry the identifier from here on."""
    make = logging.getLogRecordFactory()
    if getattr(make, "_velithon_request_id", False):
        return

    def record(*args: object, **kwargs: object) -> logging.LogRecord:
        made = make(*args, **kwargs)
        request_id = _request_id.get()
        if request_id is not None:
            made.request_id = request_id
        return made

    record._velithon_request_id = True  # type: ignore[attr-defined]  # functions take any attribute
    # Whether access lines, which have the identifier anyway, may be written without a record.
    record._velithon_plain = make is logging.LogRecord  # type: ignore[attr-defined]  # see above
    logging.setLogRecordFactory(record)
