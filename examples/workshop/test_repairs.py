"""Repairs and logins."""

import pytest
from velithon.testclient import TestClient

from conftest import PASSWORD

REPAIR = {"bicycle": "red, 28 inch", "fault": "flat tyre", "customer_email": "ada@example.com"}


@pytest.mark.parametrize(("name", "password"), [("grace", "wrong"), ("nobody", PASSWORD)])
def test_a_wrong_login_is_refused(client: TestClient, name: str, password: str) -> None:
    """The answer does not tell which of the two was wrong."""
    answer = client.post("/token", data={"username": name, "password": password})
    assert (answer.status_code, answer.json()) == (401, {"detail": "The name or the password is wrong."})


@pytest.mark.parametrize("token", ["", "Bearer ", "Bearer x.y.z", "Basic eDp5"])
def test_repairs_need_a_login(client: TestClient, token: str) -> None:
    """Without a token, or with one that is none, nothing is shown."""
    assert client.get("/repairs", headers={"authorization": token}).status_code == 401


def test_the_life_of_a_repair(mechanic: TestClient) -> None:
    """Brought, found, started, ready."""
    brought = mechanic.post("/repairs", json=REPAIR)
    assert (brought.status_code, brought.json()) == (201, {"id": 1, "state": "waiting", **REPAIR})
    assert mechanic.get("/repairs?state=waiting").json() == [brought.json()]
    for state in ("started", "ready"):
        assert mechanic.put(f"/repairs/1/state?state={state}").json()["state"] == state
    assert mechanic.get("/repairs/1").json()["state"] == "ready"
    assert mechanic.get("/repairs?state=waiting").json() == []


@pytest.mark.parametrize(
    ("path", "status"),
    [("/repairs/2", 404), ("/repairs/x", 422), ("/repairs?limit=1000", 422), ("/repairs?stat=ready", 422)],
)
def test_what_is_not_there_or_wrong(mechanic: TestClient, path: str, status: int) -> None:
    """The client is told."""
    assert mechanic.get(path).status_code == status


@pytest.mark.parametrize("field", REPAIR)
def test_an_empty_field_is_refused(mechanic: TestClient, field: str) -> None:
    """The answer names it, and nothing is kept."""
    answer = mechanic.post("/repairs", json={**REPAIR, field: ""})
    assert answer.json()["detail"][0]["loc"] == ["body", field]
    assert mechanic.get("/repairs").json() == []
