"""What `velithon run` accepts, refuses, and hands to a server."""

import json
import logging
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from velithon.cli import app as cli
from velithon.cli.version import describe_version
from velithon_adapters.servers import OptionError, ServerConfig, ServerError, ServerName, get_runner

APP = "async def app(scope, receive, send): ...\n"
BOTH: tuple[ServerName, ...] = ("granian", "uvicorn")


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with an application, and the logging of the test run back after it."""
    (tmp_path / "shop.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield tmp_path
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:], root.level = handlers, level
    sys.modules.pop("shop", None)


@pytest.fixture
def busy() -> Iterator[int]:
    """A port that somebody listens on, as another Granian would."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock.getsockname()[1]


def run(*arguments: str, env: Mapping[str, str | None] | None = None) -> Result:
    """Run the command in this process; the tests give it reasons to end before a server starts."""
    return CliRunner().invoke(cli, ["run", *arguments], env=env)


def refused(result: Result) -> str:
    """The one line that was written to the standard error."""
    assert result.exit_code == 1, result.output
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("velithon: ")
    assert "Traceback" not in result.output
    return result.stderr.removeprefix("velithon: ").strip()


def test_help_names_every_option_of_the_guide() -> None:
    """Not one name is cut."""
    guide = """
        --app --host --port --workers --reload --log-level --log-to-file --log-file --log-format --max-bytes
        --backup-count --ssl-certificate --ssl-keyfile --ssl-keyfile-password --http --http1-keep-alive
        --http1-header-read-timeout --http2-max-concurrent-streams --http2-initial-connection-window-size
        --runtime-threads --blocking-threads --runtime-mode --loop --backpressure --server --interface --factory --uds
        --url-path-prefix --access-log --workers-kill-timeout --respawn-failed-workers --env-file --task-impl
    """
    for columns in ("40", "80", "200"):
        text = CliRunner().invoke(cli, ["run", "--help"], env={"COLUMNS": columns}).output
        assert [name for name in guide.split() if not re.search(rf"^│ {name}[ \n]", text, re.M)] == []


def test_the_version_is_shown() -> None:
    """`velithon --version`, and the same by `python -m velithon`."""
    assert CliRunner().invoke(cli, ["--version"]).output == f"{describe_version()}\n"
    command = [sys.executable, "-m", "velithon", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"{describe_version()}\n"


@pytest.mark.parametrize("server", BOTH)
def test_a_busy_port_is_one_line(busy: int, server: str) -> None:
    """Also on Granian, which would share the port with another Granian."""
    line = refused(run("shop:app", "--server", server, "--port", str(busy)))
    assert line == f"Cannot listen on 127.0.0.1:{busy}: the port is in use; choose another with --port"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "No application was given"),
        (["--app", "nowhere:app"], "there is no module 'nowhere'"),
        (["--app", "shop:nothing"], "module 'shop' has no attribute 'nothing'; applications there: app"),
        (["shop:APP"], "has no attribute 'APP'"),
        (["shop:app", "--app", "shop:other"], "Two applications were given"),
        (["shop:app", "--env-file", "nothing.env"], "--env-file: there is no file nothing.env"),
        (["shop:app", "--host", "no such host"], "There is no host 'no such host'"),
        (["shop:app", "--host", "192.0.2.1"], "this machine does not have that address"),
        (["shop:app", "--uds", "shop.py"], "the file exists and is no socket"),
        (["shop:app", "--uds", "nowhere/sock"], "Cannot listen on unix:nowhere/sock"),
        (["shop:app", "--max-bytes", "5"], "--max-bytes needs --log-to-file."),
        (["shop:app", "--backup-count", "5"], "--backup-count needs --log-to-file."),
        (["shop:app", "--log-file", "nowhere/app.log"], "--log-file: there is no directory"),
        (["shop:app", "--log-file", "."], "--log-file: cannot write to ."),
        (["shop:app", "--ssl-certificate", "shop.py"], "--ssl-certificate needs --ssl-keyfile"),
        (["shop:app", "--ssl-keyfile", "shop.py"], "--ssl-keyfile needs --ssl-certificate"),
        (["shop:app", "--ssl-keyfile-password", "x"], "--ssl-keyfile-password needs --ssl-certificate"),
        (["shop:app", "--ssl-certificate", "x.pem", "--ssl-keyfile", "y.pem"], "there is no file x.pem"),
        (["shop:app", "--ssl-certificate", "shop.py", "--ssl-keyfile", "shop.py"], "Cannot use shop.py with shop.py"),
    ],
)
@pytest.mark.parametrize("server", BOTH)
def test_a_mistake_is_one_line(server: str, arguments: list[str], said: str) -> None:
    """On the standard error, with a status that is not 0 and without a traceback."""
    assert said in refused(run(*arguments, "--server", server))


