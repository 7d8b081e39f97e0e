"""Compression against Starlette's own middleware, and what is ours."""

import gzip
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware as StarletteGZipMiddleware
from starlette.responses import PlainTextResponse as StarlettePlainTextResponse
from starlette.responses import StreamingResponse as StarletteStreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.conftest import ClientFactory
from velithon import Middleware, Velithon
from velithon.middleware.gzip import GZipMiddleware, accepts_gzip
from velithon.responses import FileResponse, PlainTextResponse, StreamingResponse

TEXT = "compress me " * 100

CASES: dict[str, dict[str, Any]] = {
    "large": {"content": TEXT},
    "small": {"content": "x"},
    "exact": {"content": "x" * 500},
    "empty": {"content": ""},
    "encoded": {"content": TEXT, "headers": {"content-encoding": "br"}},
    "partial": {"content": TEXT, "status_code": 206},
    "vary": {"content": TEXT, "headers": {"vary": "Cookie"}},
    "image": {"content": TEXT, "media_type": "image/png"},
    "video": {"content": TEXT, "media_type": "video/mp4"},
    "grpc": {"content": TEXT, "media_type": "application/grpc+proto"},
    "events": {"content": TEXT, "media_type": "text/event-stream"},
    "huge": {"content": TEXT * 200},
}


def unpacked(response: Any, raw: bytes) -> bytes:
    """Return a body as it was before it was compressed: ISA-L's compressed form is not zlib's."""
    return gzip.decompress(raw) if response.headers.get("content-encoding") == "gzip" else raw


def both(**options: Any) -> tuple[TestClient, Velithon]:
    app = Velithon(middleware=[Middleware(GZipMiddleware, **options)])
    routes = []
    for name, case in CASES.items():

        async def whole(request: Any, case: Any = case) -> Any:
            return StarlettePlainTextResponse(**case)

        async def chunks(request: Any, case: Any = case) -> Any:
            given = {"media_type": "text/plain", **case}
            content = given.pop("content")
            return StarletteStreamingResponse(iter([content[:7], content[7:]]), **given)

        def make_whole(case: Any) -> Any:
            async def endpoint() -> Any:
                return PlainTextResponse(**case)

            return endpoint

        def make_chunks(case: Any) -> Any:
            async def endpoint() -> Any:
                given = {"media_type": "text/plain", **case}
                content = given.pop("content")
                return StreamingResponse(iter([content[:7], content[7:]]), **given)

            return endpoint

        routes += [Route(f"/whole/{name}", whole), Route(f"/chunks/{name}", chunks)]
        app.get(f"/whole/{name}")(make_whole(case))
        app.get(f"/chunks/{name}")(make_chunks(case))
    theirs = Starlette(routes=routes, middleware=[Middleware(StarletteGZipMiddleware, **options)])
    return TestClient(theirs), app


@pytest.mark.parametrize(
    "options", [{}, {"minimum_size": 5, "compresslevel": 1}, {"thread_minimum_size": 100}], ids=str
)
@pytest.mark.parametrize("accept", ["gzip", "identity", "br, gzip"])
def test_answers_are_starlettes(client: ClientFactory, options: dict[str, Any], accept: str) -> None:
    theirs, app = both(**options)
    mine = client(app)
    for name in CASES:
        for kind in ("whole", "chunks"):
            if (kind, name) == ("chunks", "encoded"):
                continue  # the client cannot decode what only claims to be br
            path = f"/{kind}/{name}"
            with theirs.stream("GET", path, headers={"accept-encoding": accept}) as expected:
                expected_raw = b"".join(expected.iter_raw())
            with mine.stream("GET", path, headers={"accept-encoding": accept}) as got:
                raw = b"".join(got.iter_raw())
            for header in ("content-encoding", "vary", "content-type"):
                assert got.headers.get(header) == expected.headers.get(header), (path, header)
            assert unpacked(got, raw) == unpacked(expected, expected_raw), path
            if kind == "whole":
                assert got.headers["content-length"] == str(len(raw))


def test_files_are_compressed_where_it_pays(client: ClientFactory, tmp_path: Path) -> None:
    text, image = tmp_path / "a.txt", tmp_path / "a.png"
    text.write_text(TEXT * 1000)
    image.write_bytes(b"x" * 5000)
    app = Velithon(middleware=[Middleware(GZipMiddleware)])

    @app.get("/{name}")
    async def file(name: str) -> Any:
        return FileResponse(tmp_path / name)

    c = client(app)
    with c.stream("GET", "/a.txt", headers={"accept-encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == text.read_bytes()
    for headers in ({"accept-encoding": "identity"}, {"accept-encoding": "gzip", "range": "bytes=0-9"}):
        plain = c.get("/a.txt", headers=headers)
        assert "content-encoding" not in plain.headers
        assert plain.headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in c.get("/a.png", headers={"accept-encoding": "gzip"}).headers


def test_the_answer_of_an_application_is_compressed(client: ClientFactory) -> None:
    app = Velithon(middleware=[Middleware(GZipMiddleware)])

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        body = TEXT.encode() if scope["path"].endswith("large") else b"small"
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    app.mount("/m", mounted)
    large = client(app).get("/m/large")
    assert (large.headers["content-encoding"], large.text) == ("gzip", TEXT)
    small = client(app).get("/m/small")
    assert small.text == "small"
    assert "content-encoding" not in small.headers


@pytest.mark.parametrize(
    ("header", "accepted"),
    [(None, False), ("", False), ("gzip", True), ("GZIP;q=0.5", True), ("gzip; q=0", False), ("deflate, x-gzip", True)],
)
def test_what_accepts_gzip(header: str | None, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


@pytest.mark.parametrize(("level", "theirs"), [(0, 0), (1, 1), (3, 1), (4, 2), (6, 2), (7, 3), (9, 3)])
def test_isal_compresses_where_it_is_installed(client: ClientFactory, level: int, theirs: int) -> None:
    """Whole bodies with its level for ours, and streams so that each chunk can be read when it comes."""
    isal = pytest.importorskip("isal.isal_zlib", reason='pip install "velithon[compression]"')
    app = Velithon(middleware=[Middleware(GZipMiddleware, compresslevel=level)])

    @app.get("/whole")
    async def whole() -> PlainTextResponse:
        return PlainTextResponse(TEXT)

    @app.get("/chunks")
    async def chunks() -> StreamingResponse:
        return StreamingResponse(iter([TEXT, TEXT]), media_type="text/plain")

    c = client(app)
    compressor = isal.compressobj(theirs, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    with c.stream("GET", "/whole", headers={"accept-encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert raw == compressor.compress(TEXT.encode()) + compressor.flush()
    with c.stream("GET", "/chunks", headers={"accept-encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    first = raw[: raw.index(b"\x00\x00\xff\xff") + 4]
    assert zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(first) == TEXT.encode()
    assert gzip.decompress(raw) == TEXT.encode() * 2


def test_zlib_compresses_where_isal_is_not_installed(client: ClientFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the level that was asked for."""
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    app = Velithon(middleware=[Middleware(GZipMiddleware, compresslevel=6)])

    @app.get("/")
    async def whole() -> PlainTextResponse:
        return PlainTextResponse(TEXT)

    compressor = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    with client(app).stream("GET", "/", headers={"accept-encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert raw == compressor.compress(TEXT.encode()) + compressor.flush()
