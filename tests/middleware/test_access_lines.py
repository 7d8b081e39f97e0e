"""Access lines that are written without a record: the same lines, and records as soon as somebody would see them."""

from __future__ import annotations

import asyncio
import io
import logging
import logging.config
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.middleware import Middleware

from tests.conftest import ClientFactory
from velithon import Velithon
from velithon._runtime.lines import find_line_handlers
from velithon.logging import Console, JSONFormatter, RotatingFile, TextFormatter, configure_logging
from velithon.middleware.logging import LoggingMiddleware
from velithon.middleware.request_id import RequestIDMiddleware

NAME = "test.lines"


class Lines:
    """A logger with a console handler of ours that writes into memory."""

    def __init__(self, formatter: logging.Formatter) -> None:
        self.stream = io.StringIO()
        self.handler = Console(self.stream)
        self.handler.setFormatter(formatter)
        self.logger = logging.getLogger(NAME)
        self.logger.propagate = False
        self.logger.setLevel(logging.INFO)
        self.logger.addHandler(self.handler)

    def leave_out_pytest(self) -> None:
        """Take away the handlers that pytest adds for each phase of a test."""
        self.logger.handlers[:] = [self.handler]

    @property
    def text(self) -> str:
        return re.sub(r"[\d.]+ms|\d{4}-\d\d-\d\dT[\d:.]+Z|(?<=duration_ms\":)[\d.]+", "#", self.stream.getvalue())


@pytest.fixture(params=["text", "json"])
def lines(request: pytest.FixtureRequest) -> Iterator[Lines]:
    made = Lines(TextFormatter() if request.param == "text" else JSONFormatter())
    yield made
    made.logger.handlers.clear()
    made.logger.filters.clear()
    made.logger.propagate = True


@pytest.fixture
def app() -> Velithon:
    app = Velithon(middleware=[Middleware(RequestIDMiddleware), Middleware(LoggingMiddleware, logger=NAME)])

    @app.get("/{name:path}")
    async def read(name: str) -> str:
        return name

    return app


def _ask(app: Velithon, client: ClientFactory) -> None:
    http = client(app)
    for path in ("/a", "/b%0Ac%20%22?secret=1", "/é"):
        http.get(path, headers={"x-request-id": "r1"})
    http.post("/a", headers={"x-request-id": "r2"})


def test_a_line_is_what_its_record_would_have_been(app: Velithon, client: ClientFactory, lines: Lines) -> None:
    lines.leave_out_pytest()
    _ask(app, client)
    without_records = lines.text
    assert find_line_handlers(lines.logger, logging.INFO) == [lines.handler]
    lines.stream.seek(0)
    lines.stream.truncate()
    seen: list[Any] = []
    lines.handler.addFilter(_noting(seen))
    _ask(app, client)
    assert lines.text == without_records
    assert len(seen) == without_records.count("\n") == 4
    assert "WARNING" in without_records
    assert "secret" not in without_records
    for line in without_records.splitlines():
        assert "testclient" in line
        assert "HTTP/1.1" in line


def _noting(records: list[Any]) -> Callable[[logging.LogRecord], bool]:
    def note(record: logging.LogRecord) -> bool:
        records.append(record)
        return True

    return note


