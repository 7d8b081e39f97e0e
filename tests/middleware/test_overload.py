"""Too much at once, and for too long: what is refused, and what is cancelled."""

import asyncio
import logging
import threading
from typing import Annotated, Any

import pytest

from tests.conftest import AsyncClientFactory, ClientFactory
from velithon import Depends, Middleware, Request, Velithon, WebSocket, WebSocketDisconnect
from velithon.middleware.overload import ConcurrencyLimitMiddleware, TimeoutMiddleware
from velithon.responses import StreamingResponse


@pytest.mark.asyncio
async def test_requests_beyond_the_limit_are_refused(
    async_client: AsyncClientFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """At once, with a word on when to come again; health is answered all the same."""
    app = Velithon(
        middleware=[Middleware(ConcurrencyLimitMiddleware, max_requests=2, retry_after=7, exclude_paths={"/livez"})]
    )
    release, entered = asyncio.Event(), asyncio.Semaphore(0)

    @app.get("/slow")
    async def slow() -> str:
        entered.release()
        await release.wait()
        return "done"

    @app.get("/stream")
    async def stream() -> Any:
        async def chunks() -> Any:
            entered.release()
            await release.wait()
            yield b"end"

        return StreamingResponse(chunks())

    app.get("/livez")(lambda: "alive")
    async with async_client(app) as http:
        running = [asyncio.create_task(http.get(path)) for path in ("/slow", "/stream")]
        for _ in running:
            await asyncio.wait_for(entered.acquire(), 10)
        for _ in range(2):
            refused = await http.get("/slow")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "7")
        assert (await http.get("/livez")).status_code == 200
        release.set()
        assert [answer.status_code for answer in await asyncio.gather(*running)] == [200, 200]
        assert (await http.get("/slow")).status_code == 200
    assert caplog.messages.count("Refusing requests: 2 are in flight") == 1


def test_websockets_beyond_the_limit_are_refused(client: ClientFactory) -> None:
    app = Velithon(middleware=[Middleware(ConcurrencyLimitMiddleware, max_requests=5, max_websockets=1)])

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("in")
        await websocket.receive_text()

    with client(app) as http:
        with http.websocket_connect("/socket") as websocket:
            assert websocket.receive_text() == "in"
            with pytest.raises(WebSocketDisconnect), http.websocket_connect("/socket"):
                pass
            websocket.send_text("out")
        with http.websocket_connect("/socket") as websocket:
            assert websocket.receive_text() == "in"
            websocket.send_text("out")


def test_a_request_that_takes_too_long_is_cancelled(client: ClientFactory, caplog: pytest.LogCaptureFixture) -> None:
    app = Velithon(middleware=[Middleware(TimeoutMiddleware, request=0.1, exclude_paths={"/free"})])
    seen: list[str] = []

    async def resource() -> Any:
        try:
            yield
        finally:
            seen.append("closed")

    @app.get("/slow")
    async def slow(given: Annotated[None, Depends(resource)]) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    @app.get("/free")
    async def free() -> str:
        await asyncio.sleep(0.2)
        return "free"

    @app.get("/own")
    async def own() -> None:
        raise TimeoutError("of a database")

    http = client(app, raise_server_exceptions=False)
    with caplog.at_level(logging.WARNING, "velithon.middleware.overload"):
        answer = http.get("/slow")
    assert (answer.status_code, answer.text) == (504, "Gateway Timeout")
    assert seen == ["cancelled", "closed"]
    assert caplog.messages == ["GET /slow took over 0.1 s and was cancelled"]
    assert http.get("/free").json() == "free"
    assert http.get("/own").status_code == 500, "an endpoint's own TimeoutError is its own"


@pytest.mark.asyncio
async def test_a_body_that_does_not_come_is_given_up(async_client: AsyncClientFactory) -> None:
    app = Velithon(middleware=[Middleware(TimeoutMiddleware, body=0.1)])

    @app.post("/bytes")
    async def read(request: Request) -> int:
        return len(await request.body())

    @app.post("/json")
    async def json(body: dict[str, Any]) -> Any:
        return body

    async def stalled() -> Any:
        yield b"{"
        await asyncio.sleep(2)
        yield b"}"

    async def slow() -> Any:
        for _ in range(4):
            await asyncio.sleep(0.04)
            yield b" "
        yield b"{}"

    async with async_client(app) as http:
        for path in ("/bytes", "/json"):
            answer = await http.post(path, content=stalled(), headers={"content-type": "application/json"})
            assert answer.status_code == 408
        answer = await http.post("/json", content=slow(), headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()) == (200, {}), "each part came in time"
        assert (await http.post("/bytes", content=b"x" * 1000)).json() == 1000


def test_a_silent_websocket_is_closed(client: ClientFactory) -> None:
    app = Velithon(middleware=[Middleware(TimeoutMiddleware, websocket=0.1)])
    over = threading.Event()

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                await websocket.send_text(await websocket.receive_text())
        except WebSocketDisconnect:
            over.set()

    with client(app) as http, http.websocket_connect("/socket") as websocket:
        websocket.send_text("one")
        assert websocket.receive_text() == "one"
        with pytest.raises(WebSocketDisconnect):
            websocket.receive_text()
        assert over.wait(5), "the endpoint was not told"


@pytest.mark.parametrize(
    ("layer", "options", "message"),
    [
        (ConcurrencyLimitMiddleware, {"max_requests": 0}, "max_requests must be at least 1, not 0"),
        (ConcurrencyLimitMiddleware, {"max_requests": 1, "max_websockets": 0}, "max_websockets must be at least 1"),
        (TimeoutMiddleware, {}, "needs a limit"),
        (TimeoutMiddleware, {"request": 0}, "request is a number of seconds above 0"),
    ],
)
def test_limits_that_are_none_are_errors(layer: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer(None, **options)
