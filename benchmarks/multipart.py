"""`python -m benchmarks.multipart`: parsers of multipart forms, side by side, on the same bodies.

Counts instructions with callgrind; `--times` takes processor time instead. Each parser says what it read, and all must
say the same. Parsers that are not installed are left out:
`pip install multipart streaming-form-data fast-multipart rust-multipart`.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import Any

from benchmarks.core.measure import Thunk, best_nanoseconds, count, counted

Parts = list[tuple[str, str | None, bytes]]
"""Name, file name and content of each part."""

BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def encode(parts: Parts) -> bytes:
    """Return parts as a body."""
    pieces = []
    for name, filename, content in parts:
        file = f'; filename="{filename}"\r\ncontent-type: application/octet-stream' if filename else ""
        head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"{file}\r\n\r\n'
        pieces += [head.encode(), content, b"\r\n"]
    return b"".join([*pieces, f"--{BOUNDARY}--\r\n".encode()])


BODIES: dict[str, Parts] = {
    "upload of 1 MiB": [("file", "a.bin", random.Random(0).randbytes(1024 * 1024))],
    "form of 20 fields": [(f"f{number}", None, f"value {number}".encode()) for number in range(20)],
}


def velithon(body: bytes) -> Parts:
    """Parse as requests do: into the fields and the files that an endpoint gets."""
    from starlette.datastructures import Headers

    from velithon.requests.forms import MultiPartParser

    async def chunks() -> AsyncGenerator[bytes, None]:
        yield body

    async def parse() -> Parts:
        parts: Parts = []
        for name, value in (await MultiPartParser(Headers({"content-type": TYPE}), chunks()).parse()).multi_items():
            if isinstance(value, str):
                parts.append((name, None, value.encode()))
            else:
                parts.append((name, value.filename, value.file.read()))
                value.file.close()
        return parts

    try:
        parse().send(None)
    except StopIteration as done:
        return list(done.value)
    raise RuntimeError("The parser waited.")


def python_multipart(body: bytes) -> Parts:
    """Parse with its callbacks, the headers among them, which Velithon's own parser leaves to it too."""
    from python_multipart.multipart import MultipartParser, parse_options_header

    parts: Parts = []
    content: list[bytes] = []
    field, value = b"", b""
    disposition: dict[bytes, bytes] = {}

    def on_header_field(data: bytes, start: int, end: int) -> None:
        nonlocal field
        field += data[start:end]

    def on_header_value(data: bytes, start: int, end: int) -> None:
        nonlocal value
        value += data[start:end]

    def on_header_end() -> None:
        nonlocal field, value
        if field.lower() == b"content-disposition":
            disposition.update(parse_options_header(value)[1])
        field = value = b""

    def on_part_data(data: bytes, start: int, end: int) -> None:
        content.append(data[start:end])

    def on_part_end() -> None:
        filename = disposition.get(b"filename")
        parts.append((disposition[b"name"].decode(), filename.decode() if filename else None, b"".join(content)))
        disposition.clear()
        content.clear()

    parser = MultipartParser(
        BOUNDARY.encode(),
        {
            "on_header_field": on_header_field,
            "on_header_value": on_header_value,
            "on_header_end": on_header_end,
            "on_part_data": on_part_data,
            "on_part_end": on_part_end,
        },
    )
    parser.write(body)
    parser.finalize()
    return parts


def multipart(body: bytes) -> Parts:
    """Parse with `multipart` of PyPI, in Python."""
    module: Any = import_module("multipart")
    parts: Parts = []
    content: list[bytes | bytearray] = []
    with module.PushMultipartParser(BOUNDARY) as parser:
        for event in (*parser.parse(body), *parser.parse(b"")):
            if event is None:
                parts[-1] = (*parts[-1][:2], b"".join(content))
                content.clear()
            elif isinstance(event, bytes | bytearray):
                content.append(event)
            else:
                parts.append((event.name, event.filename, b""))
    return parts


def streaming_form_data(body: bytes) -> Parts:
    """Parse with `streaming-form-data`, in Cython, which has to be told the names before."""
    streaming: Any = import_module("streaming_form_data")
    targets: Any = import_module("streaming_form_data.targets")
    parser = streaming.StreamingFormDataParser(headers={"Content-Type": TYPE})
    known = {name: targets.ValueTarget() for name in (_FIELDS if len(body) < 10_000 else ("file",))}
    for name, target in known.items():
        parser.register(name, target)
    parser.data_received(body)
    return [(name, target.multipart_filename, target.value) for name, target in known.items()]


_FIELDS = [name for name, _, _ in BODIES["form of 20 fields"]]


def fast_multipart(body: bytes) -> Parts:
    """Parse with `fast-multipart`, in Rust."""
    parts: Parts = []
    content: list[bytes] = []

    def on_field(part: Any) -> None:
        parts.append((part.name, part.filename, b""))

    def on_end() -> None:
        parts[-1] = (*parts[-1][:2], b"".join(content))
        content.clear()

    module: Any = import_module("fast_multipart")
    parser = module.MultipartParser(BOUNDARY, on_field, content.append, on_end)
    parser.feed(body)
    parser.close()
    return parts


def rust_multipart(body: bytes) -> Parts:
    """Parse with `rust-multipart`, in Rust."""
    module: Any = import_module("rust_multipart")
    parser = module.MultipartParser(BOUNDARY.encode())
    parts: Parts = []
    content: list[bytes] = []
    for event in parser.feed(body):
        if isinstance(event, module.PartData):
            content.append(event.data)
        elif isinstance(event, module.PartBegin):
            options = module.parse_options_header(dict(event.headers)[b"content-disposition"].decode())[1]
            parts.append((options["name"], options.get("filename"), b""))
        else:
            parts[-1] = (*parts[-1][:2], b"".join(content))
            content.clear()
    parser.finish()
    return parts


PARSERS: dict[str, Callable[[bytes], Parts]] = {
    "velithon": velithon,
    "python-multipart": python_multipart,
    "multipart": multipart,
    "streaming-form-data": streaming_form_data,
    "fast-multipart": fast_multipart,
    "rust-multipart": rust_multipart,
}


def thunks() -> list[tuple[str, str, Thunk]]:
    """Return (parser, body, thunk) for every parser that is installed and reads the body as it was written."""
    made: list[tuple[str, str, Thunk]] = []
    for name, parse in PARSERS.items():
        for what, parts in BODIES.items():
            body = encode(parts)
            try:
                found = parse(body)
            except (ImportError, AttributeError, ValueError, RuntimeError) as error:
                print(f"{name}, {what}: left out: {error}")
                continue
            if found != parts:
                print(f"{name}, {what}: left out: reads {[(*part[:2], len(part[2])) for part in found][:3]}")
                continue
            made.append((name, what, partial(parse, body)))
    return made


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.multipart", description=__doc__)
    options.add_argument("--times", action="store_true", help="microseconds of the processor instead of instructions")
    options.add_argument("--count", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    found = thunks()
    if given.count:
        asyncio.run(count([thunk for _, _, thunk in found]))
        return
    if given.times:
        values = [asyncio.run(best_nanoseconds(thunk, 0.5)) / 1000 for _, _, thunk in found]
    else:
        values = [value / 1000 for value in counted(["--count"], len(found), "benchmarks.multipart")]
    print("microseconds" if given.times else "thousand instructions")
    for (name, what, _), value in zip(found, values, strict=True):
        print(f"{name:<20} {version(name):<8} {what:<20} {value:>12,.1f}")


if __name__ == "__main__":
    main()
