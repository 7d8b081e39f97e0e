"""`velithon run` with real servers: what is said at the start, TLS, UNIX sockets, logs, settings of the protocols."""

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx2
import pytest

from tests.cli.processes import ROOT, Run, velithon_run
from tests.effort import variants
from tests.servers import serve
from tests.waiting import until

pytestmark = pytest.mark.server

MODES = {
    "granian-rsgi": ("--server", "granian"),
    "granian-asgi": ("--server", "granian", "--interface", "asgi"),
    "uvicorn": ("--server", "uvicorn"),
}

SHOP = """
import logging
import anyio.to_thread
from velithon import Velithon
from velithon.requests import Request

app = Velithon()
logger = logging.getLogger("shop")

@app.get("/")
async def root():
    return {"message": "hello"}

@app.get("/threads")
async def threads():
    return anyio.to_thread.current_default_thread_limiter().total_tokens

@app.get("/prefix")
async def prefix(request: Request):
    return request.scope["root_path"], str(request.url_for("root").path)

@app.get("/client")
async def client(request: Request):
    return request.client.host, request.url.scheme

@app.get("/log")
async def log(text: str):
    logger.warning("said %s", text, extra={"length": len(text)})
    return text

@app.get("/raise")
async def fail():
    raise ValueError("wrong\\nforged")

def make():
    return app
"""

RAW = """
async def rsgi(scope, protocol):
    protocol.response_str(200, [("content-type", "text/plain")], "raw " + scope.path)

async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"plain " + scope["path"].encode()})
"""


