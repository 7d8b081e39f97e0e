"""Sessions kept on the server, in memory and in Redis, with a new identifier at a login."""
# /// script
# dependencies = ["starsessions[redis]"]
# ///

import pytest
from fastapi import FastAPI, Request, WebSocket
from starsessions import (
    InMemoryStore,
    SessionAutoloadMiddleware,
    SessionMiddleware,
    SessionStore,
    get_session_id,
    load_session,
    regenerate_session_id,
)
from starsessions.stores.redis import RedisStore

from tests.ecosystem.plugin import Clients


def shop(store: SessionStore, *, autoload: bool = True) -> FastAPI:
    app = FastAPI()
    if autoload:
        app.add_middleware(SessionAutoloadMiddleware)
    app.add_middleware(SessionMiddleware, store=store, cookie_https_only=False, lifetime=3600, rolling=True)

    @app.post("/login/{name}")
    async def login(name: str, request: Request):
        request.session["name"] = name
        regenerate_session_id(request)
        return get_session_id(request)

    @app.get("/me")
    async def me(request: Request):
        await load_session(request)
        return request.session.get("name")

    @app.post("/logout")
    async def logout(request: Request):
        request.session.clear()

    @app.websocket("/ws")
    async def chat(websocket: WebSocket):
        await websocket.accept()
        await websocket.send_json(websocket.session["name"])
        await websocket.close()

    return app


@pytest.mark.parametrize("kept", ["memory", "redis"])
def test_a_session_is_kept_and_ended(client: Clients, kept: str, redis_url: str) -> None:
    store = RedisStore(redis_url, prefix="sessions:") if kept == "redis" else InMemoryStore()
    with client(shop(store)) as http:
        assert http.get("/me").json() is None
        answer = http.post("/login/ada")
        cookie = answer.headers["set-cookie"]
        assert "Max-Age=3600".lower() in cookie.lower()
        assert "httponly" in cookie.lower()
        assert http.get("/me").json() == "ada"
        with http.websocket_connect("/ws") as websocket:
            assert websocket.receive_json() == "ada"
        http.post("/logout")
        assert http.get("/me").json() is None


def test_a_session_is_loaded_where_it_is_asked_for(client: Clients) -> None:
    with client(shop(InMemoryStore(), autoload=False)) as http:
        assert http.get("/me").json() is None
        with pytest.raises(Exception, match="has not been loaded"):
            http.post("/login/ada")
