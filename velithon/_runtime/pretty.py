"""The log as one reads it on a terminal: short lines, in colour."""

from __future__ import annotations

import logging
import time

from velithon._runtime.json_values import JSONObject
from velithon._runtime.lines import AccessValues, access_fields
from velithon.logging import TextFormatter, escape_controls

__all__ = ["PrettyFormatter"]

_RESET, _DIM, _BOLD = "\x1b[0m", "\x1b[2m", "\x1b[1m"
_GREEN, _YELLOW, _RED, _CYAN = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[36m"
_LEVELS = {"DEBUG": _DIM, "INFO": _GREEN, "WARNING": _YELLOW, "ERROR": _RED, "CRITICAL": _RED + _BOLD}


class PrettyFormatter(TextFormatter):
    """`12:30:01 GET    /items?q=a 200 1.2 ms` for requests, `12:30:01 WARNING shop: message` for the rest.

    Times are local, without the day. Tracebacks follow as `TextFormatter` writes them.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, and below it the lines of its traceback."""
        first, *rest = super().format(record).split("\n")
        if hasattr(record, "method") and hasattr(record, "path") and hasattr(record, "status"):
            first = _format_access_line(record.created, record.__dict__)
        else:
            # After the time and the level of the plain line.
            text = first.partition(" ")[2][len(f"{record.levelname:<8} ") :]
            colour = _LEVELS.get(record.levelname, "")
            first = f"{_format_time(record.created)} {colour}{record.levelname:<7}{_RESET} {text}"
        return "\n".join([first, *rest])

    def format_access(self, name: str, level: str, created: float, message: str, values: AccessValues) -> str:
        """Return the line of an access record that nobody made."""
        return _format_access_line(created, access_fields(values))


def _format_time(created: float) -> str:
    return f"{_DIM}{time.strftime('%H:%M:%S', time.localtime(created))}{_RESET}"


def _format_access_line(created: float, fields: JSONObject) -> str:
    status = int(fields["status"])
    colour = _GREEN if status < 300 else _CYAN if status < 400 else _YELLOW if status < 500 else _RED
    took = f" {_DIM}{fields['duration_ms']:.1f} ms{_RESET}" if "duration_ms" in fields else ""
    method, path = escape_controls(str(fields["method"])), escape_controls(str(fields["path"]))
    return f"{_format_time(created)} {_BOLD}{method:<7}{_RESET} {path} {colour}{status}{_RESET}{took}"
