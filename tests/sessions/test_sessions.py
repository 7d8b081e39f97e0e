"""Sessions on the server, on both protocols and on every store."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest

from tests.conftest import AsyncClientFactory, ClientFactory
from tests.services.redis import redis_server
from tests.test_docs import ROOT, run
from velithon import Depends, Request, Velithon, WebSocket
from velithon.middleware.sessions import SessionMiddleware
from velithon.sessions import (
    ServerSession,
    ServerSessionMiddleware,
    get_session,
    list_sessions,
    revoke_session,
    revoke_sessions,
)

MakeApp = Callable[..., Velithon]


def with_sessions(url: str, **options: Any) -> Velithon:
    """An application that shows what can be done with a session."""
    app = Velithon(store=url)
    app.add_middleware(ServerSessionMiddleware, **options)

    @app.get("/")
    async def index(request: Request) -> dict[str, Any]:
        return dict(request.session)

    @app.get("/nothing")
    async def nothing() -> None: ...

    @app.post("/set")
    async def set_(values: dict[str, Any], request: Request) -> None:
        request.session.update(values)

    @app.post("/replace")
    async def replace(values: dict[str, Any], request: Request) -> None:
        request.scope["session"] = values

    @app.post("/login/{name}")
    async def login(name: str, request: Request) -> None:
        session: Any = request.session
        session.regenerate(user=name, details={"agent": request.headers.get("user-agent")})

    @app.post("/logout")
    async def logout(request: Request) -> None:
        request.session.clear()

    @app.get("/me")
    async def me(request: Request) -> list[str | None]:
        session: Any = request.session
        return [session.user, session.handle]

    @app.get("/list/{name}")
    async def listed(name: str, request: Request) -> list[list[Any]]:
        return [[info.handle, info.details] for info in await list_sessions(request.app.store, name)]

    @app.post("/revoke/{name}/{handle}")
    async def revoke(name: str, handle: str, request: Request) -> bool:
        return await revoke_session(request.app.store, name, handle)

    @app.post("/revoke-others/{name}")
    async def others(name: str, request: Request) -> int:
        session: Any = request.session
        return await revoke_sessions(request.app.store, name, keep=session.handle)

    @app.websocket("/ws")
    async def ws(websocket: WebSocket) -> None:
        await websocket.accept()
        websocket.session["n"] = websocket.session.get("n", 0) + 1
        await websocket.send_json(dict(websocket.session))
        await websocket.close()

    return app


@pytest.fixture(params=["memory", "file", "redis"])
def make_app(request: pytest.FixtureRequest, tmp_path: Path) -> MakeApp:
    """A factory of applications whose sessions are in one of the stores."""
    if request.param == "redis":
        url: str = request.getfixturevalue("redis_url")
    else:
        url = "memory://" if request.param == "memory" else f"file://{tmp_path}/store"

    def make(**options: Any) -> Velithon:
        return with_sessions(url, **options)

    return make


def cookie_of(answer: Any) -> str:
    """The identifier that an answer sets."""
    header: str = answer.headers["set-cookie"]
    return header.partition("=")[2].partition(";")[0]


def test_what_is_put_in_comes_back(client: ClientFactory, make_app: MakeApp) -> None:
    """The cookie holds none of it, and is sent only where something has changed."""
    with client(make_app()) as caller:
        assert "set-cookie" not in caller.get("/nothing").headers
        assert "set-cookie" not in caller.get("/").headers
        answer = caller.post("/set", json={"name": "alice", "list": [1]})
        flags = answer.headers["set-cookie"].lower()
        assert "path=/; max-age=1209600; httponly; samesite=lax" in flags
        assert "alice" not in flags
        assert len(cookie_of(answer)) == 43
        again = caller.get("/")
        assert again.json() == {"name": "alice", "list": [1]}
        assert "set-cookie" not in again.headers
        assert again.headers["vary"] == "Cookie"
        changed = caller.post("/set", json={"more": True})
        assert cookie_of(changed) == cookie_of(answer)
        assert caller.get("/").json() == {"name": "alice", "list": [1], "more": True}
        caller.post("/replace", json={"other": 1})
        assert caller.get("/").json() == {"other": 1}


def test_an_emptied_session_ends(client: ClientFactory, make_app: MakeApp) -> None:
    with client(make_app()) as caller:
        identifier = cookie_of(caller.post("/set", json={"a": 1}))
        gone = caller.post("/logout")
        assert "expires=Thu, 01 Jan 1970" in gone.headers["set-cookie"]
        assert caller.get("/", headers={"cookie": f"session={identifier}"}).json() == {}


@pytest.mark.parametrize("identifier", ["", "null", "x" * 43, "x" * 5000, "\x7f", "../../etc/passwd"])
def test_an_identifier_that_nobody_gave_is_nothing(client: ClientFactory, make_app: MakeApp, identifier: str) -> None:
    """And never becomes a session's: what a visitor brings is not taken over."""
    with client(make_app()) as caller:
        headers = {"cookie": f"session={identifier}"}
        assert caller.get("/", headers=headers).json() == {}
        assert cookie_of(caller.post("/set", json={"a": 1}, headers=headers)) != identifier


