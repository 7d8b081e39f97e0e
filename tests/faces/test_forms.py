"""Forms: what is read whole, what goes to the disk on its way, and what is refused, alike on both protocols."""

import itertools
import tracemalloc
from collections.abc import Iterator
from typing import Annotated, Any, cast

import pytest
from pydantic import BaseModel, Json
from starlette.formparsers import MultiPartException

from tests.conftest import ClientFactory
from tests.servers import SERVERS, ServerName, serve
from velithon import Velithon
from velithon.datastructures import UploadFile
from velithon.params import File, Form
from velithon.requests.forms import CHUNK_SIZE, WHOLE_SIZE, SpooledFile
from velithon.requests.request import Request
from velithon.requests.rsgi import RSGIRequest
from velithon_adapters import RSGIProtocol, RSGIScope
from velithon_adapters.rsgi import HTTPScope

KIB = 1024
MIB = 1024 * KIB
TYPE = {"content-type": "multipart/form-data; boundary=edge"}


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    named = f'; filename="{filename}"' if filename else ""
    return b'--edge\r\ncontent-disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (
        name.encode(),
        named.encode(),
        content,
    )


END = b"--edge--\r\n"


def in_chunks(body: bytes, size: int = 50_000) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def application(**options: Any) -> Velithon:
    app = Velithon(**options)

    @app.post("/files")
    async def files(request: Request) -> list[Any]:
        async with request.form(max_files=2, max_fields=2, max_part_size=1000) as form:
            return [
                [name, value.filename, value.size, len(await value.read()), not value._in_memory]
                if isinstance(value, UploadFile)
                else [name, value]
                for name, value in form.multi_items()
            ]

    @app.post("/declared")
    async def declared(file: UploadFile, data: Annotated[bytes, File()], note: Annotated[str, Form()]) -> list[Any]:
        return [file.filename, len(await file.read()), len(data), note]

    return app


@pytest.mark.parametrize("size", [0, 1, 60 * KIB, MIB, MIB + 1, WHOLE_SIZE, 2 * WHOLE_SIZE])
@pytest.mark.parametrize("announced", [True, False])
def test_every_size_arrives(client: ClientFactory, size: int, announced: bool) -> None:
    """Over 1 MiB a file is on the disk, however long the body is and whether or not its length came first."""
    body = part("a", b"x" * size, "a.bin") + part("note", b"short") + part("b", b"y" * 10, "b.bin") + END
    expected = [["a", "a.bin", size, size, size > MIB], ["note", "short"], ["b", "b.bin", 10, 10, False]]
    with client(application()) as c:
        response = c.post("/files", content=body if announced else in_chunks(body), headers=TYPE)
        assert response.json() == expected


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            b"".join(part("f", b"", f"{n}") for n in range(3)) + END,
            "Too many files. Maximum number of files is 2.",
        ),
        (b"".join(part("f", b"") for n in range(3)) + END, "Too many fields. Maximum number of fields is 2."),
        (part("f", b"x" * 1001) + END, "Part exceeded maximum size of 0KB."),
        (b"--else\r\n\r\n", "Invalid multipart data."),
        (b"--edge\r\ncontent-type: text/plain\r\n\r\nx\r\n" + END, None),
    ],
)
def test_limits_and_malformed_bodies(client: ClientFactory, body: bytes, detail: str | None, announced: bool) -> None:
    with client(application()) as c:
        response = c.post("/files", content=body if announced else in_chunks(body, 7), headers=TYPE)
        assert response.status_code == 400
        assert detail is None or response.json() == {"detail": detail}


@pytest.mark.parametrize("announced", [True, False])
def test_the_limit_of_the_body_holds_for_forms(client: ClientFactory, announced: bool) -> None:
    app = application(max_body_size=10_000)
    fits, too_large = (part("a", b"x" * size, "a") + END for size in (9_000, 10_000))
    with client(app) as c:
        assert c.post("/files", content=fits if announced else in_chunks(fits, 99), headers=TYPE).status_code == 200
        response = c.post("/files", content=too_large if announced else in_chunks(too_large, 99), headers=TYPE)
        assert response.status_code == 413


