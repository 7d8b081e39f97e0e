"""What trusted proxies say about a request: `X-Forwarded-*`, and `Forwarded` (RFC 7239).

A proxy appends the address that it was called from. The list is read from its end: entries of trusted proxies are
passed over, and the first one that is not trusted is the client; what stands before it may be invented. Scheme, host
and prefix are taken from the same place in their lists, so that no client can choose them.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from velithon_adapters.scope import RSGIHeaders, asgi_headers, is_below, parse_address, peer_of, put_below

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from velithon_adapters.asgi import ASGIApp, ASGIScope, Receive, Send
    from velithon_adapters.rsgi import Headers, RSGICallable, Scope

    GetAll = Callable[[str], list[str]]

__all__ = ["Forwarded", "ForwardedScope", "TrustedProxies", "apply_forwarded", "forwarded_asgi", "forwarded_rsgi"]

UNIX = "unix"
"""Stands for whoever connects over a UNIX socket, which has no address."""

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
# What a host and a prefix may be made of; whatever else is sent could end up in a redirect or in a page.
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PREFIX = re.compile(r"/[A-Za-z0-9._~!$&'()*+;=:@%-][A-Za-z0-9._~!$&'()*+;=:@%/-]*")
# RFC 7239 4: a pair's value is a token or a quoted string; elements are separated by commas, pairs by semicolons.
_PAIR = re.compile(r"""\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^\s",;]*)\s*([,;]|$)""")
_SEPARATOR = re.compile(r"\s*(?:,\s*)+")
_PLAIN = ("x-forwarded-for", "x-forwarded-proto")
_NAMED = ("x-forwarded-host", "x-forwarded-prefix")


class Forwarded(NamedTuple):
    """What is to be believed; `None` for what nobody said.

    Attributes:
        client: Address and port, 0 where the port is not known.
        scheme: `"http"` or `"https"`.
        host: The `Host` that the client asked for.
        prefix: The path that was taken off, without a slash at its end.
    """

    client: tuple[str, int] | None = None
    scheme: str | None = None
    host: str | None = None
    prefix: str | None = None


class TrustedProxies:
    """The proxies that are believed.

    Args:
        trusted: Addresses, networks (`"10.0.0.0/8"`), `"unix"` or the path of a UNIX socket, in a list or separated by
            commas. `"*"` trusts everybody.
        only_plain: Read `X-Forwarded-For` and `X-Forwarded-Proto` alone, as Uvicorn does. What a proxy does not set it
            passes on as its client sent it, so the other headers are for those who named their proxies.

    Raises:
        ValueError: A network is none, such as one with bits set behind its mask.
    """

    def __init__(self, trusted: Iterable[str] | str, *, only_plain: bool = False) -> None:
        names = trusted.split(",") if isinstance(trusted, str) else list(trusted)
        names = [name.strip() for name in names if name.strip()]
        self.always_trust = "*" in names
        self.only_plain = only_plain
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._literals: set[str] = set()
        for name in names:
            self._add_proxy(name)
        self.header_names = _PLAIN if only_plain else (*_PLAIN, *_NAMED, "forwarded")
        # Addresses come from outside, so no more than these are remembered.
        self._is_trusted = lru_cache(maxsize=4096)(self._look_up)

    def _add_proxy(self, name: str) -> None:
        try:
            self._networks.append(ipaddress.ip_network(name))
        except ValueError as exc:
            if "/" in name and not name.startswith(("/", "unix:")):
                raise ValueError(f"{name!r} is no network of trusted proxies: {exc}.") from exc
            self._literals.add(name.removeprefix("unix:") or UNIX)

    def __bool__(self) -> bool:
        """Tell whether anybody is trusted."""
        return bool(self.always_trust or self._networks or self._literals)

    def __contains__(self, host: str | None) -> bool:
        """Tell whether a proxy with this address, or behind this UNIX socket, is trusted."""
        return self.always_trust or (bool(host) and self._is_trusted(host))

    def _look_up(self, host: str) -> bool:
        if host in self._literals:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any(address in network or (mapped is not None and mapped in network) for network in self._networks)

    def trusts(self, client: str | None, server: str | None = None) -> bool:
        """Tell whether a connection is a trusted proxy's.

        Args:
            client: The address of the other side; `None` or empty on a UNIX socket.
            server: The path of that socket.
        """
        if client:
            return client in self
        return UNIX in self or (server or "") in self

    def read(self, get_all: GetAll) -> Forwarded:
        """Return what the headers of a trusted connection say.

        Args:
            get_all: Returns every value of a header, in order.
        """
        found = {name: _split_items(get_all(f"x-forwarded-{name}")) for name in ("for", "proto")}
        if not self.only_plain:
            found.update((name, _split_items(get_all(f"x-forwarded-{name}"))) for name in ("host", "prefix"))
            if not any(found.values()):
                return self._read_standard(", ".join(get_all("forwarded")))
        hops = found["for"]
        place = self._find_place([_split_node(hop)[0] for hop in hops])

        def at(name: str) -> str | None:
            values: list[str | None] = [*found.get(name, ())] or [None]
            # Proxies that append to all lists keep them of one length; one that sets a value speaks for the whole way.
            return values[place] if len(values) == len(hops) and hops else values[-1]

        return _check_values(hops[place] if hops else None, at("proto"), at("host"), at("prefix"))

    def _read_standard(self, value: str) -> Forwarded:
        """Read `Forwarded`; one that is malformed says nothing."""
        elements = _parse_elements(value)
        if not elements:
            return Forwarded()
        element = elements[self._find_place([_split_node(element.get("for", ""))[0] for element in elements])]
        return _check_values(element.get("for"), element.get("proto"), element.get("host"), None)

    def _find_place(self, hosts: list[str]) -> int:
        """Return the place of the last hop that is not trusted; the first one where all are."""
        if not self.always_trust:
            for place in range(len(hosts) - 1, 0, -1):
                if hosts[place] not in self:
                    return place
        return 0