def test_the_store_does_not_hold_identifiers(client: ClientFactory) -> None:
    """Who reads it cannot take a session over."""
    app = with_sessions("memory://")
    with client(app) as caller:
        identifier = cookie_of(caller.post("/set", json={"a": 1}))
        store: Any = app.store
        assert len(store) == 1
        assert not any(
            identifier in full or identifier.encode() in value for full, (value, _) in store._memory.entries.items()
        )


def test_login_gives_a_new_identifier(client: ClientFactory, make_app: MakeApp) -> None:
    """With what was in it; the old one is worth nothing."""
    with client(make_app()) as caller:
        before = cookie_of(caller.post("/set", json={"cart": [1]}))
        after = cookie_of(caller.post("/login/alice"))
        assert after != before
        assert caller.get("/").json() == {"cart": [1]}
        assert caller.get("/me").json()[0] == "alice"
        caller.cookies.clear()
        assert caller.get("/", headers={"cookie": f"session={before}"}).json() == {}


def test_sessions_of_a_user(client: ClientFactory, make_app: MakeApp) -> None:
    """Are listed, and revoked one by one or all but one; others are not concerned."""
    with client(make_app()) as caller:

        def login(name: str, agent: str) -> dict[str, str]:
            caller.cookies.clear()
            identifier = cookie_of(caller.post(f"/login/{name}", headers={"user-agent": agent}))
            caller.cookies.clear()
            return {"cookie": f"session={identifier}"}

        phone, laptop, desk, bob = login("alice", "p"), login("alice", "l"), login("alice", "d"), login("bob", "b")
        assert [details for _, details in caller.get("/list/alice").json()] == [
            {"agent": "p"},
            {"agent": "l"},
            {"agent": "d"},
        ]
        assert caller.get("/list/nobody").json() == []
        _, handle = caller.get("/me", headers=phone).json()
        assert caller.post(f"/revoke/bob/{handle}").json() is False
        assert caller.post(f"/revoke/alice/{handle}").json() is True
        assert caller.post(f"/revoke/alice/{handle}").json() is False
        assert caller.get("/me", headers=phone).json() == [None, None]
        assert caller.post("/revoke-others/alice", headers=laptop).json() == 1
        assert caller.get("/me", headers=laptop).json()[0] == "alice"
        assert caller.get("/me", headers=desk).json() == [None, None]
        assert caller.get("/me", headers=bob).json()[0] == "bob"
        assert len(caller.get("/list/alice").json()) == 1
        caller.post("/logout", headers=laptop)
        assert caller.get("/list/alice").json() == []


@pytest.mark.asyncio
async def test_a_revoked_session_does_not_come_back(async_client: AsyncClientFactory, make_app: MakeApp) -> None:
    """With a request that was under way and changes it, or logs in."""
    app = make_app()
    begun, go_on = asyncio.Event(), asyncio.Event()

    @app.post("/slow")
    async def slow(request: Request, again: bool = False) -> None:
        begun.set()
        await go_on.wait()
        session: Any = request.session
        session["a"] = 2
        if again:
            session.regenerate(user="alice")

    async with async_client(app) as caller:
        for path in ("/slow", "/slow?again=true"):
            begun.clear()
            go_on.clear()
            caller.cookies.clear()
            identifier = cookie_of(await caller.post("/login/alice"))
            caller.cookies.clear()
            headers = {"cookie": f"session={identifier}"}
            asking = asyncio.create_task(caller.post(path, headers=headers))
            await asyncio.wait_for(begun.wait(), 5)
            assert await revoke_sessions(app.store, "alice") == 1
            go_on.set()
            assert "expires=Thu, 01 Jan 1970" in (await asking).headers["set-cookie"]
            caller.cookies.clear()
            assert (await caller.get("/me", headers=headers)).json() == [None, None]
            assert await list_sessions(app.store, "alice") == []


