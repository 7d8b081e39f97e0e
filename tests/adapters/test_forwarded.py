"""What trusted proxies say about a request: whom to believe, and what is well-formed."""

from collections import defaultdict
from typing import Any

import pytest

from tests.adapters.memory import Headers, Scope
from velithon_adapters.forwarded import Forwarded, TrustedProxies, forwarded_asgi, forwarded_rsgi
from velithon_adapters.scope import asgi_scope

PEER = "10.0.0.1"


def read(trusted: str, *headers: tuple[str, str], only_plain: bool = False) -> Forwarded:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in headers:
        found[name].append(value)
    return TrustedProxies(trusted, only_plain=only_plain).read(lambda name: found[name])


@pytest.mark.parametrize(
    ("trusted", "client", "server", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", None, True),
        ("127.0.0.1", "127.0.0.2", None, False),
        ("10.0.0.0/8, 192.168.1.1", "192.168.1.1", None, True),
        ("10.0.0.0/8", "10.255.0.1", None, True),
        ("10.0.0.0/8", "::ffff:10.0.0.1", None, True),
        ("2001:db8::/32", "2001:db8:0:0::1", None, True),
        ("::1", "0:0:0:0:0:0:0:1", None, True),
        ("*", "203.0.113.5", None, True),
        ("*", None, None, True),
        ("127.0.0.1", None, "/run/app.sock", False),
        ("unix", None, "/run/app.sock", True),
        ("unix:", "", None, True),
        ("unix:/run/app.sock", None, "/run/app.sock", True),
        ("/run/app.sock", None, "/run/other.sock", False),
        ("unix", "unix.example", None, False),
        ("", "127.0.0.1", None, False),
    ],
)
def test_trust_is_a_matter_of_the_connection(
    trusted: str, client: str | None, server: str | None, expected: bool
) -> None:
    assert TrustedProxies(trusted).trusts(client, server) is expected


@pytest.mark.parametrize("network", ["10.0.0.1/8", "10.0.0.0/33", "proxy/8"])
def test_a_network_that_is_none_is_an_error(network: str) -> None:
    with pytest.raises(ValueError, match=f"'{network}' is no network of trusted proxies"):
        TrustedProxies(f"127.0.0.1,{network}")


FOR, PROTO, HOST, PREFIX = (f"x-forwarded-{name}" for name in ("for", "proto", "host", "prefix"))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], Forwarded()),
        ([(FOR, "203.0.113.5")], Forwarded(("203.0.113.5", 0))),
        ([(FOR, "203.0.113.5:4711"), (PROTO, "https")], Forwarded(("203.0.113.5", 4711), "https")),
        # The client invented the first entry; the last one is a proxy of ours.
        ([(FOR, "6.6.6.6, 203.0.113.5, 10.0.0.2")], Forwarded(("203.0.113.5", 0))),
        ([(FOR, "6.6.6.6"), (FOR, "203.0.113.5")], Forwarded(("203.0.113.5", 0))),
        ([(FOR, "10.0.0.3, 10.0.0.2")], Forwarded(("10.0.0.3", 0))),
        # Lists that proxies append to are read at one place.
        (
            [(FOR, "6.6.6.6, 203.0.113.5, 10.0.0.2"), (PROTO, "ftp, https, http"), (HOST, "evil, shop.example, inner")],
            Forwarded(("203.0.113.5", 0), "https", "shop.example"),
        ),
        ([(FOR, "6.6.6.6, 203.0.113.5"), (PROTO, "https")], Forwarded(("203.0.113.5", 0), "https")),
        # The client's own scheme stands before that of the proxy, which counts one hop.
        ([(FOR, "203.0.113.5"), (PROTO, "https, http")], Forwarded(("203.0.113.5", 0), "http")),
        ([(FOR, "2001:db8::1"), (PROTO, "HTTPS")], Forwarded(("2001:db8::1", 0), "https")),
        ([(FOR, "[2001:db8::1]:80"), (PROTO, "wss")], Forwarded(("2001:db8::1", 80), "https")),
        ([(FOR, "[2001:db8::1]")], Forwarded(("2001:db8::1", 0))),
        ([(PROTO, "gopher")], Forwarded()),
        ([(HOST, "shop.example:8443")], Forwarded(host="shop.example:8443")),
        ([(HOST, "[::1]:8443")], Forwarded(host="[::1]:8443")),
        ([(HOST, "evil.example/path")], Forwarded()),
        ([(HOST, 'a"b')], Forwarded()),
        ([(PREFIX, "/shop/")], Forwarded(prefix="/shop")),
        ([(PREFIX, "//evil.example")], Forwarded()),
        ([(PREFIX, "https://evil.example")], Forwarded()),
        ([(PREFIX, "/")], Forwarded()),
    ],
)
def test_the_last_untrusted_hop_counts(headers: list[tuple[str, str]], expected: Forwarded) -> None:
    assert read("10.0.0.0/8", *headers) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=203.0.113.5;proto=https;host=shop.example", Forwarded(("203.0.113.5", 0), "https", "shop.example")),
        ('For="[2001:db8:cafe::17]:4711"', Forwarded(("2001:db8:cafe::17", 4711))),
        ("for=6.6.6.6;proto=http, for=203.0.113.5;proto=https, for=10.0.0.2", Forwarded(("203.0.113.5", 0), "https")),
        ("for=6.6.6.6 , FOR = bad", Forwarded()),
        ('for="6.6.6.6, for=203.0.113.5', Forwarded()),
        ("for=_hidden, for=10.0.0.2", Forwarded(("_hidden", 0))),
        ("for=unknown", Forwarded(("unknown", 0))),
        ('for=1.2.3.4;host="shop.example:8443"', Forwarded(("1.2.3.4", 0), None, "shop.example:8443")),
        ('for=1.2.3.4;host="a\\"b"', Forwarded(("1.2.3.4", 0))),
        ("proto=https", Forwarded(scheme="https")),
        (",,", Forwarded()),
    ],
)
def test_forwarded_is_read_by_its_specification(value: str, expected: Forwarded) -> None:
    assert read("10.0.0.0/8", ("forwarded", value)) == expected


