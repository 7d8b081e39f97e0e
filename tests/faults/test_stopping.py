"""Stopping, restarting and reloading lose nothing, in the same order on every server."""

import os
import re
import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.cli.processes import Run, velithon_run
from tests.effort import FULL, variants
from tests.waiting import until

pytestmark = pytest.mark.server

MODES = {
    "granian-rsgi": ("--server", "granian"),
    "granian-asgi": ("--server", "granian", "--interface", "asgi"),
    "uvicorn": ("--server", "uvicorn"),
}

APP = """
import asyncio
import os
import time
from contextlib import asynccontextmanager
from velithon import Velithon
from velithon.background import BackgroundTask
from velithon.responses import EventSourceResponse, JSONResponse, StreamingResponse
from velithon.websocket import WebSocket, WebSocketDisconnect

VERSION = 1
time.sleep(float(os.environ.get("IMPORT_TIME", 0)))

@asynccontextmanager
async def lifespan(app):
    print("opened", flush=True)
    yield
    print("ends", flush=True)
    await asyncio.sleep(float(os.environ.get("END_TIME", 1)))
    print("closed", flush=True)

app = Velithon(lifespan=lifespan)

@app.get("/")
@app.post("/", status_code=200)
async def root():
    return [VERSION, os.getpid()]

async def later():
    await asyncio.sleep(0.6)
    print("background", flush=True)

@app.get("/work")
async def work():
    print("working", flush=True)
    await asyncio.sleep(0.7)
    return JSONResponse("done", background=BackgroundTask(later))

async def endless(chunk):
    try:
        while True:
            yield chunk
            await asyncio.sleep(0.05)
    finally:
        print("generator closed", flush=True)

@app.get("/events")
async def events():
    return EventSourceResponse(endless({"a": 1}))

@app.get("/stream")
async def stream():
    return StreamingResponse(endless(b"x"))

@app.websocket("/ws")
async def websocket(socket: WebSocket):
    await socket.accept()
    print("accepted", flush=True)
    try:
        await socket.receive_text()
    except WebSocketDisconnect as exc:
        print("disconnect", exc.code, flush=True)
"""