# The command line is the same for both of Granian's modes.
@pytest.fixture(scope="module", params=variants(["granian-rsgi", "uvicorn"], list(MODES)))
def mode(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The options for each server and interface."""
    return MODES[request.param]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A working directory with the application."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "raw.py").write_text(RAW)
    return tmp_path


def get(run: Run, path: str = "/") -> str:
    """The body of the answer to a request."""
    with urllib.request.urlopen(f"http://127.0.0.1:{run.port}{path}", timeout=20) as response:
        return str(response.read().decode())


def run_shop(directory: Path, *options: str) -> AbstractContextManager[Run]:
    """Run the application in a directory that outlives a test."""
    (directory / "shop.py").write_text(SHOP)
    return velithon_run(directory, *options)


@pytest.fixture(scope="module")
def plain(mode: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A server for several tests, without options."""
    with run_shop(tmp_path_factory.mktemp("plain"), "--app", "shop:app", *mode) as run:
        yield run


@pytest.fixture(scope="module")
def configured(mode: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A server for several tests, with options that do not touch each other."""
    options = ["--blocking-threads", "10", "--url-path-prefix", "/shop/", "--forwarded-allow-ips", "10.0.0.1"]
    options += ["--http1-keep-alive", "--http", "1"]
    if "granian" in mode:
        options += ["--runtime-threads", "4", "--runtime-mode", "mt"]
    with run_shop(tmp_path_factory.mktemp("configured"), "shop:app", *mode, *options) as run:
        yield run


def test_the_start_names_address_server_protocol_and_documentation(plain: Run, mode: tuple[str, ...]) -> None:
    """And the documentation is there."""
    assert json.loads(get(plain)) == {"message": "hello"}
    lines = dict(line.split(None, 1) for line in plain.text.splitlines()[1:5])
    assert lines["address"] == f"http://127.0.0.1:{plain.port}"
    assert lines["server"].split()[0] == mode[1]
    assert lines["protocol"].split(",")[0] == ("RSGI" if mode == MODES["granian-rsgi"] else "ASGI")
    assert lines["docs"] == f"{lines['address']}/docs"
    assert "swagger" in get(plain, "/docs").lower()


def test_the_quick_start_runs(directory: Path) -> None:
    """By the path of its file, from any directory."""
    with velithon_run(directory, str(ROOT / "examples" / "quickstart.py")) as run:
        assert json.loads(get(run, "/items/3")) == {"item": 3, "unit": "piece"}


def test_a_factory_and_the_environment(directory: Path, mode: tuple[str, ...]) -> None:
    """Flags may come from the environment too."""
    env = {"VELITHON_FACTORY": "true", "VELITHON_APP": "shop:make", "VELITHON_HOST": "localhost"}
    with velithon_run(directory, *mode, env=env) as run:
        assert json.loads(get(run)) == {"message": "hello"}


@pytest.mark.parametrize(("app", "said"), [("raw:rsgi", "raw /x"), ("raw:asgi", "plain /x")])
def test_any_application_runs_on_any_server(directory: Path, mode: tuple[str, ...], app: str, said: str) -> None:
    """Adapted where the server speaks the other protocol."""
    with velithon_run(directory, app, *mode) as run:
        assert get(run, "/x") == said


def test_blocking_threads_bound_synchronous_work(configured: Run) -> None:
    """The guide's own command line is accepted, and the number holds."""
    assert get(configured, "/threads") == "10"


def test_the_prefix_of_a_proxy_is_the_root_path(configured: Run) -> None:
    """URLs that the application builds begin with it."""
    assert json.loads(get(configured, "/prefix")) == ["/shop", "/shop/"]


@pytest.mark.parametrize(
    ("server", "client"),
    [("plain", ["192.0.2.1", "https"]), ("configured", ["127.0.0.1", "http"])],
    ids=["loopback", "another"],
)
def test_forwarded_headers_are_believed_from_trusted_proxies(
    server: str, client: list[str], plain: Run, configured: Run
) -> None:
    """The loopback alone is trusted by default; the same request has the same client everywhere."""
    run = plain if server == "plain" else configured
    headers = {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https"}
    request = urllib.request.Request(f"http://127.0.0.1:{run.port}/client", headers=headers)
    with urllib.request.urlopen(request, timeout=20) as response:
        assert json.loads(response.read()) == client


def test_a_raw_application_cannot_be_told_the_prefix(directory: Path) -> None:
    """That is an error, not an option that is ignored."""
    with velithon_run(directory, "raw:rsgi", "--url-path-prefix", "/shop", wait=False) as run:
        assert run.wait() == 1
        assert "--url-path-prefix: an RSGI application without a root_path attribute" in run.text


@pytest.mark.parametrize("mode", [MODES["granian-rsgi"], MODES["uvicorn"]])
@pytest.mark.parametrize("stale", [False, True])
def test_a_unix_socket(directory: Path, mode: tuple[str, ...], stale: bool) -> None:
    """What a dead server left is replaced; a living one keeps its socket; at the end the file is gone."""
    path = directory / "sock"
    if stale:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
    with velithon_run(directory, "shop:app", *mode, "--uds", str(path)) as run:
        assert f"unix:{path}" in run.text
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            assert b"200 OK" in sock.recv(1000)
        with velithon_run(directory / "..", f"{directory}/shop.py", *mode, "--uds", str(path), wait=False) as second:
            assert second.wait() == 1
            assert "another server uses it" in second.text
        run.process.terminate()
        assert run.wait() == 0
        assert not path.exists()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a certificate for localhost, its key, that with the password `mypassword`, and another key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    directory = tmp_path_factory.mktemp("tls")
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
    encrypt = "openssl pkcs8 -topk8 -in key.pem -out locked.pem -passout pass:mypassword"
    old = "openssl rsa -traditional -in key.pem -out old.pem"
    another = "openssl genpkey -algorithm rsa -out another.pem"
    for command in (f"{make} -addext subjectAltName=DNS:localhost", encrypt, old, another):
        subprocess.run(command.split(), cwd=directory, check=True, capture_output=True)
    return directory


KEYS = [["key.pem"], ["old.pem"], ["locked.pem", "--ssl-keyfile-password", "mypassword"]]


# Each kind of key, and the encrypted one on each server: Granian cannot read it, and gets a copy.
@pytest.mark.parametrize(
    ("key", "mode"),
    variants(
        [(KEYS[0], "uvicorn"), (KEYS[1], "granian-rsgi"), (KEYS[2], "granian-asgi"), (KEYS[2], "uvicorn")],
        [(key, mode) for key in KEYS for mode in MODES],
    ),
    indirect=["mode"],
)
def test_tls(directory: Path, mode: tuple[str, ...], certificate: Path, key: list[str]) -> None:
    """HTTPS with a key in either plain form, and with an encrypted one."""
    files = ["--ssl-certificate", str(certificate / "cert.pem"), "--ssl-keyfile", str(certificate / key[0]), *key[1:]]
    with velithon_run(directory, "shop:app", *mode, *files) as run:
        assert "https://127.0.0.1" in run.text
        context = ssl.create_default_context(cafile=certificate / "cert.pem")
        with urllib.request.urlopen(f"https://localhost:{run.port}/", timeout=20, context=context) as response:
            assert json.loads(response.read()) == {"message": "hello"}
        copies = _copies(certificate / "key.pem")
        assert [copy.stat().st_mode & 0o777 for copy in copies] == [0o600] * ("granian" in mode and "mypassword" in key)
        run.process.terminate()
        assert run.wait() == 0
        assert _copies(certificate / "key.pem") == []


def _copies(key: Path) -> list[Path]:
    """The copies of a key that Granian's workers read."""
    places = [Path("/dev/shm"), Path(tempfile.gettempdir())]
    found = [copy for place in places if place.is_dir() for copy in place.glob("velithon-*/key.pem")]
    return [copy for copy in found if copy.read_bytes() == key.read_bytes()]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (["locked.pem"], "password (--ssl-keyfile-password) is missing or wrong"),
        (["locked.pem", "--ssl-keyfile-password", "wrong"], "password (--ssl-keyfile-password) is missing or wrong"),
        (["another.pem"], "the key is not the certificate's"),
    ],
)
def test_a_key_that_cannot_be_used_is_one_line(directory: Path, certificate: Path, key: list[str], said: str) -> None:
    """Before anything starts, and without asking on the terminal."""
    files = ["--ssl-certificate", str(certificate / "cert.pem"), "--ssl-keyfile", str(certificate / key[0]), *key[1:]]
    with velithon_run(directory, "shop:app", *files, wait=False) as run:
        assert run.wait() == 1
        assert said in run.text
        assert run.text.count("\n") == 1


def test_every_line_is_json(directory: Path, mode: tuple[str, ...]) -> None:
    """The start, the server's lines, the requests, the application's; and hostile text stays within its line."""
    options = ["--log-format", "json", "--log-level", "INFO", "--access-log", "--workers", "2"]
    with velithon_run(directory, "shop:app", *mode, *options, workers=2) as run:
        assert get(run, "/log?text=%1b%5b31m%0aforged") == '"\\u001b[31m\\nforged"'
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(run, "/%1b%0aforged")
        caught.value.close()
        run.process.terminate()
        assert run.wait() == 0
        lines = [json.loads(line) for line in run.text.splitlines()]
    assert all({"timestamp", "level", "logger", "message"} <= line.keys() for line in lines)
    start = next(line for line in lines if line["logger"] == "velithon")
    assert {"address", "server", "protocol", "docs"} <= start.keys()
    said = next(line for line in lines if line["logger"] == "shop")
    assert (said["message"], said["length"], said["level"]) == ("said \x1b[31m\nforged", 12, "WARNING")
    # Two workers may write in any order.
    access = sorted((line for line in lines if line["logger"].endswith(".access")), key=lambda line: line["status"])
    assert [(line["method"], line["status"]) for line in access] == [("GET", 200), ("GET", 404)]
    assert access[1]["path"].lower() == "/%1b%0aforged"
    assert "\x1b" not in run.text


def test_the_log_file_has_what_the_console_has(directory: Path, mode: tuple[str, ...]) -> None:
    """In text too, with no line that a request made."""
    options = ["--log-to-file", "--log-file", "app.log", "--access-log", "--log-level", "Info"]
    with velithon_run(directory, "shop:app", *mode, *options) as run:
        get(run, "/log?text=%1b%5b31m%0a2026-01-01T00:00:00.000Z%20INFO%20forged")
        run.process.terminate()
        assert run.wait() == 0
        console = [line for line in run.text.splitlines() if not line.startswith(("velithon ", "  "))]
    text = (directory / "app.log").read_text()
    assert sorted(text.splitlines()) == sorted(console)
    assert "said \\x1b[31m\\n2026-01-01T00:00:00.000Z INFO forged" in text
    assert "\x1b" not in text
    assert '"GET /log?text=' in text


def test_log_files_rotate_over_all_workers(directory: Path, mode: tuple[str, ...]) -> None:
    """No file is larger than asked for, and the number of files holds."""
    options = ["--log-to-file", "--max-bytes", "2000", "--backup-count", "3", "--access-log", "--workers", "2"]
    with velithon_run(directory, "shop:app", *mode, *options, workers=2) as run:
        for _ in range(100):
            get(run)
    files = sorted(path.name for path in directory.glob("velithon.log*"))
    assert files == ["velithon.log", "velithon.log.1", "velithon.log.2", "velithon.log.3"]
    assert all((directory / name).stat().st_size <= 2000 for name in files)


def test_the_level_holds_for_everything(directory: Path, mode: tuple[str, ...]) -> None:
    """`--log-level ERROR` leaves the lines of the start and nothing else."""
    with velithon_run(directory, "shop:app", *mode, "--log-level", "ERROR", wait=False) as run:
        until(lambda: "address" in run.text and get(run, "/log?text=x"), "the server answers")
        run.process.terminate()
        assert run.wait() == 0
        assert len(run.text.splitlines()) == 5


def test_http2_settings_reach_the_client(directory: Path) -> None:
    """The server's first frame carries them (RFC 9113 6.5.2)."""
    options = [
        "--http", "2", "--http2-max-concurrent-streams", "123", "--http2-initial-stream-window-size", "70000",
        "--http2-max-frame-size", "20000", "--http2-max-headers-size", "30000",
        "--http2-initial-connection-window-size", "2097152",
    ]  # fmt: skip
    with (
        velithon_run(directory, "shop:app", *options) as run,
        socket.create_connection(("127.0.0.1", run.port), timeout=20) as sock,
    ):
        sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04\x00" + bytes(4))
        frames: dict[int, bytes] = {}
        with sock.makefile("rb") as stream:
            while 8 not in frames:
                head = stream.read(9)
                frames.setdefault(head[3], stream.read(int.from_bytes(head[:3], "big")))
    settings = frames[4]
    found = {
        int.from_bytes(settings[at : at + 2], "big"): int.from_bytes(settings[at + 2 : at + 6], "big")
        for at in range(0, len(settings), 6)
    }
    assert (found[3], found[4], found[5], found[6]) == (123, 70000, 20000, 30000)
    assert int.from_bytes(frames[8], "big") == 2097152 - 65535


def test_http1_settings_hold(directory: Path) -> None:
    """A slow client is cut off, and without keep-alive the connection ends with the answer."""
    with velithon_run(directory, "shop:app", "--http1-header-read-timeout", "200", "--no-http1-keep-alive") as run:
        with socket.create_connection(("127.0.0.1", run.port), timeout=20) as slow:
            slow.sendall(b"GET / HTTP/1.1\r\nho")
            assert b"200" not in slow.recv(1000)
        with socket.create_connection(("127.0.0.1", run.port), timeout=20) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            with sock.makefile("rb") as stream:
                assert stream.read().startswith(b"HTTP/1.1 200 OK")


def test_keep_alive_is_the_default(configured: Run) -> None:
    """Two requests on one connection; `--http1-keep-alive` says the same on both servers."""
    connection = http.client.HTTPConnection("127.0.0.1", configured.port, timeout=20)
    for _ in range(2):
        connection.request("GET", "/")
        sock = connection.sock
        assert connection.getresponse().read() == b'{"message":"hello"}'
        assert connection.sock is sock
    connection.close()


def test_what_an_endpoint_raised_is_read_line_by_line(plain: Run) -> None:
    """Its traceback is indented below the server's line, in every mode."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(plain, "/raise")
    caught.value.close()
    until(lambda: "    forged\n" in plain.text, "the exception is logged")
    lines = plain.text.splitlines()
    assert "    ValueError: wrong" in lines
    assert "    forged" in lines
    assert any(line.startswith("      File ") and line.endswith("in fail") for line in lines)


IMPORTED = """
print("imported-here", flush=True)
from velithon import Velithon
app = Velithon()
app.get("/")(lambda: "answer")
"""


@pytest.mark.parametrize(("options", "imports"), [(("--check-import",), 2), (("--no-check-import",), 1)])
def test_the_application_is_imported_once_where_an_option_says_so(options: tuple[str, ...], imports: int) -> None:
    """By the worker alone; else once before it, so that a mistake is told at once."""
    with serve(IMPORTED, "granian-rsgi", *options) as running:
        assert httpx2.get(running.url).json() == "answer"
        assert running.log.count("imported-here") == imports
