"""Log lines: their form, their safety, and files shared by processes."""

import asyncio
import json
import logging
import logging.config
import multiprocessing
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect

from velithon._runtime.pretty import PrettyFormatter
from velithon.logging import (
    AccessFilter,
    JSONFormatter,
    RotatingFile,
    TextFormatter,
    configure_logging,
    escape_controls,
)
from velithon.websocket.trampoline import run_trampoline


def record(message: Any, *args: Any, name: str = "shop", **extra: Any) -> logging.LogRecord:
    """A record as a logger makes it."""
    return logging.getLogger(name).makeRecord(name, logging.INFO, "shop.py", 1, message, args, None, extra=extra)


def failed(message: str) -> logging.LogRecord:
    """A record with the traceback of an error with `message`."""
    made = record("it failed")
    try:
        raise ValueError(message)
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


@pytest.fixture
def restored() -> Iterator[None]:
    """Put the root logger back after a test that configures logging."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:], root.level = handlers, level


def test_a_pretty_line_is_short_and_coloured() -> None:
    """Of a request: method, path, status and time; of anything else: level, logger and message, escaped."""
    clock = r"\x1b\[2m\d\d:\d\d:\d\d\x1b\[0m"
    fields: dict[str, Any] = {"method": "GET", "path": "/items?q=a", "status": 404, "duration_ms": 1.234}
    line = rf"{clock} \x1b\[1mGET    \x1b\[0m /items\?q=a \x1b\[33m404\x1b\[0m \x1b\[2m1\.2 ms\x1b\[0m"
    pretty = PrettyFormatter()
    assert re.fullmatch(line, pretty.format(record("x", **fields)))
    values = ("127.0.0.1", "GET", "/items?q=a", "HTTP/1.1", 404, 1.234, None)
    assert re.fullmatch(line, pretty.format_access("velithon.access", "WARNING", 0.0, "x", values))
    assert re.fullmatch(rf"{clock} \x1b\[32mINFO   \x1b\[0m shop: a\\x1bb", pretty.format(record("a\x1bb")))
    assert pretty.format(failed("why")).endswith("\n    ValueError: why")


def test_a_pretty_log_is_plain_in_a_file(tmp_path: Path) -> None:
    """Who reads a file has no terminal."""
    config = configure_logging(log_format="pretty", file=tmp_path / "log", apply=False)
    formatters = {name: config["formatters"][item["formatter"]]["()"] for name, item in config["handlers"].items()}
    assert formatters == {
        "console": "velithon._runtime.pretty.PrettyFormatter",
        "file": "velithon.logging.TextFormatter",
    }


def test_a_text_line_has_time_level_logger_and_message() -> None:
    """The time is RFC 3339 in UTC with milliseconds."""
    line = TextFormatter().format(record("sold %d", 3))
    match = re.fullmatch(r"(\S+) INFO     shop: sold 3", line)
    assert match is not None
    assert datetime.fromisoformat(match[1]).utcoffset() is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", match[1])


def test_a_text_line_names_the_request_once() -> None:
    """After the logger, unless the message has it at its end; and it cannot forge a line either."""
    made = record("sold")
    made.request_id = "r1"
    assert TextFormatter().format(made).endswith(" shop [r1]: sold")
    access = record("GET / 200 r1")
    access.request_id = "r1"
    assert TextFormatter().format(access).endswith(" shop: GET / 200 r1")
    made.request_id = "a\nb"
    assert TextFormatter().format(made).endswith(" shop [a\\nb]: sold")


def test_a_json_line_is_one_object_with_the_extras() -> None:
    """Timestamp, level, logger and message have fixed names; extras keep theirs and their types."""
    line = JSONFormatter().format(record("sold %d", 3, order=7, items=["a"], name_="x"))
    fields = json.loads(line)
    assert "\n" not in line
    assert datetime.fromisoformat(fields.pop("timestamp")).utcoffset() is not None
    expected = {"level": "INFO", "logger": "shop", "message": "sold 3", "order": 7, "items": ["a"], "name_": "x"}
    assert fields == expected


@pytest.mark.parametrize("name", ["_granian.utils", "granian", "uvicorn.error"])
@pytest.mark.parametrize("head", ["Application callable raised an exception\n", ""])
def test_tracebacks_in_the_messages_of_servers_are_tracebacks(name: str, head: str) -> None:
    """Granian logs what an endpoint raised as text; nothing in it begins a line, and other loggers stay as they are."""
    trace = "Traceback (most recent call last):\n  File x\nValueError: a\n2026 ERROR forged: \x1b[31m"
    made = record(head + trace)
    made.name = name
    first, *below = TextFormatter().format(made).split("\n")
    said = head.rstrip() or "Traceback"
    assert first.endswith(f": {said}")
    assert [line[4:] for line in below] == trace.replace("\x1b", "\\x1b").split("\n")
    assert all(line.startswith("    ") for line in below)
    fields = json.loads(JSONFormatter().format(made))
    assert (fields["message"], fields["exception"]) == (said, trace)
    made.name = "shop"
    assert "\n" not in TextFormatter().format(made)


def test_an_extra_cannot_hide_a_field() -> None:
    """An extra named like a field of the line gets an underscore."""
    fields = json.loads(JSONFormatter().format(record("m", level="fake", logger="fake", timestamp="fake")))
    assert (fields["level"], fields["logger"]) == ("INFO", "shop")
    assert (fields["level_"], fields["logger_"], fields["timestamp_"]) == ("fake", "fake", "fake")


@pytest.mark.parametrize("value", [object(), {1: object()}, {("a", 1): 2}, 2**70, "\ud800", b"x", float("nan")])
def test_values_that_json_lacks_do_not_break_the_line(value: Any) -> None:
    """Whatever an extra holds, the line is JSON."""
    fields = json.loads(JSONFormatter().format(record("m", value=value)))
    assert "value" in fields
    assert fields["message"] == "m"


@pytest.mark.parametrize(
    ("hostile", "escaped"),
    [
        ("a\nb", "a\\nb"),
        ("a\r\nb", "a\\r\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u2028b\u202eb", "a\\u2028b\\u202eb"),
        ("\x00\x7f", "\\x00\\x7f"),
        ("\ud800", "\\ud800"),
        ("tab\tand Zoë 你", "tab\tand Zoë 你"),
    ],
)
def test_control_characters_are_escaped(hostile: str, escaped: str) -> None:
    """Neither a new line nor a command to the terminal gets through; other text stays as it is."""
    assert escape_controls(hostile) == escaped
    line = TextFormatter().format(record("%s", hostile))
    assert line.endswith(f"shop: {escaped}")
    assert len(line.splitlines()) == 1
    written = JSONFormatter().format(record("%s", hostile))
    assert len(written.splitlines()) == 1
    assert "\x1b" not in written
    assert "\x9b" not in written


def test_a_traceback_cannot_forge_a_line() -> None:
    """Its lines are indented in text, and one field in JSON."""
    forged = "x\n2026-01-01T00:00:00.000Z INFO     shop: all is well\x1b[2J"
    first, *rest = TextFormatter().format(failed(forged)).split("\n")
    assert first.endswith("shop: it failed")
    assert all(line.startswith("    ") for line in rest)
    assert "\x1b" not in "".join(rest)
    fields = json.loads(JSONFormatter().format(failed(forged)))
    assert fields["exception"].startswith("Traceback")
    assert fields["exception"].endswith(forged)


def test_stack_information_is_kept() -> None:
    """`stack_info=True` reaches both formats."""
    made = record("here")
    made.stack_info = "Stack (most recent call last):\n  somewhere"
    assert "\n      somewhere" in TextFormatter().format(made)
    assert json.loads(JSONFormatter().format(made))["stack"].startswith("Stack")


def test_access_records_of_both_servers_have_one_form() -> None:
    """The path is quoted, as Granian hands it decoded; the fields go to the JSON line."""
    granian = record(
        "%(addr)s",
        {
            "addr": "127.0.0.1",
            "time": "t",
            "dt_ms": 1.23456,
            "status": 200,
            "path": '/a\n\x1b "x',
            "query_string": "q=1",
            "method": "GET",
            "scheme": "http",
            "protocol": "HTTP/1.1",
        },
        name="granian.access",
    )
    uvicorn = record(
        '%s - "%s %s HTTP/%s" %d', "127.0.0.1:5000", "GET", "/a%0A%1B%20%22x?q=1", "1.1", 200, name="uvicorn.access"
    )
    for made in (granian, uvicorn):
        assert AccessFilter().filter(made)
    line = '127.0.0.1 "GET /a%0A%1B%20%22x?q=1 HTTP/1.1" 200'
    assert granian.getMessage() == f"{line} 1.235ms"
    assert uvicorn.getMessage() == line
    fields = json.loads(JSONFormatter().format(granian))
    assert fields["duration_ms"] == 1.235
    assert {key: fields[key] for key in ("client", "method", "path", "protocol", "status")} == {
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/a%0A%1B%20%22x?q=1",
        "protocol": "HTTP/1.1",
        "status": 200,
    }


LEFT = (
    "Traceback (most recent call last):\n  File trampoline.py\n  File x\n"
    "starlette.websockets.WebSocketDisconnect: (1005, '')\n"
)


async def leaving(name: str) -> None:
    """Run an endpoint whose client leaves, as a WebSocket's endpoint is run."""

    async def endpoint() -> None:
        raise WebSocketDisconnect(1005)

    await run_trampoline({}, endpoint())


