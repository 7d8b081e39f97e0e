"""Responses that say themselves how they are sent, and responses without a body, are the same on all servers."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from starlette.responses import Response as StarletteResponse
from starlette.types import Message, Receive, Scope, Send

from tests.conftest import ClientFactory
from tests.servers import SERVERS, ServerName, serve
from velithon import Depends, Velithon
from velithon.background import BackgroundTask
from velithon.middleware.gzip import GZipMiddleware
from velithon.requests import Request
from velithon.responses import FileResponse, PlainTextResponse, Response, StreamingResponse


class Fails(Response):
    async def __call__(self, scope: Any, receive: Any, send: Any = None) -> None:
        raise self.error_of(scope)

    @staticmethod
    def error_of(scope: Any) -> Exception:
        return KeyError() if scope["path"] == "/handled" else ValueError()


class FailsLate(Response):
    async def __call__(self, scope: Any, receive: Any, send: Any = None) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        raise KeyError


class FailingStream(StreamingResponse):
    async def stream_response(self, send: Any) -> None:
        raise ValueError


class StarletteFails(StarletteResponse):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise Fails.error_of(scope)


class OwnBoth(Fails):
    def send_rsgi(self, scope: Any, protocol: Any) -> None:
        self.started = False
        raise KeyError if scope.path == "/handled" else ValueError


FAILING: dict[str, Any] = {
    "ours": Fails,
    "starlette's": StarletteFails,
    "both faces": OwnBoth,
}


def failing(make: Any, **options: Any) -> Velithon:
    app = Velithon(**options)

    @app.get("/handled", response_model=None)
    @app.get("/unhandled", response_model=None)
    async def endpoint(request: Request) -> Any:
        return make()

    @app.exception_handler(KeyError)
    async def handle(request: Request, exc: KeyError) -> Response:
        return PlainTextResponse("handled", 418)

    return app


@pytest.mark.parametrize("layer", [False, True])
@pytest.mark.parametrize("kind", list(FAILING))
def test_a_response_that_fails_before_it_began(client: ClientFactory, kind: str, layer: bool) -> None:
    app = failing(FAILING[kind])
    if layer:
        app.add_middleware(GZipMiddleware)
    with client(app, raise_server_exceptions=False) as c:
        assert (c.get("/handled").status_code, c.get("/handled").text) == (418, "handled")
        assert (c.get("/unhandled").status_code, c.get("/unhandled").text) == (500, "Internal Server Error")
    with client(failing(FAILING[kind], debug=True), raise_server_exceptions=False) as c:
        response = c.get("/unhandled", headers={"accept": "text/html"})
        assert response.status_code == 500
        assert "ValueError" in response.text


def test_a_stream_of_a_user_that_fails_before_it_began(client: ClientFactory) -> None:
    with client(failing(lambda: FailingStream(iter([]))), raise_server_exceptions=False) as c:
        assert (c.get("/unhandled").status_code, c.get("/unhandled").text) == (500, "Internal Server Error")


def test_a_response_that_fails_late_is_not_answered_twice(client: ClientFactory) -> None:
    with client(failing(FailsLate)) as c, pytest.raises(RuntimeError, match="response already started"):
        c.get("/handled")


class Tells(Response):
    """Answers with what it sees of its request."""

    async def __call__(self, scope: Any, receive: Any, send: Any = None) -> None:
        request = Request(scope, receive, send)
        route, body = scope["route"], (await receive()).get("body") if scope["method"] == "POST" else None
        seen = f"{request.app.title} {request.state._state} {scope['path_params']} {route.path} {body!r}"
        await PlainTextResponse(seen)(scope, receive, send)


def test_a_response_of_a_user_sees_its_request(client: ClientFactory) -> None:
    app = Velithon(title="app")

    @app.get("/items/{item}")
    @app.post("/items/{item}")
    async def item(item: int, request: Request) -> Response:
        request.state.known = item
        return Tells()

    @app.get("/bare")
    async def bare() -> Response:
        return Tells()

    with client(app) as c:
        seen = "app {'known': 5} {'item': '5'} /items/{item}"
        assert c.get("/items/5").text == f"{seen} None"
        assert c.post("/items/5", content=b"body").text == f"{seen} b'body'"
        assert c.get("/bare").text == "app {} {} /bare None"


class Itself(Response):
    async def __call__(self, scope: Any, receive: Any, send: Any = None) -> None:
        await PlainTextResponse(f"itself {scope['app'].title}", 500)(scope, receive, send)


class ItselfOverRsgi(Response):
    async def __call__(self, scope: Any, receive: Any, send: Any = None) -> None:
        await Itself()(scope, receive, send)

    async def send_rsgi(self, scope: Any, protocol: Any) -> None:
        protocol.response_str(500, [], "itself app")


class ItselfAtOnce(Itself):
    def send_rsgi(self, scope: Any, protocol: Any) -> None:
        protocol.response_str(500, [], "itself app")


@pytest.mark.parametrize("handled", [Exception, KeyError])
@pytest.mark.parametrize("kind", [Itself, ItselfOverRsgi, ItselfAtOnce])
def test_a_response_of_a_user_answers_an_exception(
    client: ClientFactory, handled: type[Exception], kind: type[Response]
) -> None:
    app = Velithon(title="app")

    @app.exception_handler(handled)
    async def handle(request: Request, exc: Exception) -> Response:
        return kind(status_code=500)

    @app.get("/before")
    async def before() -> None:
        raise KeyError

    @app.get("/handled")
    async def sending() -> Response:
        return Fails()

    with client(app, raise_server_exceptions=False) as c:
        for path in ("/before", "/handled"):
            assert (c.get(path).status_code, c.get(path).text) == (500, "itself app")


def test_a_background_task_of_an_answer_to_an_exception(client: ClientFactory) -> None:
    """It runs where the class leaves it to Starlette's."""
    app, ran = Velithon(), list[str]()

    class Inherits(Response):
        async def __call__(self, scope: Any, receive: Any, send: Any = None) -> None:
            await super().__call__(scope, receive, send)

    @app.exception_handler(Exception)
    async def handle(request: Request, exc: Exception) -> Response:
        return Inherits("inherits", 500, background=BackgroundTask(ran.append, "ran"))

    @app.get("/")
    async def root() -> None:
        raise KeyError

    with client(app, raise_server_exceptions=False) as c:
        assert c.get("/").text == "inherits"
    assert ran == ["ran"]


