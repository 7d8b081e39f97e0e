"""One log format, text or JSON, for the application and both servers.

Lines go to the console and to files.

`configure_logging` returns a `logging.config` dictionary made of strings and numbers only, so that it can be handed
to worker processes whatever way they are started. Everything goes through the root logger: Granian's `_granian` and
`granian.access`, Uvicorn's `uvicorn.error` and `uvicorn.access` and the application's own loggers end in the same
lines.

A request decides part of what is logged. No line may be forged with it: control characters are escaped, and the lines
of a traceback are indented, so that only this module begins a line.
"""

from __future__ import annotations

import json
import logging
import logging.config
import os
import re
import traceback
import warnings
from datetime import UTC, datetime
from functools import lru_cache
from logging.handlers import BaseRotatingHandler
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote

import orjson

from velithon._runtime.access import is_access_logged
from velithon._runtime.json_values import JSONObject
from velithon._runtime.lines import LineHandler, access_fields

if TYPE_CHECKING:
    from io import TextIOWrapper
    from typing import TextIO

    from velithon._runtime.lines import AccessValues

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: one process a file
    fcntl = None  # type: ignore[assignment]  # a system without fcntl

__all__ = [
    "DEFAULT_BACKUP_COUNT",
    "DEFAULT_LOG_FILE",
    "DEFAULT_MAX_BYTES",
    "AccessFilter",
    "Console",
    "DisconnectFilter",
    "JSONFormatter",
    "LogFormat",
    "RotatingFile",
    "TextFormatter",
    "access_level",
    "configure_logging",
    "escape_controls",
    "log_warnings",
    "quiet_paths",
]

LogFormat = Literal["text", "json", "pretty"]

DEFAULT_LOG_FILE: Final = "velithon.log"
DEFAULT_MAX_BYTES: Final = 10 * 1024 * 1024
DEFAULT_BACKUP_COUNT: Final = 7

quiet_paths: set[str] = set()
"""Paths that no access log has, such as those of `velithon.health`."""

# C0 and C1 controls (a terminal acts on ESC and on U+009B alike), the two line separators that str.splitlines honours,
# the marks that reorder text on the screen, and lone surrogates, which no file can hold. The tab is harmless.
_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\r": "\\r"}

# What a record has without `extra=`; `message` and `asctime` are added by formatters, `taskName` by Python 3.12.
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}
_KEYS = frozenset({"timestamp", "level", "logger", "message", "exception", "stack"})

_TRACEBACK = "Traceback (most recent call last):"

# What may stand in a path and query (RFC 3986 3.3, 3.4); not the quotation mark, which ends the request line.
_PATH_SAFE = "/:@!$&'()*+,;=~%?"


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    return _SHORT.get(char) or (f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}")


def escape_controls(text: str) -> str:
    r"""Return `text` with control characters written as escapes (`\n`, `\x1b`).

    They could forge a log line or command a terminal.
    """
    return text if text.isprintable() else _CONTROLS.sub(_escape, text)


