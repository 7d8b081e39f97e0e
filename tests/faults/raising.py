"""An application that raises what it is asked to, where it is asked to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from velithon import BackgroundTasks, Depends, HTTPException, Request, Velithon, WebSocket, WebSocketException
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.responses import EventSourceResponse, StreamingResponse
from velithon.websocket import WebSocketDisconnect


class Own(Exception):
    """An exception of the application."""


class OwnBase(BaseException):
    """One that `except Exception` does not catch."""


class Handled(Exception):
    """One that has a handler, which answers 409."""


class Broken(Exception):
    """One whose handler raises."""


EXCEPTIONS: dict[str, Callable[[str], BaseException]] = {
    "Own": Own,
    "OSError": OSError,
    "TimeoutError": TimeoutError,
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
    "RecursionError": RecursionError,
    "ExceptionGroup": lambda text: ExceptionGroup(text, [Own(text)]),
    "HTTPException": lambda text: HTTPException(418, text),
    "WebSocketException": lambda text: WebSocketException(3000, text),
    "WebSocketDisconnect": lambda text: WebSocketDisconnect(1000, text),
    "Handled": Handled,
    "Broken": Broken,
    "CancelledError": asyncio.CancelledError,
    "GeneratorExit": GeneratorExit,
    "SystemExit": SystemExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "OwnBase": OwnBase,
    "BaseExceptionGroup": lambda text: BaseExceptionGroup(text, [OwnBase(text)]),
}

app = Velithon()


def fail(hook: str, name: str) -> None:
    """Raise the exception of that name, whose text says where it was raised."""
    raise EXCEPTIONS[name](f"raised {name} in {hook}.")


@app.exception_handler(Handled)
async def handle(request: Request, exc: Exception) -> Any:
    from velithon.responses import PlainTextResponse

    return PlainTextResponse("handled", status_code=409)


@app.exception_handler(Broken)
async def break_down(request: Request, exc: Exception) -> Any:
    raise RuntimeError(f"The handler failed after: {exc}") from exc


@app.get("/alive")
async def alive() -> bool:
    return True


@app.get("/endpoint/{name}")
async def endpoint(name: str) -> None:
    fail("endpoint", name)


@app.get("/endpoint in a thread/{name}")
def sync_endpoint(name: str) -> None:
    fail("endpoint in a thread", name)


async def failing(name: str) -> None:
    fail("dependency", name)


@app.get("/dependency/{name}", dependencies=[Depends(failing)])
async def with_dependency() -> bool:
    return True


def failing_in_a_thread(name: str) -> None:
    fail("dependency in a thread", name)


@app.get("/dependency in a thread/{name}", dependencies=[Depends(failing_in_a_thread)])
async def with_dependency_in_a_thread() -> bool:
    return True


async def failing_late(name: str) -> AsyncIterator[None]:
    yield
    fail("end of a dependency", name)


@app.get("/end of a dependency/{name}", dependencies=[Depends(failing_late)])
async def with_late_dependency() -> bool:
    return True


@app.get("/layer before/{name}")
@app.get("/layer after/{name}")
@app.get("/ASGI layer before/{name}")
@app.get("/background/{name}")
async def plain(name: str, request: Request, tasks: BackgroundTasks) -> bool:
    if request.url.path.startswith("/background"):
        tasks.add_task(fail, "background", name)
    return True


class Layer(BaseHTTPMiddleware):
    """Raises before or after what is inside."""

    async def dispatch(self, request: Request, call_next: Any) -> Any:
        _, hook, name = request.scope["path"].split("/", 2) if request.scope["path"].count("/") > 1 else ("", "", "")
        if hook == "layer before":
            fail(hook, name)
        response = await call_next(request)
        if hook == "layer after":
            fail(hook, name)
        return response


class ASGILayer:
    """Raises before what is inside."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/ASGI layer before/"):
            fail("ASGI layer before", scope["path"].rpartition("/")[2])
        await self.app(scope, receive, send)


app.add_middleware(Layer)
app.add_middleware(ASGILayer)


async def chunks(hook: str, name: str, count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * 10
    fail(hook, name)


@app.get("/stream at first/{name}")
async def stream_at_first(name: str) -> StreamingResponse:
    return StreamingResponse(chunks("stream at first", name, 0))


@app.get("/stream midway/{name}")
async def stream_midway(name: str) -> StreamingResponse:
    return StreamingResponse(chunks("stream midway", name, 2))


async def numbers(hook: str, name: str, count: int) -> AsyncIterator[Any]:
    for number in range(count):
        yield {"number": number}
    fail(hook, name)


@app.get("/events at first/{name}")
async def events_at_first(name: str) -> EventSourceResponse:
    return EventSourceResponse(numbers("events at first", name, 0))


@app.get("/events midway/{name}")
async def events_midway(name: str) -> EventSourceResponse:
    return EventSourceResponse(numbers("events midway", name, 2))


@app.websocket("/WebSocket before accept/{name}")
async def before_accept(websocket: WebSocket, name: str) -> None:
    fail("WebSocket before accept", name)


@app.websocket("/WebSocket after accept/{name}")
async def after_accept(websocket: WebSocket, name: str) -> None:
    await websocket.accept()
    fail("WebSocket after accept", name)


async def failing_of_websocket(name: str) -> None:
    fail("WebSocket dependency", name)


@app.websocket("/WebSocket dependency/{name}", dependencies=[Depends(failing_of_websocket)])
async def with_failing_dependency(websocket: WebSocket) -> None:
    await websocket.accept()


_PATHS = (str(getattr(route, "path", "")) for route in app.routes)
HOOKS = tuple(path.removeprefix("/").removesuffix("/{name}") for path in _PATHS if path.endswith("/{name}"))
