"""Workers from their start to their end: signals with work in hand, failures, respawning, reloading."""

import os
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.cli.processes import Run, velithon_run
from tests.effort import FULL, variants
from tests.waiting import until

pytestmark = pytest.mark.server

MODES = {
    "granian-rsgi": ("--server", "granian"),
    "granian-asgi": ("--server", "granian", "--interface", "asgi"),
    "uvicorn": ("--server", "uvicorn"),
    "uvicorn-workers": ("--server", "uvicorn", "--workers", "2"),
}

SHOP = """
import asyncio
import os
import time
from contextlib import asynccontextmanager
from velithon import Velithon
from velithon.requests import Request

@asynccontextmanager
async def lifespan(app):
    if os.environ.get("NO_DATABASE"):
        raise RuntimeError("there is no database")
    yield
    print("closed", flush=True)

app = Velithon(lifespan=lifespan)

@app.get("/")
async def root():
    return os.getpid()

@app.post("/body")
async def body(request: Request):
    print("reading", flush=True)
    return len(await request.body())

@app.get("/short")
async def short():
    print("working", flush=True)
    await asyncio.sleep(1)
    return "done"

@app.get("/thread")
def thread():
    print("working", flush=True)
    time.sleep(60)

@app.get("/executor")
async def executor():
    print("working", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)

@app.get("/blocked")
async def blocked():
    print("working", flush=True)
    time.sleep(60)

@app.get("/die")
async def die():
    os._exit(7)
"""

# seconds that a loaded machine may take besides
MARGIN = 10

