"""An answer that did not wait for the request's body says so, where the server closes the connection after it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

import pytest
from starlette.applications import Starlette

from tests.servers import SERVERS, Server, ServerName, serve
from velithon import Depends, HTTPException, Request, Velithon
from velithon.middleware import Middleware
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.middleware.csrf import CSRFMiddleware
from velithon.responses import RedirectResponse

pytestmark = pytest.mark.server

BODY = bytes(300_000)


class Through:
    """An ASGI layer of somebody else."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


async def pass_on(request: Request, call_next: Any) -> Any:
    """A function around all that is inside."""
    return await call_next(request)


async def refuse() -> None:
    """Refuse before the body is looked at."""
    raise HTTPException(401)


def make(*layers: Middleware) -> Velithon:
    """Return an application that refuses in many ways."""
    built = Velithon(middleware=layers)

    @built.get("/alive")
    async def alive() -> bool:
        return True

    @built.post("/refused", dependencies=[Depends(refuse)])
    async def refused() -> None: ...

    @built.post("/limited", max_body_size=1000)
    async def limited(body: bytes) -> None: ...

    @built.post("/moved")
    async def moved() -> RedirectResponse:
        return RedirectResponse("/alive")

    return built


app = make()
app.mount("/layers", make(Middleware(Through)))
app.mount("/csrf", make(Middleware(CSRFMiddleware, secret_key="a secret of at least 32 characters")))
app.mount("/starlette", Starlette())
app.mount("/captured", make(Middleware(BaseHTTPMiddleware, dispatch=pass_on), Middleware(Through)))


def head(path: str, length: int) -> bytes:
    """Return the head of a request that announces a body."""
    return f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n".encode()


def read_answer(client: socket.socket) -> HTTPResponse:
    """Read one whole answer."""
    answer = HTTPResponse(client)
    answer.begin()
    answer.read()
    return answer


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    name: ServerName = request.param
    with serve("tests.faults.test_unread_bodies:app", name) as running:
        yield running


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nowhere", 404),
        ("/alive", 405),
        ("/refused", 401),
        ("/limited", 413),
        ("/moved", 307),
        ("/layers/nowhere", 404),
        ("/layers/refused", 401),
        ("/layers/limited", 413),
        ("/csrf/refused", 403),
        ("/starlette/nowhere", 404),
        ("/captured/refused", 401),
    ],
)
def test_closed_connection_is_announced(server: Server, path: str, status: int) -> None:
    """A client that keeps its connections does not meet one that the server has closed without a word."""
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            client.sendall(head(path, len(BODY)) + BODY[: len(BODY) // 2])
            answer = read_answer(client)
            assert answer.status == status
            if answer.getheader("connection") != "close":
                client.sendall(BODY[len(BODY) // 2 :] + b"GET /alive HTTP/1.1\r\nhost: localhost\r\n\r\n")
                assert read_answer(client).status == 200


@pytest.mark.parametrize("path", ["/nowhere", "/refused", "/layers/refused", "/starlette/nowhere"])
def test_connection_stays_open_after_small_body(server: Server, path: str) -> None:
    """What comes with the head is read by the server, so that a refusal costs no new connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(head(path, 1000) + BODY[:1000])
        assert read_answer(client).getheader("connection") != "close"
        client.sendall(b"GET /alive HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert read_answer(client).status == 200
