"""What a developer sees: breakpoints, a mistake in a reloaded file, what blocks the loop."""

import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.cli.processes import ROOT, listening, velithon_run
from tests.servers import free_port
from tests.waiting import until

pytestmark = pytest.mark.server

APP = """
import time
from velithon import Velithon
app = Velithon()

@app.get("/items/{item_id}")
async def item(item_id: int):
    breakpoint()
    return {"id": item_id}

@app.get("/blocks/{seconds}")
async def blocks(seconds: float):
    time.sleep(seconds)
    return 1
"""
SERVERS = [["--server", "granian"], ["--server", "granian", "--interface", "asgi"], ["--server", "uvicorn"]]


def read_until(terminal: int, text: str, seconds: float = 30) -> str:
    """Read from a terminal until some text came."""
    seen = ""
    deadline = time.monotonic() + seconds
    while text not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"no {text!r} in {seen!r}"
        seen += os.read(terminal, 10_000).decode(errors="replace")
    return seen


def answers(port: int) -> bool:
    """Tell whether the application answers."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/blocks/0", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("options", SERVERS, ids=" ".join)
def test_a_breakpoint_stops_in_the_terminal(options: list[str], tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APP)
    ours, theirs = pty.openpty()
    path = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
    # In a session of its own, whose terminal the file descriptor becomes.
    start = (
        "import os, sys, fcntl, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, "
    )
    with free_port() as port:
        arguments = ["-m", "velithon", "run", "main:app", "--port", str(port), *options]
        process = subprocess.Popen(
            [sys.executable, "-c", f"{start}[sys.executable, *{arguments!r}])"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        try:
            until(lambda: listening(port), "the server")
            got: list[httpx.Response] = []
            url = f"http://127.0.0.1:{port}/items/7"
            asking = threading.Thread(target=lambda: got.append(httpx.get(url, timeout=60)))
            asking.start()
            assert "item()" in read_until(ours, "(Pdb) ")
            os.write(ours, b"item_id * 6\n")
            assert "42" in read_until(ours, "(Pdb) ")
            os.write(ours, b"continue\n")
            asking.join(30)
            assert got[0].json() == {"id": 7}
        finally:
            process.terminate()
            process.wait(30)
            os.close(ours)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "2"], "breakpoint() needs one worker: run with --workers 1."),
        ([], "breakpoint() needs a terminal"),
    ],
)
def test_a_breakpoint_that_cannot_stop_says_what_to_do(options: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APP)
    with velithon_run(tmp_path, "main:app", *options, workers=int(options[1]) if options else 1) as run:
        assert httpx.get(f"http://127.0.0.1:{run.port}/items/7", timeout=20).status_code == 500
        until(lambda: message in run.text, "the reason")


@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_a_mistake_in_a_reloaded_file_is_shown_once(server: str, tmp_path: Path) -> None:
    """As the traceback of the user's own code."""
    main = tmp_path / "main.py"
    main.write_text(APP)
    with velithon_run(tmp_path, "main:app", "--reload", "--server", server) as run:
        until(lambda: answers(run.port), "the server")
        main.write_text(f"{APP}\ndef wrong():\n    return 1 / 0\n\nwrong()\n")
        until(lambda: "ZeroDivisionError" in run.text, "the mistake")
        main.write_text(APP)
        until(lambda: answers(run.port), "the server again")
        text = run.text
    assert text.count("ZeroDivisionError") == 1
    assert text.count("Traceback (most recent call last)") == 1
    frames = re.findall(r'File "([^"]+)"', text)
    assert frames == [str(main), str(main)]
    assert "importing 'main' failed" in text


@pytest.mark.parametrize("options", SERVERS, ids=" ".join)
def test_debug_names_the_endpoint_that_blocks(options: list[str], tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APP)
    with velithon_run(tmp_path, "main:app", "--debug", *options) as run:
        url = f"http://127.0.0.1:{run.port}/blocks"
        until(lambda: answers(run.port), "the server")
        httpx.get(f"{url}/0.25", timeout=20)
        pattern = r"WARNING +asyncio: Executing .*GET /blocks/\{seconds\} \(main\.blocks\).* took 0\.\d+ seconds"
        until(lambda: re.search(pattern, run.text), "the line")
