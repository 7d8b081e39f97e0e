"""Messages to customers."""

import pytest
from velithon.testclient import TestClient

from workshop import messages

REPAIR = {"bicycle": "red, 28 inch", "fault": "flat tyre", "customer_email": "ada@example.com"}


def test_a_customer_is_told_once(mechanic: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the bicycle is ready; a mail server that fails at first gets the message in the next round."""
    sent: list[tuple[str, str]] = []

    async def deliver(address: str, text: str) -> None:
        if not sent:
            sent.append(("nobody", "the first attempt fails"))
            raise ConnectionError
        sent.append((address, text))

    monkeypatch.setattr(messages, "deliver", deliver)
    mechanic.post("/repairs", json=REPAIR)
    for state in ("started", "ready", "ready"):
        assert mechanic.put(f"/repairs/1/state?state={state}").status_code == 200
    assert mechanic.portal is not None
    for _ in range(3):
        mechanic.portal.call(a_round)
    assert sent[1:] == [("ada@example.com", "Your bicycle is ready: red, 28 inch.")]


async def a_round() -> None:
    """Ask for the job and wait until it has ended."""
    handle = await messages.send_messages.enqueue()
    await handle.result(timeout=10)