def test_a_form_that_was_sent_as_text_is_read(client: ClientFactory) -> None:
    app = application()

    @app.post("/text")
    async def text(a: Annotated[str, Form()], b: Annotated[list[int], Form()]) -> list[Any]:
        return [a, b]

    with client(app) as c:
        assert c.post("/text", data={"a": "ä", "b": ["1", "2"]}).json() == ["ä", [1, 2]]
        kind = {"content-type": "Application/X-WWW-Form-Urlencoded ; charset=utf-8"}
        assert c.post("/text", content=b"a=1&b=2", headers=kind).json() == ["1", [2]]
        assert c.post("/text", content=b"a=1&b=2", headers={"content-type": "text/plain"}).status_code == 422


def test_json_of_a_model_that_is_the_whole_form(client: ClientFactory) -> None:
    """As in FastAPI it is refused: what is validated is the form, not its field."""

    class Item(BaseModel):
        a: int

    app = application()

    @app.post("/json")
    async def json(data: Annotated[Json[Item], Form()]) -> Any:
        return data

    with client(app) as c:
        for sent in ({"data": '{"a":1}'}, {"a": "1"}, {}):
            response = c.post("/json", data=sent)
            assert response.status_code == 422
            assert response.json()["detail"][0] == {
                "type": "json_type",
                "loc": ["body"],
                "msg": "JSON input should be string, bytes or bytearray",
                "input": sent,
            }


def test_a_form_after_the_body_was_read(client: ClientFactory) -> None:
    app = application()

    @app.post("/both")
    async def both(request: Request) -> list[Any]:
        size = len(await request.body())
        form = await request.form()
        assert await request.form() is form
        return [size, form["note"]]

    with client(app) as c:
        body = part("note", b"here") + END
        assert c.post("/both", content=body, headers=TYPE).json() == [len(body), "here"]


def test_a_layer_that_gives_more_than_came(client: ClientFactory) -> None:
    """The limit is that of the bytes that are read, not of those that were announced."""

    class Unpacks:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, protocol: Any) -> None:
            await self.app(scope, Unpacked(protocol))

    class Unpacked:
        def __init__(self, protocol: Any) -> None:
            self.protocol = protocol

        async def __call__(self) -> bytes:
            return bytes(await self.protocol()) * 100

        def __getattr__(self, name: str) -> Any:
            return getattr(self.protocol, name)

    app = Velithon(max_body_size=100)
    app.add_middleware(Unpacks)

    @app.post("/")
    async def root(request: Request) -> int:
        return len(await request.body())

    with client(app) as c:
        assert c.post("/", content=b"x").json() == 100
        assert c.post("/", content=b"xx").status_code == 413


def test_bytes_that_are_shared_stay_what_they_were() -> None:
    """A file keeps the bytes that it was given, and copies them before it changes them."""
    given = b"abcdef"
    with SpooledFile(max_size=10) as file:
        assert file.write(given) == 6
        assert (file.tell(), file.seek(0), file.read()) == (6, 0, given)
        assert file.seek(2) == 2
        assert file.write(b"XY") == 2
        assert (file.seek(0), file.read(), given) == (0, b"abXYef", b"abcdef")
        assert file.seek(0) == 0
        assert file.write(b"12") == 2
        assert (file.seek(0), file.read()) == (0, b"12XYef")
        file.writelines([b"gh"])
        assert type(file._file).__name__ == "BytesIO"
        assert file.write(b"ijk") == 3
        assert type(file._file).__name__ != "BytesIO"
        assert (file.seek(0), file.read()) == (0, b"12XYefghijk")
    with SpooledFile(max_size=0) as file:
        file.seek(2)
        assert file.write(bytearray(b"a")) == 1
        assert (file.seek(0), file.read()) == (0, b"\0\0a")


