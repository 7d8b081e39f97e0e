"""Cross-origin resource sharing: Starlette's rules, on both protocols."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

from starlette.middleware.cors import ALL_METHODS, SAFELISTED_HEADERS
from starlette.middleware.cors import CORSMiddleware as StarletteCORSMiddleware

from velithon.faces.capture import AS_THEY_ARE, as_response
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.middleware.errors import on_server_error

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.responses import Response as StarletteResponse
    from starlette.types import ASGIApp

    from velithon.middleware.base import CallNext
    from velithon.requests.request import Request
    from velithon.responses.base import Response

__all__ = ["ALL_METHODS", "SAFELISTED_HEADERS", "CORSMiddleware"]

logger = logging.getLogger("velithon.middleware.cors")

_SET_HERE = frozenset(
    {
        "access-control-allow-credentials",
        "access-control-allow-origin",
        "access-control-expose-headers",
        "vary",
    }
)


class CORSMiddleware(BaseHTTPMiddleware, StarletteCORSMiddleware):
    """Answers preflight requests and tells browsers which origins may read a response, an error's too.

    Args:
        app: The next layer.
        allow_origins: Origins such as `https://example.org`; `"*"` allows all.
        allow_methods: Methods of cross-origin requests; `"*"` allows all.
        allow_headers: Headers that they may have, besides the safelisted ones; `"*"` allows all.
        allow_credentials: Whether they may carry cookies and authorization. With the origin `"*"` the answer names the
            asking origin instead, so that any site may act for its visitors: that is logged as a warning.
        allow_origin_regex: A pattern that an allowed origin matches in full.
        allow_private_network: Whether pages from public networks may ask.
        expose_headers: Response headers that scripts may read.
        max_age: How long a browser may keep the answer to a preflight request, in seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        allow_origins: Collection[str] = (),
        allow_methods: Collection[str] = ("GET",),
        allow_headers: Collection[str] = (),
        allow_credentials: bool = False,
        allow_origin_regex: str | None = None,
        allow_private_network: bool = False,
        expose_headers: Collection[str] = (),
        max_age: int = 600,
    ) -> None:
        StarletteCORSMiddleware.__init__(
            self,
            app,
            allow_origins,
            allow_methods,
            allow_headers,
            allow_credentials,
            allow_origin_regex,
            allow_private_network,
            expose_headers,
            max_age,
        )
        BaseHTTPMiddleware.__init__(self, app)
        if self.allow_all_origins and allow_credentials:
            logger.warning(
                "CORSMiddleware allows credentials to every origin: any site can act for its visitors. "
                "Name the origins in allow_origins."
            )
        # Origins come from outside, so no more than these are remembered.
        self._headers_for = lru_cache(maxsize=256)(self._build_headers)

    takes_responder = True

    async def dispatch(self, request: Request, call_next: CallNext) -> StarletteResponse:
        """Answer a preflight request, or add the headers to the answer of what is inside."""
        origin = request._header("origin")
        if origin is not None and request.method == "OPTIONS":
            headers = request.headers
            if "access-control-request-method" in headers:
                return self.preflight_response(headers)
        try:
            response = await call_next(request)
        except Exception:
            on_server_error(request, self._on_error)
            raise
        if type(response) not in AS_THEY_ARE:
            response = await as_response(response, request)
            if not response.started:
                # A file is looked for only when it is sent.
                on_server_error(request, self._on_error)
        self._add(response, self._headers_for(origin))
        return response

    def _on_error(self, request: Request, response: Response) -> None:
        self._add(response, self._headers_for(request.headers.get("origin")))

    def _build_headers(self, origin: str | None) -> list[tuple[str, str]]:
        """Return the headers of an answer that is no preflight's."""
        pairs: list[tuple[str, str]] = []
        if origin is not None:
            explicit = self.allow_credentials if self.allow_all_origins else self.is_allowed_origin(origin)
            simple = {name.lower(): value for name, value in self.simple_headers.items()}
            if explicit:
                simple["access-control-allow-origin"] = origin
            pairs += simple.items()
        return [*pairs, ("vary", "Origin")]

    @staticmethod
    def _add(response: Response, pairs: list[tuple[str, str]]) -> None:
        present = response._pairs
        if present is not None and response._raw is None:
            for name, _ in present:
                if name in _SET_HERE:
                    break
            else:
                response._pairs = present + pairs
                return
        for name, value in pairs[:-1]:
            response.set_header(name, value)
        response.add_vary("Origin")