def test_whoever_would_see_a_record_gets_one(
    app: Velithon,
    client: ClientFactory,
    lines: Lines,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    records: list[Any] = []

    class Own(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    for_pytest = [handler for handler in lines.logger.handlers if handler is not lines.handler]
    lines.leave_out_pytest()

    def ask() -> list[Any]:
        records.clear()
        client(app).get("/a")
        return [getattr(record, "path", None) for record in records]

    assert ask() == []
    lines.logger.addHandler(handler := Own())
    assert ask() == ["/a"]
    lines.logger.removeHandler(handler)
    lines.logger.addFilter(_noting(records))
    assert ask() == ["/a"]
    lines.logger.filters.clear()
    lines.logger.handlers += for_pytest
    lines.logger.propagate = not for_pytest
    with caplog.at_level(logging.INFO):
        ask()
    assert [record.path for record in caplog.records if record.name == NAME] == ["/a"]  # type: ignore[attr-defined]  # one of our fields
    lines.leave_out_pytest()
    lines.logger.propagate = False

    def spy(logger: Any, record: Any) -> None:
        records.append(record)

    with monkeypatch.context() as patched:
        patched.setattr(logging.Logger, "callHandlers", spy)
        assert ask() == ["/a"]

    class Shouting(TextFormatter):
        def format(self, record: logging.LogRecord) -> str:
            records.append(record)
            return super().format(record).upper()

    lines.handler.setFormatter(Shouting())
    assert ask() == ["/a"]
    assert "GET /A" in lines.text
    make = logging.getLogRecordFactory()

    def factory(*args: Any, **options: Any) -> logging.LogRecord:
        records.append(made := make(*args, **options))
        return made

    lines.handler.setFormatter(TextFormatter())
    logging.setLogRecordFactory(factory)
    try:
        assert ask() == ["/a"]
    finally:
        logging.setLogRecordFactory(make)


@pytest.mark.parametrize("log_format", ["text", "json", "pretty"])
def test_what_configure_logging_sets_up_takes_lines(log_format: Any, tmp_path: Path) -> None:
    config = configure_logging(log_format=log_format, file=tmp_path / "log", apply=False)
    # To a logger of its own instead of the root, which is everybody's.
    config["loggers"] = {"test.configured": {"handlers": config["root"].pop("handlers"), "propagate": False}}
    del config["root"]
    logging.config.dictConfig(config)
    logger = logging.getLogger("test.configured")
    found = find_line_handlers(logger, logging.INFO)
    assert found is not None
    assert [type(handler) for handler in found] == [Console, RotatingFile]
    for handler in found:
        handler.close()
    logger.handlers.clear()


def test_a_level_keeps_a_line_away(app: Velithon, client: ClientFactory, lines: Lines) -> None:
    lines.handler.setLevel(logging.WARNING)
    _ask(app, client)
    assert lines.stream.getvalue().count("\n") == 2
    lines.logger.setLevel(logging.CRITICAL)
    _ask(app, client)
    assert lines.stream.getvalue().count("\n") == 2


def _waiting(handler: Any, put: list[str]) -> None:
    """Put lines into a handler in a loop that ends before it would write them."""

    async def main() -> None:
        for line in put:
            handler.put_line(line)
        asyncio.get_running_loop().stop()

    loop = asyncio.new_event_loop()
    task = loop.create_task(main())
    loop.run_forever()
    assert task.done()
    loop.close()


@pytest.mark.parametrize("end", ["flush", "close", "emit"])
def test_no_line_is_lost_where_the_loop_ends_first(end: str, tmp_path: Path) -> None:
    stream = io.StringIO()
    file = RotatingFile(str(tmp_path / "log"))
    for handler in (Console(stream), file):
        _waiting(handler, ["one", "two"])
        _waiting(handler, ["three"])
        if end == "emit":
            handler.emit(logging.makeLogRecord({"msg": "four"}))
        else:
            getattr(handler, end)()
    expected = "one\ntwo\nthree\n" + ("four\n" if end == "emit" else "")
    assert stream.getvalue() == expected
    assert (tmp_path / "log").read_text() == expected
    file.close()


def test_lines_rotate_files_as_records_do(tmp_path: Path) -> None:
    handler = RotatingFile(str(tmp_path / "log"), max_bytes=20, backup_count=5)
    _waiting(handler, [f"line {number}" for number in range(7)])
    handler.flush()
    handler.close()
    files = [tmp_path / name for name in ("log.3", "log.2", "log.1", "log")]
    assert [file.read_text().split("\n")[:-1] for file in files] == [
        ["line 0", "line 1"], ["line 2", "line 3"], ["line 4", "line 5"], ["line 6"],
    ]  # fmt: skip


def test_what_cannot_be_written_is_told_and_raises_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    stream.close()
    handler = Console(stream)
    _waiting(handler, ["lost"])
    handler.write_waiting()
    assert "I/O operation on closed file" in capsys.readouterr().err
    assert sys.exc_info() == (None, None, None)
