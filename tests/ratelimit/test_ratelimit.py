"""Limits as a dependency and as a layer, on both protocols."""

import json
import logging
import time
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser

from tests.conftest import ClientFactory
from tests.services.redis import redis_server
from velithon import Depends, HTTPException, Router, Velithon
from velithon.middleware.authentication import AuthenticationMiddleware
from velithon.middleware.proxy_headers import ProxyHeadersMiddleware
from velithon.ratelimit import RateLimit, RateLimitMiddleware, by_client, by_header, by_user
from velithon.stores import MemoryStore, RedisStore
from velithon.websocket import WebSocket, WebSocketDisconnect


def limited(*layers: tuple[Any, dict[str, Any]], **options: Any) -> Velithon:
    """An application with a few routes and layers, the first innermost."""
    app = Velithon(**options)

    @app.get("/")
    async def index() -> str:
        return "ok"

    @app.get("/health")
    async def health() -> str:
        return "ok"

    @app.get("/fails")
    async def fails() -> str:
        raise LookupError("no")

    @app.websocket("/ws")
    async def ws(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    for cls, given in layers:
        app.add_middleware(cls, **given)
    return app


def test_a_dependency_limits_its_route(client: ClientFactory) -> None:
    """Each route by itself, with the fields of the draft on what passes and on what is refused."""
    app = Velithon()
    limit = RateLimit("2/minute")

    @app.get("/a", dependencies=[Depends(limit)])
    async def a() -> str:
        return "a"

    @app.get("/b/{item}", dependencies=[Depends(limit)])
    async def b(item: int) -> int:
        return item

    with client(app) as caller:
        first, second, third = (caller.get("/a") for _ in range(3))
        assert (first.status_code, second.status_code, third.status_code) == (200, 200, 429)
        assert first.headers["ratelimit-policy"] == '"default";q=2;w=60'
        assert first.headers["ratelimit"].startswith('"default";r=1;t=')
        assert third.json() == {"detail": "Too Many Requests"}
        assert 1 <= int(third.headers["retry-after"]) <= 60
        assert third.headers["ratelimit"].startswith('"default";r=0;t=')
        assert [caller.get(f"/b/{item}").status_code for item in range(3)] == [200, 200, 429]


def test_limits_of_one_name_share_a_count(client: ClientFactory) -> None:
    app = Velithon()
    router = Router(dependencies=[Depends(RateLimit("2/minute", name="api"))])

    @router.get("/a")
    async def a() -> str:
        return "a"

    @router.get("/b")
    async def b() -> str:
        return "b"

    app.include_router(router)
    with client(app) as caller:
        assert [caller.get(path).status_code for path in ("/a", "/b", "/a", "/b")] == [200, 200, 429, 429]


def test_fields_may_be_left_out(client: ClientFactory) -> None:
    with client(limited((RateLimitMiddleware, {"limit": "1/minute", "headers": False}))) as caller:
        passed, refused = caller.get("/"), caller.get("/")
    assert "ratelimit" not in passed.headers
    assert "ratelimit" not in refused.headers
    assert "retry-after" in refused.headers


def test_a_layer_limits_everything(client: ClientFactory) -> None:
    """Missing pages and failures too, each with its fields; but not what is exempt."""
    layer = (RateLimitMiddleware, {"limit": "4/minute", "exempt_paths": ["/health", "/static/*"]})
    with client(limited(layer), raise_server_exceptions=False) as caller:
        for _ in range(5):
            assert caller.get("/health").status_code == 200
            assert caller.get("/static/a/b.css").status_code == 404
        answers = [caller.get(path) for path in ("/", "/missing", "/fails", "/", "/", "/missing")]
        assert [answer.status_code for answer in answers] == [200, 404, 500, 200, 429, 429]
        assert {answer.headers["ratelimit"].partition(";")[0] for answer in answers} == {'"default"'}
        assert "ratelimit" not in caller.get("/health").headers


def test_a_refusal_is_answered_as_any_http_exception(client: ClientFactory) -> None:
    """By the application's handler, or as a problem document."""
    app = limited((RateLimitMiddleware, {"limit": "1/minute"}), problem_details=True)
    with client(app) as caller:
        caller.get("/")
        refused = caller.get("/")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["status"] == 429
    assert "retry-after" in refused.headers


def test_handshakes_are_counted(client: ClientFactory) -> None:
    with client(limited((RateLimitMiddleware, {"limit": "1/minute"}))) as caller:
        with caller.websocket_connect("/ws"):
            pass
        with pytest.raises((WebSocketDisconnect, Exception)) as refused, caller.websocket_connect("/ws"):
            pass
        assert getattr(refused.value, "status_code", None) in (403, 429) or getattr(refused.value, "code", 0) == 1013


def test_a_layer_has_a_limit_or_options(client: ClientFactory) -> None:
    limit = RateLimit("1/minute")
    with client(limited((RateLimitMiddleware, {"limit": limit}))) as caller:
        assert [caller.get("/").status_code for _ in range(2)] == [200, 429]
    with pytest.raises(TypeError, match="cost belong to the RateLimit"):
        RateLimitMiddleware(limited(), limit, cost=2)
    with pytest.raises(ValueError, match="An exempt path starts with '/'"):
        RateLimitMiddleware(limited(), limit, exempt_paths=["health"])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"limit": "five"}, "A rate limit is written like '5/minute'"),
        ({"limit": "0/minute"}, "at least one request"),
        ({"limit": "1/minute", "strategy": "leaky"}, "strategy must be one of 'fixed-window', 'sliding-window'"),
        ({"limit": "1/minute", "burst": 3}, 'it goes with strategy="token-bucket"'),
        ({"limit": "1/minute", "cost": 2}, "cost must be at least 1"),
        ({"limit": "1/minute", "on_error": "wait"}, 'on_error must be "allow" or "refuse"'),
    ],
)
def test_mistakes_are_told_when_the_limit_is_made(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        RateLimit(**arguments)


def test_the_client_is_whom_trusted_proxies_name(client: ClientFactory) -> None:
    """Who is no trusted proxy cannot choose another address."""
    layer = (RateLimitMiddleware, {"limit": "1/minute"})
    with client(limited(layer, (ProxyHeadersMiddleware, {"trusted_hosts": "*"}))) as caller:
        codes = [caller.get("/", headers={"x-forwarded-for": f"192.0.2.{n}"}).status_code for n in (1, 1, 2)]
        assert codes == [200, 429, 200]
    with client(limited(layer)) as caller:
        codes = [caller.get("/", headers={"x-forwarded-for": f"192.0.2.{n}"}).status_code for n in (1, 2)]
        assert codes == [200, 429]


@pytest.mark.parametrize(
    ("host", "identity"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("not:an:address", "not:an:address"),
        ("", "unknown"),
    ],
)
def test_a_client_is_an_address_or_a_network(host: str, identity: str) -> None:
    """Who has one address of IPv6 has a network of them."""
    connection: Any = SimpleNamespace(client=SimpleNamespace(host=host))
    assert by_client(connection) == identity


def test_keys_by_header_keep_no_secret(client: ClientFactory) -> None:
    app = limited((RateLimitMiddleware, {"limit": "1/minute", "key": by_header("x-api-key")}))
    store = app.store
    assert isinstance(store, MemoryStore)
    with client(app) as caller:
        codes = [
            caller.get("/", headers={"x-api-key": key}).status_code for key in ("secret-a", "secret-b", "secret-a")
        ]
        assert codes == [200, 200, 429]
        assert not any("secret" in full for full in store._memory.entries)
        # Scheduled jobs of the same process may keep something, too.
        assert len([key for key in store._memory.entries if key.startswith("limit:")]) == 2
        assert [caller.get("/").status_code for _ in range(2)] == [200, 429]


def test_keys_by_user(client: ClientFactory) -> None:
    """Who is not authenticated is counted by address."""

    class Backend(AuthenticationBackend):
        async def authenticate(self, conn: Any) -> tuple[AuthCredentials, SimpleUser] | None:
            name = conn.headers.get("x-name")
            return None if name is None else (AuthCredentials(["authenticated"]), SimpleUser(name))

    layer = (RateLimitMiddleware, {"limit": "1/minute", "key": by_user})
    with client(limited(layer, (AuthenticationMiddleware, {"backend": Backend()}))) as caller:
        codes = [caller.get("/", headers={"x-name": name}).status_code for name in ("a", "b", "a")]
        assert codes == [200, 200, 429]
        assert [caller.get("/").status_code for _ in range(2)] == [200, 429]


def test_keys_by_function(client: ClientFactory) -> None:
    """Sync or async; for whom it returns nothing, nothing is counted."""

    async def key(request: Any) -> str | None:
        value: str | None = request.query_params.get("who")
        return value

    app = Velithon()

    @app.get(
        "/", dependencies=[Depends(RateLimit("1/minute", key=key, exempt=lambda request: "free" in str(request.url)))]
    )
    async def index() -> str:
        return "ok"

    with client(app) as caller:
        asked = ["/?who=a", "/?who=a", "/", "/", "/?who=a&free=1", "/?who=" + "x" * 500]
        assert [caller.get(path).status_code for path in asked] == [200, 429, 200, 200, 200, 200]


def test_documents_show_it(client: ClientFactory) -> None:
    """A route that depends on a limit, and each route behind the layer that is not exempt."""
    app = Velithon()

    @app.get("/limited", dependencies=[Depends(RateLimit("5/minute"))])
    async def a() -> str:
        return "a"

    @app.get("/free")
    async def b() -> str:
        return "b"

    paths = app.openapi()["paths"]
    response = paths["/limited"]["get"]["responses"]["429"]
    assert set(response["headers"]) == {"Retry-After", "RateLimit-Policy", "RateLimit"}
    assert response["description"]
    assert "429" not in paths["/free"]["get"]["responses"]
    json.dumps(response)

    layered = limited((RateLimitMiddleware, {"limit": "5/minute", "exempt_paths": ["/health"]})).openapi()["paths"]
    assert "429" in layered["/"]["get"]["responses"]
    assert "429" not in layered["/health"]["get"]["responses"]


@pytest.mark.parametrize(("on_error", "status"), [("allow", 200), ("refuse", 503)])
def test_a_store_that_is_away(
    client: ClientFactory,
    on_error: str,
    status: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Requests pass or are refused as was said; it is logged once, does not cost each request, and counting goes on."""
    monkeypatch.setattr("velithon.ratelimit.limit._ASK_AGAIN", 0.5)
    with redis_server() as server:
        store = RedisStore(server.url, timeout=0.3)
        app = limited((RateLimitMiddleware, {"limit": "2/minute", "on_error": on_error}), store=store)
        with client(app) as caller:
            assert caller.get("/").status_code == 200
            server.pause()
            begun = time.monotonic()
            answers = [caller.get("/") for _ in range(5)]
            assert [answer.status_code for answer in answers] == [status] * 5
            # Without the pause between two questions it would be five times the timeout.
            assert time.monotonic() - begun < 1.2
            server.kill()
            assert caller.get("/").status_code == status
            records = [record for record in caplog.records if record.name == "velithon.ratelimit"]
            assert [record.levelno for record in records] == [logging.ERROR]
            assert "Requests cannot be counted" in records[0].getMessage()
            server.start()
            end = time.monotonic() + 10
            while caller.get("/").status_code != 429:
                assert time.monotonic() < end
                time.sleep(0.05)
            assert "Requests are counted again" in caplog.text


def test_a_limit_may_have_a_store_of_its_own(client: ClientFactory, redis_url: str) -> None:
    app = limited((RateLimitMiddleware, {"limit": "1/minute", "store": redis_url}))
    with client(app) as caller:
        assert [caller.get("/").status_code for _ in range(2)] == [200, 429]
        assert isinstance(app.store, MemoryStore)
        assert not [key for key in app.store._memory.entries if key.startswith("limit:")]
    with client(app) as caller:
        assert caller.get("/").status_code == 429


def test_the_error_is_an_http_exception() -> None:
    from velithon.ratelimit import RateLimitError, RateLimitUnavailableError

    assert issubclass(RateLimitError, HTTPException)
    assert RateLimitUnavailableError().status_code == 503
