"""Health: whether the process lives (`/livez`), and whether it is ready for requests (`/readyz`).

Ready means that every check passes and that nobody has asked the process to stop. From the first signal on it is not
ready, so a balancer takes it out while it still answers.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from velithon._runtime.json_values import JSONObject
from velithon.logging import quiet_paths
from velithon.requests.request import Request
from velithon.responses.json import JSONResponse
from velithon.routing.routes import Route

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from starlette.types import Message

    from velithon.application import Velithon

    F = TypeVar("F", bound=Callable[..., object])

__all__ = ["Health", "check"]

logger = logging.getLogger("velithon.health")

Status = Literal["ok", "failed", "timeout"]

_MARK = "__velithon_check__"
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def check(name: str, *, timeout: float = 5.0, cache: float = 0.0) -> Callable[[F], F]:
    """Return the decorator that makes a method of a container a health check.

    Every application that has the container runs it.

    Args:
        name: The check's name in the answer.
        timeout: Seconds after which it has failed.
        cache: Seconds for which its outcome is answered again.
    """

    def decorator(function: F) -> F:
        setattr(function, _MARK, {"name": name, "timeout": timeout, "cache": cache})
        return function

    return decorator


@dataclass(eq=False)
class _Check:
    """A check, with what it found last."""

    name: str
    route: Route
    timeout: float
    cache: float
    until: float = 0.0
    outcome: JSONObject = field(default_factory=dict)
    running: asyncio.Task[JSONObject] | None = None

    def result(self, request: Request) -> asyncio.Future[JSONObject]:
        """Return what it found within `cache` seconds, what a run that goes on will find, or that of a new run."""
        loop = asyncio.get_running_loop()
        if self.until > loop.time():
            found: asyncio.Future[JSONObject] = loop.create_future()
            found.set_result(self.outcome)
            return found
        if self.running is None or self.running.done() or self.running.get_loop() is not loop:
            self.running = loop.create_task(self._run(request))
        return asyncio.shield(self.running)

    async def _run(self, request: Request) -> JSONObject:
        start = perf_counter()
        status: Status = "ok"
        reason: object = None
        try:
            async with asyncio.timeout(self.timeout):
                reason = await self._call(request)
            status = "ok" if reason is None else "failed"
        except TimeoutError:
            status, reason = "timeout", f"no answer within {self.timeout} s"
        except Exception as exc:  # noqa: BLE001 - whatever it is, the check has failed with it
            status, reason = "failed", repr(exc)
        if status != self.outcome.get("status", "ok"):
            level = logging.INFO if status == "ok" else logging.WARNING
            logger.log(level, "Check %s: %s%s", self.name, status, f", {reason}" if reason else "")
        self.outcome = {"status": status, "seconds": round(perf_counter() - start, 6)}
        self.until = asyncio.get_running_loop().time() + self.cache if self.cache else 0.0
        return self.outcome

    async def _call(self, request: Request) -> str | None:
        """Call the function as an endpoint, with its dependencies; return why it failed, if it says so."""
        # A request of its own: its dependencies are closed with the check, not with the answer.
        own = Request(dict(request.scope), _receive_nothing)
        own.scope.pop("velithon.exits", None)
        try:
            response: Any = await self.route.respond(own)
        finally:
            if own._exit_stack is not None:
                await own._exit_stack.aclose()
        if response.status_code >= 400:
            return f"status {response.status_code}"
        return "it returned False" if response.body == b"false" else None


class Health:
    """The health of an application: two endpoints, and the checks behind the second.

    Args:
        live_path: Answers 200 as long as the event loop runs.
        ready_path: Answers 200 while the application is ready, else 503; in both cases with what each check found.
        shutdown_delay: Seconds between the first signal to stop and the end of listening. During that time requests are
            answered and the application is not ready. At least two periods of the balancer's probe.
        include_in_schema: Whether the OpenAPI document has the endpoints.
        access_log: Whether the access log has requests to them.

    Attributes:
        stopping: Whether the process was told to stop.
    """

    def __init__(
        self,
        *,
        live_path: str = "/livez",
        ready_path: str = "/readyz",
        shutdown_delay: float = 0.0,
        include_in_schema: bool = False,
        access_log: bool = False,
    ) -> None:
        if shutdown_delay < 0:
            raise ValueError(f"shutdown_delay is a number of seconds from 0, not {shutdown_delay!r}.")
        self.live_path = live_path
        self.ready_path = ready_path
        self.shutdown_delay = shutdown_delay
        self.include_in_schema = include_in_schema
        self.access_log = access_log
        self.stopping = False
        self._checks: dict[str, _Check] = {}
        self._of_containers: dict[int, list[_Check]] = {}
        self._app: Velithon | None = None
        self._before: dict[int, object] = {}

    def install(self, app: Velithon) -> None:
        """Add the endpoints, and notice signals from the application's start on.

        Raises:
            RuntimeError: It is installed already.
        """
        if self._app is not None:
            raise RuntimeError("This Health is installed already: each application has its own.")
        self._app = app
        app.state.health = self
        for path, endpoint in ((self.live_path, self.live), (self.ready_path, self.ready)):
            app.add_api_route(path, endpoint, include_in_schema=self.include_in_schema)
            if not self.access_log:
                quiet_paths.update((path, app.root_path + path))
        app.router.on_startup.append(self._start)
        app.router.on_shutdown.append(self._stop)

    def add_check(
        self, name: str, function: Callable[..., object], *, timeout: float = 5.0, cache: float = 0.0
    ) -> None:
        """Add a check, before the start or at any time after it.

        One of the same name is replaced.

        Args:
            name: In the answer.
            function: Fails by raising or by returning `False`. It may be synchronous, and it may take what an endpoint
                takes: dependencies, what a container provides, the request.
            timeout: Seconds after which it has failed.
            cache: Seconds for which its outcome is answered again.

        Raises:
            ValueError: A number is out of range.
            RegistrationError: The function's parameters cannot be served.
        """
        self._checks[name] = self._build_check(name, function, timeout, cache)

    def remove_check(self, name: str) -> None:
        """Remove a check, such as that of a resource that is no longer used.

        One that is not there is no error.
        """
        self._checks.pop(name, None)

    def check(self, name: str, *, timeout: float = 5.0, cache: float = 0.0) -> Callable[[F], F]:
        """Return the decorator that adds a function as a check; see `add_check`."""

        def decorator(function: F) -> F:
            self.add_check(name, function, timeout=timeout, cache=cache)
            return function

        return decorator

    def _build_check(self, name: str, function: Callable[..., object], timeout: float, cache: float) -> _Check:
        if timeout <= 0 or cache < 0:
            raise ValueError(f"timeout must be above 0 and cache at least 0, not {timeout!r} and {cache!r}.")
        return _Check(name, Route(self.ready_path, function), timeout, cache)

    # -- the endpoints --------------------------------------------------------------------------------------------

    async def live(self) -> JSONResponse:
        """Tell that the event loop runs."""
        return _answer(200, {"status": "ok"})

    async def ready(self, request: Request) -> JSONResponse:
        """Tell whether the application is ready, and what each check found."""
        if self.stopping:
            return _answer(503, {"status": "stopping"})
        checks = [*self._checks.values(), *self._find_container_checks()]
        for found in checks:
            found.route._provider = self._app
        outcomes = await asyncio.gather(*(found.result(request) for found in checks))
        ready = all(outcome["status"] == "ok" for outcome in outcomes)
        details = {found.name: outcome for found, outcome in zip(checks, outcomes, strict=True)}
        return _answer(200 if ready else 503, {"status": "ok" if ready else "failed", "checks": details})

    def _find_container_checks(self) -> list[_Check]:
        assert self._app is not None
        found: list[_Check] = []
        for container in self._app.containers:
            checks = self._of_containers.get(id(container))
            if checks is None:
                checks = self._of_containers[id(container)] = [
                    self._build_check(
                        options["name"], getattr(container, attribute), options["timeout"], options["cache"]
                    )
                    for attribute in dir(type(container))
                    if (options := getattr(getattr(type(container), attribute), _MARK, None)) is not None
                ]
            found += checks
        return found

    # -- signals --------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self.stopping = False
        if threading.current_thread() is not threading.main_thread():
            return  # Python hands signals to the main thread alone: under a test client there are none.
        loop = asyncio.get_running_loop()

        def handle(number: int, frame: FrameType | None) -> None:
            first, self.stopping = not self.stopping, True
            if first and self.shutdown_delay:
                logger.info("Not ready from now on; listening ends in %s s", self.shutdown_delay)
                loop.call_soon_threadsafe(lambda: loop.call_later(self.shutdown_delay, self._forward_signal, number))
            else:
                self._forward_signal(number, frame)

        self._before = {number: signal.signal(number, handle) for number in _SIGNALS}

    def _forward_signal(self, number: int, frame: FrameType | None = None) -> None:
        before = self._before.get(number)
        if callable(before):
            before(number, frame)
        elif before is signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def _stop(self) -> None:
        self.stopping = True


async def _receive_nothing() -> Message:
    """Bring no body: a check has none."""
    return {"type": "http.request", "body": b"", "more_body": False}


def _answer(status: int, content: JSONObject) -> JSONResponse:
    return JSONResponse(content, status_code=status, headers={"cache-control": "no-store"})
