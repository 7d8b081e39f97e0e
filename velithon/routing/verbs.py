"""The decorators that routers and applications share."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from typing import TYPE_CHECKING, Literal, Unpack

from velithon.compat.guise import Guised
from velithon.endpoint import annotate_endpoint
from velithon.exceptions import RegistrationError
from velithon.requests.request import Request
from velithon.routing.routes import generate_unique_id
from velithon.websocket.connection import WebSocket

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection

    from velithon.routing.frontend import FrontendFiles
    from velithon.routing.handlers import F, Handlers
    from velithon.routing.options import RouteOptions, WebSocketOptions

__all__ = ["ApplicationVerbs", "Verbs"]


class Verbs(Guised):
    """The decorators that routers and applications share; each returns the function unchanged."""

    on_startup: Handlers
    on_shutdown: Handlers

    @abstractmethod
    def add_api_route(
        self,
        path: str,
        endpoint: Callable[..., object],
        *,
        methods: Collection[str] | None = None,
        **options: Unpack[RouteOptions],
    ) -> None:
        """Add a route; see `Route` for the arguments and `RouteOptions` for the options."""

    def api_route(
        self, path: str, *, methods: Collection[str] | None = None, **options: Unpack[RouteOptions]
    ) -> Callable[[F], F]:
        """Return the decorator that adds a route.

        See `Route` for the arguments and `RouteOptions` for the options.
        """
        if callable(path):
            verb = next(iter(methods)).lower() if methods else "api_route"
            raise RegistrationError(f'The decorator needs a path: write @app.{verb}("/...").', endpoint=path)

        def decorator(endpoint: F) -> F:
            self.add_api_route(path, endpoint, methods=methods, **options)
            return endpoint

        return decorator

    def route(  # type: ignore[misc]  # two of the options may be given by position, as to Starlette
        self,
        path: str,
        methods: Collection[str] | None = None,
        name: str | None = None,
        include_in_schema: bool = True,
        **options: Unpack[RouteOptions],
    ) -> Callable[[F], F]:
        """Return the decorator that adds a route for `methods` (`GET` by default)."""

        def decorator(endpoint: F) -> F:
            self.add_route(path, endpoint, methods, name, include_in_schema, **options)
            return endpoint

        return decorator

    def get(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Add a `GET` route, which answers `HEAD` too."""
        return self.api_route(path, methods=["GET"], **options)

    def put(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Add a `PUT` route."""
        return self.api_route(path, methods=["PUT"], **options)

    def post(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Add a `POST` route."""
        return self.api_route(path, methods=["POST"], **options)

    def delete(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Add a `DELETE` route."""
        return self.api_route(path, methods=["DELETE"], **options)

    def options(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Add an `OPTIONS` route."""
        return self.api_route(path, methods=["OPTIONS"], **options)

    def head(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Add a `HEAD` route."""
        return self.api_route(path, methods=["HEAD"], **options)

    def patch(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Add a `PATCH` route."""
        return self.api_route(path, methods=["PATCH"], **options)

    def trace(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Add a `TRACE` route."""
        return self.api_route(path, methods=["TRACE"], **options)

    def add_route(  # type: ignore[misc]  # two of the options may be given by position, as to Starlette
        self,
        path: str,
        endpoint: Callable[..., object],
        methods: Collection[str] | None = None,
        name: str | None = None,
        include_in_schema: bool = True,
        **options: Unpack[RouteOptions],
    ) -> None:
        """Add a route for a function, an `HTTPEndpoint` class or an ASGI application.

        A function whose only parameter says nothing of itself gets the request, whatever the parameter's name is. The
        application's `generate_unique_id_function` is asked for classes alone.
        """
        if not inspect.isclass(endpoint):
            # A function of the application's that makes ids of tags was written for routes that have some.
            options.setdefault("generate_unique_id_function", generate_unique_id)
        if name is not None:
            options["name"] = name
        if not include_in_schema:
            options["include_in_schema"] = False
        self.add_api_route(path, annotate_endpoint(endpoint, path, Request), methods=methods, **options)

    def frontend(
        self,
        path: str,
        *,
        directory: str | os.PathLike[str],
        fallback: Literal["auto", "index.html", "404.html"] | None = "auto",
        check_dir: bool | Literal["auto"] = "auto",
    ) -> None:
        """Serve the build of a browser application for what no route has.

        Of several, the longest path does.

        Args:
            path: Where it is served; `"/"` for everything that is left.
            directory: Where the build is.
            fallback: What answers for a path that is no file. `"index.html"` does with 200, where a browser goes to a
                page; `"404.html"` does with 404, whoever asks; `"auto"` takes `404.html` if there is one, else
                `index.html` if there is one; `None` leaves it a plain 404.
            check_dir: Whether a missing directory or fallback is an error now. `"auto"`: it is, unless the environment
                variable `VELITHON_ENV` is `development`, as `velithon run --reload` sets it, or, where it is not
                set, `FASTAPI_ENV` is; then a missing directory is a warning.

        Raises:
            RegistrationError: The path does not start with `/`, has parameters, or there is no such fallback.
            RuntimeError: The directory or the fallback does not exist.
        """
        from velithon.routing.frontend import FrontendFiles

        if not path.startswith("/"):
            raise RegistrationError(f"The path of a frontend starts with '/': got {path!r}; '/' serves everywhere.")
        self.add_frontend(path, FrontendFiles(directory=directory, fallback=fallback, check_dir=check_dir))

    def on_event(self, event_type: str) -> Callable[[F], F]:
        """Return the decorator for `"startup"` or `"shutdown"` functions; the function comes back unchanged.

        Raises:
            ValueError: Any other event.
        """
        if event_type not in ("startup", "shutdown"):
            raise ValueError(f"There are the events 'startup' and 'shutdown', not {event_type!r}.")
        handlers = self.on_startup if event_type == "startup" else self.on_shutdown

        def decorator(function: F) -> F:
            handlers.append(function)
            return function

        return decorator

    def add_event_handler(self, event_type: str, func: Callable[[], object]) -> None:
        """Add a `"startup"` or `"shutdown"` function."""
        self.on_event(event_type)(func)

    @abstractmethod
    def add_frontend(self, path: str, files: FrontendFiles) -> None:
        """Serve files for what no route has; see `frontend`."""

    @abstractmethod
    def add_api_websocket_route(
        self,
        path: str,
        endpoint: Callable[..., object],
        name: str | None = None,
        **options: Unpack[WebSocketOptions],
    ) -> None:
        """Add a WebSocket route; see `WebSocketRoute` for the arguments and `WebSocketOptions` for the options."""

    def add_websocket_route(
        self,
        path: str,
        endpoint: Callable[..., object],
        name: str | None = None,
        **options: Unpack[WebSocketOptions],
    ) -> None:
        """Add a WebSocket route for a function, a `WebSocketEndpoint` class or an ASGI application.

        A function whose only parameter says nothing of itself gets the WebSocket, whatever the parameter's name is.
        """
        self.add_api_websocket_route(path, annotate_endpoint(endpoint, path, WebSocket), name, **options)

    def websocket(
        self,
        path: str,
        name: str | None = None,
        **options: Unpack[WebSocketOptions],
    ) -> Callable[[F], F]:
        """Return the decorator that adds a WebSocket route; see `WebSocketOptions` for the options."""

        def decorator(endpoint: F) -> F:
            self.add_api_websocket_route(path, endpoint, name, **options)
            return endpoint

        return decorator

    def websocket_route(
        self,
        path: str,
        name: str | None = None,
        **options: Unpack[WebSocketOptions],
    ) -> Callable[[F], F]:
        """Return the decorator that adds a WebSocket route; see `WebSocketOptions` for the options."""

        def decorator(endpoint: F) -> F:
            self.add_websocket_route(path, endpoint, name, **options)
            return endpoint

        return decorator


class ApplicationVerbs(Verbs):
    """The same of an application, where Starlette's two methods call the endpoint `route`."""

    def add_route(  # type: ignore[misc, override]  # as on Starlette, whose router has another name for it
        self,
        path: str,
        route: Callable[..., object],
        methods: Collection[str] | None = None,
        name: str | None = None,
        include_in_schema: bool = True,
        **options: Unpack[RouteOptions],
    ) -> None:
        """Add a route for a function, an `HTTPEndpoint` class or an ASGI application; see `Router.add_route`."""
        super().add_route(path, route, methods, name, include_in_schema, **options)

    def add_websocket_route(
        self, path: str, route: Callable[..., object], name: str | None = None, **options: Unpack[WebSocketOptions]
    ) -> None:
        """Add a WebSocket route; see `Router.add_websocket_route`."""
        super().add_websocket_route(path, route, name, **options)