@lru_cache(maxsize=8)
def _format_time(number: int) -> str:
    """The time of a millisecond since 1970 by RFC 3339, in UTC."""
    seconds, rest = divmod(number, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def _split_traceback(name: str, message: str) -> tuple[str, str | None]:
    """Return a message and the traceback in it: servers log what an application raised as text of one message."""
    if name == "uvicorn.error" or name.partition(".")[0] == "granian":
        head, mark, rest = message.partition(_TRACEBACK)
        if mark and (not head or head.endswith("\n")):
            return head.rstrip("\n") or "Traceback", mark + rest
    return message, None


class TextFormatter(logging.Formatter):
    """One line a record: time (RFC 3339, UTC), level, logger, message.

    Tracebacks follow, indented by four spaces.

    A record that was made while a request with an identifier was answered has it after the logger: `shop [3f2a]: sold`.
    An access line has it at its end. Where requests are traced, the trace follows: `shop [3f2a] trace=0af7…: sold`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, and below it the lines of its traceback."""
        name = record.name.lstrip("_")
        message, block = _split_traceback(name, record.getMessage().rstrip("\n"))
        request_id = getattr(record, "request_id", None)
        if request_id is not None and not message.endswith(str(request_id)):
            name += f" [{request_id}]"
        trace_id = getattr(record, "trace_id", None)
        if trace_id is not None:
            name += f" trace={trace_id}"
        lines = [escape_controls(f"{_format_time(int(record.created * 1000))} {record.levelname:<8} {name}: {message}")]
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        for text in (block, record.exc_text, record.stack_info):
            if text:
                lines += [f"    {escape_controls(line)}" for line in text.rstrip().split("\n")]
        return "\n".join(lines)

    def format_access(self, name: str, level: str, created: float, message: str, values: AccessValues) -> str:
        """Return an access line without making a log record.

        Nothing in its parts needs to be escaped.
        """
        return f"{_format_time(int(created * 1000))} {level:<8} {name}: {message}"


class JSONFormatter(logging.Formatter):
    """Formats each record as one JSON object on a line.

    Its keys are `timestamp` (RFC 3339, UTC), `level`, `logger`, `message`, and those of `extra=`.

    A traceback is under `exception`, a stack under `stack`. An extra that would hide one of these six names gets an
    underscore after its own. Values that JSON does not have are written as their `str`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        name = record.name.lstrip("_")
        message, block = _split_traceback(name, record.getMessage().rstrip("\n"))
        fields: JSONObject = {
            "timestamp": _format_time(int(record.created * 1000)),
            "level": record.levelname,
            "logger": name,
            "message": message,
        }
        for key, value in record.__dict__.items():
            if key not in _STANDARD:
                fields[f"{key}_" if key in _KEYS else key] = value
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text or block:
            fields["exception"] = record.exc_text or block
        if record.stack_info:
            fields["stack"] = record.stack_info
        return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", _dump(fields))

    def format_access(self, name: str, level: str, created: float, message: str, values: AccessValues) -> str:
        """Return an access line without making a log record.

        Nothing in its parts needs to be escaped.
        """
        timestamp = _format_time(int(created * 1000))
        fields = {"timestamp": timestamp, "level": level, "logger": name, "message": message, **access_fields(values)}
        return orjson.dumps(fields).decode()


def _dump(fields: JSONObject) -> str:
    try:
        return orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except (
        orjson.JSONEncodeError
    ):  # lone surrogates, integers over 64 bits, cycles: rare, so the slower way is taken then
        return json.dumps({str(key): value if isinstance(value, str) else str(value) for key, value in fields.items()})


class AccessFilter(logging.Filter):
    """Bring the access records of Granian and of Uvicorn into one form.

    The message becomes `client "METHOD path HTTP/version" status` (Granian adds the milliseconds that it took), and the
    record carries `client`, `method`, `path`, `protocol`, `status` and, from Granian, `duration_ms`. Its level is
    that of `access_level`. Requests whose line `LoggingMiddleware` writes have no second one.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite an access record in place; let every record pass but those of `quiet_paths`."""
        args = record.args
        if isinstance(args, dict) and "dt_ms" in args:
            fields = _read_granian_fields(args)
        elif record.name == "uvicorn.access" and isinstance(args, tuple) and len(args) == 5:
            fields = _read_uvicorn_fields(*args)
        else:
            return True
        if is_access_logged(fields["status"]) or (quiet_paths and fields["path"].partition("?")[0] in quiet_paths):
            return False
        record.levelno = access_level(fields["status"])
        record.levelname = logging.getLevelName(record.levelno)
        record.__dict__.update(fields)
        record.msg = '{client} "{method} {path} {protocol}" {status}'.format_map(fields)
        if "duration_ms" in fields:
            record.msg += f" {fields['duration_ms']}ms"
        record.args = None
        return True


class DisconnectFilter(logging.Filter):
    """Turns a server's traceback of a departed WebSocket client into one INFO line.

    Servers log one when the endpoint does not catch the disconnect.

    An endpoint that does not catch `WebSocketDisconnect` did nothing wrong, and a client that leaves should not write a
    traceback of sixty lines into the log.
    """

    # It lets every line of `LoggingMiddleware` pass, so that these need no record for it.
    passes_access_lines = True

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite such a record of a server in place.

        Say whether it still is on the level that is logged.
        """
        if record.levelno < logging.ERROR or not record.name.startswith(("_granian", "granian", "uvicorn")):
            return True
        left = _is_disconnect(record.exc_info[1]) if record.exc_info else _mentions_disconnect(str(record.msg))
        if not left:
            return True
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.msg, record.args = "The client of a WebSocket left before its endpoint had ended", None
        record.exc_info = record.exc_text = None
        return logging.getLogger().isEnabledFor(logging.INFO)


# Every WebSocket's endpoint is called by this module: an HTTP endpoint that raises the same made a mistake.
_WEBSOCKETS_ONLY = "trampoline.py"


def _is_disconnect(exc: BaseException | None) -> bool:
    """Return whether an exception is a client's that left a WebSocket."""
    if exc is None or type(exc).__name__ != "WebSocketDisconnect":
        return False
    frames = traceback.walk_tb(exc.__traceback__)
    return any(frame.f_code.co_filename.endswith(_WEBSOCKETS_ONLY) for frame, _ in frames)


def _mentions_disconnect(text: str) -> bool:
    """Return whether the first traceback in a text is of a client that left a WebSocket; causes stand below it."""
    through = False
    for line in text.partition("Traceback (most recent call last):\n")[2].split("\n"):
        if not line.startswith(" "):
            return through and line.partition(":")[0].rpartition(".")[2] == "WebSocketDisconnect"
        through = through or _WEBSOCKETS_ONLY in line
    return False


def access_level(status: int) -> int:
    """Return the level of a request's access line.

    It is INFO, WARNING from status 400 on, ERROR from 500 on.
    """
    return logging.INFO if status < 400 else logging.WARNING if status < 500 else logging.ERROR


def _read_granian_fields(args: JSONObject) -> JSONObject:
    # Granian hands the decoded path, which may hold anything, and the query as it came
    path = quote(args["path"], safe=_PATH_SAFE.replace("%?", ""))
    query = f"?{quote(args['query_string'], safe=_PATH_SAFE)}" if args["query_string"] else ""
    return {
        "client": args["addr"],
        "method": args["method"],
        "path": path + query,
        "protocol": args["protocol"],
        "status": args["status"],
        "duration_ms": round(args["dt_ms"], 3),
    }


def _read_uvicorn_fields(client: object, method: object, path: object, version: object, status: object) -> JSONObject:
    return {
        "client": re.sub(r":\d+$", "", str(client)),
        "method": method,
        "path": quote(str(path), safe=_PATH_SAFE),
        "protocol": f"HTTP/{version}",
        "status": status,
    }


class Console(LineHandler, logging.StreamHandler["TextIO"]):
    """`logging.StreamHandler`, which takes access lines as text."""

    def write_lines(self, lines: list[str]) -> None:
        """Write lines in one go."""
        self.stream.write("\n".join([*lines, ""]))
        logging.StreamHandler.flush(self)


class RotatingFile(LineHandler, BaseRotatingHandler):
    """Append to a file and start a new one before it would grow over `max_bytes`.

    Safe for several processes at once.

    Older lines are in `name.1` (the newest) to `name.<backup_count>`. Every worker process writes to the same file: a
    lock on the file itself orders writes and rotations, and who finds the file rotated by another opens the new one.

    Args:
        filename: The file; its directory must exist.
        max_bytes: The size in bytes that no file exceeds, unless by a single longer line. 0 never rotates.
        backup_count: How many older files are kept. 0 keeps none: the file is emptied when it is full.
    """

    stream: TextIOWrapper | None  # type: ignore[assignment] # typeshed omits the None that delay=True leaves

    def __init__(
        self, filename: str, *, max_bytes: int = DEFAULT_MAX_BYTES, backup_count: int = DEFAULT_BACKUP_COUNT
    ) -> None:
        """Open the file; see the class for the arguments."""
        super().__init__(filename, mode="a", encoding="utf-8", errors="backslashreplace")
        self.max_bytes = max_bytes
        self.backup_count = backup_count

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, rotating before it when it would not fit."""
        self.write_waiting()
        try:
            self.write_lines([self.format(record)])
        except (OSError, ValueError, TypeError):
            self.handleError(record)

    def write_lines(self, lines: list[str]) -> None:
        """Write lines, rotating the file when the next one does not fit.

        As many as fit are written in one call.
        """
        stream = self._lock_file()
        try:
            waiting = b""
            size = os.fstat(stream.fileno()).st_size
            for text in lines:
                line = f"{text}\n".encode("utf-8", "backslashreplace")
                if self.max_bytes and size and size + len(line) > self.max_bytes:
                    os.write(stream.fileno(), waiting)
                    self.doRollover()
                    stream, waiting, size = self._lock_file(), b"", 0
                waiting += line
                size += len(line)
            os.write(stream.fileno(), waiting)
        finally:
            self._unlock_file()

    def doRollover(self) -> None:
        """Move every file one number up.

        The stream stays open, and locked, until all of them are moved.
        """
        if not self.backup_count:
            os.truncate(self.baseFilename, 0)
            return
        for number in range(self.backup_count - 1, 0, -1):
            if os.path.exists(f"{self.baseFilename}.{number}"):
                os.replace(f"{self.baseFilename}.{number}", f"{self.baseFilename}.{number + 1}")
        os.replace(self.baseFilename, f"{self.baseFilename}.1")

    def _lock_file(self) -> TextIOWrapper:
        """Return the stream of the file that has the name now, locked for this process."""
        while True:
            stream = self.stream or self._open()
            self.stream = stream
            if fcntl is not None:
                fcntl.flock(stream, fcntl.LOCK_EX)
            try:
                if os.path.samestat(os.fstat(stream.fileno()), os.stat(self.baseFilename)):
                    return stream
            except FileNotFoundError:
                pass  # rotated away, or deleted by hand: the next round makes it anew
            self.stream = None
            stream.close()

    def _unlock_file(self) -> None:
        if fcntl is not None and self.stream is not None:
            fcntl.flock(self.stream, fcntl.LOCK_UN)


def log_warnings() -> None:
    """Log Python's warnings by the logger `py.warnings`, not as text on standard error."""
    warnings.showwarning = _log_warning


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    logging.getLogger("py.warnings").warning("%s:%d: %s: %s", filename, lineno, category.__name__, message)


def configure_logging(
    level: str = "INFO",
    *,
    log_format: LogFormat = "text",
    file: str | os.PathLike[str] | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    backup_count: int = DEFAULT_BACKUP_COUNT,
    apply: bool = True,
) -> JSONObject:
    """Configure logging for this process and return the configuration for others.

    Args:
        level: A level's name in any case: `critical`, `error`, `warning`, `info` or `debug`.
        log_format: `text`, `json`, or `pretty`: short coloured lines on the console, and text in the file.
        file: Also write to this file, rotated by size. The console (standard output) is always written to.
        max_bytes: See `RotatingFile`.
        backup_count: See `RotatingFile`.
        apply: `False` only builds the dictionary.

    Returns:
        A dictionary for `logging.config.dictConfig`, for Granian's `log_dictconfig` and for Uvicorn's `log_config`.

    Raises:
        ValueError: There is no such level or format, or a number is negative.
    """
    level = level.upper()
    if level not in ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG"):
        raise ValueError(f"Log level must be critical, error, warning, info or debug, not {level.lower()!r}")
    if log_format not in ("text", "json", "pretty"):
        raise ValueError(f"Log format must be text, json or pretty, not {log_format!r}")
    if max_bytes < 0 or backup_count < 0:
        raise ValueError(f"max_bytes and backup_count must not be negative: {max_bytes}, {backup_count}")
    line = "velithon.logging.JSONFormatter" if log_format == "json" else "velithon.logging.TextFormatter"
    screen = "velithon._runtime.pretty.PrettyFormatter" if log_format == "pretty" else line
    handlers: JSONObject = {
        "console": {
            "class": "velithon.logging.Console",
            "stream": "ext://sys.stdout",
            "formatter": "screen",
            "filters": ["departure"],
        }
    }
    if file is not None:
        handlers["file"] = {
            "class": "velithon.logging.RotatingFile",
            "filename": os.path.abspath(file),
            "max_bytes": max_bytes,
            "backup_count": backup_count,
            "formatter": "line",
            "filters": ["departure"],
        }
    through: JSONObject = {"handlers": [], "propagate": True}
    access = through | {"level": "INFO", "filters": ["access"]}
    config: JSONObject = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": line}, "screen": {"()": screen}},
        "filters": {
            "access": {"()": "velithon.logging.AccessFilter"},
            "departure": {"()": "velithon.logging.DisconnectFilter"},
        },
        "handlers": handlers,
        "root": {"level": level, "handlers": list(handlers)},
        "loggers": {
            "_granian": through | {"level": level},
            "granian.access": access,
            "uvicorn": through | {"level": level},
            "uvicorn.error": through | {"level": level},
            "uvicorn.access": access,
            # what they say at these levels is about themselves, many lines a request or a second
            "python_multipart": {"level": "WARNING"},
            "watchfiles": {"level": "WARNING"},
        },
    }
    if apply:
        logging.config.dictConfig(config)
    return config
