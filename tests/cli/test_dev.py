"""`velithon dev` and `velithon.run`, as processes."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from importlib.machinery import ModuleSpec
from itertools import pairwise
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import BinaryIO

import pytest

import velithon
from tests.cli.processes import ROOT, Run, listening
from tests.waiting import until
from velithon_adapters.servers import ServerConfig
from velithon_adapters.servers.spare import keeps_spare

MAIN = """
import os
import velithon
app = velithon.Velithon()

@app.get("/")
async def home() -> str:
    return os.environ.get("VELITHON_ENV", "none")

@app.get("/fails")
async def fails() -> None:
    raise LookupError("the shelf is empty")

if __name__ == "__main__":
    velithon.run(app, port=0, server=SERVER, workers=1)
"""


def copy(source: int, file: BinaryIO) -> None:
    """Copy what comes out of a terminal to a file, until nobody writes to it any more (EIO)."""
    with file, suppress(OSError):
        while data := os.read(source, 65536):
            file.write(data)
            file.flush()
    os.close(source)


@contextmanager
def started(directory: Path, *arguments: str, terminal: bool = False) -> Iterator[Run]:
    """Start Python with arguments, in a terminal or not, wait until it listens, and end it."""
    output = directory / "output.txt"
    env = {**os.environ, "PYTHONUNBUFFERED": "1", "TERM": "xterm"}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
    for name in ("VELITHON_ENV", "NO_COLOR", "PYTHONDONTWRITEBYTECODE"):
        env.pop(name, None)
    file = output.open("wb")
    reader, writer = os.openpty() if terminal else (None, os.dup(file.fileno()))
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=writer, stderr=writer, cwd=directory, env=env, start_new_session=True
    )
    os.close(writer)
    if reader is None:
        file.close()
    else:
        Thread(target=copy, args=(reader, file), daemon=True).start()
    run = Run(process, output)
    try:
        until(lambda: "http://" in run.text or process.poll() is not None, "the address is told")
        assert process.poll() is None, run.text
        until(lambda: listening(run.port), "the port is open")
        yield run
    finally:
        process.terminate()
        process.wait(30)


def answer(run: Run, path: str) -> str:
    """Return the body of an answer, whatever its status."""
    request = urllib.request.Request(f"http://127.0.0.1:{run.port}{path}", headers={"Accept": "text/plain"})
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return str(response.read().decode())
    except urllib.error.HTTPError as error:
        return str(error.read().decode())


@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_dev_finds_the_application_and_reloads_it(tmp_path: Path, server: str) -> None:
    """Without an argument it serves main.py, shows where an exception came from, and serves what is saved.

    In a terminal the log is short and coloured.
    """
    main = tmp_path / "main.py"
    main.write_text(MAIN)
    with started(tmp_path, "-m", "velithon", "dev", "--server", server, "--port", "0", terminal=True) as run:
        assert answer(run, "/") == '"development"'
        assert "the shelf is empty" in answer(run, "/fails")
        until(lambda: re.search(r"\x1b\[1mGET    \x1b\[0m / \x1b\[32m200\x1b\[0m", run.text), "requests are logged")
        until(lambda: re.search(r"GET    \x1b\[0m /fails \x1b\[31m500\x1b\[0m", run.text), "failures are logged")
        main.write_text(MAIN.replace('os.environ.get("VELITHON_ENV", "none")', '"saved"'))
        until(lambda: answer(run, "/") == '"saved"', "the saved file is served")
        # Python's bytecode of one would do for the other: they are of one length and, in whole seconds, of one age.
        assert (tmp_path / "__pycache__").is_dir()
        again = tmp_path / "again"
        again.write_text(main.read_text().replace('"saved"', '"again"'))
        os.utime(again, ns=(main.stat().st_atime_ns, main.stat().st_mtime_ns))
        again.replace(main)
        until(lambda: answer(run, "/") == '"again"', "the file that was saved at once after it is served")
        assert "the shelf is empty" in answer(run, "/fails")


SPARE = """
import os
import velithon
app = velithon.Velithon()

def note(text):
    with open("log", "a") as file:
        file.write(f"{text}\\n")

note("import VERSION")
app.on_startup(lambda: note("start VERSION"))
app.on_shutdown(lambda: note("stop VERSION"))

@app.get("/")
async def home() -> list[int]:
    return [VERSION, os.getpid()]
"""


def children(process: int) -> set[int]:
    """Return the processes that a process has started."""
    texts = [path.read_text() for path in Path(f"/proc/{process}/task").glob("*/children")]
    return {int(number) for text in texts for number in text.split()}


def other_than(process: int, worker: int) -> bool:
    """Tell whether a process has started two besides a worker: one is multiprocessing's tracker of resources."""
    return len(children(process) - {worker}) >= 2


