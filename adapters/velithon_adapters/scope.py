"""Converts RSGI scopes to ASGI dictionaries, and shows ASGI dictionaries as RSGI scopes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar, overload
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from velithon_adapters.asgi import ASGIScope, State
    from velithon_adapters.rsgi import Headers, Scope

__all__ = [
    "FILE_RANGE",
    "HANDSHAKE_STATUS",
    "RSGIHeaders",
    "RSGIScope",
    "asgi_headers",
    "asgi_scope",
    "body_length",
    "is_below",
    "is_token",
    "parse_address",
    "peer_of",
    "put_below",
]

T = TypeVar("T")

# RFC 3986 3.3: what may stand in a path unquoted, besides what `quote` never touches.
_PATH_SAFE = "/:@!$&'()*+,;="
_HTTP_VERSIONS = {"1": "1.0"}
_TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

# Our own ASGI extension: a refused handshake's status is sent, as with ``websocket.http.response``, but nothing else.
HANDSHAKE_STATUS = "velithon.handshake_status"

# Our own ASGI extension: instead of a body, one message of this type has the server send a part of the file ``path``,
# from ``start`` to ``end``, which is excluded. ``http.response.pathsend`` only knows whole files.
FILE_RANGE = "velithon.response.file_range"


def is_token(name: bytes) -> bool:
    """Tell whether a header may have this name (RFC 9110, sections 5.1 and 5.6.2)."""
    return bool(name) and not name.translate(None, _TOKEN)


@lru_cache(maxsize=1024)
def parse_address(address: str) -> tuple[str, int] | None:
    """Split ``"ip:port"`` or ``"[ip]:port"``.

    Returns:
        The host, without brackets, and the port; ``None`` for what has no port, such as a UNIX socket's address.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return None
    return host.strip("[]"), int(port)


def peer_of(scope: Scope) -> str:
    """Return who is at the other end of an RSGI server's connection, whatever proxies say.

    Empty over ASGI.
    """
    peer: str | None = getattr(scope, "peer", None)
    return scope.client if peer is None else peer


