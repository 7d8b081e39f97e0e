"""The events of an application, their handlers and their webhooks."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, overload
from urllib.parse import urlsplit

import orjson

from velithon.channels import ChannelsError
from velithon.channels.message import compile_pattern, is_pattern
from velithon.concurrency import run_in_threadpool
from velithon.encoders import jsonable_encoder

if TYPE_CHECKING:
    from types import ModuleType

    from velithon._runtime.json_values import JSONObject
    from velithon.channels import Channels
    from velithon.jobs import JobHandle

__all__ = ["Event", "Events"]

H = TypeVar("H", bound=Callable[..., object])

logger = logging.getLogger("velithon.events")

_CHANNEL = "velithon.events"
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        type: What kind of thing, such as `user.created`.
        data: What is known of it. Handlers in other processes get it as JSON carries it.
        id: Tells it from all others.
        timestamp: When, in UTC.
    """

    type: str
    data: Any = None
    id: str = field(default_factory=lambda: os.urandom(16).hex())
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class _Handler:
    pattern: str
    call: Callable[[Event], object]
    everywhere: bool

    def matches(self, kind: str) -> bool:
        if not is_pattern(self.pattern):
            return self.pattern == kind
        return compile_pattern(self.pattern).fullmatch(kind) is not None


class Events:
    """What an application has as `app.events`.

    Args:
        app: The application, whose channels and jobs carry what leaves this process. Without one, handlers of this
            process hear of events and nobody else.
    """

    def __init__(self, app: Any = None) -> None:
        self._app = app
        self._handlers: list[_Handler] = []
        self._webhooks: list[tuple[str, str]] = []
        self._secrets: dict[str, str | None] = {}
        self._find_secret: Callable[[str], str | None | Awaitable[str | None]] | None = None
        self._listener: asyncio.Task[None] | None = None

    # -- who hears ------------------------------------------------------------------------------------------------

    @overload
    def on(self, event_type: str, handler: H, *, everywhere: bool = False) -> H: ...
    @overload
    def on(self, event_type: str, handler: None = None, *, everywhere: bool = False) -> Callable[[H], H]: ...

    def on(self, event_type: str, handler: H | None = None, *, everywhere: bool = False) -> H | Callable[[H], H]:
        """Have `handler(event)` called, `async def` or `def`; without it, return the decorator that does.

        Args:
            event_type: A type, or a pattern with `*` and `?`, such as `"user.*"`.
            handler: The function.
            everywhere: Whether it is called in every process of the application, by way of its channels, and not only
                in the one that emitted.

        Raises:
            RuntimeError: `everywhere`, and the application has started, or there is none.
        """
        if everywhere and (self._app is None or self._listener is not None):
            raise RuntimeError(f"The handler of {event_type!r} in all processes comes too late, or there is no app.")

        def register(function: H) -> H:
            self._handlers.append(_Handler(event_type, function, everywhere))
            return function

        return register if handler is None else register(handler)

    def webhook(self, event_type: str, url: str, *, secret: str | None = None) -> None:
        """Send events of a type, or of a pattern, to a URL.

        A job does so, with retries, in any worker.

        Args:
            event_type: A type or a pattern.
            url: Where to. An address that somebody else chose may lead into your own network: check it before.
            secret: Signs what is sent; without it nobody can tell that it comes from you.

        Raises:
            ValueError: The address is no http or https URL.
            ImportError: The package httpx is missing: `pip install "velithon[webhooks]"`.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"A webhook goes to an http or https URL, not to {url!r}.")
        _import_delivery()
        self._webhooks.append((event_type, url))
        self._secrets[url] = secret

    def webhook_secrets(
        self, find: Callable[[str], str | None | Awaitable[str | None]]
    ) -> Callable[[str], str | None | Awaitable[str | None]]:
        """Take a function that returns the secret of an address that `webhook` was not told.

        Also as a decorator.
        """
        _import_delivery()
        self._find_secret = find
        return find

    def secret_for(self, url: str) -> str | None | Awaitable[str | None]:
        """Return the secret of an address, or an awaitable of it.

        Raises:
            LookupError: Nobody knows this address.
        """
        if url in self._secrets:
            return self._secrets[url]
        if self._find_secret is None:
            raise LookupError(f"No secret is known for the webhook {url}: say so with app.events.webhook_secrets.")
        return self._find_secret(url)

    # -- what happens ---------------------------------------------------------------------------------------------

    async def emit(self, event_type: str, data: object = None) -> Event:
        """Send an event to all handlers and webhooks.

        Returns when the handlers of this process have ended and the other messages were sent.

        A handler that fails is logged, and the others are called all the same.

        Args:
            event_type: Its type, no pattern.
            data: What is known of it.

        Returns:
            The event.

        Raises:
            ValueError: The type is a pattern or empty.
            ChannelsError: Other processes may not hear of it. The handlers of this process have.
            JobsError: A webhook was not accepted; likewise.
        """
        if not event_type or is_pattern(event_type):
            raise ValueError(f"An event's type is text without '*' and '?', not {event_type!r}.")
        event = Event(event_type, data)
        await self._call(event, everywhere=False)
        if any(handler.everywhere and handler.matches(event.type) for handler in self._handlers):
            await self._channels.publish(_CHANNEL, _dump_event(event))
        urls = [url for pattern, url in self._webhooks if _Handler(pattern, print, False).matches(event.type)]
        for url in dict.fromkeys(urls):
            await self.deliver(url, event)
        return event

    async def deliver(self, url: str, event: Event) -> JobHandle:
        """Ask for one event to be sent to one address; return the job's handle."""
        body = _dump_event(event)
        body["event_type"] = body.pop("type")
        if self._app is None:
            raise RuntimeError("Webhooks are jobs of an application: use app.events.")
        text = orjson.dumps(body).decode()
        handle: JobHandle = await self._app.jobs.enqueue(_import_delivery().deliver_webhook, url, event.id, text)
        return handle

    async def _call(self, event: Event, *, everywhere: bool) -> None:
        for handler in list(self._handlers):
            if handler.everywhere is not everywhere or not handler.matches(event.type):
                continue
            try:
                if inspect.iscoroutinefunction(handler.call):
                    await handler.call(event)
                else:
                    found = await run_in_threadpool(handler.call, event)
                    if inspect.isawaitable(found):
                        await found
            except Exception:
                name = getattr(handler.call, "__qualname__", repr(handler.call))
                logger.exception("The handler %s of the event %s (%s) failed", name, event.type, event.id)

    # -- other processes ------------------------------------------------------------------------------------------

    @property
    def _channels(self) -> Channels:
        found: Channels = self._app.channels
        return found

    async def start(self) -> None:
        """Listen to what other processes emit, where a handler wants to hear of it."""
        if self._listener is None and any(handler.everywhere for handler in self._handlers):
            ready = asyncio.get_running_loop().create_future()
            self._listener = asyncio.get_running_loop().create_task(self._listen(ready))
            await asyncio.wait((ready, self._listener), return_when=asyncio.FIRST_COMPLETED)

    async def stop(self) -> None:
        """Listen no longer."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait((self._listener,))
            self._listener = None

    async def _listen(self, ready: asyncio.Future[None]) -> None:
        while True:
            try:
                async with self._channels.subscribe(_CHANNEL) as subscription:
                    if not ready.done():
                        ready.set_result(None)
                    async for message in subscription:
                        await self._call(_load_event(message.data), everywhere=True)
                return
            except ChannelsError as error:
                logger.warning("Events of other processes are not heard: %r", error)
                if not ready.done():
                    ready.set_result(None)
                await asyncio.sleep(_RETRY_SECONDS)


def _dump_event(event: Event) -> JSONObject:
    data = jsonable_encoder(event.data)
    return {"id": event.id, "type": event.type, "timestamp": event.timestamp.isoformat(), "data": data}


def _load_event(data: JSONObject) -> Event:
    return Event(data["type"], data["data"], data["id"], datetime.fromisoformat(data["timestamp"]))


def _import_delivery() -> ModuleType:
    try:
        import httpx  # noqa: F401 - the job needs it
    except ImportError as error:  # pragma: no cover - the extra is installed where tests run
        raise ImportError('Webhooks need the package httpx: pip install "velithon[webhooks]"') from error
    from velithon.events import delivery

    return delivery