def serves(run: Run, version: int) -> bool:
    """Tell whether a server answers with a version."""
    found: int = json.loads(answer(run, "/"))[0]
    return found == version


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="there is no /proc to see processes in")
@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_the_next_worker_waits_already(tmp_path: Path, server: str) -> None:
    """A save is served by a process that was there before; it starts when the last one has stopped; none is left."""
    main, log = tmp_path / "main.py", tmp_path / "log"
    main.write_text(SPARE.replace("VERSION", "1"))
    with started(tmp_path, "-m", "velithon", "dev", "--server", server, "--port", "0") as run:
        until(partial(serves, run, 1), "the first version answers")
        # Each of another length: within one second, Python tells versions of a file apart by that alone.
        for version in (22, 333):
            _, worker = json.loads(answer(run, "/"))
            until(partial(other_than, run.process.pid, worker), "another worker waits")
            waiting = children(run.process.pid) - {worker}
            main.write_text(SPARE.replace("VERSION", str(version)))
            until(partial(serves, run, version), "the next version answers")
            assert json.loads(answer(run, "/"))[1] in waiting
        main.write_text("1 +")
        until(lambda: "SyntaxError" in run.text, "the mistake is told")
        main.write_text(SPARE.replace("VERSION", "4444"))
        until(partial(serves, run, 4444), "a version after a mistake answers")
        last = children(run.process.pid)
    lines = log.read_text().split("\n")
    for earlier, later in pairwise((1, 22, 333, 4444)):
        assert lines.index(f"stop {earlier}") < lines.index(f"start {later}")
    until(lambda: not any(Path(f"/proc/{number}").exists() for number in last), "no process is left")


@pytest.mark.parametrize(
    ("main", "directory", "expected"),
    [
        (("velithon.__main__", None), "elsewhere", True),
        ((None, "/usr/local/bin/velithon"), "elsewhere", True),
        (("shop.main", None), "elsewhere", False),
        ((None, "shop.py"), "elsewhere", False),
        (("velithon.__main__", None), str(ROOT), False),
    ],
)
def test_no_worker_waits_that_has_imported_what_changes(
    main: tuple[str | None, str | None], directory: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spawned process imports the main module, and the framework: neither may be what is being written."""
    name, file = main
    module = ModuleType("__main__")
    module.__spec__ = None if name is None else ModuleSpec(name, None)
    module.__file__ = file
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / directory)
    monkeypatch.setitem(sys.modules, "__main__", module)
    config = ServerConfig(load=lambda: None, reload=True)
    assert keeps_spare(config) is expected
    assert not keeps_spare(replace(config, workers=2))
    assert not keeps_spare(replace(config, reload=False))


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP")
@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_dev_ends_with_its_terminal(tmp_path: Path, server: str) -> None:
    """A closed terminal sends SIGHUP: nothing is left that holds the port."""
    (tmp_path / "main.py").write_text("from velithon import Velithon\napp = Velithon()\n")
    with started(tmp_path, "-m", "velithon", "dev", "--server", server, "--port", "0") as run:
        until(lambda: listening(run.port), "the server listens")
        until(lambda: "Ready" in run.text, "the application has started")
        left = children(run.process.pid)
        run.process.send_signal(signal.SIGHUP)
        assert run.wait() == 0
        until(lambda: not any(Path(f"/proc/{number}").exists() for number in left), "no process is left")


def test_dev_takes_options_before_the_application(tmp_path: Path) -> None:
    """The application is found behind options and their values."""
    (tmp_path / "main.py").write_text("raise RuntimeError('the wrong one')")
    (tmp_path / "shop.py").write_text(MAIN)
    with started(tmp_path, "-m", "velithon", "dev", "--port", "0", "shop:app") as run:
        assert answer(run, "/") == '"development"'
        until(lambda: '"GET / HTTP/1.1" 200' in run.text, "the log is plain where there is no terminal")
        assert "\x1b" not in run.text


@pytest.mark.parametrize(
    ("package", "cure"), [(None, "name it, such as main:app."), ("rooms", "velithon dev rooms.main:app.")]
)
def test_dev_says_where_it_looked(tmp_path: Path, package: str | None, cure: str) -> None:
    """Without an application the files that it tries are named, and a package's main.py that is there."""
    if package is not None:
        (tmp_path / package).mkdir()
        (tmp_path / package / "main.py").touch()
    command = [sys.executable, "-m", "velithon", "dev", "--port", "0"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])}
    result = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 1
    assert "No application was given, and there is no main.py, app.py, app/main.py, src/main.py" in result.stderr
    assert cure in result.stderr


@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_a_module_serves_its_application(tmp_path: Path, server: str) -> None:
    """`python main.py` serves, and shows nobody where an exception came from."""
    (tmp_path / "main.py").write_text(MAIN.replace("SERVER", repr(server)))
    with started(tmp_path, "main.py") as run:
        assert answer(run, "/") == '"none"'
        assert "the shelf is empty" not in answer(run, "/fails")


def test_an_unknown_option_is_named() -> None:
    """What is no option of `velithon run` is an error that lists those that there are."""
    with pytest.raises(TypeError, match=r"no option 'prot'; it has .*port"):
        velithon.run("main:app", prot=1)


def test_an_application_without_a_name_is_refused() -> None:
    """Worker processes could not find it."""
    with pytest.raises(RuntimeError, match="assign it there"):
        velithon.run(velithon.Velithon())