@pytest.mark.parametrize("name", ["_granian", "uvicorn.error"])
def test_a_client_that_leaves_a_websocket_writes_one_line(
    name: str, capsys: pytest.CaptureFixture[str], restored: None
) -> None:
    """Granian logs the traceback as text, Uvicorn as an exception; neither is the application's mistake."""
    configure_logging("INFO")
    logger = logging.getLogger(name)
    logger.error(f"Application callable raised an exception\n{LEFT}")  # noqa: G004 - as Granian does
    try:
        asyncio.run(leaving(name))
    except WebSocketDisconnect:
        logger.exception("Exception in ASGI application\n")
        logging.getLogger("shop").exception("of the shop")
    lines = capsys.readouterr().out.splitlines()
    for line in lines[:2]:
        assert " INFO " in line
        assert line.endswith("left before its endpoint had ended")
    assert "of the shop" in lines[2]
    assert "Traceback" in lines[3]


@pytest.mark.parametrize("name", ["_granian", "uvicorn.error"])
def test_other_failures_of_websockets_keep_their_traceback(
    name: str, capsys: pytest.CaptureFixture[str], restored: None
) -> None:
    configure_logging("WARNING")
    logging.getLogger(name).error(LEFT.replace("WebSocketDisconnect", "WebSocketDisconnected"))
    logging.getLogger(name).error(LEFT)
    # an HTTP endpoint that raises it made a mistake
    logging.getLogger(name).error(LEFT.replace("trampoline", "endpoint"))
    printed = capsys.readouterr().out
    assert printed.count("starlette.websockets") == 2
    assert "left" not in printed