@pytest.mark.parametrize(
    "options",
    [
        ["--port", "70000"], ["--workers", "0"], ["--http", "3"], ["--log-level", "loud"], ["--server", "apache"],
        ["--interface", "wsgi"], ["--http1-header-read-timeout", "0"], ["--workers-kill-timeout", "0"], ["--nonsense"],
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_a_usage_error(options: list[str]) -> None:
    """Status 2, with the option named."""
    result = run("shop:app", *options)
    assert result.exit_code == 2
    assert options[0] in result.stderr
    assert "Value error" not in result.stderr


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--interface", "rsgi"], "--interface rsgi"),
        (["--http", "2"], "--http 2"),
        (["--no-http1-keep-alive"], "--no-http1-keep-alive"),
        (["--http1-header-read-timeout", "1000"], "--http1-header-read-timeout"),
        (["--http1-buffer-size", "10000"], "--http1-buffer-size"),
        (["--http1-pipeline-flush"], "--http1-pipeline-flush"),
        (["--http2-adaptive-window"], "--http2-adaptive-window"),
        (["--no-http2-adaptive-window"], "--no-http2-adaptive-window"),
        (["--http2-max-concurrent-streams", "100"], "--http2-max-concurrent-streams"),
        (["--http2-keep-alive-interval", "100"], "--http2-keep-alive-interval"),
        (["--runtime-threads", "2"], "--runtime-threads"),
        (["--runtime-mode", "mt"], "--runtime-mode"),
        (["--runtime-blocking-threads", "2"], "--runtime-blocking-threads"),
        (["--task-impl", "asyncio"], "--task-impl"),
        (["--backpressure", "10"], "--backpressure"),
        (["--loop", "rloop"], "--loop rloop"),
        (["--reload", "--workers", "2"], "--reload with --workers"),
        (["--reload", "--respawn-failed-workers"], "--reload with --respawn-failed-workers"),
    ],
)
def test_uvicorn_names_what_it_cannot_honour(options: list[str], named: str) -> None:
    """The line names server and option, and says what to do instead."""
    line = refused(run("shop:app", "--server", "uvicorn", *options))
    assert line.startswith(f"uvicorn cannot honour {named}: ")
    assert re.search("use |leave one|bounds those", line)


def test_granian_names_what_it_cannot_honour() -> None:
    """A loop that is not installed, with those that are."""
    line = refused(run("shop:app", "--loop", "winloop"))
    assert line == "granian cannot honour --loop winloop: it is not installed; available are asyncio, auto, uvloop"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Granian's own tasks need Python 3.11")
def test_granian_has_its_own_tasks_on_old_pythons_only() -> None:
    """Granian itself would fall back without being asked."""
    assert "--task-impl rust" in refused(run("shop:app", "--task-impl", "rust"))


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("VELITHON_HTTP", "2", "uvicorn cannot honour --http 2"),
        ("VELITHON_HTTP2_MAX_FRAME_SIZE", "2048", "uvicorn cannot honour --http2-max-frame-size"),
        ("VELITHON_HTTP1_KEEP_ALIVE", "false", "uvicorn cannot honour --no-http1-keep-alive"),
        ("VELITHON_APP", "nowhere:app", "there is no module 'nowhere'"),
        ("VELITHON_LOG_FILE", "nowhere/x", "--log-file: there is no directory"),
    ],
)
def test_options_come_from_the_environment(variable: str, value: str, said: str) -> None:
    """`VELITHON_` and the option's name."""
    target = [] if variable == "VELITHON_APP" else ["shop:app"]
    assert said in refused(run(*target, env={"VELITHON_SERVER": "uvicorn", variable: value}))


