"""The exceptions, as a tree.

    HTTPException                      an answer with a status code; a subclass of Starlette's
    WebSocketException                 a close code; a subclass of Starlette's
    ValidationException
      RequestValidationError           422: what the client sent does not fit
      WebSocketRequestValidationError  1008: the same, for a WebSocket
      ResponseValidationError          500: what the endpoint returned does not fit its response model
    VelithonError                      the application is written wrongly
      RegistrationError                raised while a route is registered, never while a request runs
        DependencyScopeError
      PydanticV1NotSupportedError
    RegistrationWarning                something that works, and is probably not what was meant

A client's mistake is a ``ValidationException`` or an ``HTTPException``; a programmer's is a ``VelithonError``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.exceptions import WebSocketException as StarletteWebSocketException

__all__ = [
    "DependencyScopeError",
    "EndpointContext",
    "FastAPIDeprecationWarning",
    "FastAPIError",
    "HTTPException",
    "PydanticV1NotSupportedError",
    "RegistrationError",
    "RegistrationWarning",
    "RequestValidationError",
    "ResponseValidationError",
    "ValidationException",
    "VelithonDeprecationWarning",
    "VelithonError",
    "WebSocketException",
    "WebSocketRequestValidationError",
]


class EndpointContext(TypedDict, total=False):
    """Where an endpoint is written, for messages.

    ``path`` is the method and the path template (``GET /items/{item_id}``).
    """

    function: str
    path: str
    file: str
    line: int


class HTTPException(StarletteHTTPException):
    """An answer, raised instead of returned: ``raise HTTPException(404, "No such item")``.

    Args:
        status_code: The status of the answer.
        detail: Anything that JSON can carry; sent as ``{"detail": ...}``. The status's phrase by default.
        headers: Headers to send along.
    """

    detail: Any

    def __init__(self, status_code: int, detail: Any = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status_code=status_code, detail=detail, headers=headers)


class WebSocketException(StarletteWebSocketException):
    """Closes the WebSocket that it is raised in.

    Args:
        code: A close code of RFC 6455, section 7.4.1.
        reason: UTF-8 text of at most 123 bytes.
    """


_MOST_SHOWN = 20
_LONGEST_SHOWN = 500  # characters of an error


def _shorten(error: object) -> str:
    text = repr(error)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


class ValidationException(Exception):
    """Data did not fit what was declared.

    Args:
        errors: One mapping for each error, in pydantic's form: ``type``, ``loc``, ``msg``, ``input``, ``ctx``.
        endpoint_ctx: Where the endpoint is written, for the message.
    """

    def __init__(self, errors: Sequence[object], *, endpoint_ctx: EndpointContext | None = None) -> None:
        super().__init__(errors)
        self._errors = errors
        self.endpoint_ctx = endpoint_ctx
        context = endpoint_ctx or EndpointContext()
        self.endpoint_function = context.get("function")
        self.endpoint_path = context.get("path")
        self.endpoint_file = context.get("file")
        self.endpoint_line = context.get("line")

    def errors(self) -> Sequence[Any]:
        """Return every error found, in the order of the declarations."""
        return self._errors

    def __str__(self) -> str:
        count = len(self._errors)
        lines = [f"{count} validation error{'' if count == 1 else 's'}:"]
        lines += [f"  {_shorten(error)}" for error in self._errors[:_MOST_SHOWN]]
        if count > _MOST_SHOWN:
            lines.append(f"  and {count - _MOST_SHOWN} more")
        if location := self._format_location():
            lines += ["", *location]
        return "\n".join(lines)

    def __repr__(self) -> str:
        """Show no more than the text does, as what a client sent may be large and end in a log."""
        return f"{type(self).__name__}({str(self)!r})"

    def _format_location(self) -> list[str]:
        if self.endpoint_file and self.endpoint_line and self.endpoint_function:
            lines = [f'  File "{self.endpoint_file}", line {self.endpoint_line}, in {self.endpoint_function}']
            return [*lines, f"    {self.endpoint_path}"] if self.endpoint_path else lines
        return [f"  Endpoint: {self.endpoint_path}"] if self.endpoint_path else []


class RequestValidationError(ValidationException):
    """What the client sent does not fit the endpoint's signature: 422.

    Args:
        errors: As for ``ValidationException``; each ``loc`` starts with the place: ``query``, ``path``, ``body``...
        body: The body as it was received, decoded where that was possible.
        endpoint_ctx: Where the endpoint is written.
    """

    def __init__(
        self, errors: Sequence[object], *, body: object = None, endpoint_ctx: EndpointContext | None = None
    ) -> None:
        super().__init__(errors, endpoint_ctx=endpoint_ctx)
        self.body = body


class WebSocketRequestValidationError(ValidationException):
    """What the client sent with its handshake does not fit the endpoint's signature: 1008."""