def test_a_session_ends_when_it_is_idle(client: ClientFactory) -> None:
    """And not while it is used, which extends the cookie's lifetime too."""
    with client(with_sessions("memory://", idle_timeout=0.6)) as caller:
        headers = {"cookie": f"session={cookie_of(caller.post('/set', json={'a': 1}))}"}
        caller.cookies.clear()
        end = time.monotonic() + 0.9
        extended = False
        while time.monotonic() < end:
            answer = caller.get("/", headers=headers)
            assert answer.json() == {"a": 1}
            extended = extended or "set-cookie" in answer.headers
            caller.cookies.clear()
            time.sleep(0.05)
        assert extended
        time.sleep(0.65)
        assert caller.get("/", headers=headers).json() == {}


def test_a_session_ends_absolutely(client: ClientFactory) -> None:
    """However much it is used."""
    with client(with_sessions("memory://", idle_timeout=60, absolute_timeout=0.5)) as caller:
        identifier = cookie_of(caller.post("/set", json={"a": 1}))
        caller.cookies.clear()
        headers = {"cookie": f"session={identifier}"}
        assert caller.get("/", headers=headers).json() == {"a": 1}
        end = time.monotonic() + 5
        while caller.get("/", headers=headers).json():
            caller.post("/set", json={"b": 1}, headers=headers)
            caller.cookies.clear()
            assert time.monotonic() < end
            time.sleep(0.05)


def test_websockets_see_and_change_it(client: ClientFactory, make_app: MakeApp) -> None:
    with client(make_app()) as caller:
        caller.post("/set", json={"n": 1})
        for expected in (2, 3):
            with caller.websocket_connect("/ws") as websocket:
                assert websocket.receive_json() == {"n": expected}
            end = time.monotonic() + 5
            while caller.get("/").json() != {"n": expected}:
                assert time.monotonic() < end
                time.sleep(0.01)


def test_flags_of_the_cookie(client: ClientFactory) -> None:
    options = {"https_only": True, "same_site": "strict", "domain": "example.org", "partitioned": True, "path": "/a"}
    with client(with_sessions("memory://", session_cookie="id", **options)) as caller:
        flags = caller.post("/set", json={"a": 1}).headers["set-cookie"]
    assert flags.startswith("id=")
    assert "; path=/a; " in flags
    assert flags.endswith("; httponly; samesite=strict; secure; domain=example.org; partitioned")


def test_a_dependency_gives_it(client: ClientFactory) -> None:
    """With its type; without the layer it says what is missing."""
    page = run(ROOT / "docs" / "sessions.md")
    with client(page.app) as caller:
        assert caller.get("/devices").status_code == 401
        assert caller.post("/login", data={"name": "alice", "password": "wrong"}).status_code == 403
        caller.post("/login", data={"name": "alice", "password": "secret"})
        assert caller.get("/me").json() == "alice"
        (device,) = caller.get("/devices").json()
        assert device["details"] == {"browser": "testclient"}
        assert caller.post("/password").json() == 0
        assert caller.delete(f"/devices/{device['handle']}").json() is True
        assert caller.get("/me").json() is None

    app = Velithon()
    app.add_middleware(SessionMiddleware, secret_key="secret")

    @app.get("/")
    async def index(session: Annotated[ServerSession, Depends(get_session)]) -> None: ...

    with client(app) as caller, pytest.raises(RuntimeError, match="needs ServerSessionMiddleware"):
        caller.get("/")


def test_timeouts_are_checked() -> None:
    for options in ({"idle_timeout": 0}, {"absolute_timeout": -1}):
        with pytest.raises(ValueError, match="must be more than 0 seconds"):
            ServerSessionMiddleware(Velithon(), **options)  # type: ignore[arg-type] # the mistakes


def test_a_store_that_is_away(client: ClientFactory, caplog: pytest.LogCaptureFixture) -> None:
    """Requests with a session are refused, others are not; it is logged once, and goes on when the store is back."""
    with redis_server("--appendonly", "yes", "--appendfsync", "always") as server:
        with client(with_sessions(server.url)) as caller:
            caller.post("/set", json={"a": 1})
            server.kill()
            refused = [caller.get("/") for _ in range(2)]
            assert [answer.status_code for answer in refused] == [503, 503]
            assert refused[0].headers["retry-after"] == "1"
            assert caller.post("/set", json={"b": 1}).status_code == 503
            assert caller.get("/nothing", headers={"cookie": ""}).status_code in (200, 503)
            assert [record.levelno for record in caplog.records if record.name == "velithon.sessions"] == [
                logging.ERROR
            ]
            server.start()
            assert caller.get("/").json() == {"a": 1}
            assert "Sessions are kept again" in caplog.text


def test_a_value_that_json_cannot_carry_is_told(client: ClientFactory) -> None:
    app = with_sessions("memory://")

    @app.get("/wrong")
    async def wrong(request: Request) -> None:
        request.session["a"] = object()

    with client(app) as caller, pytest.raises(TypeError, match="not JSON serializable"):
        caller.get("/wrong")
