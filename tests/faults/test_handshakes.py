"""A WebSocket that is not accepted: the same status, and one record or none, on each server."""

from __future__ import annotations

import re
import socket
import sys
import time
from typing import Annotated, Any

import pytest
from starlette.testclient import WebSocketDenialResponse

from tests.conftest import ClientFactory
from tests.servers import EVERY_SERVER, Server, ServerName, serve
from velithon import Depends, HTTPException, Velithon, WebSocket
from velithon.exceptions import VelithonError
from velithon.middleware import Middleware


class Through:
    """An ASGI layer of somebody else."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class Raises(Through):
    """One that fails at WebSockets."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            raise ValueError("in a layer")
        await self.app(scope, receive, send)


def fails() -> None:
    raise ValueError("in a dependency")


def make(*layers: Any) -> Velithon:
    """Return an application whose WebSockets end before they are accepted."""
    made = Velithon(middleware=[Middleware(layer) for layer in layers])

    @made.websocket("/raises")
    async def raises(websocket: WebSocket) -> None:
        raise ValueError("before accept")

    @made.websocket("/exits")
    async def exits(websocket: WebSocket) -> None:
        sys.exit(3)

    @made.websocket("/dependency")
    async def dependency(websocket: WebSocket, value: Annotated[None, Depends(fails)]) -> None: ...

    @made.websocket("/silent")
    async def silent(websocket: WebSocket) -> None: ...

    @made.websocket("/unauthorized")
    async def unauthorized(websocket: WebSocket) -> None:
        raise HTTPException(401)

    @made.websocket("/closes")
    async def closes(websocket: WebSocket) -> None:
        await websocket.close()

    return made


app = make()
app.mount("/layer", make(Through))
app.mount("/raises-in-layer", make(Raises))

# Path -> status, and the records at ERROR.
CASES = {
    "/raises": (500, 1),
    "/exits": (500, 1),
    "/dependency": (500, 1),
    "/silent": (500, 1),
    "/unauthorized": (401, 0),
    "/closes": (403, 0),
    "/nowhere": (403, 0),
    "/layer/raises": (500, 1),
    "/layer/silent": (500, 1),
    "/layer/unauthorized": (401, 0),
    "/raises-in-layer/closes": (500, 1),
}


def shake(running: Server, path: str) -> int:
    """Return the status of a handshake."""
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nhost: h\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n".encode()
        )
        received = b""
        while b"\r\n" not in received:
            data = connection.recv(4096)
            assert data, received
            received += data
    return int(received.split()[1])


@pytest.mark.server
@pytest.mark.parametrize("server", EVERY_SERVER)
def test_the_status_and_the_records_are_the_same(server: ServerName) -> None:
    with serve(f"{__name__}:app", server) as running:
        assert {path: shake(running, path) for path in CASES} == {path: status for path, (status, _) in CASES.items()}
        expected = sum(count for _, count in CASES.values())
        deadline = time.monotonic() + 5
        # What is one record too many comes right behind its answer; the last answers are given time for theirs.
        while len(errors(running)) < expected and time.monotonic() < deadline:
            time.sleep(0.02)
        assert shake(running, "/closes") == 403
        assert len(errors(running)) == expected, errors(running)
        assert "test_handshakes.make.<locals>.silent returned without accepting or refusing" in running.log


def errors(running: Server) -> list[str]:
    """Return the records at ERROR so far."""
    return re.findall(r"^.*\bERROR\b.*$", running.log, re.M)


@pytest.mark.parametrize("path", [path for path, (status, _) in CASES.items() if status == 500])
def test_it_is_an_error_of_the_test(client: ClientFactory, path: str) -> None:
    with pytest.raises((ValueError, VelithonError)), client(app).websocket_connect(path):
        pass


@pytest.mark.parametrize(("path", "status"), [("/unauthorized", 401), ("/layer/unauthorized", 401)])
def test_a_refusal_is_none(client: ClientFactory, path: str, status: int) -> None:
    with pytest.raises(WebSocketDenialResponse) as refused, client(app).websocket_connect(path):
        pass
    assert refused.value.status_code == status


def test_handlers_outside_of_a_mounted_application_answer(client: ClientFactory) -> None:
    outside = Velithon()
    outside.mount("/in", make())

    @outside.exception_handler(ValueError)
    async def handler(websocket: WebSocket, exc: ValueError) -> None:
        await websocket.accept()
        await websocket.send_text(str(exc))
        await websocket.close()

    with client(outside).websocket_connect("/in/raises") as session:
        assert session.receive_text() == "before accept"
