"""A raw RSGI application whose paths try what a server does with them; served in memory and by Granian alike."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from urllib.parse import unquote

FILE = str(Path(__file__).with_name("strict_rsgi_data.txt"))
MISSING = str(Path(gettempdir()) / "velithon-no-such-file")

# what the application saw of the request before, by name
SEEN: dict[str, Any] = {}
# the requests that have not ended yet: the client of a HEAD request has its answer before that
RUNNING: set[asyncio.Event] = set()

Call = Callable[[Any], Any]

# each is tried with a protocol object; those that raise leave room for the response that follows
CALLS: Mapping[str, Call] = {
    "header name of bytes": lambda p: p.response_empty(200, [(b"a", "b")]),
    "header value of bytes": lambda p: p.response_empty(200, [("a", b"b")]),
    "header value of int": lambda p: p.response_empty(200, [("a", 1)]),
    "headers of lists": lambda p: p.response_empty(200, [["a", "b"]]),
    "headers of triples": lambda p: p.response_empty(200, [("a", "b", "c")]),
    "headers in a tuple": lambda p: p.response_empty(200, (("a", "b"),)),
    "headers in a dict": lambda p: p.response_empty(200, {"a": "b"}),
    "headers in a generator": lambda p: p.response_empty(200, (pair for pair in [("a", "b")])),
    "headers of None": lambda p: p.response_empty(200, None),
    "no headers": lambda p: p.response_empty(200),
    "keyword arguments": lambda p: p.response_str(status=201, headers=[("a", "b")], body="x"),
    "status of str": lambda p: p.response_empty("200", []),
    "status of float": lambda p: p.response_empty(200.0, []),
    "negative status": lambda p: p.response_empty(-1, []),
    "status beyond 16 bits": lambda p: p.response_empty(70_000, []),
    "text of bytes": lambda p: p.response_str(200, [], b"x"),
    "bytes of str": lambda p: p.response_bytes(200, [], "x"),
    "bytes of bytearray": lambda p: p.response_bytes(200, [], bytearray(b"x")),
    "bytes of memoryview": lambda p: p.response_bytes(200, [], memoryview(b"x")),
    "file of a path object": lambda p: p.response_file(200, [], Path(FILE)),
    "file of bytes": lambda p: p.response_file(200, [], FILE.encode()),
    "range of str": lambda p: p.response_file_range(206, [], FILE, "1", 2),
    "negative range": lambda p: p.response_file_range(206, [], FILE, -1, 2),
    "range turned around": lambda p: p.response_file_range(206, [], FILE, 5, 2),
    "empty range": lambda p: p.response_file_range(206, [], FILE, 5, 5),
}


def attempt(call: Callable[[], Any]) -> str:
    """Return what a call raised, or the type of what it returned."""
    try:
        result = call()
    except Exception as error:  # noqa: BLE001 the exception's class is what the test asks for
        return type(error).__name__
    return type(result).__name__


def attempt_write(target: Any, name: str) -> str:
    """Return whether an attribute can be set."""
    try:
        setattr(target, name, "/")
    except AttributeError:
        return "AttributeError"
    return "written"


async def attempt_async(call: Callable[[], Awaitable[Any]]) -> str:
    """Return what awaiting a call raised, or what it gave."""
    try:
        return repr(await asyncio.wait_for(_await(call), 0.5))
    except Exception as error:  # noqa: BLE001 the exception's class is what the test asks for
        return type(error).__name__


async def _await(call: Callable[[], Awaitable[Any]]) -> Any:
    return await call()


def reply(protocol: Any, value: object) -> None:
    """Answer with JSON."""
    protocol.response_str(200, [("content-type", "application/json")], json.dumps(value))


async def headers(scope: Any, protocol: Any) -> None:
    """Show every way to read headers."""
    given = scope.headers
    names = ("x-a", "X-A", "x-dup", "X-Dup", "x-latin", "x-m", "x-none", "a b")
    shown = [pair for pair in given.items() if pair[0].startswith("x-")]
    reply(
        protocol,
        {
            "items": shown,
            "keys": [name for name in given.keys() if name.startswith("x-")],
            "iter": [name for name in given if name.startswith("x-")],
            "values are flat": len(given.values()) == len(given.items()),
            "length": len(given) == len(given.keys()),
            "get": [given.get(name) for name in names],
            "get_all": [given.get_all(name) for name in names],
            "in": [name in given for name in names],
            "default": [given.get("x-none", "d"), given.get("x-none", default="d")],
            "item": [given[name] if name in given else attempt(partial(given.__getitem__, name)) for name in names],
            "wrong type": [attempt(lambda: given.get(1)), attempt(lambda: 1 in given)],
        },
    )


async def scope(scope: Any, protocol: Any) -> None:
    """Show the scope."""
    names = ("proto", "method", "path", "query_string", "scheme", "http_version", "rsgi_version", "authority")
    shown = {name: getattr(scope, name) for name in names}
    shown["types"] = [type(getattr(scope, name)).__name__ for name in ("client", "server", "path", "query_string")]
    shown["client has a port"] = scope.client.rpartition(":")[2].isdecimal()
    shown["writes"] = [attempt_write(scope, "path"), attempt_write(scope, "new")]
    reply(protocol, shown)


async def call(scope: Any, protocol: Any) -> None:
    """Try one of `CALLS`, then answer."""
    name = unquote(scope.query_string)
    SEEN["call"] = attempt(lambda: CALLS[name](protocol))
    protocol.response_str(200, [], "second")


async def status(scope: Any, protocol: Any) -> None:
    """Answer with a status and text."""
    protocol.response_str(int(scope.query_string), [("x-s", "1")], "body")


async def status_stream(scope: Any, protocol: Any) -> None:
    """Stream with a status."""
    transport = protocol.response_stream(int(scope.query_string), [("x-s", "1")])
    await transport.send_bytes(b"abc")


async def nothing(scope: Any, protocol: Any) -> None:
    """Return without an answer."""


async def fails(scope: Any, protocol: Any) -> None:
    """Raise before an answer."""
    raise ValueError("before the answer")


async def exits(scope: Any, protocol: Any) -> None:
    """Try to end the process."""
    raise SystemExit(3)


async def cancelled(scope: Any, protocol: Any) -> None:
    """Raise a cancellation that nobody asked for."""
    raise asyncio.CancelledError


async def fails_late(scope: Any, protocol: Any) -> None:
    """Raise after the answer."""
    protocol.response_str(200, [], "answered")
    raise ValueError("after the answer")


async def twice(scope: Any, protocol: Any) -> None:
    """Answer twice, then a third time with a stream."""
    protocol.response_str(200, [("x-a", "1")], "one")
    SEEN["second"] = attempt(lambda: protocol.response_str(201, [("x-a", "2")], "two"))
    SEEN["stream"] = attempt(lambda: protocol.response_stream(201, []))


async def text(scope: Any, protocol: Any) -> None:
    """Answer with text outside ASCII."""
    protocol.response_str(200, [("content-type", "text/plain")], "héllo")


async def short_length(scope: Any, protocol: Any) -> None:
    """Announce fewer bytes than there are."""
    protocol.response_str(200, [("content-length", "3")], "hello")


async def empty(scope: Any, protocol: Any) -> None:
    """Answer without a body."""
    protocol.response_empty(200, [("x-e", "1")])


async def empty_text(scope: Any, protocol: Any) -> None:
    """Answer with an empty text."""
    protocol.response_str(200, [("x-e", "1")], "")


async def empty_length(scope: Any, protocol: Any) -> None:
    """Announce a length without a body, as the answer to HEAD does."""
    protocol.response_empty(200, [("content-length", "55")])


async def response_headers(scope: Any, protocol: Any) -> None:
    """Answer with headers of all kinds."""
    pairs = [("X-Upper", "1"), ("x-dup", "a"), ("X-Dup", "b"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]
    protocol.response_str(200, [*pairs, ("x-latin", "hé"), ("x-tab", "a\tb")], "x")


async def bad_headers(scope: Any, protocol: Any) -> None:
    """Answer with headers that HTTP does not allow."""
    protocol.response_str(200, [("bad name", "1"), ("x-split", "1\r\nx-injected: 1"), ("x-ok", "1"), ("", "1")], "x")


async def stream(scope: Any, protocol: Any) -> None:
    """Stream, and try wrong chunks."""
    transport = protocol.response_stream(200, [("content-type", "text/plain")])
    SEEN["sent"] = repr(await transport.send_bytes(b"a"))
    await transport.send_str("é")
    await transport.send_bytes(b"")
    SEEN["wrong"] = [
        attempt(lambda: transport.send_bytes("x")),
        attempt(lambda: transport.send_str(b"x")),
    ]
    await transport.send_bytes(bytearray(b"BA"))
    transport.send_bytes(b"not awaited")


async def stream_length(scope: Any, protocol: Any) -> None:
    """Stream with a length."""
    transport = protocol.response_stream(200, [("content-length", "3")])
    await transport.send_bytes(b"abc")


async def stream_fails(scope: Any, protocol: Any) -> None:
    """Raise in the middle of a stream."""
    transport = protocol.response_stream(200, [])
    await transport.send_bytes(b"abc")
    raise ValueError("in the stream")


async def body(scope: Any, protocol: Any) -> None:
    """Read the body whole, then again."""
    data = await protocol()
    again = [await attempt_async(lambda: protocol()), await attempt_async(lambda: anext(aiter(protocol)))]
    reply(protocol, {"data": data.decode(), "type": type(data).__name__, "again": again})


async def chunks(scope: Any, protocol: Any) -> None:
    """Read the body in chunks, then again."""
    parts = [chunk async for chunk in protocol]
    again = [await attempt_async(lambda: protocol()), await attempt_async(lambda: anext(aiter(protocol)))]
    reply(protocol, {"data": b"".join(parts).decode(), "last": parts[-1].decode(), "again": again})


async def watch(scope: Any, protocol: Any) -> None:
    """Wait a while for the client to go away."""
    reply(protocol, await attempt_async(lambda: protocol.client_disconnect()))


async def file(scope: Any, protocol: Any) -> None:
    """Answer with a file."""
    protocol.response_file(200, [("content-type", "text/plain")], FILE)


async def file_length(scope: Any, protocol: Any) -> None:
    """Answer with a file and its length."""
    protocol.response_file(200, [("content-length", "10")], FILE)


async def file_missing(scope: Any, protocol: Any) -> None:
    """Answer with a file that is not there."""
    protocol.response_file(200, [("content-type", "text/plain")], MISSING)


async def file_range(scope: Any, protocol: Any) -> None:
    """Answer with a part of a file."""
    start, end = scope.query_string.split("-")
    protocol.response_file_range(206, [("content-type", "text/plain")], FILE, int(start), int(end))


async def seen(scope: Any, protocol: Any) -> None:
    """Show what was seen before, and forget it."""
    for request in list(RUNNING):
        await request.wait()
    reply(protocol, SEEN)
    SEEN.clear()


async def websocket(scope: Any, protocol: Any) -> None:
    """Do with a WebSocket what its path says."""
    match scope.path.removeprefix("/ws/"):
        case "refuse":
            protocol.close(401)
        case "refuse-default":
            protocol.close()
        case "refuse-none":
            protocol.close(None)
        case "fail":
            raise ValueError("before accept")
        case "nothing":
            pass
        case name:
            await accepted(name, scope, protocol, await protocol.accept())


async def accepted(name: str, scope: Any, protocol: Any, transport: Any) -> None:
    """Do with an accepted WebSocket what its path says."""
    if name == "return":
        await transport.send_str("bye")
    elif name == "fail-late":
        raise ValueError("after accept")
    elif name == "types":
        SEEN["types"] = [attempt(lambda: transport.send_str(b"x")), attempt(lambda: transport.send_bytes("x"))]
        await transport.send_bytes(bytearray(b"x"))
    elif name == "scope":
        await transport.send_str(f"{scope.proto} {scope.scheme} {scope.method} {scope.headers.get('upgrade')}")
    elif name == "close":
        SEEN["close"] = repr(protocol.close(1001))
    else:
        await echo(transport)


async def echo(transport: Any) -> None:
    """Send back what comes."""
    kinds = []
    while True:
        message = await transport.receive()
        kinds.append(int(message.kind))
        if message.kind == 0:
            break
        await (transport.send_bytes if message.kind == 1 else transport.send_str)(message.data)
    SEEN["kinds"] = kinds
    SEEN["after"] = [
        await attempt_async(lambda: transport.receive()),
        await attempt_async(lambda: transport.send_str("x")),
    ]


async def app(scope: Any, protocol: Any) -> None:
    """Do what the first segment of the path says."""
    if scope.proto == "ws":
        await websocket(scope, protocol)
        return
    handler = globals()[scope.path.split("/")[1]]
    if handler is seen:
        await seen(scope, protocol)
        return
    ended = asyncio.Event()
    RUNNING.add(ended)
    try:
        await handler(scope, protocol)
    finally:
        RUNNING.discard(ended)
        ended.set()