def test_the_argument_wins_over_the_environment() -> None:
    """Two applications are a mistake only when both were written."""
    assert "no module 'written'" in refused(run("written:app", env={"VELITHON_APP": "nowhere:app"}))


def test_an_environment_file_sets_options_and_the_environment_wins(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is read before the other options; what is set already stays."""
    for name in ("VELITHON_SERVER", "VELITHON_HTTP", "VELITHON_APP"):
        monkeypatch.setenv(name, "")  # so that what the file sets is undone
        monkeypatch.delenv(name)
    (directory / "app.env").write_text("VELITHON_SERVER=uvicorn\nVELITHON_HTTP=2\nVELITHON_APP=file:app\n")
    assert refused(run("--env-file", "app.env")).startswith("uvicorn cannot honour --http 2")
    monkeypatch.setenv("VELITHON_HTTP", "1")
    assert "no module 'file'" in refused(run("--env-file", "app.env"))


def test_an_import_error_shows_the_users_traceback(directory: Path) -> None:
    """It is the user's code that failed, so its traceback is what helps."""
    (directory / "broken.py").write_text("x = 1 / 0\n")
    result = run("broken:app")
    assert result.exit_code == 1
    assert "broken.py" in result.stderr
    assert result.stderr.rstrip().endswith("ZeroDivisionError: division by zero")
    assert "velithon/cli" not in result.stderr


def test_errors_can_be_caught_by_their_kind() -> None:
    """The runners are usable without the command line."""
    config = ServerConfig(load=lambda: None, http="2")
    with pytest.raises(OptionError) as caught:
        get_runner("uvicorn").check(config)
    assert (caught.value.server, caught.value.option) == ("uvicorn", "--http 2")
    with pytest.raises(ServerError):
        get_runner("granian").check(ServerConfig(load=lambda: None, ssl_certificate=Path("x")))


def test_a_password_is_not_shown() -> None:
    """A configuration may be logged."""
    assert "secret" not in repr(ServerConfig(load=lambda: None, ssl_keyfile_password="secret"))


@pytest.mark.parametrize(
    ("code", "said", "raised"),
    [
        ("import json\njson.loads('{')\n", "importing 'shop' failed", "JSONDecodeError"),
        ("other = 1\n", "Cannot load 'shop:app': module 'shop' has no attribute 'app'", None),
        ("raise SystemExit('100%s\\n')", "importing 'shop' failed", "SystemExit: 100%s"),
    ],
)
def test_where_the_log_is_json_a_failure_is_one_record(
    directory: Path, code: str, said: str, raised: str | None
) -> None:
    """On the standard error and with the status that it has as text."""
    (directory / "shop.py").write_text(code)
    result = run("shop:app", "--log-format", "json")
    assert (result.exit_code, result.stdout) == (1, "")
    record = json.loads(result.stderr)
    assert result.stderr.count("\n") == 1
    assert (record["level"], record["logger"], record["message"]) == ("ERROR", "velithon", said)
    assert ("exception" in record) is (raised is not None)
    if raised is not None:
        assert record["exception"].startswith("Traceback (most recent call last):")
        assert raised in record["exception"]


@pytest.mark.parametrize(("options", "said"), [(["--reload"], "development"), ([], "None")])
def test_who_reloads_is_developing(directory: Path, options: list[str], said: str) -> None:
    """`VELITHON_ENV` says so to the application, unless it is set."""
    (directory / "shop.py").write_text("import os\nraise RuntimeError(f'in {os.environ.get(\"VELITHON_ENV\")}')\n")
    assert f"RuntimeError: in {said}" in run("shop:app", *options, env={"VELITHON_ENV": None}).stderr
    assert "RuntimeError: in test" in run("shop:app", *options, env={"VELITHON_ENV": "test"}).stderr
