"""The signature compiler: it makes plans and documents of Python signatures.

`read_endpoint` reads a signature once, at registration. `compile_http` and `compile_websocket` write, compile and
return a function for one endpoint that does only what this endpoint needs; `explain` shows its source.

What reads signatures is imported with the first application or route, and what writes plans with the first request:
whoever imports a name of the package does not wait for either.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from velithon._runtime.lazy import lazy_attributes

if TYPE_CHECKING:
    from velithon.signature.annotations import read_signature
    from velithon.signature.dependencies import AppValues
    from velithon.signature.fields import Field
    from velithon.signature.limits import DEFAULT_LIMITS, check_limits
    from velithon.signature.model import (
        DependencyModel,
        EndpointModel,
        HTTPPlanFunction,
        ResponseOptions,
        WebSocketPlanFunction,
    )
    from velithon.signature.outcome import check_declared, read_outcome
    from velithon.signature.overrides import Overrides
    from velithon.signature.read import read_endpoint

__all__ = [
    "DEFAULT_LIMITS",
    "AppValues",
    "DependencyModel",
    "EndpointModel",
    "Field",
    "ResponseOptions",
    "check_declared",
    "check_limits",
    "compile_http",
    "compile_websocket",
    "explain",
    "read_endpoint",
    "read_outcome",
    "read_signature",
    "source",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_attributes(
        __name__,
        {
            "DEFAULT_LIMITS": "velithon.signature.limits",
            "AppValues": "velithon.signature.dependencies",
            "DependencyModel": "velithon.signature.model",
            "EndpointModel": "velithon.signature.model",
            "Field": "velithon.signature.fields",
            "ResponseOptions": "velithon.signature.model",
            "check_declared": "velithon.signature.outcome",
            "check_limits": "velithon.signature.limits",
            "read_endpoint": "velithon.signature.read",
            "read_outcome": "velithon.signature.outcome",
            "read_signature": "velithon.signature.annotations",
        },
    )


def compile_http(
    model: EndpointModel,
    options: ResponseOptions | None = None,
    *,
    overrides: Overrides | None = None,
    strict_content_type: bool = True,
    form_limits: Mapping[str, int] | None = None,
    methods: Collection[str] = (),
) -> HTTPPlanFunction:
    """Make the function that answers an endpoint's requests: `async plan(request) -> Response`.

    Generating and compiling takes about a millisecond, so a route does it at its first request.

    Args:
        model: The endpoint.
        options: How what it returns becomes a response.
        overrides: Dependencies to replace, as `app.dependency_overrides` holds them.
        strict_content_type: Whether a body without a `Content-Type` is kept as bytes; otherwise it is read as JSON.
        form_limits: `max_files` and `max_fields` (counts), `max_part_size` (bytes of one field that is no file).
        methods: What the endpoint answers, for the name of the plan in tracebacks.

    Raises:
        RegistrationError: A limit cannot be used.
    """
    from velithon.signature.compile import compile_http_plan
    from velithon.signature.limits import check_limits
    from velithon.signature.model import ResponseOptions

    limits = check_limits(form_limits)
    return compile_http_plan(model, options or ResponseOptions(), overrides, strict_content_type, limits, methods)


def compile_websocket(model: EndpointModel, *, overrides: Overrides | None = None) -> WebSocketPlanFunction:
    """Make the function that runs a WebSocket endpoint: `async plan(websocket) -> None`.

    Args:
        model: The endpoint.
        overrides: Dependencies to replace, as `app.dependency_overrides` holds them.
    """
    from velithon.signature.compile import compile_websocket_plan

    return compile_websocket_plan(model, overrides)


def explain(plan: Callable[..., object]) -> str:
    """Return the generated source of a plan."""
    text: str = plan.__velithon_source__  # type: ignore[attr-defined]  # set by `Writer.function`
    return text


source = explain
