"""The cache around a responder: look up, answer, compute once, keep.

Of all who ask for one key in this process at a time the first computes, and the others get what it made; between
processes a lock of the store does the same. A key whose response cannot be kept is remembered for a while, and nobody
waits for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import logging
import secrets
import time
from collections import OrderedDict
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from velithon.background import ASIDE, BackgroundTask, with_set_aside
from velithon.cache.entry import Entry, build_not_modified
from velithon.cache.policy import NAMESPACE, TAG, CachePolicy
from velithon.cache.rules import Lifetime, compute_lifetime, matches_condition, parse_directives
from velithon.requests.request import Request
from velithon.requests.rsgi import RSGIRequest
from velithon.responses.base import Response
from velithon.responses.file import FileResponse
from velithon.responses.stream import StreamingResponse
from velithon.stores.base import StoreError
from velithon.stores.memory import MemoryStore
from velithon.stores.option import StoreOption

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from starlette.types import Message

    from velithon.responses.headers import Pairs
    from velithon.stores.base import Store

    # Key -> the entry that is being computed.
    Flights = dict[str, asyncio.Future[Entry | None]]
    # A route's responder may return what becomes a response later.
    Respond = Callable[[Request], Awaitable[Any]]

__all__ = ["ResponseCache"]

T = TypeVar("T")

logger = logging.getLogger("velithon.cache")

_CREDENTIALS = ("authorization", "cookie")
# A longer key is kept as its digest.
_LONGEST_KEY = 250
# How long a key is remembered whose response cannot be kept, and how many of them.
_PASS_SECONDS, _PASSES = 10.0, 4096
# How long to wait for another process that computes; how often to ask a store that is away; in seconds.
_LONGEST_WAIT, _ASK_AGAIN = 5.0, 1.0
_TAG_SECONDS = 24 * 60 * 60.0
_CONDITIONS = (b"if-none-match", b"if-modified-since", b"if-match", b"if-unmodified-since", b"if-range", b"range")


class ResponseCache:
    """Keeps the responses of a route, or of all that is inside a layer.

    Args:
        policy: What is kept, and for how long.
        place: What tells its keys from those of others in the store.
        vary: Further headers that belong to the key.
        credentials: Further headers by which a request passes the cache.
    """

    def __init__(
        self,
        policy: CachePolicy,
        place: str,
        vary: Iterable[str] = (),
        credentials: Iterable[str] = (),
    ) -> None:
        self.policy = policy
        self.place = place
        self.vary = sorted({name.lower() for name in (*policy.vary, *vary)})
        self.credentials = () if policy.credentials else tuple(dict.fromkeys((*_CREDENTIALS, *credentials)))
        self.store = StoreOption(policy.store, NAMESPACE)
        self._flights: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Future[Entry | None]]] = (
            WeakKeyDictionary()
        )
        self._passes: OrderedDict[str, float] = OrderedDict()
        self._refreshing: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._away_until: float | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the URL is the whole key, and credentials are the usual ones."""
        return self.policy.key is None and not self.vary and self.credentials == _CREDENTIALS

    async def answer(self, request: Request, respond: Respond) -> Any:
        """Answer a request from the store, or else by `respond(request)`.

        Nothing of the response of `respond` may have been sent.
        """
        if request.method not in ("GET", "HEAD") or any(request._header(name) for name in self.credentials):
            return await respond(request)
        key = self.key(request)
        if key is None:
            return await respond(request)
        entry = await self._find(request, key)
        if entry is not None:
            now = time.time()
            if now >= entry.fresh_until:
                self._refresh_later(request, key, respond)
            return self._answer(entry, request, now)
        if request.method == "HEAD":
            return await respond(request)
        return await self._compute(request, key, respond)

    def key(self, request: Request) -> str | None:
        """Return the key of a request, or `None` for one that passes the cache."""
        if self.policy.key is None:
            key = self.place + _build_url(request)
        else:
            own = self.policy.key(request)
            if own is None:
                return None
            key = f"{self.place}= {own}"
        for name in self.vary:
            key += f"\n{name}: {', '.join(request.headers.getlist(name))}"
        if len(key) > _LONGEST_KEY:
            return hashlib.blake2b(key.encode(), digest_size=32).hexdigest()
        return key

    async def forget(self, request: Request) -> None:
        """Drop what is kept for a URL after an unsafe method.

        RFC 9111, section 4.4.
        """
        key = self.key(request)
        if key is not None:
            await self._try_store(self.store.of(request.app).delete(key))

    # -- looking up -----------------------------------------------------------------------------------------------

    async def _find(self, request: Request, key: str) -> Entry | None:
        """Return what may be sent, fresh or stale."""
        store = self.store.of(request.app)
        entry = _read(await self._try_store(store.get(key)))
        if entry is not None and not entry.status:
            entry = _read(await self._try_store(store.get(_build_variant_key(entry, request))))
        if entry is None or time.time() >= entry.stale_until or not entry.is_for(request):
            return None
        if entry.tags:
            tokens = await self._try_store(store.get_many(*entry.tags))
            if tokens is None or [token and token.decode() for token in tokens] != list(entry.tags.values()):
                return None
        return entry

    def _answer(self, entry: Entry, request: Request, now: float) -> Response:
        return entry.answer(now, request._header("if-none-match"), request._header("if-modified-since"))

    async def _try_store(self, operation: Awaitable[T]) -> T | None:
        """Await an operation of the store; `None` while it is away, which is logged once."""
        if self._away_until is not None and time.monotonic() < self._away_until:
            if inspect.iscoroutine(operation):
                operation.close()
            return None
        try:
            result = await operation
        except StoreError as exc:
            if self._away_until is None:
                logger.error("Responses are not cached: %s", exc)
            self._away_until = time.monotonic() + _ASK_AGAIN
            return None
        if self._away_until is not None:
            self._away_until = None
            logger.warning("Responses are cached again")
        return result

    # -- computing ------------------------------------------------------------------------------------------------

    async def _compute(self, request: Request, key: str, respond: Respond) -> object:
        """Answer by the responder, once for all who ask."""
        until = self._passes.get(key)
        if until is not None and time.monotonic() < until:
            return (await self._run(request, key, respond))[0]
        loop = asyncio.get_running_loop()
        flights = self._flights.setdefault(loop, {})
        while (flight := flights.get(key)) is not None:
            await asyncio.wait((flight,))
            if not flight.cancelled():
                entry = flight.result()
                if entry is not None and entry.is_for(request):
                    return self._answer(entry, request, time.time())
                return (await self._run(request, key, respond))[0]
        flight = flights[key] = loop.create_future()
        entry = None
        try:
            response, entry = await self._run_locked(request, key, respond)
            return response
        except asyncio.CancelledError:
            flight.cancel()
            raise
        finally:
            if not flight.done():
                flight.set_result(entry)
            del flights[key]

    async def _run_locked(self, request: Request, key: str, respond: Respond) -> tuple[object, Entry | None]:
        """Compute, unless another process does: then wait for what it keeps."""
        store = self.store.of(request.app)
        if isinstance(store, MemoryStore) or self._away_until is not None:
            return await self._run(request, key, respond)
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(_LONGEST_WAIT):
                    await self._try_store(stack.enter_async_context(store.lock(key)))
            except TimeoutError:
                logger.warning("Another process has computed %s for %.0f seconds: not waiting", key, _LONGEST_WAIT)
            entry = await self._find(request, key)
            if entry is not None:
                return self._answer(entry, request, time.time()), entry
            return await self._run(request, key, respond)

    async def _run(self, request: Request, key: str, respond: Respond) -> tuple[Any, Entry | None]:
        """Run the responder; return its answer, and what was kept of it."""
        store = self.store.of(request.app)
        tokens = await self._read_tokens(store, request)
        response = await respond(request)
        if request._header("cache-control") and "no-store" in parse_directives(request._header("cache-control")):
            return response, None
        pairs = [(name.lower(), value) for name, value in response.rsgi_headers()]
        lifetime = None if tokens is None else compute_lifetime(self.policy, response.status_code, pairs)
        if lifetime is None or not await self._take_body(response):
            self._remember_pass(key)
            return response, None
        self._passes.pop(key, None)
        self._add_headers(response, pairs, lifetime)
        entry = self._build_entry(request, response, lifetime, tokens or {})
        await self._keep(store, request, key, entry)
        if response.status_code == 200 and matches_condition(
            request._header("if-none-match"), request._header("if-modified-since"), entry.etag, entry.last_modified
        ):
            response = build_not_modified(response)
        return response, entry

    async def _read_tokens(self, store: Store, request: Request) -> dict[str, str] | None:
        """Return the tokens of the tags as they are before the response is made; `None` while the store is away."""
        keys = [TAG + tag for tag in self.policy.tags_of(request)] if self.policy.tags else []
        if not keys:
            return {}
        found = await self._try_store(store.get_many(*keys))
        if found is None:
            return None
        tokens = {}
        for key, token in zip(keys, found, strict=True):
            if token is None:
                token = secrets.token_hex(8).encode()
                lifetime = max(_TAG_SECONDS, 2 * ((self.policy.expire or 0) + self.policy.stale_while_revalidate))
                await self._try_store(store.set(key, token, expire=lifetime))
            tokens[key] = token.decode()
        return tokens

    async def _take_body(self, response: Response) -> bool:
        """Tell whether a response can be kept; of a stream that says how short it is, the body is taken."""
        limit = self.policy.max_body_size
        if isinstance(response, FileResponse):
            return False
        if isinstance(response, StreamingResponse):
            length = response.get_header("content-length")
            if length is None or not length.isdecimal() or int(length) > limit:
                return False
            chunks = [
                chunk.encode(response.charset) if isinstance(chunk, str) else bytes(chunk)
                async for chunk in response.body_iterator
            ]
            response.body = b"".join(chunks)
            response.body_iterator = _repeat_chunks(chunks)
            return True
        body = response.__dict__.get("body")
        return body is not None and len(body) <= limit

    def _add_headers(self, response: Response, pairs: Pairs, lifetime: Lifetime) -> None:
        """Say to clients and proxies what the cache knows."""
        names = {name for name, _ in pairs}
        if not names & {"cache-control", "expires"}:
            age = int(lifetime.fresh) if self.policy.max_age is None else self.policy.max_age
            control = f"max-age={age}" if age else "no-cache"
            if age and lifetime.stale:
                control += f", stale-while-revalidate={int(lifetime.stale)}"
            response.set_header("cache-control", control)
        if "etag" not in names and response.status_code == 200:
            digest = hashlib.blake2b(bytes(response.body), digest_size=12).hexdigest()
            response.set_header("etag", f'"{digest}"')
        for name in (*self.vary, *self.credentials):
            response.add_vary(name.title())

    def _build_entry(self, request: Request, response: Response, lifetime: Lifetime, tokens: dict[str, str]) -> Entry:
        pairs = [(name.lower(), value) for name, value in response.rsgi_headers()]
        named = {name.strip().lower() for key, value in pairs if key == "vary" for name in value.split(",")}
        varies = sorted(named - set(self.vary) - set(self.credentials) - {""})
        born = time.time()
        return Entry.make(
            {
                "status": response.status_code,
                "pairs": [(name, value) for name, value in pairs if name not in ("content-length", "age")],
                "born": born,
                "fresh_until": born + lifetime.fresh,
                "stale_until": born + lifetime.fresh + lifetime.stale,
                "tags": tokens,
                "varies": {name: request.headers.get(name) for name in varies},
                "identity": "",
            },
            bytes(response.body),
        )

    async def _keep(self, store: Store, request: Request, key: str, entry: Entry) -> None:
        expire = entry.stale_until - entry.born
        if entry.varies:
            names = _read(await self._try_store(store.get(key)))
            if names is None or names.status or names.varies.keys() != entry.varies.keys():
                names = _build_names_entry(entry)
                await self._try_store(store.set(key, names, expire=_TAG_SECONDS))
            key = _build_variant_key(names, request)
        await self._try_store(store.set(key, entry, expire=expire))

    def _remember_pass(self, key: str) -> None:
        self._passes[key] = time.monotonic() + _PASS_SECONDS
        self._passes.move_to_end(key)
        if len(self._passes) > _PASSES:
            self._passes.popitem(last=False)

    # -- revalidation ---------------------------------------------------------------------------------------------

    def _refresh_later(self, request: Request, key: str, respond: Respond) -> None:
        """Make a new response after this one, once; a shutdown waits for it as for any background task."""
        if key in self._refreshing:
            return
        self._refreshing.add(key)
        work = BackgroundTask(self._refresh, _copy(request), key, respond)
        in_flight = getattr(request.app, "_in_flight", None)
        task = asyncio.get_running_loop().create_task(work() if in_flight is None else in_flight.run(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _refresh(self, request: Request, key: str, respond: Respond) -> None:
        store = self.store.of(request.app)
        try:
            # Of several processes one does it.
            claim = await self._try_store(store.increment(f"{key} refresh", expire=_LONGEST_WAIT))
            if claim is not None and claim > 1:
                return
            response, _ = await self._run(request, key, respond)
            await self._try_store(store.delete(f"{key} refresh"))
            background = with_set_aside(request.scope, response.background)
            if background is not None:
                await background()
        finally:
            self._refreshing.discard(key)
            if request._exit_stack is not None:
                await request._exit_stack.aclose()


async def _repeat_chunks(chunks: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def _read(blob: bytes | None) -> Entry | None:
    return None if blob is None else Entry.of(blob)


def _build_names_entry(entry: Entry) -> Entry:
    """Return what says by which headers the responses of a URL differ."""
    head = {
        "status": 0,
        "pairs": [],
        "born": entry.born,
        "fresh_until": 0,
        "stale_until": 0,
        "tags": {},
        "varies": dict.fromkeys(entry.varies),
        "identity": secrets.token_hex(12),
    }
    return Entry.make(head, b"")


def _build_variant_key(names: Entry, request: Request) -> str:
    values = "\n".join(f"{name}: {request.headers.get(name)}" for name in names.varies)
    return f"{names.identity} {hashlib.blake2b(values.encode(), digest_size=16).hexdigest()}"


def _build_url(request: Request) -> str:
    """Return the URL that was asked for, with the host that the client named."""
    if isinstance(request, RSGIRequest) and request._scope is None:
        rsgi = request._rsgi
        host = rsgi.authority or rsgi.headers.get("host")
        return f"{rsgi.scheme}://{host}{rsgi.path}?{rsgi.query_string}"
    scope = request.scope
    host = request.headers.get("host")
    return f"{scope.get('scheme', 'http')}://{host}{scope['path']}?{scope['query_string'].decode('latin-1')}"


def _copy(request: Request) -> Request:
    """Return a request like this one that nobody waits for, with no condition in it."""
    scope = dict(request.scope)
    for name in ("velithon.exits", "velithon.error_hooks", ASIDE):
        scope.pop(name, None)
    scope["method"] = "GET"
    scope["state"] = dict(scope.get("state") or {})
    scope["headers"] = [(name, value) for name, value in scope["headers"] if name.lower() not in _CONDITIONS]

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: object) -> None:
        """Nobody reads it."""

    return Request(scope, receive, send)
