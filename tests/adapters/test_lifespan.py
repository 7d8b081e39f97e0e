"""The lifespan, driven from outside ASGI."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette

from velithon_adapters import Lifespan, LifespanError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from velithon_adapters.asgi import Receive, Send
    from velithon_adapters.lifespan import LifespanMode

pytestmark = pytest.mark.asyncio


async def test_one_task_from_startup_to_shutdown_and_its_state() -> None:
    """A cancel scope that is opened at startup can be closed at shutdown."""
    events: list[Any] = []

    @asynccontextmanager
    async def context(app: Starlette) -> AsyncIterator[dict[str, int]]:
        events.append(asyncio.current_task())
        async with asyncio.timeout(60):
            yield {"pool": 1}
        events.append(asyncio.current_task())

    lifespan = Lifespan(Starlette(lifespan=context))
    await lifespan.startup()
    assert lifespan.state == {"pool": 1}
    assert len(events) == 1
    await lifespan.shutdown()
    assert events[0] is events[1]
    assert events[0] is not asyncio.current_task()
    await lifespan.shutdown()
    assert len(events) == 2


async def test_a_failing_startup_raises_with_the_cause() -> None:
    """The application's own exception stays visible; there is nothing to shut down."""

    @asynccontextmanager
    async def context(app: Starlette) -> AsyncIterator[None]:
        raise ValueError("no database")
        yield

    lifespan = Lifespan(Starlette(lifespan=context))
    with pytest.raises(LifespanError, match="Application startup failed:[^$]*no database") as caught:
        await lifespan.startup()
    await lifespan.shutdown()
    assert isinstance(caught.value.__cause__, ValueError) or "ValueError" in str(caught.value)


async def test_a_failing_shutdown_raises() -> None:
    """What is raised behind the `yield` is not lost."""

    @asynccontextmanager
    async def context(app: Starlette) -> AsyncIterator[None]:
        yield
        raise ValueError("cannot close")

    lifespan = Lifespan(Starlette(lifespan=context))
    await lifespan.startup()
    with pytest.raises(LifespanError, match="Application shutdown failed:[^$]*cannot close"):
        await lifespan.shutdown()


async def without_lifespan(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Django's way."""
    raise ValueError("Django can only handle ASGI/HTTP connections, not lifespan.")


async def test_auto_takes_an_exception_as_no_lifespan() -> None:
    """The ASGI specification demands that the server goes on."""
    lifespan = Lifespan(without_lifespan)
    await lifespan.startup()
    await lifespan.shutdown()


async def test_on_takes_an_exception_as_a_failure() -> None:
    """Whoever asked for a lifespan gets one or none of the application."""
    lifespan = Lifespan(without_lifespan, "on")
    with pytest.raises(LifespanError, match="it raised ValueError.*not lifespan") as caught:
        await lifespan.startup()
    assert isinstance(caught.value.__cause__, ValueError)


async def test_off_asks_nobody() -> None:
    """The application is not called."""
    lifespan = Lifespan(without_lifespan, "off")
    await lifespan.startup()
    await lifespan.shutdown()


async def test_unknown_mode_is_refused() -> None:
    """The error names what is accepted."""
    mode: Any = "maybe"
    with pytest.raises(ValueError, match="'auto', 'on' or 'off', not 'maybe'"):
        Lifespan(without_lifespan, mode)


async def test_returning_at_once_counts_as_started() -> None:
    """As on Uvicorn."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        return

    lifespan = Lifespan(app, "on")
    await lifespan.startup()
    await lifespan.shutdown()


async def test_a_failure_without_a_reason() -> None:
    """`message` is optional."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed"})

    with pytest.raises(LifespanError, match="startup failed: the application gave no reason"):
        await Lifespan(app).startup()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("lifespan.shutdown.complete", "Unexpected ASGI message"),
        ("lifespan.startup.done", "Expected an ASGI message of the lifespan"),
        ("http.response.start", "Expected an ASGI message of the lifespan"),
    ],
)
@pytest.mark.parametrize("mode", ["auto", "on"])
async def test_messages_out_of_order_raise(kind: str, error: str, mode: LifespanMode) -> None:
    """In the application, whose exception then decides."""
    raised: list[str] = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        try:
            await send({"type": kind})
        except RuntimeError as exc:
            raised.append(str(exc))
            raise

    lifespan = Lifespan(app, mode)
    if mode == "on":
        with pytest.raises(LifespanError, match=error):
            await lifespan.startup()
    else:
        await lifespan.startup()
    assert error in raised[0]


async def test_startup_is_reported_once() -> None:
    """A second report raises in the application."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.startup.complete"})

    lifespan = Lifespan(app)
    await lifespan.startup()
    with pytest.raises(LifespanError, match="Unexpected ASGI message 'lifespan.startup.complete'"):
        await lifespan.shutdown()


async def test_what_ends_the_interpreter_is_never_taken_for_a_missing_lifespan() -> None:
    """`SystemExit` is a failure in every mode."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        raise SystemExit(3)

    with pytest.raises(LifespanError, match=r"SystemExit\(3\)"):
        await Lifespan(app).startup()