@pytest.mark.anyio
async def test_a_request_without_an_application() -> None:
    """As with Starlette's: the parser's own exception, for there is nobody to answer HTTP's."""

    async def receive() -> Any:
        return {"type": "http.request", "body": b"no form"}

    headers = [(name.encode(), value.encode()) for name, value in TYPE.items()]
    with pytest.raises(MultiPartException, match="Invalid multipart data"):
        await Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive).form()


@pytest.mark.anyio
async def test_a_large_upload_is_never_whole_in_memory(protocol: str) -> None:
    size = 24 * MIB
    messages = itertools.chain(
        [part("file", b"", "a.bin").removesuffix(b"\r\n")],
        (b"x" * (64 * KIB) for _ in range(size // (64 * KIB))),
        [b"\r\n" + END],
    )

    async def receive() -> Any:
        chunk = next(messages, b"")
        return {"type": "http.request", "body": chunk, "more_body": bool(chunk)}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    headers = [(name.encode(), value.encode()) for name, value in TYPE.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [*headers, (b"content-length", b"25165906")]}
    request = Request(scope, receive, send)
    if protocol == "rsgi":
        request = RSGIRequest(cast("HTTPScope", RSGIScope(scope)), RSGIProtocol(scope, receive, send), Velithon())
    tracemalloc.start()
    try:
        async with request.form() as form:
            assert isinstance(form["file"], UploadFile)
            assert form["file"].size == size
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MIB + 8 * CHUNK_SIZE


APP = """
from velithon import Velithon
from velithon.datastructures import UploadFile

app = Velithon()

@app.post("/")
async def root(file: UploadFile):
    return {"size": file.size, "read": len(await file.read()), "memory": file._in_memory}
"""


@pytest.mark.parametrize("server", SERVERS)
def test_uploads_on_real_servers(server: ServerName) -> None:
    import httpx

    with serve(APP, server) as running, httpx.Client(base_url=running.url) as c:
        for size in (0, 100, MIB, MIB + 1, 8 * MIB):
            body = part("file", b"x" * size, "x") + END
            expected = {"size": size, "read": size, "memory": size <= MIB}
            assert c.post("/", content=body, headers=TYPE).json() == expected
            assert c.post("/", content=in_chunks(body, 9_999), headers=TYPE).json() == expected


@pytest.mark.parametrize("layered", [False, True], ids=["endpoint", "layer"])
@pytest.mark.parametrize(
    ("limits", "detail"),
    [
        ({"max_fields": 1}, "Too many fields. Maximum number of fields is 1."),
        ({"max_files": 0}, "Too many files. Maximum number of files is 0."),
        ({"max_part_size": 2}, "Part exceeded maximum size of 0KB."),
        ({"max_fields": 2, "max_files": 1, "max_part_size": 3}, None),
        ({}, None),
    ],
)
def test_a_form_that_was_read_is_held_to_smaller_limits(
    client: ClientFactory, layered: bool, limits: dict[str, int], detail: str | None
) -> None:
    """A route whose form a layer has read takes no more than it allows."""
    app = Velithon()

    @app.middleware("http")
    async def reads(request: Request, call_next: Any) -> Any:
        if not layered:
            return await call_next(request)
        async with request.form():
            return await call_next(request)

    @app.post("/", form_limits=limits)
    async def declared(one: Annotated[str, Form()]) -> str:
        return one

    @app.post("/form")
    async def again(request: Request) -> str:
        async with request.form():
            # One that was read is given as it is, as FastAPI does.
            return str((await request.form(**cast("Any", limits)))["one"])

    body = part("one", b"abc") + part("two", b"de") + part("file", b"x", "a.txt") + END
    c = client(app)
    assert c.post("/form", content=body, headers=TYPE).json() == "abc"
    answer = c.post("/", content=body, headers=TYPE)
    assert (answer.status_code, answer.json()) == ((200, "abc") if detail is None else (400, {"detail": detail}))