def test_the_access_filter_leaves_other_records_alone() -> None:
    """A message of the application passes unchanged."""
    made = record("sold %d", 3)
    assert AccessFilter().filter(made)
    assert made.getMessage() == "sold 3"


def test_files_rotate_by_size_and_the_oldest_goes(tmp_path: Path) -> None:
    """No file exceeds the size; `backup_count` files are kept, `.1` being the newest."""
    file = tmp_path / "app.log"
    handler = RotatingFile(str(file), max_bytes=100, backup_count=2)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for number in range(40):
        handler.handle(record(f"{number:09}"))
    handler.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.log", "app.log.1", "app.log.2"]
    lines = [path.read_text().split() for path in (tmp_path / "app.log.2", tmp_path / "app.log.1", file)]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())
    assert [int(line) for part in lines for line in part] == list(range(10, 40))


def test_size_is_counted_in_bytes(tmp_path: Path) -> None:
    """A line of multi-byte characters counts as what it takes in the file."""
    handler = RotatingFile(str(tmp_path / "app.log"), max_bytes=100, backup_count=5)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for _ in range(4):
        handler.handle(record("你" * 20))
    handler.close()
    assert {path.stat().st_size for path in tmp_path.iterdir()} == {61}


@pytest.mark.parametrize(("max_bytes", "backup_count", "files"), [(0, 3, 1), (100, 0, 1)])
def test_no_rotation_and_no_backups(tmp_path: Path, max_bytes: int, backup_count: int, files: int) -> None:
    """`max_bytes=0` lets the file grow; `backup_count=0` empties it when it is full."""
    handler = RotatingFile(str(tmp_path / "app.log"), max_bytes=max_bytes, backup_count=backup_count)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for number in range(40):
        handler.handle(record(f"{number:09}"))
    handler.close()
    assert len(list(tmp_path.iterdir())) == files
    written = (tmp_path / "app.log").read_text().split()
    assert len(written) == (40 if not max_bytes else 10)
    assert written[-1] == "000000039"