@pytest.fixture(params=list(MODES))
def mode(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The options for each server and interface."""
    return MODES[request.param]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A working directory with the application."""
    (tmp_path / "shop.py").write_text(APP)
    return tmp_path


def ask(run: Run, path: str) -> socket.socket:
    """Send a request on a connection of its own."""
    client = socket.create_connection(("127.0.0.1", run.port), timeout=20)
    client.sendall(f"GET {path} HTTP/1.1\r\nhost: h\r\n\r\n".encode())
    return client


def read_to_end(client: socket.socket) -> bytes:
    """Return what comes until the server closes the connection, or breaks it."""
    data = b""
    try:
        while chunk := client.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return data


def test_the_order_of_the_end(directory: Path, mode: tuple[str, ...]) -> None:
    """What is in hand, streams and WebSockets, background work, the lifespan."""
    with velithon_run(directory, "shop:app", *mode) as run:
        work, events = ask(run, "/work"), ask(run, "/events")
        with work, events, connect(f"ws://127.0.0.1:{run.port}/ws") as websocket:
            assert b"data:" in events.recv(65536) + events.recv(65536)
            until(lambda: "working" in run.text and "accepted" in run.text, "everything is in hand")
            begun = time.monotonic()
            run.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                websocket.recv(timeout=10)
            assert time.monotonic() - begun < 0.6, "the WebSocket had to wait for the request"
            # RSGI's close frames carry no code.
            assert getattr(closed.value.rcvd, "code", None) == (1005 if mode == MODES["granian-rsgi"] else 1001)
            events_end = read_to_end(events)
            assert events_end.endswith(b"0\r\n\r\n"), events_end
            assert read_to_end(work).endswith(b'"done"')
            assert run.wait(15) == 0
            assert time.monotonic() - begun < 8
        said = re.findall(r"^(background|ends|closed|generator closed)$", run.text, re.M)
        assert said == ["generator closed", "background", "ends", "closed"]
        assert "disconnect 100" in run.text
        assert "Traceback" not in run.text


def test_an_endless_stream_does_not_use_up_the_time(directory: Path, mode: tuple[str, ...]) -> None:
    """It is broken off when half of the time is over, and the lifespan ends."""
    with velithon_run(directory, "shop:app", *mode, "--workers-kill-timeout", "4") as run:
        with ask(run, "/stream") as stream:
            assert stream.recv(65536)
            run.process.send_signal(signal.SIGTERM)
            begun = time.monotonic()
            read_to_end(stream)
            assert 1 < time.monotonic() - begun < 2.8
            assert run.wait(10) == 0
        assert re.findall(r"^(ends|closed|generator closed)$", run.text, re.M) == ["generator closed", "ends", "closed"]


@pytest.mark.parametrize("workers", [1, 2] if FULL else [1])
def test_a_hangup_restarts_workers_without_a_gap(directory: Path, mode: tuple[str, ...], workers: int) -> None:
    """Every request is answered while workers that take a while to import take over."""
    options = (*mode, "--workers", str(workers))
    with velithon_run(directory, "shop:app", *options, workers=workers, env={"IMPORT_TIME": "0.7"}) as run:
        if workers == 1 and "uvicorn" in mode:
            run.process.send_signal(signal.SIGHUP)
            until(lambda: "SIGHUP changes nothing" in run.text, "it is refused")
            assert httpx.get(f"http://127.0.0.1:{run.port}/").status_code == 200
            return
        (directory / "shop.py").write_text(APP.replace("VERSION = 1", "VERSION = 2"))
        failures: list[str] = []
        versions: list[int] = []
        stop = threading.Event()

        def load() -> None:
            while not stop.is_set():
                try:
                    versions.append(httpx.get(f"http://127.0.0.1:{run.port}/", timeout=10).json()[0])
                except httpx.HTTPError as error:
                    failures.append(repr(error))

        thread = threading.Thread(target=load)
        thread.start()
        run.process.send_signal(signal.SIGHUP)
        try:
            until(lambda: run.text.count("closed") == workers, "the old workers are gone", 20)
            before = len(versions)
            until(lambda: len(versions) > before + 3, "the new ones answer")
        finally:
            stop.set()
            thread.join()
        assert failures == []
        assert versions[-3:] == [2, 2, 2]


def test_a_restart_into_a_broken_application_changes_nothing(directory: Path) -> None:
    """The old worker goes on."""
    with velithon_run(directory, "shop:app", *MODES["granian-rsgi"]) as run:
        (directory / "shop.py").write_text("1 / 0")
        run.process.send_signal(signal.SIGHUP)
        until(lambda: "did not start; the old one goes on" in run.text, "the new worker fails")
        assert httpx.get(f"http://127.0.0.1:{run.port}/").json()[0] == 1


def test_a_killed_worker_is_back_and_the_port_never_refuses(directory: Path, mode: tuple[str, ...]) -> None:
    """Also when it is killed again right away, and by a client's request in the end."""
    with velithon_run(directory, "shop:app", *mode, "--workers", "2", workers=2) as run:
        for _ in range(2):
            _, victim = httpx.get(f"http://127.0.0.1:{run.port}/").json()
            os.kill(victim, signal.SIGKILL)
            begun = time.monotonic()
            pids: set[int] = set()
            while len(pids - {victim}) < 2:
                with socket.create_connection(("127.0.0.1", run.port), timeout=10) as client:
                    client.sendall(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
                    if match := re.search(rb"\[1,(\d+)\]", read_to_end(client)):
                        pids.add(int(match[1]))
                assert time.monotonic() - begun < 10


def test_a_reload_lets_clients_wait(directory: Path, mode: tuple[str, ...]) -> None:
    """The listening socket stays open while the new worker is imported: no connection is refused or dropped."""

    def version() -> int:
        return int(httpx.get(f"http://127.0.0.1:{run.port}/", timeout=10).json()[0])

    with velithon_run(directory, "shop:app", *mode, "--reload", env={"IMPORT_TIME": "0.7", "END_TIME": "0"}) as run:
        (directory / "shop.py").write_text(APP.replace("VERSION = 1", "VERSION = 2"))
        deadline = time.monotonic() + 15
        while version() != 2:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("name", ["granian-rsgi", "granian-asgi"])
def test_what_a_worker_has_accepted_it_answers(directory: Path, name: str) -> None:
    """Also when a request comes a moment after its connection, which the signal to stop comes between."""
    answers: list[bytes] = []

    def load() -> None:
        while not stop.is_set():
            with socket.create_connection(("127.0.0.1", run.port), timeout=20) as client:
                time.sleep(0.005)
                client.sendall(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
                answers.append(read_to_end(client)[:12])

    with velithon_run(directory, "shop:app", *MODES[name], env={"END_TIME": "0"}) as run:
        stop = threading.Event()
        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for restart in range(1, 9 if FULL else 4):
                run.process.send_signal(signal.SIGHUP)
                until(lambda: run.text.count("closed") == restart, "the old worker is gone", 20)  # noqa: B023 - called at once
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert len(answers) > 20
        assert set(answers) == {b"HTTP/1.1 200"}


def _ask_again_and_again(port: int, over: threading.Event, answers: list[bytes]) -> None:
    """Send requests that may not be repeated, each on a connection of its own, until nobody listens."""
    while not over.is_set():
        try:
            client = socket.create_connection(("127.0.0.1", port), timeout=20)
        except OSError:  # refused: a proxy asks another instance
            over.wait(0.01)
            continue
        with client:
            try:
                client.sendall(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                answers.append(read_to_end(client)[:12])
            except OSError:
                answers.append(b"")


@pytest.mark.parametrize("name", variants(["granian-rsgi", "uvicorn"], list(MODES)))
@pytest.mark.parametrize("workers", variants([2], [1, 2]))
def test_a_connection_that_stands_is_answered_though_the_server_ends(directory: Path, name: str, workers: int) -> None:
    """The kernel takes it before a worker does: a reset would be the answer to a request that is not to be repeated."""
    for _ in range(5 if FULL else 1):
        over, answers = threading.Event(), list[bytes]()
        options = [*MODES[name], "--workers", str(workers)]
        with velithon_run(directory, "shop:app", *options, workers=workers, env={"END_TIME": "0"}) as run:
            threads = [threading.Thread(target=_ask_again_and_again, args=(run.port, over, answers)) for _ in range(12)]
            for thread in threads:
                thread.start()
            try:
                until(lambda: len(answers) > 100, "some load")  # noqa: B023 - called at once
                run.process.terminate()
                assert run.wait() == 0
            finally:
                over.set()
                for thread in threads:
                    thread.join()
        assert set(answers) == {b"HTTP/1.1 200"}
