"""The test clients: as strict as the servers that they stand for."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from tests import strict_rsgi
from tests.conftest import AsyncClientFactory, ClientFactory
from velithon import Velithon, WebSocket
from velithon.exceptions import VelithonError
from velithon.requests import Request as VelithonRequest
from velithon.testclient import AsyncTestClient, ProtocolName, RSGIMisuseError, TestClient

if TYPE_CHECKING:
    pass
else:
    pass

RSGIHandler = Callable[[Any, Any], Awaitable[None]]


def raw(handler: RSGIHandler, **options: Any) -> TestClient:
    """Return a client of a raw RSGI function."""
    return TestClient(handler, protocol="rsgi", **options)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/twice", "a second response, of status 201, was sent after one of status 200"),
        ("/nothing", "returned without a response"),
        ("/status?600", "status 600 is not one of 200 to 599"),
        ("/status?101", "status 101 is not one of 200 to 599"),
        ("/status?99", "status 99 ends Granian's worker process"),
        ("/status?1000", "status 1000 ends Granian's worker process"),
        ("/short_length", "content-length was 3, the body has 5 bytes"),
        ("/bad_headers", "is invalid, Granian drops it"),
    ],
)
def test_hidden_mistakes_are_raised(path: str, message: str) -> None:
    """What Granian hides, or dies of, fails the test of the application that did it."""
    with pytest.raises((RSGIMisuseError, RuntimeError), match=message):
        raw(strict_rsgi.app).get(path)
    strict_rsgi.SEEN.clear()


@pytest.mark.parametrize(("path", "status"), [("/fails", 500), ("/fails_late", 200), ("/stream_fails", 200)])
def test_exceptions_reach_the_test_unless_unwanted(path: str, status: int) -> None:
    """An exception before, after or in the response is raised, unless raise_server_exceptions is False."""
    with pytest.raises(ValueError, match="the (answer|stream)"):
        raw(strict_rsgi.app).get(path)
    assert raw(strict_rsgi.app, raise_server_exceptions=False).get(path).status_code == status


def test_a_watcher_that_outlives_the_response_is_an_error() -> None:
    """client_disconnect() has to be cancelled once the response is done."""
    tasks: list[asyncio.Task[None]] = []

    async def leak(scope: Any, protocol: Any) -> None:
        async def watch() -> None:
            await protocol.client_disconnect()

        tasks.append(asyncio.create_task(watch()))
        await asyncio.sleep(0)
        protocol.response_empty(204, [])

    with pytest.raises(RSGIMisuseError, match="client_disconnect"):
        raw(leak).get("/")


def test_a_cancelled_watcher_is_no_error() -> None:
    """A watcher that is cancelled as soon as the response is done is what applications do."""

    async def watched(scope: Any, protocol: Any) -> None:
        task = asyncio.ensure_future(protocol.client_disconnect())
        protocol.response_str(200, [], "x")
        task.cancel()

    assert raw(watched).get("/").text == "x"


def test_streams_arrive_while_the_application_runs(client: ClientFactory) -> None:
    """A streamed answer is read chunk by chunk; closing it early lets the application end."""
    ended: list[str] = []

    async def numbers() -> AsyncIterator[str]:
        number = 0
        try:
            while True:
                yield f"{number}\n"
                number += 1
                await asyncio.sleep(0)
        finally:
            ended.append("asgi")

    async def endless(request: Request) -> StreamingResponse:
        return StreamingResponse(numbers())

    async def rsgi(scope: Any, protocol: Any) -> None:
        gone = asyncio.ensure_future(protocol.client_disconnect())
        transport = protocol.response_stream(200, [])
        number = 0
        while not gone.done():
            await transport.send_str(f"{number}\n")
            number += 1
            await asyncio.sleep(0)
        ended.append("rsgi")

    made = client(Both(Starlette(routes=[Route("/", endless)]), rsgi))
    with made.stream("GET", "/") as response:
        lines = response.iter_lines()
        assert [next(lines), next(lines)] == ["0", "1"]
    assert ended == [made.protocol]


async def deaf(scope: Any, protocol: Any) -> None:
    """Stream one chunk, then wait for something that never comes."""
    await protocol.response_stream(200, []).send_str("x")
    await asyncio.Event().wait()


def read_one_chunk(client: TestClient) -> None:
    """Read the first chunk of a stream and leave."""
    with client.stream("GET", "/") as response:
        chunks = response.iter_text()
        assert next(chunks) == "x"


def test_an_application_that_does_not_notice_its_client_leaving_fails_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is cancelled, so that the test ends; on a server it would run for ever."""
    monkeypatch.setattr("velithon.testclient.http.GRACE", 0.01)
    with pytest.raises(RSGIMisuseError, match="after its client had left"):
        read_one_chunk(raw(deaf))
    read_one_chunk(raw(deaf, raise_server_exceptions=False))