def test_a_deleted_file_is_made_again(tmp_path: Path) -> None:
    """Who deletes or moves the file by hand gets a new one with the next line."""
    file = tmp_path / "app.log"
    handler = RotatingFile(str(file))
    handler.handle(record("one"))
    file.rename(tmp_path / "moved")
    handler.handle(record("two"))
    handler.close()
    assert file.read_text() == "two\n"


def _write(file: str, process: int) -> None:
    logging.config.dictConfig(configure_logging("info", file=file, max_bytes=2_000, backup_count=1000, apply=False))
    logger = logging.getLogger("shop")
    logging.getLogger().removeHandler(logging.getLogger().handlers[0])
    for number in range(200):
        logger.info("process %d line %d end", process, number)
    logging.shutdown()


def test_processes_share_a_file_without_losing_lines(tmp_path: Path) -> None:
    """Three spawned processes write 600 lines while the file rotates: every line is there once, whole."""
    file = tmp_path / "app.log"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write, args=(str(file), number)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    text = "".join(path.read_text() for path in tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) > 10
    found = sorted(tuple(map(int, pair)) for pair in re.findall(r"process (\d) line (\d+) end\n", text))
    assert found == sorted((process, line) for process in range(3) for line in range(200))
    assert len(text.splitlines()) == 600


def test_one_configuration_serves_application_and_servers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], restored: None
) -> None:
    """Console and file get the same lines, from the servers' loggers and the application's."""
    file = tmp_path / "app.log"
    configure_logging("WARNING", log_format="json", file=file)
    logging.getLogger("_granian").warning("of granian")
    logging.getLogger("uvicorn.error").warning("of uvicorn")
    logging.getLogger("shop").warning("of the shop")
    logging.getLogger("shop").info("too low")
    console = capsys.readouterr().out
    assert console == file.read_text()
    lines = [json.loads(line) for line in console.splitlines()]
    assert [(line["logger"], line["message"]) for line in lines] == [
        ("granian", "of granian"),
        ("uvicorn.error", "of uvicorn"),
        ("shop", "of the shop"),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "loud"}, "(?i)log level"),
        ({"log_format": "xml"}, "(?i)log format"),
        ({"max_bytes": -1}, "negative"),
        ({"backup_count": -1}, "negative"),
    ],
)
def test_mistakes_are_named(options: dict[str, Any], message: str) -> None:
    """What is not accepted is raised, with what is."""
    with pytest.raises(ValueError, match=message):
        configure_logging(**options, apply=False)


@pytest.mark.parametrize("formatter", [TextFormatter(), JSONFormatter()])
def test_a_newline_at_the_end_of_a_message_is_no_part_of_it(formatter: logging.Formatter) -> None:
    """Uvicorn ends a message with one."""
    record = logging.LogRecord("uvicorn.error", logging.ERROR, __file__, 1, "Exception in ASGI application\n", (), None)
    line = formatter.format(record)
    assert "application" in line
    assert "\\n" not in line
