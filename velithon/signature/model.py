"""The model of a signature: plain data, read once at registration.

Three things are made of it: the plan that answers requests, the OpenAPI operation, and the locations in errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from velithon.datastructures import Default, DefaultPlaceholder
from velithon.params import Scope

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from contextlib import AbstractContextManager
    from typing import TypeAlias

    from pydantic.main import IncEx
    from starlette.requests import Request
    from starlette.responses import Response

    from velithon.di.providers import Provide
    from velithon.signature.bodies.format import Body
    from velithon.signature.dependencies import Concurrency
    from velithon.signature.fields import Field

    HTTPPlanFunction: TypeAlias = Callable[[Request], Awaitable[Response]]
    # Its argument is a WebSocket, or the call of a job.
    WebSocketPlanFunction: TypeAlias = Callable[[Any], Awaitable[None]]

Kind = Literal["http", "websocket"]
Injected = Literal[
    "request",
    "websocket",
    "http_connection",
    "response",
    "background_tasks",
    "security_scopes",
    "headers",
    "query_params",
    "state",
    "url",
    "client",
    "form",
    "app",
]


class DependencyModel:
    """A callable with the places that its arguments come from.

    Attributes:
        call: The callable.
        name: The parameter of the dependant that takes the value; none for a dependency that is only run.
        path: The path template of the route.
        kind: What the endpoint answers.
        path_params: The fields of the path; likewise `query_params`, `header_params`, `cookie_params`, `body_params`.
        dependencies: What runs before this callable, in order.
        injected: Parameter name -> what of the connection it takes.
        provided: Parameter name -> the container's provider (`Provide[...]`).
        order: The parameters in the order of the signature.
        positional: How many of them, from the first, may be passed by position.
        own_scopes: The OAuth2 scopes that this dependency asks for.
        parent_scopes: Those that its dependants ask for.
        use_cache: Whether one request shares one value.
        scope: When its exit code runs; none means the default of its kind.
        concurrency: The limit of simultaneous calls.
        raises: The exceptions that documents show as responses.
        is_coroutine: Whether calling it gives an awaitable; likewise `is_generator`, `is_async_generator`.
        is_context: Whether the callable itself makes context managers (`contextlib.contextmanager` and its kin).
        is_security_scheme: Whether the callable is one of `velithon.security`'s schemes.
        returns: The evaluated return annotation, or `inspect.Signature.empty`.
        scopes_class: The class of the parameter that takes the OAuth2 scopes.
        known_as: The cache key of the dependency that this one replaces.
    """

    def __init__(
        self,
        call: Callable[..., Any],
        *,
        name: str | None = None,
        path: str = "",
        kind: Kind = "http",
        own_scopes: tuple[str, ...] = (),
        parent_scopes: tuple[str, ...] = (),
        use_cache: bool = True,
        scope: Scope | None = None,
        concurrency: Concurrency | None = None,
        raises: tuple[object, ...] = (),
    ) -> None:
        self.call = call
        self.name = name
        self.path = path
        self.kind = kind
        self.path_params: list[Field] = []
        self.query_params: list[Field] = []
        self.header_params: list[Field] = []
        self.cookie_params: list[Field] = []
        self.body_params: list[Field] = []
        self.dependencies: list[DependencyModel] = []
        self.injected: dict[str, Injected] = {}
        self.provided: dict[str, Provide] = {}
        self.order: tuple[str, ...] = ()
        self.positional = 0
        self.own_scopes = own_scopes
        self.parent_scopes = parent_scopes
        self.use_cache = use_cache
        self.scope = scope
        self.concurrency = concurrency
        self.raises = raises
        self.is_coroutine = False
        self.is_generator = False
        self.is_async_generator = False
        self.is_context = False
        self.is_security_scheme = False
        self.returns: object = None
        self.scopes_class: object = None
        self.known_as: tuple[object, ...] | None = None

    @property
    def scopes(self) -> list[str]:
        """The OAuth2 scopes asked for from the endpoint down to here, without repetitions."""
        return list(dict.fromkeys((*self.parent_scopes, *self.own_scopes)))

    @property
    def effective_scope(self) -> Scope | None:
        """When the exit code runs: what was said, or "request" for generators."""
        if self.scope is None and (self.is_generator or self.is_async_generator):
            return "request"
        return self.scope

    @property
    def uses_scopes(self) -> bool:
        """Whether the value depends on the OAuth2 scopes, which the cache key then holds."""
        return bool(
            self.own_scopes
            or "security_scopes" in self.injected.values()
            or self.is_security_scheme
            or any(dependency.uses_scopes for dependency in self.dependencies)
        )

    @property
    def cache_key(self) -> tuple[object, ...]:
        """What one request's cache tells values apart by."""
        if self.known_as is not None:
            return self.known_as
        scopes = tuple(sorted(set(self.scopes))) if self.uses_scopes else ()
        return (self.call, scopes, self.effective_scope or "")

    @property
    def fields(self) -> list[Field]:
        """The callable's own fields, in the order in which errors are reported."""
        return [*self.path_params, *self.query_params, *self.header_params, *self.cookie_params, *self.body_params]

    def walk(self) -> Iterator[DependencyModel]:
        """Yield this callable, then everything below it, dependants before what they depend on."""
        yield self
        for dependency in self.dependencies:
            yield from dependency.walk()


class EndpointModel(DependencyModel):
    """An endpoint: the root of the dependencies, with the body of its requests.

    Attributes:
        body: The body, made of the body fields of the endpoint and of everything that it depends on; none without any.
        span_of: Gives the context manager around a part of the work, by its name; none where nobody traces it.
        note: Takes the request or WebSocket and returns an object that is given `note_body(read)`, `values` and
            `errors`, or `None`; none where nobody traces it.
    """

    span_of: Callable[[str], AbstractContextManager[None]] | None = None
    note: Callable[[object], object] | None = None

    def __init__(
        self, call: Callable[..., Any], *, name: str | None = None, path: str = "", kind: Kind = "http"
    ) -> None:
        super().__init__(call, name=name, path=path, kind=kind)
        self.body: Body | None = None


class ResponseOptions:
    """How what an endpoint returns becomes a response.

    Attributes:
        response_model: What to validate, filter and document; the return annotation where it is a `Default`.
        response_class: The class of the response; the fast JSON path may be taken where it is a `Default`.
        status_code: The status of a success; none means the response class's own.
        include: Fields to keep; likewise `exclude`, `by_alias`, `exclude_unset`, `exclude_defaults`, `exclude_none`,
            as `pydantic.BaseModel.model_dump` takes them.
    """

    def __init__(
        self,
        *,
        response_model: object = Default(None),
        response_class: type[Response] | DefaultPlaceholder | None = None,
        status_code: int | None = None,
        include: IncEx | None = None,
        exclude: IncEx | None = None,
        by_alias: bool = True,
        exclude_unset: bool = False,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
    ) -> None:
        self.response_model = response_model
        self.response_class = response_class
        self.status_code = status_code
        self.include = include
        self.exclude = exclude
        self.by_alias = by_alias
        self.exclude_unset = exclude_unset
        self.exclude_defaults = exclude_defaults
        self.exclude_none = exclude_none
