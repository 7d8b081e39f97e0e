"""Who a request is counted for."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address
from typing import Any

from starlette.requests import HTTPConnection

__all__ = ["Key", "by_client", "by_header", "by_user"]

Key = Callable[[Any], "str | None | Awaitable[str | None]"]

_LONGEST = 64


def by_client(connection: HTTPConnection) -> str:
    """Return the client's address.

    Of an IPv6 address its network of 64 bits, all of which one client may have.

    The address is what trusted proxies say: see `velithon run --forwarded-allow-ips` and `ProxyHeadersMiddleware`.
    """
    client = connection.client
    if client is None or not client.host:
        return "unknown"
    host = client.host
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


def by_user(connection: HTTPConnection) -> str:
    """Return the authenticated user (`request.user`, which `AuthenticationMiddleware` sets), else the client."""
    user = connection.scope.get("user")
    if user is None or not user.is_authenticated:
        return by_client(connection)
    try:
        return f"user:{user.identity}"
    except NotImplementedError:
        return f"user:{user.display_name}"


def by_header(name: str) -> Callable[[HTTPConnection], str]:
    """Return a key that takes a header's value, such as an API key's.

    The client where it is missing.
    """

    def key(connection: HTTPConnection) -> str:
        value = connection.headers.get(name)
        # What stands in a header may be a secret, which does not belong into a store.
        return by_client(connection) if value is None else f"{name}:{_compute_digest(value)}"

    return key


def _compute_digest(value: str) -> str:
    return hashlib.blake2b(value.encode(), digest_size=16).hexdigest()


def shorten_key(identity: str) -> str:
    """Return a key of bounded length."""
    return identity if len(identity) <= _LONGEST else _compute_digest(identity)
