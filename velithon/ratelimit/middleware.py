"""Limits as a layer, for everything that an application or a router answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Unpack

from starlette.requests import HTTPConnection

from velithon.exceptions import HTTPException
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.middleware.errors import change_response
from velithon.ratelimit.limit import RateLimit, RateLimitError
from velithon.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Receive, Scope, Send

    from velithon.middleware.base import CallNext
    from velithon.ratelimit.options import RateLimitOptions
    from velithon.requests.request import Request
    from velithon.responses.base import Response

__all__ = ["RateLimitMiddleware"]


class RateLimitMiddleware(BaseHTTPMiddleware):
    """Counts each request, and each WebSocket's handshake, before anything inside sees it.

    All that runs through the layer has one count for each key. What is refused is answered as `HTTPException(429)` is.

    Args:
        app: The next layer.
        limit: A `RateLimit`, or what one is made of, with `options`.
        exempt_paths: Paths that are not counted, such as `/health`; `/static/*` means everything below.
        options: See `RateLimit`.

    Raises:
        ValueError: See `RateLimit`.
        TypeError: There are options beside a limit that has its own.
    """

    def __init__(
        self,
        app: ASGIApp,
        limit: str | RateLimit,
        *,
        exempt_paths: Collection[str] = (),
        **options: Unpack[RateLimitOptions],
    ) -> None:
        super().__init__(app)
        if isinstance(limit, RateLimit):
            if options:
                raise TypeError(f"The options {', '.join(options)} belong to the RateLimit that is given.")
            self.limit = limit
        else:
            self.limit = RateLimit(limit, **options)
        self._exempt = compile_exempt_paths(exempt_paths)
        self._name = self.limit.name or "all"

    async def dispatch(self, request: Request, call_next: CallNext) -> Response:
        """Count the request; refuse it, or let it through."""
        if self._exempt is not None and self._exempt.fullmatch(request._path):
            return await call_next(request)
        try:
            fields = await self.limit.check(request, self._name)
        except HTTPException as exc:
            return await _refuse(request, exc)
        if fields is None:
            return await call_next(request)

        def add(_: object, response: Response) -> None:
            for name, value in fields.items():
                response.append_header(name, value)

        return await change_response(request, call_next, add)

    async def dispatch_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the handshake; refuse it with the status where the server can, else by closing."""
        if self._exempt is None or not self._exempt.fullmatch(scope["path"]):
            try:
                await self.limit.check(HTTPConnection(scope), self._name)
            except HTTPException as exc:
                await _refuse_handshake(exc, scope, receive, send)
                return
        await self.app(scope, receive, send)

    @classmethod
    def documented(cls, path: str, options: dict[str, Any]) -> tuple[HTTPException, ...]:
        """Return the errors that documents show for a path behind this layer."""
        exempt = compile_exempt_paths(options.get("exempt_paths", ()))
        if exempt is not None and exempt.fullmatch(path):
            return ()
        return (RateLimitError(),)


def compile_exempt_paths(paths: Collection[str]) -> re.Pattern[str] | None:
    """Return what matches the paths that are exempt; `None` for none.

    Raises:
        ValueError: A path does not start with `/`.
    """
    if isinstance(paths, str):
        raise TypeError(f"exempt_paths is a list of paths, not the string {paths!r}.")
    for path in paths:
        if not path.startswith("/"):
            raise ValueError(f"An exempt path starts with '/', not {path!r}.")
    if not paths:
        return None
    return re.compile("|".join(re.escape(path).replace(r"\*", ".*") for path in paths), re.DOTALL)


async def _refuse(request: Request, exc: HTTPException) -> Response:
    """Answer as the application answers an `HTTPException`."""
    errors = getattr(request.app, "_errors", None)
    if errors is None:
        return JSONResponse({"detail": exc.detail}, exc.status_code, exc.headers)
    response: Response = await errors.respond(request, exc)
    return response


async def _refuse_handshake(exc: HTTPException, scope: Scope, receive: Receive, send: Send) -> None:
    if "websocket.http.response" in scope.get("extensions", {}):
        response = JSONResponse({"detail": exc.detail}, exc.status_code, exc.headers)
        await receive()
        await response(scope, receive, send)
    else:
        await receive()
        await send({"type": "websocket.close", "code": 1013, "reason": exc.detail})
