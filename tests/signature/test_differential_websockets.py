"""WebSocket endpoints: parameters, dependencies and refusals under FastAPI and Velithon alike."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from tests.signature.sidebyside import Pair


def talk(client: TestClient, path: str, headers: dict[str, str]) -> list[Any]:
    """Connect, collect what comes, and how it ends."""
    seen: list[Any] = []
    try:
        with client.websocket_connect(path, headers=headers) as websocket:
            seen.append("accepted")
            while True:
                seen.append(websocket.receive_json())
    except WebSocketDenialResponse as refusal:
        seen.append((refusal.status_code, refusal.content))
    except WebSocketDisconnect as end:
        seen.append((end.code, end.reason))
    except Exception as error:  # noqa: BLE001 - whatever it is, both must raise it
        seen.append(type(error).__name__)
    return seen


def as_rsgi_can_say(seen: list[Any]) -> list[Any]:
    """RSGI refuses with a status alone, and its close frame carries neither a code nor a reason."""
    *messages, end = seen
    if isinstance(end, tuple):
        if isinstance(end[1], bytes):
            end = (end[0], b"")
        else:
            end = (1005, "") if messages else (403, b"")
    return [*messages, end]


@pytest.fixture(scope="module")
def websockets() -> Pair:
    return Pair("websockets")


@pytest.mark.parametrize(
    "path",
    [
        "/echo/1",
        "/echo/x?q=1&l=1&l=y",
        "/echo/3?q=a%20b&l=1&l=2",
        "/deps",
        "/deps?q=5",
        "/deps?q=x",
        "/refuse",
        "/refuse?token=ok",
        "/boom",
        "/http",
        "/model?limit=4&tags=a&tags=b",
        "/model?limit=x",
        "/conn",
    ],
)
def test_websockets(websockets: Pair, path: str) -> None:
    for headers in ({}, {"h": "header", "cookie": "c=cookie"}):
        expected = talk(websockets.theirs, path, headers)
        assert talk(websockets.ours, path, headers) == expected
        assert talk(websockets.over_rsgi, path, headers) == as_rsgi_can_say(expected)
        websockets.same("GET", "/log")