@pytest.mark.anyio
async def test_an_application_that_does_not_notice_fails_an_async_test_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise."""
    monkeypatch.setattr("velithon.testclient.http.GRACE", 0.01)
    async with AsyncTestClient(deaf, protocol="rsgi") as client:
        response = await client.send(client.build_request("GET", "/"), stream=True)
        chunks = response.aiter_text()
        assert await anext(chunks) == "x"
        with pytest.raises(RSGIMisuseError, match="after its client had left"):
            await response.aclose()


class Both:
    """An application that speaks both protocols, by two applications."""

    def __init__(self, asgi: Starlette, rsgi: RSGIHandler) -> None:
        self.asgi = asgi
        self.rsgi = rsgi

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer over ASGI."""
        await self.asgi(scope, receive, send)

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer over RSGI."""
        await self.rsgi(scope, protocol)


def test_uploads_arrive_in_the_chunks_of_the_test() -> None:
    """A generator given as content is the application's stream, chunk for chunk, an empty chunk at its end."""

    async def sizes(scope: Any, protocol: Any) -> None:
        protocol.response_str(200, [], json.dumps([len(chunk) async for chunk in protocol]))

    def content() -> Iterator[bytes]:
        yield b"abc"
        yield b"de"

    assert raw(sizes).post("/", content=content()).json() == [3, 2, 0]


class Lifecycle:
    """An RSGI application that notes how it was called."""

    def __init__(self, fail: str = "") -> None:
        self.fail = fail
        self.events: list[str] = []
        self.loop: asyncio.AbstractEventLoop | None = None

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start."""
        self.note("init", loop)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """End."""
        self.note("del", loop)

    def note(self, event: str, loop: asyncio.AbstractEventLoop) -> None:
        """Use the loop, which has to be the same one each time, and not running."""
        assert self.loop in (None, loop)
        self.loop = loop
        loop.run_until_complete(asyncio.sleep(0))
        self.events.append(event)
        if self.fail == event:
            raise ValueError(event)

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer whether the request runs in the loop of the start."""
        self.events.append("request")
        protocol.response_str(200, [], str(self.loop is asyncio.get_running_loop()))


@pytest.mark.parametrize("backend_options", [{}, {"use_uvloop": True}, {"loop_factory": asyncio.SelectorEventLoop}])
def test_one_loop_serves_start_requests_and_end(backend_options: dict[str, Any]) -> None:
    """The client calls __rsgi_init__ and __rsgi_del__ as a worker of Granian does, around all requests."""
    app = Lifecycle()
    with TestClient(app, protocol="rsgi", backend_options=backend_options) as client:
        assert client.get("/").text == "True"
        assert client.get("/").text == "True"
    assert app.events == ["init", "request", "request", "del"]
    assert app.loop is not None
    assert app.loop.is_closed()


def test_without_with_the_application_is_not_started() -> None:
    """As with Starlette's client, no lifespan runs outside `with`."""
    app = Lifecycle()
    assert TestClient(app, protocol="rsgi").get("/").text == "False"
    assert app.events == ["request"]


