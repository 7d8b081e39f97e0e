"""What packages that know FastAPI look at in a route, or put in its place."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, cast

from starlette.requests import Request as StarletteRequest

from velithon import signature
from velithon.datastructures import Default, DefaultPlaceholder
from velithon.exceptions import RegistrationError
from velithon.responses.app import AppResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp

    from velithon._runtime.json_values import JSONObject
    from velithon._runtime.owner import Owner
    from velithon.compat.dependant import Dependant
    from velithon.faces.serve import Responder
    from velithon.requests.request import Request
    from velithon.signature import EndpointModel, ResponseOptions
    from velithon.signature.fields import Field
    from velithon.signature.outcome import Outcome

__all__ = ["Described", "Replaceable", "respond_with"]

# What a route makes at its first request, of its signature and its application.
BUILT = ("respond", "direct_call", "scope_plan", "_endpoint_handler")


def respond_with(app: Any) -> Callable[[StarletteRequest], Awaitable[AppResponse]]:
    """Return the responder that an ASGI application is."""

    # Read as an endpoint's signature where dependencies stand before the application.
    async def run(request: StarletteRequest) -> AppResponse:
        return AppResponse(app, cast("Request", request))

    return run


def find_handler(app: Any) -> tuple[Any, Any]:
    """Return the handler and the function of what `request_response(function)` made.

    They are `None` for other applications.
    """
    if hasattr(app, "__velithon_handler__"):
        return app.__velithon_handler__, app.__velithon_made_of__
    if getattr(app, "__qualname__", "") != "request_response.<locals>.app":
        return None, None
    # FastAPI's function and Starlette's keep it in the same variable, and send what is no `async def` to a thread.
    handler: Any = inspect.getclosurevars(app).nonlocals.get("f")
    return handler, handler.args[0] if isinstance(handler, functools.partial) and handler.args else handler


class Described:
    """FastAPI's names for the parts of a route's signature that may be read or changed."""

    _response_model: object = Default(None)

    if TYPE_CHECKING:
        endpoint: Callable[..., object]
        options: Any
        path: str
        model: EndpointModel | None
        unique_id: str
        responses: dict[int | str, JSONObject]

        @property
        def is_replaced(self) -> bool: ...

        @property
        def response_options(self) -> ResponseOptions: ...

        def _read_again(self) -> None: ...

    @property
    def dependant(self) -> Dependant:
        """What the endpoint depends on; its `dependencies` may be added to."""
        if self.model is None and not getattr(self, "models", None):
            raise AttributeError(f"{self.path!r} has no dependant: its endpoint has no signature")
        from velithon.compat.dependant import Dependant

        return Dependant(self)

    @property
    def response_model(self) -> object:
        """What results are validated and documented as: what was said, or the return annotation."""
        declared = self._response_model
        if not isinstance(declared, DefaultPlaceholder):
            return declared
        return None if self._outcome is None else self._outcome.declared

    @response_model.setter
    def response_model(self, model: object) -> None:
        self._response_model = model
        self.options = {**self.options, "response_model": model}
        self._read_again()

    @property
    def _outcome(self) -> Outcome | None:
        return None if self.model is None else signature.read_outcome(self.model, self.response_options)

    @property
    def response_field(self) -> Field | None:
        """The response model as a field."""
        return None if self._outcome is None else self._outcome.field

    @property
    def response_fields(self) -> dict[int | str, Field]:
        """The models of further responses as fields: status -> field."""
        from pydantic.fields import FieldInfo

        from velithon.signature.fields import Field

        return {
            status: Field(
                f"Response_{status}_{self.unique_id}", FieldInfo(annotation=given["model"]), mode="serialization"
            )
            for status, given in self.responses.items()
            if given.get("model")
        }

    @property
    def is_json_stream(self) -> bool:
        """Whether the endpoint's items are sent as JSON Lines."""
        return self._outcome is not None and self._outcome.is_json_stream

    @property
    def is_sse_stream(self) -> bool:
        """Whether the endpoint's items are sent as server-sent events."""
        return self._outcome is not None and self._outcome.is_sse_stream

    @property
    def stream_item_field(self) -> Field | None:
        """The model of one item as a field."""
        return None if self._outcome is None else self._outcome.stream_field

    @property
    def stream_item_type(self) -> object:
        """The model of one item."""
        return None if self.stream_item_field is None else self.stream_item_field.annotation

    @property
    def dependency_overrides_provider(self) -> Owner | None:
        """The application whose `dependency_overrides` count."""
        provider: Owner | None = vars(self)["_provider"]
        return provider

    @property
    def body_field(self) -> Field | None:
        """The whole body as one field; `None` without one."""
        body = None if self.model is None else self.model.body
        return None if body is None else body.describe(self.unique_id)

    @body_field.setter
    def body_field(self, field: object) -> None:
        # Packages make it anew once they have added dependencies, which this route has done itself.
        if (field is None) != (self.body_field is None):
            problem = "route.body_field is made of the parameters: add a dependency that has one with Body()"
            raise RegistrationError(problem, endpoint=self.endpoint)

    @property
    def _embed_body_fields(self) -> bool:
        body = None if self.model is None else self.model.body
        return body is not None and body.embed

    def check_not_replaced(self) -> None:
        """Refuse a change that an application which was assigned to `app` might not heed.

        Raises:
            RegistrationError: One was assigned.
        """
        if self.is_replaced:
            problem = (
                f"the app of the route {self.path!r} was assigned and would not heed what comes after it: add "
                "dependencies, and include the route's router, before assigning route.app"
            )
            raise RegistrationError(problem, endpoint=self.endpoint)


class Replaceable(Described):
    """An HTTP route whose `app` may be assigned, to answer in the endpoint's place.

    What `request_response(handler)` made is asked by its handler, so that no protocol comes between on either face.
    Limits and middleware of the route stay around it.
    """

    # What answers in the place of the endpoint.
    _replacement: Responder | None = None
    # What `get_route_handler` made last.
    _made: Responder | None = None

    if TYPE_CHECKING:
        app: Any
        _own_app: ASGIApp
    else:

        @property
        def app(self) -> ASGIApp:
            return self.__dict__.get("_app", self._own_app)

        @app.setter
        def app(self, app: ASGIApp) -> None:
            handler, function = find_handler(app)
            if app is self._own_app or (function is not None and function is self._made):
                self.__dict__.pop("_app", None)
                self._replacement = None
            else:
                self._app = app
                self._replacement = handler or respond_with(app)
            self.forget()

    @property
    def is_replaced(self) -> bool:
        """Whether another application than the endpoint's answers."""
        return self._replacement is not None

    def forget(self) -> None:
        """Forget what was made of the signature; the next request makes it again."""
        for built in BUILT:
            self.__dict__.pop(built, None)
