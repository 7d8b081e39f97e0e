"""Scopes, both ways."""

from __future__ import annotations

import pytest

from tests.adapters.memory import Headers, Scope
from velithon_adapters.scope import (
    FILE_RANGE,
    HANDSHAKE_STATUS,
    RSGIHeaders,
    RSGIScope,
    asgi_headers,
    asgi_scope,
    body_length,
    parse_address,
)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("[::1]:8000", ("::1", 8000)),
        ("", None),
        ("/run/app.sock", None),
        ("/run/app:x.sock", None),
        (":80", None),
    ],
)
def test_addresses_parse(address: str, expected: tuple[str, int] | None) -> None:
    """IPv4, bracketed IPv6, and what has no port."""
    assert parse_address(address) == expected


def test_http_scope_has_every_key_of_the_asgi_specification() -> None:
    """Names and types are ASGI's."""
    scope = Scope(
        method="POST",
        path="/café/a b/c",
        query_string="q=%20&x=é",
        headers=Headers([("host", "example.org"), ("x-a", "1"), ("x-a", "2")]),
    )
    state = {"pool": 1}
    assert asgi_scope(scope, state=state) == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/café/a b/c",
        "raw_path": b"/caf%C3%A9/a%20b/c",
        "query_string": "q=%20&x=é".encode(),
        "root_path": "",
        "headers": [(b"host", b"example.org"), (b"x-a", b"1"), (b"x-a", b"2")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "extensions": {"http.response.pathsend": {}, FILE_RANGE: {}},
        "state": state,
    }
    assert asgi_scope(scope, state=state)["state"] is state
    assert "state" not in asgi_scope(scope)


def test_raw_path_leaves_what_paths_may_hold_unquoted() -> None:
    """RFC 3986 3.3."""
    assert asgi_scope(Scope(path="/a;b=1/c:d@e,f~g!$&'()*+"))["raw_path"] == b"/a;b=1/c:d@e,f~g!$&'()*+"


def test_root_path_is_put_back_in_front() -> None:
    """As Uvicorn does for `--root-path`."""
    scope = asgi_scope(Scope(path="/x"), root_path="/api")
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/api", "/api/x", b"/api/x")
    assert RSGIScope(scope).path == "/x"


def test_unix_socket_addresses() -> None:
    """Granian names no client there, and the socket's path as the server."""
    scope = asgi_scope(Scope(client="", server="/run/app.sock"))
    assert scope["client"] is None
    assert scope["server"] == ("/run/app.sock", None)


@pytest.mark.parametrize(("rsgi", "asgi"), [("1", "1.0"), ("1.1", "1.1"), ("2", "2")])
def test_http_versions(rsgi: str, asgi: str) -> None:
    """Granian writes HTTP/1.0 as `1`."""
    scope = asgi_scope(Scope(http_version=rsgi))
    assert scope["http_version"] == asgi
    assert RSGIScope(scope).http_version == rsgi


@pytest.mark.parametrize(("scheme", "expected"), [("http", "ws"), ("https", "wss"), ("wss", "wss")])
def test_websocket_scope(scheme: str, expected: str) -> None:
    """`proto` is `ws`; the scheme is the WebSocket's; subprotocols are split."""
    scope = asgi_scope(
        Scope(
            proto="ws",
            scheme=scheme,
            headers=Headers([("sec-websocket-protocol", "a, b,"), ("sec-websocket-protocol", "c")]),
        )
    )
    assert scope["type"] == "websocket"
    assert scope["scheme"] == expected
    assert scope["subprotocols"] == ["a", "b", "c"]
    assert scope["extensions"] == {HANDSHAKE_STATUS: {}}
    assert "method" not in scope


def test_authority_becomes_host() -> None:
    """It stands first and displaces a `host` that came beside it."""
    scope = Scope(authority="example.org", headers=Headers([("x-a", "1"), ("host", "other"), ("x-b", "2")]))
    assert asgi_headers(scope) == [(b"host", b"example.org"), (b"x-a", b"1"), (b"x-b", b"2")]