def asgi_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return a request's headers as ASGI has them: ``list[tuple[bytes, bytes]]``, names in lower case.

    The authority of the request target stands first, as ``host``, in place of what was sent by that name (RFC 9113
    8.3.1, RFC 9112 3.2.2). Cookies that came in several fields are joined where the first one stood (RFC 9113 8.2.3).
    """
    authority = scope.authority
    headers: list[tuple[bytes, bytes]] = []
    if authority is not None:
        headers.append((b"host", authority.encode("latin-1")))
    cookie = -1
    for name, value in scope.headers.items():
        if name == "host" and authority is not None:
            continue
        pair = (name.encode("latin-1"), value.encode("latin-1"))
        if name == "cookie":
            if cookie >= 0:
                headers[cookie] = (b"cookie", headers[cookie][1] + b"; " + pair[1])
                continue
            cookie = len(headers)
        headers.append(pair)
    return headers


def body_length(scope: Scope) -> int | None:
    """Return how many bytes of body a request declares.

    ``None`` when only the end of the body will tell. An HTTP/1 request that has neither ``content-length`` nor
    ``transfer-encoding`` has no body (RFC 9112 6.3).
    """
    headers = scope.headers
    if "transfer-encoding" in headers:
        return None
    declared = headers.get("content-length")
    if declared is not None:
        return int(declared)
    return 0 if scope.http_version.startswith("1") else None


def asgi_scope(scope: Scope, *, state: State | None = None, root_path: str = "") -> ASGIScope:
    """Return the ASGI scope of an RSGI scope, ``"http"`` or ``"websocket"`` by its ``proto``.

    RSGI has only the decoded path: ``raw_path`` is quoted again from it.

    Args:
        scope: The scope that the server gave.
        state: The lifespan's state, which is used as it is given: hand over a copy. Left out when ``None``.
        root_path: What a proxy took off the front of the path. It is put back, as Uvicorn does, where it is not there.
    """
    path = scope.path
    # A proxy may have told it with the request.
    root_path = root_path or getattr(scope, "root_path", "")
    if root_path and not is_below(path, root_path):
        path = root_path + path
    server = scope.server
    asgi: ASGIScope = {
        "type": "http",
        # Servers that claim 2.4 raise from `send` once the client is gone. As Uvicorn does, ours falls silent instead
        # and `receive` tells, so that Starlette also stops a stream that waits without sending anything.
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": _HTTP_VERSIONS.get(scope.http_version, scope.http_version),
        "scheme": scope.scheme,
        "path": path,
        "raw_path": quote(path, safe=_PATH_SAFE).encode("ascii"),
        "query_string": scope.query_string.encode(),
        "root_path": root_path,
        "headers": asgi_headers(scope),
        "client": parse_address(scope.client),
        "server": parse_address(server) or (server, None),
    }
    if scope.proto == "http":
        asgi["method"] = scope.method
        asgi["extensions"] = {"http.response.pathsend": {}, FILE_RANGE: {}}
    else:
        asgi["type"] = "websocket"
        asgi["asgi"]["spec_version"] = "2.4"
        asgi["scheme"] = "wss" if scope.scheme in ("https", "wss") else "ws"
        asgi["subprotocols"] = [
            name
            for value in scope.headers.get_all("sec-websocket-protocol")
            for part in value.split(",")
            if (name := part.strip())
        ]
        # Not `websocket.http.response`: of a refusal RSGI carries the status, and neither headers nor body.
        asgi["extensions"] = {HANDSHAKE_STATUS: {}}
    if state is not None:
        asgi["state"] = state
    return asgi


def put_below(scope: ASGIScope, root_path: str) -> None:
    """Set an ASGI scope's ``root_path``, and put it in front of the path.

    A path that has it already stays.

    Args:
        scope: The scope, ``"http"`` or ``"websocket"``, which is changed.
        root_path: Without a slash at its end.
    """
    scope["root_path"] = root_path
    if not is_below(scope["path"], root_path):
        scope["path"] = root_path + scope["path"]
        if scope.get("raw_path") is not None:
            scope["raw_path"] = quote(root_path, safe=_PATH_SAFE).encode("ascii") + scope["raw_path"]


def is_below(path: str, root_path: str) -> bool:
    """Tell whether a path is a root path or lies below it."""
    return path == root_path or path.startswith(root_path + "/")


class RSGIHeaders:
    """RSGI's view of ASGI's headers.

    Args:
        raw: ``list[tuple[bytes, bytes]]``, names in lower case. Read on every access: changes show.
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw = raw

    def __contains__(self, key: object) -> bool:
        """Tell whether a header with that name came."""
        return isinstance(key, str) and self.get(key) is not None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, each once."""
        return iter(self.keys())

    def __len__(self) -> int:
        """Count the names, each once."""
        return len(self.keys())

    def __getitem__(self, key: str) -> str:
        """Return the first value of a header.

        Raises:
            KeyError: No such header came.
        """
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __repr__(self) -> str:
        """Show the pairs."""
        return f"{type(self).__name__}({self.items()!r})"

    def keys(self) -> list[str]:
        """Return the names, each once, in the order in which they first came."""
        return list(dict.fromkeys(name.decode("latin-1") for name, _ in self._raw))

    def values(self) -> list[str]:
        """Return all values."""
        return [value.decode("latin-1") for _, value in self._raw]

    def items(self) -> list[tuple[str, str]]:
        """Return ``(name, value)`` pairs, one for each value."""
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._raw]

    @overload
    def get(self, key: str) -> str | None: ...

    @overload
    def get(self, key: str, default: T) -> str | T: ...

    def get(self, key: str, default: object = None) -> object:
        """Return the first value of a header, or ``default``."""
        wanted = key.lower().encode("latin-1")
        for name, value in self._raw:
            if name == wanted:
                return value.decode("latin-1")
        return default

    def get_all(self, key: str) -> list[str]:
        """Return every value of a header, in order.

        An empty list when it did not come.
        """
        wanted = key.lower().encode("latin-1")
        return [value.decode("latin-1") for name, value in self._raw if name == wanted]


def _join_address(address: tuple[str, int | None] | None) -> str:
    if address is None:
        return ""
    host, port = address
    if port is None:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class RSGIScope:
    """An RSGI scope over an ASGI one.

    Every attribute reads the dictionary when it is asked: changes show.

    Args:
        asgi: An ASGI scope of type ``"http"`` or ``"websocket"``.

    Attributes:
        asgi: That dictionary.
    """

    __slots__ = ("asgi",)

    rsgi_version = "1.6"
    # The server's own sending waits for its client.
    peer = ""

    def __init__(self, asgi: ASGIScope) -> None:
        self.asgi = asgi

    def __repr__(self) -> str:
        """Show the request line."""
        return f"<{type(self).__name__} {self.proto} {self.method} {self.path}>"

    @property
    def proto(self) -> str:
        """``"http"`` or ``"ws"``."""
        return "http" if self.asgi["type"] == "http" else "ws"

    @property
    def http_version(self) -> str:
        """``"1"`` (that is HTTP/1.0), ``"1.1"`` or ``"2"``."""
        version: str = self.asgi.get("http_version", "1.1")
        return "1" if version == "1.0" else version

    @property
    def server(self) -> str:
        """``"ip:port"`` (IPv6 in brackets), or the path of a UNIX socket.

        Empty when the server does not tell.
        """
        return _join_address(self.asgi.get("server"))

    @property
    def client(self) -> str:
        """``"ip:port"`` (IPv6 in brackets); empty when the server does not tell."""
        return _join_address(self.asgi.get("client"))

    @property
    def scheme(self) -> str:
        """``"http"`` or ``"https"``, for WebSockets, too."""
        scheme: str = self.asgi.get("scheme", "http")
        return {"ws": "http", "wss": "https"}.get(scheme, scheme)

    @property
    def method(self) -> str:
        """The method, in upper case; ``"GET"`` for WebSockets."""
        method: str = self.asgi.get("method", "GET")
        return method

    @property
    def path(self) -> str:
        """The path, percent-decoded, below the ``root_path``: what Granian shows behind the same proxy."""
        path: str = self.asgi["path"]
        root_path: str = self.asgi.get("root_path", "")
        if root_path and is_below(path, root_path):
            return path[len(root_path) :]
        return path

    @property
    def query_string(self) -> str:
        """The query as it came, still percent-encoded."""
        query_string: bytes = self.asgi.get("query_string", b"")
        return query_string.decode("utf-8", "replace")

    @property
    def authority(self) -> str | None:
        """The ``host`` header of an HTTP/2 request, where ASGI servers put ``:authority``; else ``None``."""
        if not self.http_version.startswith("2"):
            return None
        return self.headers.get("host")

    @property
    def headers(self) -> Headers:
        """The headers."""
        return RSGIHeaders(self.asgi["headers"])