def test_the_usual_headers_stand_above_the_standard_one() -> None:
    """A proxy that sets X-Forwarded-For passes on the Forwarded of its client."""
    headers = [(FOR, "203.0.113.5"), ("forwarded", "for=6.6.6.6;proto=https")]
    assert read("10.0.0.0/8", *headers) == Forwarded(("203.0.113.5", 0))


def test_everybody_trusted_means_the_first_entry() -> None:
    assert read("*", (FOR, "6.6.6.6, 203.0.113.5"), (PROTO, "https, http")) == Forwarded(("6.6.6.6", 0), "https")


def test_proxies_that_nobody_named_say_client_and_scheme_alone() -> None:
    """What such a proxy does not set, it passes on as its client sent it."""
    said: list[Any] = [(FOR, "203.0.113.5"), (PROTO, "https"), (HOST, "evil.example"), (PREFIX, "/evil")]
    expected = Forwarded(("203.0.113.5", 0), "https")
    assert read("127.0.0.1", *said, only_plain=True) == expected
    assert read("127.0.0.1", ("forwarded", "for=6.6.6.6"), only_plain=True) == Forwarded()


def seen(protocol: str, trusted: str, client: str, server: str, path: str, headers: dict[str, str]) -> dict[str, Any]:
    """Return the ASGI scope of a request that an application gets behind trusted proxies."""
    found: list[Any] = []
    pairs = [("host", "inner"), *headers.items()]
    scope = Scope(client=client, server=server, path=path, headers=Headers(pairs))

    def keep(scope: object, *_: object) -> Any:
        found.append(scope)

    if protocol == "rsgi":
        forwarded_rsgi(keep, TrustedProxies(trusted))(scope, None)
        return dict(asgi_scope(found[0]))
    asgi: Any = forwarded_asgi(keep, TrustedProxies(trusted))
    asgi(asgi_scope(scope), None, None)
    return dict(found[0])


SOCKET = "/run/app.sock"
ALL = {FOR: "203.0.113.5", PROTO: "https", HOST: "?", PREFIX: "?", "forwarded": "?"}


@pytest.mark.parametrize("protocol", ["asgi", "rsgi"])
@pytest.mark.parametrize(
    ("trusted", "client", "server", "path", "headers", "changed"),
    [
        (PEER, f"{PEER}:5", "10.0.0.9:80", "/", {PROTO: "https"}, {"scheme": "https"}),
        (PEER, f"{PEER}:5", "10.0.0.9:80", "/", {FOR: "2001:db8::1"}, {"client": ("2001:db8::1", 0)}),
        (PEER, f"{PEER}:5", "10.0.0.9:80", "/", {HOST: "shop"}, {"headers": [(b"host", b"shop")]}),
        # The path that was taken off stands before the path, also where the proxy left it there.
        (PEER, f"{PEER}:5", "10.0.0.9:80", "/a", {PREFIX: "/shop"}, {"root_path": "/shop", "path": "/shop/a"}),
        (PEER, f"{PEER}:5", "10.0.0.9:80", "/shop/a", {PREFIX: "/shop"}, {"root_path": "/shop", "path": "/shop/a"}),
        (PEER, f"{PEER}:5", "10.0.0.9:80", "/", ALL, {"scheme": "https", "client": ("203.0.113.5", 0)}),
        (PEER, "10.0.0.2:5", "10.0.0.9:80", "/", {PROTO: "https"}, {}),
        (SOCKET, "", SOCKET, "/", {PROTO: "https"}, {"scheme": "https"}),
        (SOCKET, "", "/run/other.sock", "/", {PROTO: "https"}, {}),
        (SOCKET, f"{PEER}:5", "10.0.0.9:80", "/", {PROTO: "https"}, {}),
    ],
)
def test_a_request_shows_what_trusted_proxies_say(
    protocol: str, trusted: str, client: str, server: str, path: str, headers: dict[str, str], changed: dict[str, Any]
) -> None:
    """The same on both protocols; what an untrusted connection says is seen as it was sent."""
    scope = seen(protocol, trusted, client, server, path, headers)
    plain = seen(protocol, "203.0.113.1", client, server, path, {})
    scope["headers"] = [pair for pair in scope["headers"] if pair[0] == b"host"]
    for name in ("client", "server", "scheme", "path", "root_path", "headers"):
        assert scope[name] == changed.get(name, plain[name]), name