def test_split_cookies_are_joined() -> None:
    """RFC 9113 8.2.3, where the first one stood."""
    scope = Scope(headers=Headers([("cookie", "a=1"), ("x-a", "1"), ("cookie", "b=2"), ("cookie", "c=3")]))
    assert asgi_headers(scope) == [(b"cookie", b"a=1; b=2; c=3"), (b"x-a", b"1")]


@pytest.mark.parametrize(
    ("version", "headers", "expected"),
    [
        ("1.1", [], 0),
        ("1", [], 0),
        ("2", [], None),
        ("2", [("content-length", "7")], 7),
        ("1.1", [("content-length", "7")], 7),
        ("1.1", [("transfer-encoding", "chunked")], None),
        ("1.1", [("transfer-encoding", "chunked"), ("content-length", "7")], None),
    ],
)
def test_body_length(version: str, headers: list[tuple[str, str]], expected: int | None) -> None:
    """What a request declares of its body."""
    assert body_length(Scope(http_version=version, headers=Headers(headers))) == expected


def test_rsgi_scope_shows_an_asgi_scope() -> None:
    """A round trip ends where it began."""
    original = Scope(
        method="PUT",
        path="/ü",
        query_string="a=%20",
        client="[::1]:50000",
        headers=Headers([("x-a", "1"), ("x-b", "2"), ("x-a", "3")]),
    )
    asgi = asgi_scope(original)
    scope = RSGIScope(asgi)
    assert scope.asgi is asgi
    for name in ("proto", "method", "path", "query_string", "scheme", "server", "client", "http_version", "authority"):
        assert getattr(scope, name) == getattr(original, name), name
    assert scope.rsgi_version == "1.6"
    assert repr(scope) == "<RSGIScope http PUT /ü>"


def test_rsgi_scope_of_a_bare_asgi_scope() -> None:
    """What ASGI lets a server leave out has RSGI's defaults."""
    scope = RSGIScope({"type": "websocket", "path": "/api", "root_path": "/api", "scheme": "wss", "headers": []})
    assert (scope.proto, scope.method, scope.path, scope.query_string) == ("ws", "GET", "", "")
    assert (scope.scheme, scope.server, scope.client, scope.http_version) == ("https", "", "", "1.1")


def test_rsgi_scope_of_a_unix_socket() -> None:
    """The server's address is the socket's path."""
    assert RSGIScope({"type": "http", "server": ("/run/app.sock", None)}).server == "/run/app.sock"


def test_rsgi_scope_outside_its_root_path() -> None:
    """A path that does not lie below `root_path` is shown as it is."""
    assert RSGIScope({"type": "http", "path": "/apiary", "root_path": "/api"}).path == "/apiary"


def test_authority_of_an_http2_scope() -> None:
    """ASGI servers put `:authority` into `host`."""
    scope = RSGIScope({"type": "http", "http_version": "2", "headers": [(b"host", b"example.org")]})
    assert scope.authority == "example.org"


def test_rsgi_headers_read_as_granians() -> None:
    """Lookups ignore case, duplicates are kept, order is kept."""
    headers = RSGIHeaders([(b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3")])
    assert headers.get("X-A") == headers["X-a"] == "1"
    assert headers.get("nope") is None
    assert headers.get("nope", "d") == "d"
    assert headers.get_all("X-A") == ["1", "3"]
    assert headers.get_all("nope") == []
    assert headers.keys() == list(headers) == ["x-a", "x-b"]
    assert headers.values() == ["1", "2", "3"]
    assert headers.items() == [("x-a", "1"), ("x-b", "2"), ("x-a", "3")]
    assert "X-B" in headers
    assert "nope" not in headers
    assert 1 not in headers
    assert len(headers) == 2
    assert "x-b" in repr(headers)
    with pytest.raises(KeyError, match="nope"):
        headers["nope"]
