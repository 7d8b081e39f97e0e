"""What code beside a traced request may read of it: its body, its arguments.

Requests are noted from the moment on when somebody imports this module; before it, plans note nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context

from velithon.exceptions import RequestValidationError
from velithon.pages.secrets import format_value
from velithon.signature.fields import Undefined
from velithon.telemetry.tracer import CURRENT, Traced

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from starlette.requests import Request
    from starlette.websockets import WebSocket

    from velithon.signature.fields import Errors

    Arguments = dict[str, Any]

__all__ = ["TelemetryData", "get_telemetry_data"]


class TelemetryData:
    """A request or WebSocket as its endpoint has it, with every secret.

    Redact what is sent on. Its `repr` shows no value whose name tells a secret.

    Args:
        request: The HTTP request, once an endpoint was found.
        websocket: The WebSocket, once an endpoint was found.
        body: The body as it was parsed, before it was validated.
        values: The endpoint's arguments by name, once all are valid and all dependencies have run.
        errors: What was refused, with the values that were sent; empty once all was valid.
    """

    __slots__ = ("_body", "_read_body", "errors", "request", "values", "websocket")

    def __init__(
        self,
        *,
        request: Request | None = None,
        websocket: WebSocket | None = None,
        body: object = None,
        values: Arguments | None = None,
        errors: Errors | None = None,
    ) -> None:
        self.request = request
        self.websocket = websocket
        self._body = body
        self._read_body: Callable[[], object] | None = None
        self.values = values
        self.errors = errors

    @property
    def body(self) -> Any:
        """The body as it was parsed, before it was validated; `None` where there is none."""
        read, self._read_body = self._read_body, None
        if read is not None:
            # A plan may validate bytes: then they are parsed for whoever asks first.
            try:
                body = read()
            except RequestValidationError as error:
                body = error.body
            self._body = None if body is Undefined else body
        return self._body

    @body.setter
    def body(self, body: object) -> None:
        self._body, self._read_body = body, None

    def note_body(self, read: Callable[[], object]) -> None:
        """Have the body be what `read()` returns, called when somebody asks for it."""
        self._read_body = read

    def __repr__(self) -> str:
        names = ("request", "websocket", "body", "values", "errors")
        return f"TelemetryData({', '.join(f'{name}={format_value(name, getattr(self, name))}' for name in names)})"


def get_telemetry_data(context: Context | None = None) -> TelemetryData | None:
    """Return what is known of the request that is traced.

    `None` outside of one, and once it is over.

    Spans and log events carry none of it.

    Args:
        context: An OpenTelemetry context, such as a processor's `parent_context` or a log record's `context`; the
            current one by default.
    """
    traced = otel_context.get_value(CURRENT, context)
    return traced.get_data() if isinstance(traced, Traced) else None


Traced.make_data = TelemetryData