@pytest.mark.parametrize("event", ["init", "del"])
def test_failing_starts_and_ends_are_raised(event: str) -> None:
    """What __rsgi_init__ or __rsgi_del__ raises reaches the test."""
    with pytest.raises(ValueError, match=event), TestClient(Lifecycle(event), protocol="rsgi"):
        pass


def test_errors_in_the_test_end_the_worker() -> None:
    """An exception in the body of `with` is raised as it is, with the application ended."""
    app = Lifecycle()
    with pytest.raises(KeyError), TestClient(app, protocol="rsgi"):
        raise KeyError
    assert app.events == ["init", "del"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "wsgi"}, "protocol must be"),
        ({"protocol": "rsgi", "root_path": "/x"}, "root_path"),
        ({"protocol": "rsgi", "backend": "trio"}, "asyncio"),
        ({"protocol": "rsgi", "backend_options": {"debug": True}}, "debug"),
    ],
)
def test_options_that_cannot_be_honoured_are_refused(options: dict[str, Any], message: str) -> None:
    """No option is accepted and ignored."""
    with pytest.raises(ValueError, match=message):
        TestClient(strict_rsgi.app, **options)


@pytest.mark.parametrize("protocol", ["asgi", "rsgi"])
def test_velithon_on_trio_is_refused(protocol: ProtocolName) -> None:
    """It is not started there, to fail in its first request."""
    with pytest.raises(ValueError, match="Velithon runs on asyncio"):
        TestClient(Velithon(), protocol=protocol, backend="trio")


def test_an_application_without_rsgi_is_refused() -> None:
    """A Starlette application does not speak RSGI."""
    with pytest.raises(TypeError, match="Starlette does not speak RSGI"):
        TestClient(Starlette(), protocol="rsgi")


def test_requests_carry_the_options_of_the_client() -> None:
    """Headers, cookies, base URL and the client's address reach the application."""

    async def show(scope: Any, protocol: Any) -> None:
        values = [scope.headers.get("x-h"), scope.headers.get("cookie"), scope.server, scope.scheme, scope.client]
        protocol.response_str(200, [], json.dumps(values))

    client = raw(show, headers={"x-h": "1"}, cookies={"a": "b"}, base_url="https://a.b", client=("::1", 7))
    assert client.get("/").json() == ["1", "a=b", "a.b:443", "https", "::1:7"]


@pytest.mark.parametrize("follow", [True, False])
def test_redirects_are_followed_as_told(follow: bool) -> None:
    """follow_redirects decides what a redirect's client sees."""

    async def redirect(scope: Any, protocol: Any) -> None:
        if scope.path == "/end":
            protocol.response_str(200, [], "end")
        else:
            protocol.response_empty(307, [("location", "/end")])

    assert raw(redirect, follow_redirects=follow).get("/").status_code == (200 if follow else 307)


def test_a_refused_websocket_is_a_disconnect() -> None:
    """A refusal is both a response and a WebSocketDisconnect, whose code is the one of a failed handshake."""
    with (
        pytest.raises(WebSocketDisconnect) as refusal,
        raw(strict_rsgi.app).websocket_connect("/ws/refuse"),
    ):
        pass
    assert refusal.value.code == 1006
    assert isinstance(refusal.value, WebSocketDenialResponse)
    assert refusal.value.status_code == 401


@pytest.mark.parametrize("path", ["/ws/fail", "/ws/fail-late"])
def test_exceptions_of_websockets_reach_the_test(path: str) -> None:
    """An exception of a WebSocket's application is raised."""
    with pytest.raises(ValueError, match="accept"), raw(strict_rsgi.app).websocket_connect(path):
        pass


def test_accepting_twice_is_an_error() -> None:
    """A second accept() ends Granian's worker process."""

    async def accept(scope: Any, protocol: Any) -> None:
        await protocol.accept()
        await protocol.accept()

    with pytest.raises(RSGIMisuseError, match="twice"), raw(accept).websocket_connect("/"):
        pass


