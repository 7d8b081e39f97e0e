"""The board."""

import pytest
from velithon import WebSocketDisconnect
from velithon.testclient import TestClient

from conftest import log_in

REPAIR = {"bicycle": "red, 28 inch", "fault": "flat tyre", "customer_email": "ada@example.com"}


def test_the_board_shows_changes(mechanic: TestClient) -> None:
    """Without the customer's address, and only what has changed."""
    with mechanic.websocket_connect("/board") as board:
        board.send_text(log_in(mechanic))
        assert board.receive_json() == {"hello": "grace"}
        mechanic.post("/repairs", json=REPAIR)
        shown = {"id": 1, "bicycle": REPAIR["bicycle"]}
        assert board.receive_json() == {**shown, "state": "waiting"}
        for state in ("waiting", "ready"):
            mechanic.put(f"/repairs/1/state?state={state}")
        assert board.receive_json() == {**shown, "state": "ready"}


def test_the_board_needs_a_login(client: TestClient) -> None:
    """What is no token ends the connection."""
    with client.websocket_connect("/board") as board:
        board.send_text("let me in")
        with pytest.raises(WebSocketDisconnect):
            board.receive_text()
