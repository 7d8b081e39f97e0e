"""Access lines without log records, where nobody but our own handlers would see the record.

A record costs more than its line: who looks at it, and what a formatter makes of it, is asked each time. So an access
line is written as text right away, unless something between the logger and the handlers is not ours: a filter, another
handler (pytest's too), another formatter, a factory of records, a subclass of `Logger`, or a method that an instrument
has replaced. Then a record is made, as for every other line.

Lines wait in their handler until the event loop gets to what is next, and are then written together; a record that
comes first writes them before itself. At the end of a process the handlers are flushed, as `logging` does it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from velithon._runtime.json_values import JSONObject

__all__ = ["AccessValues", "LineHandler", "access_fields", "find_line_handlers"]

AccessValues = tuple[str, str, str, str, int, float, str | None]
_NAMES = ("client", "method", "path", "protocol", "status", "duration_ms")

_HANDLE = logging.Logger.handle
_MAKE = logging.Logger.makeRecord
_CALL = logging.Logger.callHandlers
# Whoever was here first, such as an error tracker that replaces `callHandlers`, sees records.
_IS_OURS = all(getattr(method, "__globals__", None) is vars(logging) for method in (_HANDLE, _MAKE, _CALL))


def access_fields(values: AccessValues) -> JSONObject:
    """Return the fields of an access record by their names.

    A request without an identifier has no field for it.
    """
    *rest, request_id = values
    # First, as the factory of records puts it there before the others.
    fields: JSONObject = {} if request_id is None else {"request_id": request_id}
    fields.update(zip(_NAMES, rest, strict=True))
    return fields


class LineHandler(logging.Handler):
    """A handler that takes lines besides records."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._lines: deque[str] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    def put_line(self, line: str) -> None:
        """Take a line, without its end.

        It is written before the event loop becomes idle.
        """
        lines = self._lines
        lines.append(line)
        loop = asyncio.get_running_loop()
        if loop is not self._loop or len(lines) == 1:
            self._loop = loop
            loop.call_soon(self.write_waiting)

    def write_waiting(self) -> None:
        """Write the lines that wait."""
        lines = self._lines
        if not lines:
            return
        # Other threads may log, and write what waits before their record.
        self.acquire()
        try:
            taken = []
            while lines:
                taken.append(lines.popleft())
            self.write_lines(taken)
        except Exception:  # noqa: BLE001 - as of every handler: what cannot be written is told, and nobody's error
            self.handleError(logging.makeLogRecord({"msg": "access lines", "levelno": logging.INFO}))
        finally:
            self.release()

    def write_lines(self, lines: list[str]) -> None:
        """Write lines; called with the handler's lock."""
        raise NotImplementedError

    def emit(self, record: logging.LogRecord) -> None:
        """Write what waits, then a record."""
        self.write_waiting()
        super().emit(record)

    def flush(self) -> None:
        """Write what waits."""
        self.write_waiting()
        super().flush()

    def close(self) -> None:
        """Write what waits, and close."""
        self.write_waiting()
        super().close()


def _is_passing(item: object) -> bool:
    return "passes_access_lines" in type(item).__dict__


def find_line_handlers(logger: logging.Logger, level: int) -> list[Any] | None:
    """Return the handlers that a line goes to.

    `None` where a record has to be made.

    Args:
        logger: The logger, which is enabled for the level.
        level: The line's.
    """
    kind = logging.Logger
    factory = logging.getLogRecordFactory()
    if (
        not _IS_OURS
        or logger.filters
        or type(logger) is not kind
        or kind.handle is not _HANDLE
        or kind.makeRecord is not _MAKE
        or kind.callHandlers is not _CALL
        or (factory is not logging.LogRecord and not getattr(factory, "_velithon_plain", False))
    ):
        return None
    found = []
    current: logging.Logger | None = logger
    while current is not None:
        for handler in current.handlers:
            if (
                "write_lines" not in type(handler).__dict__
                or (handler.filters and not all(map(_is_passing, handler.filters)))
                or "format_access" not in type(handler.formatter).__dict__
            ):
                return None
            if level >= handler.level:
                found.append(handler)
        current = current.parent if current.propagate else None
    return found or None