def test_refusing_with_a_websockets_code_is_an_error() -> None:
    """close() before accept() takes an HTTP status: Granian's worker process ends at 1000."""

    async def refuse(scope: Any, protocol: Any) -> None:
        protocol.close(1008)

    with pytest.raises(RSGIMisuseError, match="1008"), raw(refuse).websocket_connect("/"):
        pass


def test_a_websockets_application_ends_by_itself() -> None:
    """When the client leaves, the application sees the end and is not cancelled."""
    steps: list[str] = []

    async def session(scope: Any, protocol: Any) -> None:
        transport = await protocol.accept()
        message = await transport.receive()
        for _ in range(20):
            await asyncio.sleep(0)
        steps.append(f"kind {message.kind}")

    with raw(session).websocket_connect("/"):
        pass
    assert steps == ["kind 0"]


@asynccontextmanager
async def stateful(app: Starlette) -> AsyncIterator[dict[str, str]]:
    """Give a state, and note the end in the application's."""
    app.state.ended = False
    yield {"given": "by the lifespan"}
    app.state.ended = True


async def show_loop(request: Request) -> JSONResponse:
    """Show the running loop."""
    return JSONResponse({"loop": id(asyncio.get_running_loop())})


@pytest.mark.anyio
async def test_the_async_client_runs_in_the_tests_loop() -> None:
    """An `async def` test shares its loop with the application, whose lifespan it starts and ends."""
    app = Starlette(routes=[Route("/", show_loop)], lifespan=stateful)
    async with AsyncTestClient(app) as client:
        assert not app.state.ended
        assert (await client.get("/")).json() == {"loop": id(asyncio.get_running_loop())}
    assert app.state.ended


@pytest.mark.anyio
async def test_the_async_client_answers_on_both_protocols(async_client: AsyncClientFactory) -> None:
    """Body, headers and status are the same on both protocols."""

    async def echo(request: Request) -> PlainTextResponse:
        return PlainTextResponse(await request.body(), 201, {"x-a": "1"})

    async def rsgi(scope: Any, protocol: Any) -> None:
        headers = [("content-type", "text/plain; charset=utf-8"), ("x-a", "1")]
        protocol.response_bytes(201, headers, await protocol())

    app = Both(Starlette(routes=[Route("/", echo, methods=["POST"])]), rsgi)
    async with async_client(app) as client:
        response = await client.post("/", content=b"hello")
    assert (response.status_code, response.text, response.headers["x-a"]) == (201, "hello", "1")


@pytest.mark.anyio
async def test_the_async_client_streams_over_rsgi() -> None:
    """A stream that is closed early lets the application end."""
    ended = asyncio.Event()

    async def endless(scope: Any, protocol: Any) -> None:
        gone = asyncio.ensure_future(protocol.client_disconnect())
        transport = protocol.response_stream(200, [])
        while not gone.done():
            await transport.send_str("line\n")
            await asyncio.sleep(0)
        ended.set()

    async with AsyncTestClient(endless, protocol="rsgi") as client, client.stream("GET", "/") as response:
        assert await anext(response.aiter_lines()) == "line"
    assert ended.is_set()


@pytest.mark.anyio
async def test_the_async_client_raises(async_client: AsyncClientFactory) -> None:
    """An exception reaches the test, or becomes the server's 500."""

    async def fails(*args: Any) -> None:
        raise ValueError("failed")

    app = Both(Starlette(routes=[Route("/", fails)]), fails)
    async with async_client(app) as client:
        with pytest.raises(ValueError, match="failed"):
            await client.get("/")
    async with async_client(app, raise_server_exceptions=False) as client:
        assert (await client.get("/")).status_code == 500


@pytest.mark.anyio
async def test_the_async_client_refuses_what_needs_a_loop_of_its_own() -> None:
    """__rsgi_init__ cannot be called in a running loop."""
    with pytest.raises(TypeError, match="use TestClient"):
        async with AsyncTestClient(Lifecycle(), protocol="rsgi"):
            pass


