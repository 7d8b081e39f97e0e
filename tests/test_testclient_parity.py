"""The in-memory RSGI objects beside Granian's: one application, one table of cases, twice the same."""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import WebSocketDenialResponse
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests import strict_rsgi
from tests.servers import Server, serve
from velithon.testclient import TestClient

if TYPE_CHECKING:
    import httpx2 as httpx
else:
    from starlette.testclient import httpx

HEADERS = [
    (b"X-A", b"1"),
    (b"x-dup", b"a"),
    (b"X-Dup", b"b"),
    (b"x-latin", b"h\xe9"),
    (b"x-tab", b"a\tb"),
    (b"x-e", b""),
]

CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/headers", {"headers": HEADERS}),
    ("PUT", "/scope/a%20b%2Fc%C3%A9?x=%20&y=%C3%A9", {}),
    ("GET", "/scope/%ff", {}),
    ("GET", "/scope/%2520?", {}),
    *[("GET", f"/call?{name.replace(' ', '%20')}", {}) for name in strict_rsgi.CALLS],
    *[("GET", f"/status?{status}", {}) for status in (100, 102, 199, 200, 204, 205, 304, 404, 599, 600, 999)],
    *[(method, f"/status_stream?{status}", {}) for method in ("GET", "HEAD") for status in (200, 204, 205, 304)],
    *[
        (method, f"/{name}", {})
        for method in ("GET", "HEAD")
        for name in (
            "nothing",
            "fails",
            "text",
            "empty",
            "empty_text",
            "empty_length",
            "response_headers",
            "bad_headers",
            "stream",
            "stream_length",
            "file",
            "file_length",
            "file_missing",
        )
    ],
    ("GET", "/exits", {}),
    ("GET", "/cancelled", {}),
    ("GET", "/fails_late", {}),
    ("GET", "/twice", {}),
    ("GET", "/stream_fails", {}),
    ("GET", "/watch", {}),
    *[("GET", f"/file_range?{part}", {}) for part in ("0-10", "0-5", "2-4", "5-100", "20-30")],
    ("HEAD", "/file_range?2-4", {}),
    *[(method, f"/{name}", {}) for method in ("GET", "POST") for name in ("body", "chunks")],
    *[("POST", f"/{name}", {"content": b"hello"}) for name in ("body", "chunks")],
]


@pytest.fixture(scope="module")
def granian() -> Generator[Server, None, None]:
    """The raw application on Granian."""
    with serve("tests.strict_rsgi:app", "granian-rsgi", direct=True) as server:
        yield server


def shown(response: httpx.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return what of a response both servers must agree on."""
    hidden = {"date", "server", "transfer-encoding", "connection"}
    pairs = [(name, value) for name, value in response.headers.multi_items() if name not in hidden]
    return response.status_code, pairs, response.content


@pytest.mark.server
@pytest.mark.parametrize(("method", "url", "options"), CASES, ids=[f"{case[0]} {case[1]}" for case in CASES])
def test_in_memory_answers_are_granians(granian: Server, method: str, url: str, options: dict[str, Any]) -> None:
    """Whatever an application tries, it sees and gives the same in memory as on Granian."""
    memory = TestClient(strict_rsgi.app, protocol="rsgi", raise_server_exceptions=False, base_url="http://127.0.0.1")
    # Granian closes the connection after some of its 500s: none is used twice
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=granian.url, headers={"user-agent": "testclient"}, limits=limits) as real:
        expected = shown(real.request(method, url, **options))
        expected_seen = real.get("/seen").json()
    assert shown(memory.request(method, url, **options)) == expected
    assert memory.get("/seen").json() == expected_seen


def converse_in_memory(path: str, messages: list[str | bytes]) -> list[object]:
    """Return what a client in memory gets."""
    memory = TestClient(strict_rsgi.app, protocol="rsgi")
    received: list[object] = []
    try:
        with memory.websocket_connect(path) as session:
            for message in messages:
                if isinstance(message, bytes):
                    session.send_bytes(message)
                else:
                    session.send_text(message)
                answer = session.receive()
                received.append(answer.get("text", answer.get("bytes")))
            while not messages:
                answer = session.receive()
                if answer["type"] == "websocket.close":
                    received.append(("closed", answer["code"]))
                    break
                received.append(answer.get("text", answer.get("bytes")))
    except WebSocketDenialResponse as refusal:
        received.append(("refused", refusal.status_code))
    except ValueError:
        pass
    return received


def converse_for_real(server: Server, path: str, messages: list[str | bytes]) -> list[object]:
    """Return what a client of a server gets."""
    received: list[object] = []
    try:
        with connect(f"ws://127.0.0.1:{server.port}{path}", proxy=None, close_timeout=0.5) as session:
            for message in messages:
                session.send(message)
                received.append(session.recv())
            while not messages:
                received.append(session.recv())
    except InvalidStatus as refusal:
        received.append(("refused", refusal.response.status_code))
    except ConnectionClosed as closed:
        received.append(("closed", closed.rcvd.code if closed.rcvd else None))
    return received


@pytest.mark.server
@pytest.mark.parametrize(
    ("path", "messages"),
    [
        ("/ws/refuse", []),
        ("/ws/refuse-default", []),
        ("/ws/refuse-none", []),
        ("/ws/nothing", []),
        ("/ws/return", []),
        ("/ws/types", []),
        ("/ws/scope", []),
        ("/ws/close", []),
        ("/ws/echo", ["text", b"bytes", "é", ""]),
    ],
)
def test_in_memory_websockets_are_granians(granian: Server, path: str, messages: list[str | bytes]) -> None:
    """A WebSocket shows both sides the same in memory as on Granian."""
    expected = converse_for_real(granian, path, messages)
    expected_seen = wait_for_seen(lambda: httpx.get(f"{granian.url}/seen").json(), path)
    assert converse_in_memory(path, messages) == expected
    memory = TestClient(strict_rsgi.app, protocol="rsgi")
    assert memory.get("/seen").json() == expected_seen


def wait_for_seen(read: Callable[[], dict[str, Any]], path: str) -> dict[str, Any]:
    """Return what the application saw, once it has noted it: its session ends after the client's."""
    wanted = {"/ws/types": "types", "/ws/close": "close", "/ws/echo": "after"}.get(path)
    seen: dict[str, Any] = read()
    while wanted is not None and wanted not in seen:
        seen |= read()
    return seen
