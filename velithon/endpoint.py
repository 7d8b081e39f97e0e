"""Class endpoints: one class, a method for each HTTP method."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from starlette.endpoints import HTTPEndpoint as StarletteHTTPEndpoint
from starlette.requests import Request as StarletteRequest

from velithon import signature
from velithon.requests.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HTTPEndpoint"]

HTTP_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY")


class HTTPEndpoint(StarletteHTTPEndpoint):
    """Base of endpoint classes: define `get`, `post`, `put`, `patch`, `delete`, `head`, `options` as needed.

    A method takes whatever a function endpoint may take: path and query parameters, bodies, dependencies, the request.
    An instance is made for each request; `self.request` is that request. A method that the class lacks answers 405.
    """

    request: Request


def list_methods(cls: type) -> dict[str, Callable[..., object]]:
    """Return the HTTP methods that a class defines.

    `HEAD` is left to `GET` where the class has none of its own.
    """
    found = {name: getattr(cls, name.lower(), None) for name in HTTP_METHODS}
    return {name: method for name, method in found.items() if inspect.isfunction(method)}


def build_method_endpoint(cls: type[StarletteHTTPEndpoint], method: Callable[..., Any]) -> Callable[..., object]:
    """Return a function endpoint for a method of a class: its signature less `self`."""
    from velithon.di import strip_inject

    # A class that brings Starlette's constructor arguments gets them.
    plain = cls.__init__ is StarletteHTTPEndpoint.__init__

    def make(request: Request) -> object:
        if plain:
            instance = cls.__new__(cls)
        else:
            instance = cls(request.scope, request.receive, request._send)
        instance.request = request  # type: ignore[attr-defined]  # set on a function or on an instance of the class of a user
        return instance

    declared = signature.read_signature(method)
    method = strip_inject(method)  # what it asks a container for is resolved before the call
    call: Callable[..., object]
    if inspect.iscoroutinefunction(inspect.unwrap(method)):

        @functools.wraps(method)
        async def call(*args: object, _request: Request, **kwargs: object) -> object:
            return await method(make(_request), *args, **kwargs)

    else:

        @functools.wraps(method)
        def call(*args: object, _request: Request, **kwargs: object) -> object:
            return method(make(_request), *args, **kwargs)

    own = list(declared.parameters.values())[1:]
    request = inspect.Parameter("_request", inspect.Parameter.KEYWORD_ONLY, annotation=StarletteRequest)
    variadic = [parameter for parameter in own if parameter.kind is parameter.VAR_KEYWORD]
    others = [parameter for parameter in own if parameter.kind is not parameter.VAR_KEYWORD]
    call.__signature__ = declared.replace(parameters=[*others, request, *variadic])  # type: ignore[attr-defined]  # set on a function or on an instance of the class of a user
    call.__qualname__ = f"{cls.__qualname__}.{method.__name__}"
    return call


def is_asgi(endpoint: Callable[..., object]) -> bool:
    """Tell whether an endpoint is an ASGI application.

    It is a class or object that is called with `(scope, receive, send)`.
    """
    while isinstance(endpoint, functools.partial):
        endpoint = endpoint.func
    if inspect.isfunction(endpoint) or inspect.ismethod(endpoint) or inspect.isbuiltin(endpoint):
        return False
    try:
        return list(inspect.signature(endpoint).parameters)[:3] == ["scope", "receive", "send"]
    except (TypeError, ValueError):
        return False


_SAYS_NOTHING = (inspect.Parameter.empty, Any, object, "Any", "typing.Any", "object")


def annotate_endpoint(endpoint: Callable[..., Any], path: str, annotation: type) -> Callable[..., object]:
    """Return an endpoint in Starlette's form, `async endpoint(anything)`, with its parameter annotated.

    Args:
        endpoint: Returned as it is when it has another form: several parameters, or one that says what it wants.
        path: The route's path, whose parameters are no connections.
        annotation: What Starlette calls it with.
    """
    if not inspect.isroutine(endpoint):
        return endpoint
    parameters = [*inspect.signature(endpoint).parameters.values()]
    if len(parameters) != 1:
        return endpoint
    (parameter,) = parameters
    if (
        parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        or parameter.default is not parameter.empty
        or parameter.annotation not in _SAYS_NOTHING
        or "{" + parameter.name in path
    ):
        return endpoint
    call: Callable[..., object]
    if inspect.iscoroutinefunction(endpoint):

        @functools.wraps(endpoint)
        async def call(connection: object) -> object:
            return await endpoint(connection)

    else:

        @functools.wraps(endpoint)
        def call(connection: object) -> object:
            return endpoint(connection)

    kind = parameter.POSITIONAL_OR_KEYWORD
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # set on a function or on an instance of the class of a user
        [inspect.Parameter("connection", kind, annotation=annotation)]
    )
    return call
