"""Response headers that make browsers careful."""

from __future__ import annotations

from typing import TYPE_CHECKING

from velithon.middleware.base import BaseHTTPMiddleware
from velithon.middleware.errors import change_response

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from starlette.types import ASGIApp

    from velithon.middleware.base import CallNext
    from velithon.requests.request import Request
    from velithon.responses.base import Response

__all__ = ["SecurityHeadersMiddleware"]


class SecurityHeadersMiddleware(BaseHTTPMiddleware):
    """Adds security headers to every response, those of errors too.

    A header that a response has already stays.

    Each argument is a header's value; `None` leaves the header out.

    Args:
        app: The next layer.
        content_type_options: `X-Content-Type-Options`: whether a browser may guess types.
        frame_options: `X-Frame-Options`: who may show pages in a frame.
        referrer_policy: `Referrer-Policy`: what other sites learn of where a visitor came from.
        opener_policy: `Cross-Origin-Opener-Policy`: whether other sites' windows may reach these.
        content_security_policy: `Content-Security-Policy`.
        permissions_policy: `Permissions-Policy`.
        hsts_max_age: For how long a browser that came over HTTPS will come over nothing else, in seconds.
        hsts_include_subdomains: Whether that holds for subdomains as well.
        hsts_preload: Whether browsers may ship with it.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        content_type_options: str | None = "nosniff",
        frame_options: str | None = "DENY",
        referrer_policy: str | None = "strict-origin-when-cross-origin",
        opener_policy: str | None = "same-origin",
        content_security_policy: str | None = None,
        permissions_policy: str | None = None,
        hsts_max_age: int | None = 31_536_000,
        hsts_include_subdomains: bool = False,
        hsts_preload: bool = False,
    ) -> None:
        super().__init__(app)
        given = {
            "x-content-type-options": content_type_options,
            "x-frame-options": frame_options,
            "referrer-policy": referrer_policy,
            "cross-origin-opener-policy": opener_policy,
            "content-security-policy": content_security_policy,
            "permissions-policy": permissions_policy,
        }
        self.plain = [(name, value) for name, value in given.items() if value is not None]
        self.secure = self.plain
        if hsts_max_age is not None:
            # RFC 6797 7.2: not over plain HTTP.
            value = f"max-age={hsts_max_age}"
            value += "; includeSubDomains" if hsts_include_subdomains else ""
            value += "; preload" if hsts_preload else ""
            self.secure = [*self.plain, ("strict-transport-security", value)]

    # Not `async def`: the coroutine is the one that runs what is inside.
    def dispatch(self, request: Request, call_next: CallNext) -> Coroutine[object, object, Response]:
        """Add the headers."""
        return change_response(request, call_next, self._add)

    def _add(self, request: Request, response: Response) -> None:
        for name, value in self.secure if request._scheme == "https" else self.plain:
            if response.get_header(name) is None:
                response.append_header(name, value)
