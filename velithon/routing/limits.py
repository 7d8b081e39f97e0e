"""Computes a route's limits from its own and those around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from velithon.faces.serve import Responder
    from velithon.requests.request import Request

__all__ = ["build_limited", "find_form_limits"]


def build_limited(respond: Responder, limit: int) -> Responder:
    """Return a responder whose requests have a body of at most `limit` bytes."""

    def respond_limited(request: Request) -> Awaitable[object]:
        request.limit_body(limit)
        return respond(request)

    return respond_limited


def find_form_limits(router: Any) -> dict[str, int]:
    """Return the limits of forms in a router.

    They are its own, and the strictest of where its application is mounted.
    """
    if router is None:
        return {}
    found: dict[str, int] = {}
    for app in router.mounted_in:
        for name, value in find_form_limits(app.router).items():
            found[name] = min(value, found.get(name, value))
    return {**found, **(router.form_limits or {})}
