"""The smaller layers: hosts, HTTPS, proxies, identifiers, access lines, limits, timing, security, authentication."""

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import ClientFactory
from velithon import Middleware, Request, Velithon, WebSocket
from velithon.logging import JSONFormatter, TextFormatter
from velithon.middleware.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    AuthenticationMiddleware,
    SimpleUser,
    requires,
)
from velithon.middleware.body_limit import BodyLimitMiddleware
from velithon.middleware.httpsredirect import HTTPSRedirectMiddleware
from velithon.middleware.logging import LoggingMiddleware
from velithon.middleware.proxy_headers import ProxyHeadersMiddleware
from velithon.middleware.request_id import RequestIDMiddleware, get_request_id
from velithon.middleware.security_headers import SecurityHeadersMiddleware
from velithon.middleware.timing import TimingMiddleware
from velithon.middleware.trustedhost import TrustedHostMiddleware
from velithon.middleware.wsgi import WSGIMiddleware
from velithon.responses import FileResponse, PlainTextResponse, StreamingResponse


def application(*layers: Any) -> Velithon:
    app = Velithon(middleware=list(layers))

    @app.get("/")
    async def root(request: Request) -> Any:
        client = request.client
        return {
            "client": None if client is None else [client.host, client.port],
            "scheme": request.url.scheme,
            "url": str(request.url),
            "id": get_request_id(),
        }

    @app.get("/error")
    async def error() -> None:
        raise ZeroDivisionError

    @app.get("/gone")
    async def gone() -> Any:
        return FileResponse("/nowhere/at/all")

    @app.get("/stream")
    async def stream() -> Any:
        return StreamingResponse(iter(["a", "b"]))

    @app.post("/body")
    async def body(request: Request) -> Any:
        return len(await request.body())

    @app.websocket("/ws")
    async def ws(websocket: WebSocket) -> None:
        await websocket.accept()
        client = websocket.client
        await websocket.send_json(
            {"client": client and client.host, "scheme": websocket.url.scheme, "id": get_request_id()}
        )
        await websocket.close()

    return app


def connects(c: Any, path: str = "/ws", **options: Any) -> Any:
    """Return what a WebSocket says first, or the status of the refusal."""
    try:
        with c.websocket_connect(path, **options) as websocket:
            return websocket.receive_json()
    except Exception as exc:  # noqa: BLE001 - the kinds of refusals differ
        return getattr(exc, "status_code", 403)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("example.org", 200),
        ("EXAMPLE.org:8000", 200),
        ("a.example.net", 200),
        ("example.net", 400),
        ("evil.test", 400),
        ("only.test", 307),
        ("", 400),
        ("a b", 400),
    ],
)
def test_only_allowed_hosts_are_served(client: ClientFactory, host: str, status: int) -> None:
    hosts = ["example.org", "*.example.net", "www.only.test"]
    c = client(application(Middleware(TrustedHostMiddleware, allowed_hosts=hosts)), follow_redirects=False)
    answer = c.get("/?q=1", headers={"host": host})
    assert answer.status_code == status
    if status == 307:
        assert answer.headers["location"] == "http://www.only.test/?q=1"
    if status == 200:
        assert connects(c, headers={"host": host})["scheme"] == "ws"
    else:
        assert connects(c, headers={"host": host}) in (400, 403, 307)


def test_every_host_is_allowed_by_default(client: ClientFactory) -> None:
    assert client(application(Middleware(TrustedHostMiddleware))).get("/", headers={"host": "x"}).status_code == 200


@pytest.mark.parametrize("pattern", ["a*", "*a", "a.*.b"])
def test_host_patterns_are_checked(pattern: str) -> None:
    with pytest.raises(ValueError, match="wildcard"):
        TrustedHostMiddleware(application(), allowed_hosts=[pattern])


