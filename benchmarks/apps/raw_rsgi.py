"""RSGI by hand: what a request costs without a framework. It does the work of each scenario and nothing else.

That work is what every application has written for it: the generator that a stream comes from, the line in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
from collections.abc import AsyncIterator
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import orjson
from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]  # its stub does not say that it is there
from pydantic import TypeAdapter
from pydantic_core import SchemaSerializer, SchemaValidator

from benchmarks.apps import common, services
from benchmarks.apps.models import Item
from benchmarks.apps.structs import Item as ItemStruct

JSON = [("content-type", "application/json")]
HTML = [("content-type", "text/html; charset=utf-8")]
PLAIN = [("content-type", "text/plain; charset=utf-8")]
COMPRESSED = [*PLAIN, ("content-encoding", "gzip"), ("vary", "Accept-Encoding")]
EVENTS = [("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache")]
LAYERED = [*JSON, ("vary", "Origin"), common.LAYER_HEADER]
CORS = [*LAYERED, ("access-control-allow-origin", common.ORIGIN)]
FILE = str(common.file())
SETTINGS = common.Settings()
DECODER = msgspec.json.Decoder(ItemStruct)
ITEMS = TypeAdapter(list[Item])
VALIDATOR: SchemaValidator = Item.__pydantic_validator__  # type: ignore[assignment]
SERIALIZER: SchemaSerializer = Item.__pydantic_serializer__


def blocking() -> dict[str, str]:
    return common.HELLO


async def settings() -> dict[str, str]:
    return {"dsn": "memory"}


@contextlib.asynccontextmanager
async def session(given: dict[str, str]) -> AsyncIterator[dict[str, str]]:
    yield {"session": given["dsn"]}


async def user(token: str, opened: dict[str, str]) -> dict[str, str]:
    return {"user": token, **opened}


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(common.CHUNKS):
        yield common.CHUNK


class App:
    """One callable."""

    def __init__(self, setup: str) -> None:
        self.routes = {path.split("/")[1]: number for number, path in enumerate(common.route_paths(setup))}
        self.layered = setup in ("cors", "layers")
        self.log = common.access_logger() if setup == "layers" else None
        self.compresses = setup == "gzip"
        self.room: set[Any] = set()
        self.subscribers = common.Subscribers()
        self.exact: dict[str, Any] = {
            "/model": self.model,
            "/deps": self.deps,
            "/container": self.container,
            "/singleton": self.singleton,
            "/sync": self.sync,
            "/text": self.text,
            "/file": self.file,
            "/stream": self.stream,
            "/upload": self.upload,
            "/plaintext": self.plaintext,
            "/db": self.one_query,
            "/queries": self.many_queries,
            "/updates": self.updates,
            "/fortunes": self.fortunes,
            "/orm": self.orm,
            "/struct": self.struct,
            "/cookies": self.cookies,
            "/form": self.form,
            "/large": self.large,
            "/static/50k.txt": self.static,
            "/events": self.events,
            "/publish": self.publish,
        }
        self.database = services.Database()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        path: str = scope.path
        if path == "/json" and self.layered:
            self.behind_layers(scope, protocol)
        elif path == "/json":
            protocol.response_bytes(200, JSON, orjson.dumps(common.HELLO))
        elif path in self.exact:
            await self.exact[path](scope, protocol)
        elif path.startswith("/items/"):
            self.items(scope, protocol, path)
        elif scope.proto == "ws":
            await self.websocket(path, protocol)
        else:
            self.numbered(protocol, path)

    def behind_layers(self, scope: Any, protocol: Any) -> None:
        start = perf_counter()
        headers = CORS if scope.headers.get("origin") == common.ORIGIN else LAYERED
        protocol.response_bytes(200, headers, orjson.dumps(common.HELLO))
        if self.log is not None:
            duration = round((perf_counter() - start) * 1000, 3)
            asked = (scope.client, scope.method, scope.path, scope.http_version)
            self.log.info('%s "%s %s HTTP/%s" 200 %sms', *asked, duration)

    def items(self, scope: Any, protocol: Any, path: str) -> None:
        query = dict(parse_qsl(scope.query_string))
        try:
            answer = {"item_id": int(path[7:]), "q": query["q"], "n": int(query.get("n", 1))}
        except (KeyError, ValueError):
            protocol.response_empty(422, [])
            return
        protocol.response_bytes(200, JSON, orjson.dumps(answer))

    def numbered(self, protocol: Any, path: str) -> None:
        parts = path.split("/")
        number = self.routes.get(parts[1])
        if number is None or len(parts) != 4:
            protocol.response_bytes(404, JSON, b'{"detail":"Not Found"}')
            return
        protocol.response_bytes(200, JSON, orjson.dumps({"route": number, "item_id": int(parts[3])}))

    async def model(self, scope: Any, protocol: Any) -> None:
        item = VALIDATOR.validate_json(await protocol())
        protocol.response_bytes(200, JSON, SERIALIZER.to_json(item))

    async def deps(self, scope: Any, protocol: Any) -> None:
        token = dict(parse_qsl(scope.query_string))["token"]
        async with session(await settings()) as opened:
            protocol.response_bytes(200, JSON, orjson.dumps(await user(token, opened)))

    async def container(self, scope: Any, protocol: Any) -> None:
        service = common.Service(common.Repository(SETTINGS))
        protocol.response_bytes(200, JSON, orjson.dumps({"total": service.total(2)}))

    async def singleton(self, scope: Any, protocol: Any) -> None:
        protocol.response_bytes(200, JSON, orjson.dumps({"factor": SETTINGS.factor}))

    async def sync(self, scope: Any, protocol: Any) -> None:
        answer = await asyncio.get_running_loop().run_in_executor(None, blocking)
        protocol.response_bytes(200, JSON, orjson.dumps(answer))

    async def text(self, scope: Any, protocol: Any) -> None:
        if self.compresses and "gzip" in (scope.headers.get("accept-encoding") or ""):
            protocol.response_bytes(200, COMPRESSED, gzip.compress(common.TEXT.encode(), compresslevel=9))
        else:
            protocol.response_str(200, PLAIN, common.TEXT)

    async def file(self, scope: Any, protocol: Any) -> None:
        protocol.response_file(200, [*PLAIN, ("content-length", str(common.FILE_SIZE))], FILE)

    async def stream(self, scope: Any, protocol: Any) -> None:
        transport = protocol.response_stream(200, PLAIN)
        async for chunk in chunks():
            await transport.send_bytes(chunk)

    async def static(self, scope: Any, protocol: Any) -> None:
        start, _, last = scope.headers.get("range").removeprefix("bytes=").partition("-")
        first, end, size = int(start), int(last) + 1, os.stat(FILE).st_size
        span = [("content-range", f"bytes {first}-{end - 1}/{size}"), ("content-length", str(end - first))]
        protocol.response_file_range(206, [*PLAIN, *span], FILE, first, end)

    async def events(self, scope: Any, protocol: Any) -> None:
        with self.subscribers.subscribed() as queue:
            transport = protocol.response_stream(200, EVENTS)
            await transport.send_bytes(b"data: ready\n\n")
            with contextlib.suppress(ProtocolClosed):
                while True:
                    await transport.send_bytes(f"data: {await queue.get()}\n\n".encode())

    async def publish(self, scope: Any, protocol: Any) -> None:
        protocol.response_bytes(200, JSON, orjson.dumps(self.subscribers.publish()))

    async def upload(self, scope: Any, protocol: Any) -> None:
        boundary = scope.headers.get("content-type").partition("boundary=")[2].encode()
        body: bytes = await protocol()
        start = body.index(b"\r\n\r\n") + 4
        size = body.index(b"\r\n--" + boundary, start) - start
        protocol.response_bytes(200, JSON, orjson.dumps({"size": size}))

    async def plaintext(self, scope: Any, protocol: Any) -> None:
        protocol.response_str(200, PLAIN, services.PLAINTEXT)

    async def one_query(self, scope: Any, protocol: Any) -> None:
        protocol.response_bytes(200, JSON, orjson.dumps(await self.database.one()))

    async def many_queries(self, scope: Any, protocol: Any) -> None:
        count = int(dict(parse_qsl(scope.query_string))["n"])
        protocol.response_bytes(200, JSON, orjson.dumps(await self.database.many(count)))

    async def updates(self, scope: Any, protocol: Any) -> None:
        count = int(dict(parse_qsl(scope.query_string))["n"])
        protocol.response_bytes(200, JSON, orjson.dumps(await self.database.updates(count)))

    async def fortunes(self, scope: Any, protocol: Any) -> None:
        protocol.response_str(200, HTML, await self.database.fortunes())

    async def orm(self, scope: Any, protocol: Any) -> None:
        protocol.response_bytes(200, JSON, orjson.dumps(await self.database.orm()))

    async def struct(self, scope: Any, protocol: Any) -> None:
        protocol.response_bytes(200, JSON, msgspec.json.encode(DECODER.decode(await protocol())))

    async def cookies(self, scope: Any, protocol: Any) -> None:
        found = dict(part.split("=", 1) for part in scope.headers.get("cookie").split("; "))
        protocol.response_bytes(200, JSON, orjson.dumps({"p0": found["p0"], "p9": found["p9"]}))

    async def form(self, scope: Any, protocol: Any) -> None:
        found = dict(parse_qsl((await protocol()).decode()))
        protocol.response_bytes(200, JSON, orjson.dumps({"f0": found["f0"], "f19": found["f19"]}))

    async def large(self, scope: Any, protocol: Any) -> None:
        rows = ITEMS.validate_json(await protocol())
        protocol.response_bytes(200, JSON, ITEMS.dump_json(rows))

    async def websocket(self, path: str, protocol: Any) -> None:
        transport = await protocol.accept()
        if path == "/room":
            self.room.add(transport)
        try:
            while (message := await transport.receive()).kind != 0:
                if path == "/room":
                    for member in list(self.room):
                        await member.send_str(message.data)
                else:
                    await transport.send_str(message.data)
        finally:
            self.room.discard(transport)
            with contextlib.suppress(Exception):  # the client is gone
                protocol.close(None)


def make(setup: str) -> App:
    """Return the application for a setup."""
    return App(setup)


app = make(common.SETUP)