def _split_items(values: list[str]) -> list[str]:
    return [item for item in _SEPARATOR.split(", ".join(values).strip()) if item]


def _split_node(node: str) -> tuple[str, int]:
    """Split `1.2.3.4`, `1.2.3.4:80`, `[::1]`, `[::1]:80` and `::1`; anything else is returned as it is, with port 0."""
    if node.count(":") > 1 and not node.startswith("["):
        return node, 0
    if node.startswith("[") and node.endswith("]"):
        return node[1:-1], 0
    return parse_address(node) or (node, 0)


def _check_values(node: str | None, scheme: str | None, host: str | None, prefix: str | None) -> Forwarded:
    """Return what is well-formed of the values."""
    return Forwarded(
        _split_node(node) if node else None,
        _SCHEMES.get(scheme.lower()) if scheme else None,
        host if host and _HOST.fullmatch(host) else None,
        prefix.rstrip("/") if prefix and _PREFIX.fullmatch(prefix) else None,
    )


def _parse_elements(value: str) -> list[dict[str, str]]:
    """Return the elements of a `Forwarded` header, names in lower case; none when it is malformed."""
    elements: list[dict[str, str]] = [{}]
    position = 0
    while position < len(value):
        pair = _PAIR.match(value, position)
        if pair is None:
            return []
        name, text, end = pair.groups()
        elements[-1][name.lower()] = re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
        if end == ",":
            elements.append({})
        position = pair.end()
    return [element for element in elements if element]


def apply_forwarded(scope: ASGIScope, forwarded: Forwarded) -> None:
    """Put what proxies said into an ASGI scope, `"http"` or `"websocket"`."""
    client, scheme, host, prefix = forwarded
    if client is not None:
        scope["client"] = client
    if scheme is not None:
        scope["scheme"] = scheme if scope["type"] == "http" else {"http": "ws", "https": "wss"}[scheme]
    if host is not None:
        rest = [(name, value) for name, value in scope["headers"] if name != b"host"]
        scope["headers"] = [(b"host", host.encode("ascii")), *rest]
    if prefix:
        put_below(scope, prefix)


def forwarded_asgi(app: ASGIApp, trusted: TrustedProxies) -> ASGIApp:
    """Return an ASGI application whose requests show what trusted proxies say."""
    names = tuple(name.encode() for name in trusted.header_names)

    def asgi(scope: ASGIScope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "lifespan" and is_trusted_asgi(scope, trusted):
            headers = scope["headers"]
            if any(name in names for name, _ in headers):
                apply_forwarded(scope, trusted.read(RSGIHeaders(headers).get_all))
        return app(scope, receive, send)

    return asgi


def is_trusted_asgi(scope: ASGIScope, trusted: TrustedProxies) -> bool:
    """Tell whether a request of an ASGI server came from a trusted proxy."""
    client, server = scope.get("client"), scope.get("server")
    return trusted.trusts(client[0] if client else None, server[0] if server else None)


def is_trusted_rsgi(scope: Scope, trusted: TrustedProxies) -> bool:
    """Tell whether a request of an RSGI server came from a trusted proxy."""
    address = parse_address(scope.client)
    return trusted.trusts(None, scope.server) if address is None else trusted.trusts(address[0])


def forwarded_rsgi(app: RSGICallable, trusted: TrustedProxies) -> RSGICallable:
    """Return an RSGI application whose requests show what trusted proxies say."""
    names = trusted.header_names

    def rsgi(scope: Scope, protocol: object) -> Awaitable[None]:
        # Who it is that asks takes longer to find out than that there is nothing to believe.
        headers = scope.headers
        for name in names:
            if name in headers:
                if is_trusted_rsgi(scope, trusted):
                    scope = ForwardedScope(scope, trusted.read(headers.get_all))
                break
        return app(scope, protocol)

    return rsgi


class ForwardedScope:
    """An RSGI scope with what proxies said in it.

    Args:
        inner: The server's scope.
        forwarded: What they said.

    Attributes:
        client: As RSGI has it, `"ip:port"`.
        scheme: `"http"` or `"https"`.
        root_path: The path that a proxy took off; `asgi_scope` reads it, as RSGI has no place for it.
        path: The path below that.
        authority: The host, where there is another one.
    """

    __slots__ = ("_host", "_inner", "authority", "client", "path", "root_path", "scheme")

    def __init__(self, inner: Scope, forwarded: Forwarded) -> None:
        self._inner = inner
        self._host = forwarded.host
        self.client = inner.client if forwarded.client is None else _join_address(*forwarded.client)
        self.scheme = forwarded.scheme or inner.scheme
        self.authority = forwarded.host or inner.authority
        self.root_path = forwarded.prefix or ""
        path = inner.path
        self.path = path[len(self.root_path) :] if self.root_path and is_below(path, self.root_path) else path

    @property
    def peer(self) -> str:
        """Who is at the other end of the connection: the proxy."""
        return peer_of(self._inner)

    @property
    def headers(self) -> Headers:
        """The headers, with the host that the client asked for."""
        if self._host is None:
            return self._inner.headers
        rest = [(name, value) for name, value in asgi_headers(self._inner) if name != b"host"]
        return RSGIHeaders([(b"host", self._host.encode("ascii")), *rest])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _join_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