@pytest.mark.parametrize(
    ("base", "location"),
    [
        ("http://testserver", "https://testserver/?q=1"),
        ("http://testserver:80", "https://testserver/?q=1"),
        ("http://testserver:123", "https://testserver:123/?q=1"),
        ("https://testserver", None),
    ],
)
def test_plain_http_is_redirected(client: ClientFactory, base: str, location: str | None) -> None:
    app = application(Middleware(HTTPSRedirectMiddleware))
    answer = client(app, base_url=base, follow_redirects=False).get("/?q=1")
    assert answer.headers.get("location") == location
    assert answer.status_code == (200 if location is None else 307)


def test_plain_websockets_are_refused_and_bad_hosts_not_redirected(client: ClientFactory) -> None:
    c = client(application(Middleware(HTTPSRedirectMiddleware)), follow_redirects=False)
    assert connects(c) in (307, 403)
    assert c.get("/", headers={"host": ""}).status_code in (307, 400)


FORWARDED: list[tuple[str, dict[str, str], Any]] = [
    ("127.0.0.1", {}, ["10.9.9.9", 4000, "http"]),
    ("10.9.9.9", {"x-forwarded-for": "1.2.3.4"}, ["1.2.3.4", 0, "http"]),
    ("10.0.0.0/8", {"x-forwarded-for": "1.2.3.4:555", "x-forwarded-proto": "https"}, ["1.2.3.4", 555, "https"]),
    ("127.0.0.1", {"x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "https"}, ["10.9.9.9", 4000, "http"]),
    ("10.9.9.9", {"x-forwarded-for": "6.6.6.6, 1.2.3.4"}, ["1.2.3.4", 0, "http"]),
    ("10.0.0.0/8", {"x-forwarded-for": "6.6.6.6, 1.2.3.4, 10.1.1.1"}, ["1.2.3.4", 0, "http"]),
    ("*", {"x-forwarded-for": "6.6.6.6, 1.2.3.4"}, ["6.6.6.6", 0, "http"]),
    ("10.9.9.9", {"x-forwarded-for": "[2001:db8::1]:7"}, ["2001:db8::1", 7, "http"]),
    ("10.9.9.9", {"x-forwarded-proto": "gopher"}, ["10.9.9.9", 4000, "http"]),
    ("10.9.9.9", {"x-forwarded-proto": "wss"}, ["10.9.9.9", 4000, "https"]),
    ("10.9.9.9", {"x-forwarded-for": ""}, ["10.9.9.9", 4000, "http"]),
]


@pytest.mark.parametrize("materialised", [False, True], ids=["lazy", "built"])
@pytest.mark.parametrize(("trusted", "headers", "expected"), FORWARDED)
def test_only_trusted_proxies_are_believed(
    client: ClientFactory, trusted: str, headers: dict[str, str], expected: list[Any], materialised: bool
) -> None:
    app = application(Middleware(ProxyHeadersMiddleware, trusted_hosts=trusted))

    @app.middleware("http")
    async def outside(request: Request, call_next: Any) -> Any:
        if materialised:
            assert request.scope["type"] == "http"
        return await call_next(request)

    c = client(app, client=("10.9.9.9", 4000))
    answer = c.get("/", headers=headers).json()
    assert [*answer["client"], answer["scheme"]] == expected
    told = connects(c, headers=headers)
    assert [told["client"], told["scheme"]] == [expected[0], {"http": "ws", "https": "wss"}[expected[2]]]


@pytest.mark.parametrize("given", [None, "abc-123", "bad id", 'a"b', "x" * 129, "é".encode("latin-1")])
def test_requests_have_an_identifier(client: ClientFactory, given: Any) -> None:
    """A sane one that came in is kept; anything else is replaced."""
    app = application(Middleware(RequestIDMiddleware))
    headers = {} if given is None else {"x-request-id": given}
    answer = client(app).get("/", headers=headers)
    request_id = answer.headers["x-request-id"]
    assert answer.json()["id"] == request_id
    if given == "abc-123":
        assert request_id == given
    else:
        assert re.fullmatch(r"[0-9a-f]{32}", request_id)
    assert connects(client(app), headers={"x-request-id": "abc"})["id"] == "abc"


@pytest.mark.parametrize("path", ["/error", "/gone", "/none", "/stream"])
def test_errors_have_the_identifier_too(client: ClientFactory, path: str) -> None:
    app = application(Middleware(RequestIDMiddleware, header="X-Trace", generate=lambda: "made"))
    answer = client(app, raise_server_exceptions=False).get(path)
    assert answer.headers.get_list("x-trace") == ["made"]


def test_there_is_no_identifier_outside_of_requests() -> None:
    assert get_request_id() is None


@pytest.fixture(params=["text", "json"])
def lines(request: pytest.FixtureRequest) -> Iterator[Any]:
    """What the access logger writes, in either format."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONFormatter() if request.param == "json" else TextFormatter())
    logger = logging.getLogger("velithon.access")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)

    def read() -> list[dict[str, Any]]:
        made = stream.getvalue().splitlines()
        if request.param == "json":
            return [json.loads(line) for line in made]
        pattern = (
            r'\S+ (?P<level>\w+) +velithon\.access: (?P<client>\S+) "(?P<method>\S+) (?P<path>\S+) (?P<protocol>\S+)"'
            r" (?P<status>\d+) (?P<duration_ms>[\d.]+)ms(?: (?P<request_id>\S+))?"
        )
        found = [re.fullmatch(pattern, line) for line in made]
        assert all(found), made
        return [match.groupdict() for match in found if match]

    yield read
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def test_each_request_has_a_line(client: ClientFactory, lines: Any) -> None:
    app = application(Middleware(RequestIDMiddleware), Middleware(LoggingMiddleware, exclude_paths=["/body"]))
    c = client(app, raise_server_exceptions=False)
    for path in ("/?secret=1", "/none", "/error", "/stream"):
        c.get(path, headers={"x-request-id": "rid"})
    c.post("/body")
    connects(c)
    connects(c, "/nowhere")
    found = lines()
    assert [(line["method"], line["path"], int(line["status"]), line["level"]) for line in found] == [
        ("GET", "/", 200, "INFO"),
        ("GET", "/none", 404, "WARNING"),
        ("GET", "/error", 500, "ERROR"),
        ("GET", "/stream", 200, "INFO"),
        ("WEBSOCKET", "/ws", 101, "INFO"),
        ("WEBSOCKET", "/nowhere", 403, "WARNING"),
    ]
    assert {line["client"] for line in found} == {"testclient"}
    assert all(float(line["duration_ms"]) >= 0 for line in found)
    assert [line["request_id"] for line in found[:4]] == ["rid"] * 4


def test_a_request_cannot_forge_a_line(client: ClientFactory, lines: Any) -> None:
    app = application(Middleware(LoggingMiddleware))
    client(app).get('/a%0Ab"%1b[31m')
    (line,) = lines()
    assert line["path"] == "/a%0Ab%22%1B%5B31m"


def test_no_line_is_made_that_nobody_reads(client: ClientFactory, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("quiet.access").setLevel(logging.ERROR)
    client(application(Middleware(LoggingMiddleware, logger="quiet.access"))).get("/")
    assert [record for record in caplog.records if record.name == "quiet.access"] == []


def chunked(*chunks: bytes) -> Iterator[bytes]:
    yield from chunks


def test_bodies_are_limited(client: ClientFactory) -> None:
    """At once by the announced length, and as they grow where none was announced."""
    app = application(Middleware(BodyLimitMiddleware, max_body_size=5))

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await PlainTextResponse("read")(scope, receive, send)

    app.mount("/m", mounted)
    c = client(app)
    assert c.post("/body", content=b"12345").json() == 5
    assert c.post("/body", content=b"123456").status_code == 413
    assert c.post("/body", content=chunked(b"12", b"345")).json() == 5
    assert c.post("/body", content=chunked(b"123", b"456")).status_code == 413
    assert c.post("/m/x", content=chunked(b"123", b"456")).status_code == 413
    assert c.post("/m/x", content=chunked(b"123")).text == "read"
    assert c.get("/").status_code == 200


def test_a_limit_is_not_negative() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        BodyLimitMiddleware(application(), max_body_size=-1)


def test_the_time_is_told(client: ClientFactory) -> None:
    answer = client(application(Middleware(TimingMiddleware, name="total"))).get("/")
    assert re.fullmatch(r"total;dur=\d+\.\d{3}", answer.headers["server-timing"])


@pytest.mark.parametrize("path", ["/", "/error", "/gone", "/none", "/stream"])
def test_security_headers_are_on_every_response(client: ClientFactory, path: str) -> None:
    app = application(
        Middleware(SecurityHeadersMiddleware, content_security_policy="default-src 'self'", frame_options=None)
    )
    headers = client(app, raise_server_exceptions=False).get(path).headers
    assert headers.get_list("x-content-type-options") == ["nosniff"]
    assert headers["referrer-policy"] == "strict-origin-when-cross-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["content-security-policy"] == "default-src 'self'"
    assert "x-frame-options" not in headers
    assert "permissions-policy" not in headers
    assert "strict-transport-security" not in headers


def test_hsts_is_sent_over_https_and_an_endpoints_own_header_stays(client: ClientFactory) -> None:
    layer = Middleware(SecurityHeadersMiddleware, hsts_max_age=5, hsts_include_subdomains=True, hsts_preload=True)
    app = application(layer)

    @app.get("/own")
    async def own() -> Any:
        return PlainTextResponse("", headers={"X-Frame-Options": "SAMEORIGIN"})

    headers = client(app, base_url="https://testserver").get("/own").headers
    assert headers["strict-transport-security"] == "max-age=5; includeSubDomains; preload"
    assert headers.get_list("x-frame-options") == ["SAMEORIGIN"]
    off = client(application(Middleware(SecurityHeadersMiddleware, hsts_max_age=None)), base_url="https://testserver")
    assert "strict-transport-security" not in off.get("/").headers


class Backend(AuthenticationBackend):
    """Knows one user."""

    async def authenticate(self, conn: Any) -> Any:
        given = conn.headers.get("authorization")
        if given is None:
            return None
        if given != "Token good":
            raise AuthenticationError("bad token")
        return AuthCredentials(["authenticated"]), SimpleUser("ann")


def test_a_backend_says_who_is_there(client: ClientFactory) -> None:
    app = Velithon(middleware=[Middleware(AuthenticationMiddleware, backend=Backend())])

    @app.get("/me")
    async def me(request: Request) -> Any:
        return [request.user.display_name, request.auth.scopes]

    @app.get("/in")
    @requires("authenticated")
    async def inside(request: Request) -> Any:
        return request.user.display_name

    @app.websocket("/ws")
    async def ws(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json(websocket.user.display_name)
        await websocket.close()

    c = client(app)
    good, bad = {"authorization": "Token good"}, {"authorization": "Token bad"}
    assert c.get("/me", headers=good).json() == ["ann", ["authenticated"]]
    assert c.get("/me").json() == ["", []]
    assert c.get("/in", headers=good).json() == "ann"
    assert c.get("/in").status_code == 403
    refused = c.get("/me", headers=bad)
    assert (refused.status_code, refused.text) == (400, "bad token")
    assert connects(c, headers=good) == "ann"
    assert connects(c, headers=bad) == 403


def test_wsgi_applications_are_mounted(client: ClientFactory) -> None:
    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("content-type", "text/plain")])
        return [environ["PATH_INFO"].encode(), environ["wsgi.input"].read()]

    app = Velithon(middleware=[Middleware(TimingMiddleware)])
    app.mount("/wsgi", WSGIMiddleware(wsgi))
    assert client(app).post("/wsgi/x", content=b"!").text == "/x!"
