"""ASGI's lifespan, driven from outside ASGI.

An application's lifespan is one call that lives from startup to shutdown. `Lifespan` runs it in one task of its own, so
that what it opens it also closes in that task: cancel scopes and task groups demand it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from velithon_adapters.asgi import Message, State

__all__ = ["Lifespan", "LifespanError", "LifespanMode"]

logger = logging.getLogger("velithon_adapters")

LifespanMode: TypeAlias = Literal["auto", "on", "off"]
"""``"auto"``: an application that raises before it reported anything has no lifespan; ``"on"``: that is a failure, too;
``"off"``: the application is not asked."""


class LifespanError(RuntimeError):
    """An application's startup or shutdown failed.

    Its own exception, where there was one, is the cause.
    """


class Lifespan:
    """One lifespan of an ASGI application. It can be started and shut down once.

    Args:
        app: An ASGI application.
        mode: What is expected of it (see `LifespanMode`).

    Attributes:
        state: What the application keeps for its requests. Hand each request a copy.

    Raises:
        ValueError: ``mode`` is none of the three.
    """

    def __init__(self, app: Callable[..., Awaitable[object]], mode: LifespanMode = "auto") -> None:
        if mode not in get_args(LifespanMode):
            raise ValueError(f"Lifespan must be 'auto', 'on' or 'off', not {mode!r}.")
        self.app = app
        self.mode = mode
        self.state: State = {}
        self._task: asyncio.Task[None] | None = None
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._started = asyncio.Event()
        self._stopped = asyncio.Event()
        self._reported = False
        self._failure: str | None = None
        self._exception: BaseException | None = None

    async def startup(self) -> None:
        """Run the application's startup.

        Raises:
            LifespanError: It failed.
        """
        if self.mode == "off":
            return
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._messages.put_nowait({"type": "lifespan.startup"})
        await self._started.wait()
        self._check("startup")

    async def shutdown(self) -> None:
        """Run the application's shutdown; nothing if it has no lifespan or did not start.

        Raises:
            LifespanError: It failed.
        """
        task, self._task = self._task, None
        if task is None or self._failure is not None:
            return
        if not task.done():
            self._messages.put_nowait({"type": "lifespan.shutdown"})
            await self._stopped.wait()
            # What the application does after its last message belongs to the shutdown.
            await task
        self._check("shutdown")

    def _check(self, phase: str) -> None:
        exc = self._exception
        if self._failure is None and exc is not None:
            if self.mode == "auto" and not self._reported and isinstance(exc, Exception):
                logger.info("The application has no lifespan: it raised %r.", exc)
                self._exception = None
                return
            self._failure = f"it raised {exc!r}"
        if self._failure is not None:
            raise LifespanError(f"Application {phase} failed: {self._failure}") from exc

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self.app(scope, self._messages.get, self._send)
        except BaseException as exc:  # noqa: BLE001 - raised on by `startup` and `shutdown`, in the caller's task
            self._exception = exc
        finally:
            self._started.set()
            self._stopped.set()

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        phase, _, outcome = kind.removeprefix("lifespan.").partition(".")
        done = {"startup": self._started, "shutdown": self._stopped}.get(phase)
        if done is None or outcome not in ("complete", "failed"):
            raise RuntimeError(f"Expected an ASGI message of the lifespan, but got '{kind}'.")
        if done.is_set() or self._started.is_set() is (phase == "startup"):
            raise RuntimeError(f"Unexpected ASGI message '{kind}' in this state of the lifespan.")
        self._reported = True
        if outcome == "failed":
            self._failure = message.get("message") or "the application gave no reason"
        done.set()
