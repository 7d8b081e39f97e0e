"""Instruments that replace FastAPI's inner functions are called around the work that these stand for."""

import dataclasses
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

import velithon.routing
from tests.conftest import ClientFactory
from velithon import Depends, Request, Velithon, WebSocket, WebSocketDisconnect


class Item(BaseModel):
    name: str


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Patch as logfire does, and return what the patches see."""
    found: list[Any] = []
    routing: Any = velithon.routing
    solve, run = routing.solve_dependencies, routing.run_endpoint_function

    async def patched_solve(*, request: Any, **options: Any) -> Any:
        found.append("solving")
        solved = await solve(request=request, **options)
        names = {name: value for name, value in solved.values.items() if not isinstance(value, Request | WebSocket)}
        found.append((request.url.path, names, [error["type"] for error in solved.errors]))
        return dataclasses.replace(solved, values={**solved.values})

    async def patched_run(*, dependant: Any, values: Any, **options: Any) -> Any:
        found.append(dependant.call.__name__)
        return await run(dependant=dependant, values=values, **options)

    monkeypatch.setattr(routing, "solve_dependencies", patched_solve)
    monkeypatch.setattr(routing, "run_endpoint_function", patched_run)
    return found


def application(seen: list[Any]) -> Velithon:
    app = Velithon()

    async def session() -> AsyncIterator[str]:
        seen.append("session")
        yield "session"
        seen.append("closed")

    @app.post("/items/{number}")
    async def create(number: int, item: Item, request: Request, value: Annotated[str, Depends(session)]) -> Any:
        return [number, item.name, value]

    @app.post("/plain")
    def plain(item: Item) -> str:
        return item.name

    @app.get("/nothing")
    async def nothing() -> str:
        return "nothing"

    @app.websocket("/rooms/{room}")
    async def join(websocket: WebSocket, room: int) -> None:
        await websocket.accept()
        await websocket.send_text(str(room))
        await websocket.close()

    return app


def test_arguments_are_made_and_the_endpoint_is_called_within(client: ClientFactory, seen: list[Any]) -> None:
    http = client(application(seen))
    assert http.post("/items/7", json={"name": "a"}).json() == [7, "a", "session"]
    values = {"number": 7, "item": Item(name="a"), "value": "session"}
    assert seen == ["solving", "session", ("/items/7", values, []), "create", "closed"]
    seen.clear()
    assert http.post("/plain", json={"name": "b"}).json() == "b"
    assert http.get("/nothing").json() == "nothing"
    assert [item for item in seen if isinstance(item, str)] == ["solving", "plain", "solving", "nothing"]


def test_errors_are_seen_before_the_answer(client: ClientFactory, seen: list[Any]) -> None:
    answer = client(application(seen)).post("/plain", json={"name": 1})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", "name"])
    assert seen == ["solving", ("/plain", {}, ["string_type"])]


def test_websockets_have_their_arguments_made_within(client: ClientFactory, seen: list[Any]) -> None:
    http = client(application(seen))
    with http.websocket_connect("/rooms/7") as websocket:
        assert websocket.receive_text() == "7"
    assert seen == ["solving", ("/rooms/7", {"room": 7}, [])]
    with pytest.raises(WebSocketDisconnect), http.websocket_connect("/rooms/seven"):
        pass
    assert seen[-1] == ("/rooms/seven", {}, ["int_parsing"])