@pytest.mark.anyio
async def test_the_async_client_raises_what_a_start_raises() -> None:
    """A lifespan that fails is raised."""

    @asynccontextmanager
    async def failing(app: Starlette) -> AsyncIterator[None]:
        raise ValueError("no start")
        yield

    with pytest.raises(ValueError, match="no start"):
        async with AsyncTestClient(Starlette(lifespan=failing)):
            pass


def test_a_closed_websocket_takes_no_messages() -> None:
    """After close() a send is a protocol error; Granian then keeps the connection open until it times out."""
    errors: list[str] = []

    async def session(scope: Any, protocol: Any) -> None:
        transport = await protocol.accept()
        protocol.close()
        protocol.close()
        errors.append(await strict_rsgi.attempt_async(lambda: transport.send_str("x")))
        errors.append(str((await transport.receive()).kind))
        errors.append(await strict_rsgi.attempt_async(lambda: transport.receive()))

    with raw(session).websocket_connect("/") as client, pytest.raises(WebSocketDisconnect):
        client.receive_text()
    assert errors == ["RSGIProtocolError", "0", "RSGIProtocolClosed"]


def test_awaiting_the_end_of_a_client_that_stays_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that answers and then awaits client_disconnect() would hang until the connection ends."""
    monkeypatch.setattr("velithon.testclient.http.GRACE", 0.01)

    async def waits(scope: Any, protocol: Any) -> None:
        protocol.response_str(200, [], "x")
        await protocol.client_disconnect()

    with pytest.raises(RSGIMisuseError, match="client_disconnect"):
        raw(waits).get("/")


def test_the_end_of_a_client_is_seen_late_too() -> None:
    """client_disconnect() resolves at once when the client is gone already; what was cancelled before stays so."""
    seen: list[object] = []

    async def late(scope: Any, protocol: Any) -> None:
        cancelled = protocol.client_disconnect()
        cancelled.cancel()
        transport = protocol.response_stream(200, [])
        await transport.send_bytes(b"first\n")
        await protocol.client_disconnect()
        await transport.send_bytes(b"lost")
        seen.append(await protocol.client_disconnect())

    with raw(late).stream("GET", "/") as response:
        next(response.iter_lines())
    assert seen == [None]


@pytest.mark.parametrize("sent", [b"ab", b"abcd"])
def test_a_stream_of_the_wrong_length_is_an_error(sent: bytes) -> None:
    """The content-length of a stream or a file is what is sent."""

    async def wrong(scope: Any, protocol: Any) -> None:
        await protocol.response_stream(200, [("content-length", "3")]).send_bytes(sent)

    with pytest.raises(RSGIMisuseError, match=f"content-length was 3, the body has {len(sent)} bytes"):
        raw(wrong).get("/")


def test_accepting_after_refusing_is_an_error() -> None:
    """The handshake has one answer."""
    errors: list[str] = []

    async def both(scope: Any, protocol: Any) -> None:
        protocol.close(403)
        protocol.close(403)
        errors.append(await strict_rsgi.attempt_async(protocol.accept))

    with pytest.raises(WebSocketDenialResponse), raw(both).websocket_connect("/"):
        pass
    assert errors == ["RSGIProtocolError"]


def test_an_application_without_hooks_is_started() -> None:
    """__rsgi_init__ and __rsgi_del__ are optional."""
    with raw(strict_rsgi.app) as client:
        assert client.get("/text").text == "héllo"


@pytest.mark.anyio
async def test_the_async_client_cleans_up_after_a_failing_exchange() -> None:
    """An exception out of the request's content ends the exchange and is raised."""

    async def content() -> AsyncIterator[bytes]:
        yield b"x"
        raise ValueError("content")

    async def reads(scope: Any, protocol: Any) -> None:
        protocol.response_bytes(200, [], await protocol())

    async with AsyncTestClient(reads, protocol="rsgi") as client:
        with pytest.raises(ValueError, match="content"):
            await client.post("/", content=content())