class LateStream(StreamingResponse):
    async def stream_response(self, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError


@pytest.mark.parametrize("kind", [FailingStream, LateStream])
def test_a_response_of_a_user_that_a_layer_sends_by_itself(client: ClientFactory, kind: Any) -> None:
    """Over RSGI a stream's own way to be sent is used without a request at hand, too."""

    class Layer:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, protocol: Any) -> None:
            if scope.path == "/own":
                await WholeStream(iter([b"stream"]))(scope, protocol)
            else:
                await kind(iter([]))(scope, protocol)

    class WholeStream(StreamingResponse):
        async def stream_response(self, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"whole"})

    app = Velithon()
    app.add_middleware(Layer)
    with client(app, raise_server_exceptions=False) as c:
        assert c.get("/own").text == "whole"
        assert c.get("/").status_code == 500


class Upper(FileResponse):
    async def __call__(self, scope: Any, receive: Any, send: Any = None) -> None:
        async def upper(message: Any) -> None:
            if "body" in message:
                message["body"] = message["body"].upper()
            await send(message)

        await super().__call__(scope, receive, upper)


def test_a_file_of_a_user_sees_its_bytes(client: ClientFactory, tmp_path: Any) -> None:
    app = Velithon()
    (tmp_path / "file").write_bytes(b"abcdef")

    @app.get("/")
    async def root() -> Response:
        return Upper(tmp_path / "file")

    with client(app) as c:
        assert c.get("/").content == b"ABCDEF"
        assert c.get("/", headers={"range": "bytes=1-2"}).content == b"BC"


APP = """
from pathlib import Path
from typing import Any
from velithon import Velithon
from velithon.middleware import Middleware
from velithon.responses import FileResponse, PlainTextResponse, Response, StreamingResponse

Path("file").write_bytes(b"file")

class Through:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

async def through(request: Any, call_next: Any) -> Any:
    return await call_next(request)

RAN: list[str] = []

def make(*layers: Any) -> Velithon:
    made = Velithon(middleware=[Middleware(layer) for layer in layers])

    @made.api_route("/file/{code}", methods=["GET", "HEAD"])
    async def file(code: int) -> Response:
        return FileResponse("file", code)

    @made.api_route("/empty/{code}", methods=["GET", "HEAD"])
    async def empty(code: int) -> Response:
        return Response(status_code=code)

    @made.api_route("/full/{code}", methods=["GET", "HEAD"])
    async def full(code: int) -> Response:
        return Response(b"full", code)

    @made.api_route("/stream/{code}", methods=["GET", "HEAD"])
    async def stream(code: int) -> Response:
        async def chunks() -> Any:
            RAN.append("ran")
            yield b"stream"
        return StreamingResponse(chunks(), code)

    return made

app = make()
app.mount("/asgi", make(Through))
app.mount("/dispatch", dispatched := make())
dispatched.middleware("http")(through)
app.mount("/both", both := make(Through))
both.middleware("http")(through)

@app.get("/ran")
async def ran() -> int:
    found = len(RAN)
    RAN.clear()
    return found
"""