# what a client has sent when the signal comes, and what the process prints once that has arrived
WORK = {
    "idle": (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", None),
    "half a request": (b"GET / HTTP/1.1\r\nho", None),
    "half a body": (b"POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf", "reading"),
    "a thread": (b"GET /thread HTTP/1.1\r\nhost: a\r\n\r\n", "working"),
    "an executor": (b"GET /executor HTTP/1.1\r\nhost: a\r\n\r\n", "working"),
}


# Granian ends both of its modes in one way.
@pytest.fixture(params=variants([name for name in MODES if name != "granian-asgi"], list(MODES)))
def mode(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The options for each server and interface."""
    return MODES[request.param]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A working directory with the application."""
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


def workers(mode: tuple[str, ...]) -> int:
    """How many workers the options ask for."""
    return 2 if "--workers" in mode else 1


def get(run: Run, path: str = "/") -> str:
    """The body of the answer to a request."""
    with urllib.request.urlopen(f"http://127.0.0.1:{run.port}{path}", timeout=5) as response:
        return str(response.read().decode())


# Each kind of work once, each server at least once; all of both is a minute more.
PAIRS = variants(
    [(work, list(MODES)[number % len(MODES)]) for number, work in enumerate(WORK)],
    [(work, mode) for work in WORK for mode in MODES],
)


@pytest.mark.parametrize(("work", "mode"), PAIRS, indirect=["mode"])
def test_a_signal_ends_the_server_in_time_whatever_is_in_hand(
    directory: Path, mode: tuple[str, ...], work: str
) -> None:
    """Within the kill timeout, and after the application's shutdown; the work itself would take a minute."""
    sent, printed = WORK[work]
    with (
        velithon_run(directory, "shop:app", *mode, "--workers-kill-timeout", "3", workers=workers(mode)) as run,
        socket.create_connection(("127.0.0.1", run.port), timeout=20) as client,
    ):
        client.sendall(sent)
        if work == "idle":
            assert b"200 OK" in client.recv(1000)
        elif printed is not None:
            until(lambda: printed in run.text, f"{work} is in hand")
        else:
            time.sleep(0.2)  # nothing shows that half a line has arrived
        run.process.send_signal(signal.SIGTERM)
        assert run.wait(3 + MARGIN) == 0
        assert run.text.count("closed") == workers(mode)


def test_a_request_in_flight_is_answered_before_the_end(directory: Path, mode: tuple[str, ...]) -> None:
    """The signal stops the listening, not the work."""
    with (
        velithon_run(directory, "shop:app", *mode, workers=workers(mode)) as run,
        socket.create_connection(("127.0.0.1", run.port), timeout=20) as client,
    ):
        client.sendall(b"GET /short HTTP/1.1\r\nhost: a\r\n\r\n")
        until(lambda: "working" in run.text, "the request is in hand")
        run.process.send_signal(signal.SIGINT)
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
        assert run.wait(MARGIN) == 0


def test_a_blocked_loop_does_not_hold_the_server(directory: Path, mode: tuple[str, ...]) -> None:
    """Nothing of the application can run then, but the process ends."""
    with (
        velithon_run(directory, "shop:app", *mode, "--workers-kill-timeout", "2", workers=workers(mode)) as run,
        socket.create_connection(("127.0.0.1", run.port), timeout=20) as client,
    ):
        client.sendall(b"GET /blocked HTTP/1.1\r\nhost: a\r\n\r\n")
        until(lambda: "working" in run.text, "the loop is blocked")
        run.process.terminate()
        run.wait(2 + MARGIN)
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", run.port), timeout=1)


def test_a_second_signal_forces_the_end(directory: Path, mode: tuple[str, ...]) -> None:
    """Long before the kill timeout."""
    with (
        velithon_run(directory, "shop:app", *mode, "--workers-kill-timeout", "60", workers=workers(mode)) as run,
        socket.create_connection(("127.0.0.1", run.port), timeout=20) as client,
    ):
        client.sendall(b"GET /thread HTTP/1.1\r\nhost: a\r\n\r\n")
        until(lambda: "working" in run.text, "the request is in hand")
        run.process.send_signal(signal.SIGINT)
        until(lambda: re.search("(?i)shutting down|terminated child", run.text), "the first signal is seen")
        run.process.send_signal(signal.SIGTERM)
        run.wait(MARGIN)


@pytest.mark.parametrize(
    ("number", "mode"),
    variants(
        [(1, "granian-rsgi"), (2, "granian-asgi"), (1, "uvicorn"), (2, "uvicorn")],
        [(number, mode) for number in (1, 2) for mode in MODES],
    ),
    indirect=["mode"],
)
def test_an_application_that_cannot_start_ends_the_server(directory: Path, mode: tuple[str, ...], number: int) -> None:
    """Once, with its reason, instead of starting it again and again."""
    options = [*mode[:2], *(mode[2:4] if "--interface" in mode else []), "--workers", str(number)]
    with velithon_run(directory, "shop:app", *options, wait=False, env={"NO_DATABASE": "1"}) as run:
        assert run.wait() != 0
        assert "there is no database" in run.text
        assert "Respawning" not in run.text
        assert run.text.count("RuntimeError: there is no database") <= number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_start_at_once(tmp_path: Path, number: signal.Signals) -> None:
    """As a handler does it: the kernel ignores a signal without one for the first process of a container."""
    (tmp_path / "slow.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    with velithon_run(tmp_path, "slow:app", wait=False) as run:
        until(lambda: "importing" in run.text, "the application is imported")
        caught = re.findall(r"SigCgt:\s*(\w+)", Path(f"/proc/{run.process.pid}/status").read_text())[0]
        assert int(caught, 16) >> (number - 1) & 1
        run.process.send_signal(number)
        assert run.wait(10) == 128 + number
        assert "Traceback" not in run.text


@pytest.mark.skipif(not FULL, reason="VELITHON_TESTS=full runs it: it starts ten processes")
def test_workers_that_die_in_every_start_end_the_server(tmp_path: Path) -> None:
    """With a status that says so, where no worker of Uvicorn serves meanwhile."""
    dying = "import multiprocessing, os\nif multiprocessing.parent_process():\n    os._exit(7)\n"
    (tmp_path / "dying.py").write_text(f"{dying}from velithon import Velithon\napp = Velithon()\n")
    with velithon_run(tmp_path, "dying:app", "--server", "uvicorn", "--workers", "2", wait=False) as run:
        assert run.wait(60) == 1
        assert "ended with status 7, stopping" in run.text


@pytest.mark.parametrize(
    "options",
    [
        ["--server", "granian"],
        ["--server", "granian", "--interface", "asgi", "--workers", "2"],
        ["--server", "uvicorn", "--workers", "2"],
        ["--server", "uvicorn", "--respawn-failed-workers"],
    ],
)
def test_a_worker_that_died_is_replaced(directory: Path, options: list[str]) -> None:
    """Without being asked, but for Uvicorn alone in its process, where nobody could."""
    number = 2 if "--workers" in options else 1
    with velithon_run(directory, "shop:app", *options, workers=number) as run:
        with pytest.raises((urllib.error.URLError, OSError)):
            get(run, "/die")
        ready = re.compile(r"Started worker-\d+(?! runtime)|Application startup complete")
        until(lambda: len(ready.findall(run.text)) == number + 1, "another worker is ready")
        assert int(get(run)) > 0
        run.process.terminate()
        assert run.wait() == 0


@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_a_worker_that_died_ends_the_server_when_it_is_not_to_be_replaced(directory: Path, server: str) -> None:
    """With a status that is not 0, and without the other worker staying behind."""
    options = ["--server", server, "--workers", "2", "--no-respawn-failed-workers"]
    with velithon_run(directory, "shop:app", *options, workers=2) as run:
        with pytest.raises((urllib.error.URLError, OSError)):
            get(run, "/die")
        assert run.wait() == 1


@pytest.mark.parametrize("options", [["--server", "granian", "--workers", "2"], ["--server", "uvicorn"]])
def test_a_changed_file_is_served_after_a_reload(directory: Path, options: list[str]) -> None:
    """A mistake in it too is survived, until the next change; and the log file does not count as a change."""
    shop = directory / "shop.py"
    number = 2 if "--workers" in options else 1
    log = ["--log-to-file", "--log-level", "DEBUG"]
    with velithon_run(directory, "shop:app", "--reload", *log, *options, workers=number) as run:
        until(lambda: int(get(run)) > 0, "the first version is served")
        until(lambda: _watches(run.process.pid), "the files are watched")
        shop.write_text(SHOP.replace("return os.getpid()", "return 'changed'"))
        until(lambda: get(run) == '"changed"', "the change is served")
        shop.write_text("this is no Python")
        until(lambda: "SyntaxError" in run.text, "the mistake is reported")
        shop.write_text(SHOP.replace("return os.getpid()", "return 'again'"))
        until(lambda: get(run) == '"again"', "the next change is served")
        assert len(re.findall("(?i)detected", run.text)) <= 6
        run.process.terminate()
        assert run.wait() == 0


@pytest.mark.parametrize("options", [["--server", "granian"], ["--server", "uvicorn", "--workers", "2"]])
def test_workers_do_not_outlive_their_parent(directory: Path, options: list[str]) -> None:
    """When it is killed they stop, and the port is free."""
    with velithon_run(directory, "shop:app", *options, workers=2 if "--workers" in options else 1) as run:
        worker = int(get(run))
        run.process.kill()
        run.wait()
        until(lambda: _gone(worker), "the worker is gone")
        until(lambda: _free(run.port), "the port is free")


def _watches(process: int) -> bool:
    """Whether a process has begun to watch files, where the system tells; workers may be ready before."""
    descriptors = Path(f"/proc/{process}/fdinfo")
    return not descriptors.parent.exists() or any("inotify wd" in file.read_text() for file in descriptors.iterdir())


def _free(port: int) -> bool:
    """Whether nobody listens on a port."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
    return True


def _gone(pid: int) -> bool:
    """Whether a process has ended; what nobody has waited for yet has."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"
