"""Sessions in signed cookies."""

from typing import Any

import pytest

from tests.conftest import ClientFactory
from velithon import Middleware, Request, Velithon, WebSocket
from velithon.middleware.sessions import SessionMiddleware


def application(secret: Any = "key", **options: Any) -> Velithon:
    app = Velithon(middleware=[Middleware(SessionMiddleware, secret_key=secret, **options)])

    @app.post("/set")
    async def put(request: Request) -> Any:
        request.session.update(await request.json())
        return "ok"

    @app.get("/get")
    async def get(request: Request) -> Any:
        return dict(request.session)

    @app.post("/clear")
    async def clear(request: Request) -> Any:
        request.session.clear()
        return "ok"

    @app.post("/replace")
    async def replace(request: Request) -> Any:
        request.scope["session"] = {"new": 1}
        return "ok"

    @app.get("/untouched")
    async def untouched() -> Any:
        return "ok"

    @app.websocket("/ws")
    async def ws(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json(websocket.session)
        await websocket.close()

    return app


def test_a_session_lasts_over_requests_and_websockets(client: ClientFactory) -> None:
    c = client(application())
    assert c.get("/get").json() == {}
    answer = c.post("/set", json={"user": 1})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("session=")
    assert cookie.endswith("path=/; Max-Age=1209600; httponly; samesite=lax")
    got = c.get("/get")
    assert got.json() == {"user": 1}
    assert "set-cookie" not in got.headers
    with c.websocket_connect("/ws") as websocket:
        assert websocket.receive_json() == {"user": 1}
    c.post("/replace")
    assert c.get("/get").json() == {"new": 1}
    cleared = c.post("/clear")
    assert "session=null" in cleared.headers["set-cookie"]
    assert "1970" in cleared.headers["set-cookie"]
    assert c.get("/get").json() == {}
    assert "set-cookie" not in c.post("/clear").headers


def test_caches_are_told_only_when_the_session_was_used(client: ClientFactory) -> None:
    c = client(application())
    assert "vary" not in c.get("/untouched").headers
    assert c.post("/set", json={"a": 1}).headers["vary"] == "Cookie"


def test_the_cookie_has_the_attributes_asked_for(client: ClientFactory) -> None:
    options = {"https_only": True, "same_site": "strict", "domain": "testserver", "path": "/", "max_age": None}
    app = application(session_cookie="sid", partitioned=True, **options)
    cookie = client(app).post("/set", json={"a": 1}).headers["set-cookie"]
    assert cookie.startswith("sid=")
    assert cookie.endswith("path=/; httponly; samesite=strict; secure; domain=testserver; partitioned")


def test_keys_are_rotated(client: ClientFactory) -> None:
    """The first key signs; what an older key signed is accepted as long as the key is listed."""
    old = client(application("old"))
    old.post("/set", json={"a": 1})
    cookies = {"session": old.cookies["session"]}
    both = client(application(["new", "old"]), cookies=cookies)
    assert both.get("/get").json() == {"a": 1}
    fresh = client(application(["new", "old"]))
    fresh.post("/set", json={"b": 1})
    new_only = client(application("new"), cookies={"session": fresh.cookies["session"]})
    assert new_only.get("/get").json() == {"b": 1}
    assert client(application("new"), cookies=cookies).get("/get").json() == {}


@pytest.mark.parametrize("cookie", ["nonsense", "e30=.x.y", "%ff"])
def test_a_forged_cookie_is_no_session(client: ClientFactory, cookie: str) -> None:
    assert client(application(), cookies={"session": cookie}).get("/get").json() == {}


@pytest.mark.parametrize("secret", ["", [], ["key", ""]])
def test_a_key_is_needed(secret: Any) -> None:
    with pytest.raises(ValueError, match="secret_key"):
        SessionMiddleware(application(), secret_key=secret)