@pytest.mark.anyio
async def test_the_state_of_the_lifespan_reaches_requests(async_client: AsyncClientFactory) -> None:
    """What the lifespan yields is the state of each request, on both protocols."""

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, str]]:
        yield {"given": "by the lifespan"}

    app = Velithon(lifespan=lifespan)

    @app.get("/")
    async def show(request: VelithonRequest) -> str:
        return str(request.state.given)

    async with async_client(app) as client:
        assert (await client.get("/")).json() == "by the lifespan"


@pytest.mark.anyio
async def test_an_application_that_ends_its_lifespan_early_is_an_error() -> None:
    """An application that returns from the lifespan without an answer does not start."""

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    with pytest.raises(RuntimeError, match="lifespan.startup"):
        async with AsyncTestClient(silent):
            pass


@pytest.mark.anyio
async def test_a_cancelled_request_ends_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the test gives up on a request, its client is gone for the application."""
    monkeypatch.setattr("velithon.testclient.http.GRACE", 0.01)
    ended: list[str] = []

    async def hangs(scope: Any, protocol: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(scope.path)

    async with AsyncTestClient(hangs, protocol="rsgi") as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.get("/x"), 0.05)
    assert ended == ["/x"]


def test_the_lifespan_runs_on_both_protocols(client: ClientFactory) -> None:
    """`with` starts and ends the application, whose state its requests see."""
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, str]]:
        events.append("start")
        yield {"given": "by the lifespan"}
        events.append("end")

    app = Velithon(lifespan=lifespan)

    @app.get("/")
    async def show(request: VelithonRequest) -> str:
        return str(request.state.given)

    with client(app) as api:
        assert api.get("/").json() == "by the lifespan"
    assert events == ["start", "end"]


def test_what_is_missing_is_named() -> None:
    """With what installs it, as for every extra."""
    code = "import sys\nsys.modules.update(httpx=None, httpx2=None)\nimport velithon.testclient"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    last = done.stderr.splitlines()[-1]
    assert last == "ImportError: velithon.testclient needs httpx2: pip install 'velithon[test]'"


@pytest.mark.parametrize("path", ["/accepted", "/silent"])
def test_a_websocket_ends_with_its_endpoint(client: ClientFactory, path: str) -> None:
    """An endpoint that forgets to close, or to answer at all, fails the test; it does not hang it."""
    app = Velithon()

    @app.websocket("/accepted")
    async def accepted(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("hello")

    @app.websocket("/silent")
    async def silent(websocket: WebSocket) -> None:
        """Answer nothing."""

    c = client(app)
    if path == "/silent":
        with (
            pytest.raises(VelithonError, match=r"silent returned without accepting or refusing"),
            c.websocket_connect(path),
        ):
            pass
    else:
        with c.websocket_connect(path) as session:
            assert session.receive_text() == "hello"
            with pytest.raises(WebSocketDisconnect) as ended:
                session.receive_text()
        # Granian ends such a connection with a close frame, Uvicorn without one.
        assert ended.value.code in (1005, 1006)


def test_closing_with_background_work_in_hand(client: ClientFactory) -> None:
    """A client that leaves with an answer unread ends its background work, and that is nobody's mistake."""
    cancelled = threading.Event()

    async def background() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    app = Velithon()
    app.get("/")(lambda: JSONResponse("hello", background=BackgroundTask(background)))
    tested = client(app)
    response = tested.send(tested.build_request("GET", "/"), stream=True)
    chunks = response.iter_raw()
    assert next(chunks) == b'"hello"'
    tested.close()
    assert cancelled.wait(10)


def test_what_the_start_raises_reaches_the_test(client: ClientFactory) -> None:
    """As it was raised, over either protocol."""

    async def start() -> None:
        raise LookupError("no database")

    with pytest.raises(LookupError, match="no database"), client(Velithon(on_startup=[start])):
        pass