class ResponseValidationError(ValidationException):
    """What the endpoint returned does not fit its response model: 500.

    Args:
        errors: As for ``ValidationException``; each ``loc`` starts with ``response``.
        body: What the endpoint returned.
        endpoint_ctx: Where the endpoint is written.
    """

    def __init__(
        self, errors: Sequence[object], *, body: object = None, endpoint_ctx: EndpointContext | None = None
    ) -> None:
        super().__init__(errors, endpoint_ctx=endpoint_ctx)
        self.body = body


class VelithonError(RuntimeError):
    """The application is written or configured wrongly."""


def as_exception(raised: BaseException) -> BaseException:
    """Convert what would end the server's loop to an error.

    `sys.exit()` in an application is a mistake.

    Args:
        raised: What the application raised. `SystemExit`, `KeyboardInterrupt`, and a `CancelledError` of its own become
            a `VelithonError`; the cancellation of the current task and everything else stay as they are.
    """
    if isinstance(raised, asyncio.CancelledError):
        # Granian's own tasks, under `--task-impl rust`, cannot say.
        cancelling = getattr(asyncio.current_task(), "cancelling", None)
        if cancelling is None or cancelling():
            return raised
    elif not isinstance(raised, SystemExit | KeyboardInterrupt):
        return raised
    error = VelithonError(f"The application raised {raised!r}. It is answered as an error, and the server goes on.")
    error.__cause__ = raised
    return error


class RegistrationError(VelithonError):
    """An endpoint, a dependency or an option was declared in a way that cannot work.

    Args:
        problem: What is wrong, what was given and what is accepted, as one sentence.
        endpoint: The callable concerned, or its name.
        parameter: The name of its parameter concerned.
    """

    def __init__(
        self, problem: str, *, endpoint: Callable[..., object] | str | None = None, parameter: str | None = None
    ) -> None:
        self.problem = problem
        self.endpoint = endpoint
        self.parameter = parameter
        place = [_describe(endpoint)] if endpoint is not None else []
        place += [f"parameter {parameter!r}"] if parameter is not None else []
        text = f"{', '.join(place)}: {problem}" if place else problem
        super().__init__(text if text.endswith((".", "!", "?")) else f"{text}.")


class DependencyScopeError(RegistrationError):
    """A dependency needs another one that ends before it does."""


class ResultEncodingError(VelithonError, ValueError):
    """What an endpoint returned has no JSON form.

    Names the endpoint, the place in the result, and the type there.
    """


class PydanticV1NotSupportedError(VelithonError):
    """A model of ``pydantic.v1`` was used."""


class RegistrationWarning(UserWarning):
    """An endpoint does something that is rarely meant.

    Names the endpoint, the parameter and the cure.

    It is given when the application starts, at the line of the endpoint, or where an endpoint returns what is not sent.
    To go on with what is meant: ``warnings.filterwarnings("ignore", category=RegistrationWarning)``.
    """


class VelithonDeprecationWarning(UserWarning):
    """Something that still works has a better spelling.

    A ``UserWarning``, because Python hides ``DeprecationWarning`` outside of ``__main__``.
    """


FastAPIError = VelithonError
FastAPIDeprecationWarning = VelithonDeprecationWarning


def _describe(endpoint: Callable[..., object] | str) -> str:
    if isinstance(endpoint, str):
        return endpoint
    name = getattr(endpoint, "__qualname__", None)
    if name is None:
        return repr(endpoint)
    return f"{endpoint.__module__}.{name}"