def ask(port: int, method: str, path: str) -> tuple[int, str | None, bytes]:
    """Return the status, the announced length and every byte after the headers, whatever they announced."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n".encode())
        head, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    lengths = [line.partition(": ")[2] for line in lines if line.startswith("content-length")]
    return int(lines[0].split()[1]), lengths[0] if lengths else None, body


@pytest.mark.parametrize("server", SERVERS)
def test_responses_without_a_body(server: ServerName) -> None:
    with serve(APP, server) as running:
        for prefix in ("", "/asgi", "/dispatch", "/both"):
            for method in ("GET", "HEAD"):
                for code in (204, 304):
                    for kind in ("file", "empty", "full", "stream"):
                        path = f"{prefix}/{kind}/{code}"
                        assert ask(running.port, method, path) == (code, None, b""), (method, path)
                assert ask(running.port, method, f"{prefix}/empty/200") == (200, "0", b""), (method, prefix)
            for kind in ("file", "full"):
                assert ask(running.port, "GET", f"{prefix}/{kind}/200") == (200, "4", kind.encode()), prefix
                assert ask(running.port, "HEAD", f"{prefix}/{kind}/200") == (200, "4", b""), (kind, prefix)
            ask(running.port, "GET", "/ran")
            assert ask(running.port, "HEAD", f"{prefix}/stream/200") == (200, None, b""), prefix
            assert ask(running.port, "GET", "/ran")[2] == b"0", prefix
            ask(running.port, "GET", f"{prefix}/stream/200")
            assert ask(running.port, "GET", "/ran")[2] == b"1", prefix


@pytest.mark.parametrize("kinds", ["", "dispatch", "asgi", "asgi dispatch", "dispatch asgi"])
def test_head_of_a_stream_makes_none(client: ClientFactory, kinds: str) -> None:
    """Neither by itself nor behind layers; its background task runs."""
    app, ran = Velithon(), list[str]()

    class Layer:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope.get("path") == "/layer":
                await stream()(scope, receive, send)
            else:
                await self.app(scope, receive, send)

    def stream() -> Response:
        async def chunks() -> Any:
            ran.append("made")
            yield b"stream"

        return StreamingResponse(chunks(), background=BackgroundTask(ran.append, "background"))

    @app.api_route("/", methods=["GET", "HEAD"])
    async def root() -> Response:
        return stream()

    async def through(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    for kind in kinds.split():
        if kind == "dispatch":
            app.middleware("http")(through)
        else:
            app.add_middleware(Layer)
    with client(app) as c:
        for path in ("/", "/layer") if "asgi" in kinds else ("/",):
            ran.clear()
            assert (c.head(path).status_code, c.head(path).content) == (200, b"")
            assert ran == ["background"] * 2
            assert c.get(path).content == b"stream"
            assert ran == [*["background"] * 2, "made", "background"]


def test_a_class_that_says_nothing_of_sending_is_sent_as_ours() -> None:
    """Only those that do are sent in the slower way."""

    class Plain(Response):
        media_type = "text/x-plain"

    class Own(Plain):
        async def __call__(self, scope: Any, receive: Any, send: Any = None) -> None:
            raise NotImplementedError

    assert (Plain.overridden, Own.overridden) == (False, True)
    assert Plain.send_rsgi is Response.send_rsgi


def test_what_is_raised_behind_a_file_is_answered_no_more(client: ClientFactory, tmp_path: Path) -> None:
    """The file is on its way; a second response would be another one's, or be lost."""
    app = Velithon()
    (tmp_path / "file").write_bytes(b"content")

    async def fail() -> AsyncIterator[None]:
        yield
        raise KeyError("behind the file")

    @app.exception_handler(KeyError)
    async def answer(request: Request, exc: KeyError) -> PlainTextResponse:
        return PlainTextResponse("answered", 500)

    @app.get("/")
    async def read(failing: Annotated[None, Depends(fail)]) -> FileResponse:
        return FileResponse(tmp_path / "file")

    response = client(app, raise_server_exceptions=False).get("/")
    assert (response.status_code, response.content) == (200, b"content")
    with pytest.raises(RuntimeError, match="response already started"):
        client(app).get("/")


def test_a_class_behind_ours_among_the_bases_says_how_asgi_is_sent() -> None:
    """Python's order of the bases counts, as it does with Starlette's classes alone."""

    class Loud(StarletteResponse):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            self.body = bytes(self.body).upper()
            self.headers["content-length"] = str(len(self.body))
            await super().__call__(scope, receive, send)

    class Mine(Response, Loud):
        pass

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(Mine("loud")({"type": "http", "method": "GET"}, _unused, send))
    assert sent[1]["body"] == b"LOUD"


async def _unused() -> Message:
    raise AssertionError("Nobody reads the request.")
