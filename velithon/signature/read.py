"""Reads a callable's signature, once, into the model.

Misuse raises here, with endpoint, parameter and cure.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import Annotated, Any, get_args, get_origin

from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from starlette.applications import Starlette
from starlette.background import BackgroundTasks
from starlette.datastructures import URL, Address, FormData, Headers, QueryParams, State
from starlette.datastructures import UploadFile as StarletteUploadFile
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from velithon import params
from velithon.compat.markers import adopt, adopt_annotation, find_unknown_marker, is_named
from velithon.datastructures import UploadFile
from velithon.exceptions import DependencyScopeError, RegistrationError
from velithon.params import Depends, Security
from velithon.signature.annotations import (
    holds,
    holds_many,
    is_scalar,
    is_scalar_sequence,
    is_subclass,
    list_members,
    read_signature,
    replace_class,
    strip_partials,
    strip_wrappers,
    unalias,
)
from velithon.signature.bodies.form import add_form_union_validators
from velithon.signature.bodies.registry import find_body
from velithon.signature.fields import Field, Undefined, find_param_model, find_union_models, merge_info
from velithon.signature.model import DependencyModel, EndpointModel, Injected, Kind
from velithon.signature.path import list_path_names
from velithon.signature.validatable import check_annotation, describe_no_callable

if sys.version_info >= (3, 13):
    _is_coroutine_function = inspect.iscoroutinefunction
else:  # `asyncio`'s also sees callables that carry the marker, such as `unittest.mock.AsyncMock`.
    _is_coroutine_function = asyncio.iscoroutinefunction

_empty = inspect.Signature.empty


async def _no_values() -> AsyncGenerator[None, None]:
    yield


_CONTEXT_HELPERS = {
    contextlib.contextmanager(lambda: iter(())).__code__,
    contextlib.asynccontextmanager(_no_values).__code__,
}
# FastAPI's own, with its order: a Request is an HTTPConnection too.
_CONNECTION: tuple[tuple[type, Injected], ...] = (
    (Request, "request"),
    (WebSocket, "websocket"),
    (HTTPConnection, "http_connection"),
    (Response, "response"),
    (BackgroundTasks, "background_tasks"),
)
_PARTS: tuple[tuple[type, Injected], ...] = (
    (Headers, "headers"),
    (QueryParams, "query_params"),
    (State, "state"),
    (URL, "url"),
    (Address, "client"),
    (FormData, "form"),
    (Starlette, "app"),
)


def read_endpoint(
    call: Callable[..., object],
    *,
    path: str,
    kind: Kind = "http",
    dependencies: Sequence[Depends] = (),
    name: str | None = None,
) -> EndpointModel:
    """Read an endpoint.

    Args:
        call: The endpoint: a function, bound method, class, partial or instance with `__call__`.
        path: The path template of the route, with its prefixes.
        kind: What the endpoint answers.
        dependencies: What runs before the endpoint's own dependencies, of application, router, include and route.
        name: The name of the route, for the name of a combined body's schema.

    Raises:
        RegistrationError: The signature cannot work; the message names the endpoint, the parameter and the cure.
    """
    model = EndpointModel(call=call, name=name, path=path, kind=kind)
    names = list_path_names(path)
    for depends in dependencies:
        model.dependencies.append(_read_parameterless(depends, model, names))
    _read_into(model, names)
    model.body = find_body(model.walk())
    return model


def read_dependency(
    call: Callable[..., object], like: DependencyModel, *, parent_scopes: tuple[str, ...] = ()
) -> DependencyModel:
    """Read a callable that takes the place of another dependency.

    Args:
        call: The callable.
        like: The dependency that it replaces, which says the name, path, cache and scope.
        parent_scopes: The OAuth2 scopes that the place asks for.
    """
    model = DependencyModel(
        call=call,
        name=like.name,
        path=like.path,
        kind=like.kind,
        parent_scopes=parent_scopes,
        use_cache=like.use_cache,
        scope=like.scope,
        concurrency=like.concurrency,
        raises=like.raises,
    )
    _read_into(model, list_path_names(like.path))
    return model


def _read_parameterless(depends: object, parent: DependencyModel, names: set[str]) -> DependencyModel:
    depends = adopt(depends)
    if not isinstance(depends, Depends):
        raise RegistrationError(
            f"dependencies= takes Depends(...) or Security(...), not {depends!r}", endpoint=parent.call
        )
    if not callable(depends.dependency):
        raise RegistrationError(
            f"A dependency without a parameter needs its callable: Depends(function), not {depends!r}",
            endpoint=parent.call,
        )
    own = tuple(depends.scopes or ()) if isinstance(depends, Security) else ()
    model = DependencyModel(
        call=depends.dependency,
        path=parent.path,
        kind=parent.kind,
        own_scopes=own,
        scope=depends.scope,
        concurrency=depends._concurrency,
        raises=tuple(depends.raises),
    )
    _read_into(model, names)
    return model


def _read_into(model: DependencyModel, names: set[str], above: tuple[object, ...] = ()) -> None:
    """Read a callable's signature; `above` are its dependants, the endpoint first."""
    _classify(model)
    # A dependency may say itself which errors it answers with, as a rate limit does.
    model.raises = tuple(dict.fromkeys((*model.raises, *getattr(model.call, "__velithon_raises__", ()))))
    try:
        signature = read_signature(model.call)
    except (ValueError, TypeError) as error:
        raise RegistrationError(
            f"Its signature cannot be read ({error}): wrap it in a function", endpoint=_name_endpoint(model.call)
        ) from error
    model.returns = signature.return_annotation
    model.order = tuple(signature.parameters)
    model.positional = _count_positional(model.call, signature)
    for parameter in signature.parameters.values():
        _Parameter(model, parameter, names, above).read()


def _name_endpoint(call: Callable[..., object]) -> Callable[..., object] | str:
    return call if hasattr(call, "__qualname__") and hasattr(call, "__module__") else repr(call)


def _count_positional(call: Callable[..., object], signature: inspect.Signature) -> int:
    """Count the parameters that no wrapper may look for in `kwargs`."""
    count = 0
    if hasattr(call, "__velithon_inject__"):
        call = call.__wrapped__  # type: ignore[attr-defined]  # what a plan calls instead
    function = inspect.isfunction(call) or inspect.ismethod(call)
    # A signature that was written by hand may name the parameters in another order than the code has them.
    plain = function and not hasattr(call, "__wrapped__") and not hasattr(call, "__signature__")
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.POSITIONAL_ONLY or (plain and parameter.kind is parameter.POSITIONAL_OR_KEYWORD):
            count += 1
        else:
            break
    return count


def _list_candidates(call: Callable[..., object]) -> list[Callable[..., object]]:
    """Return what may show the kind of `call`: itself unwrapped, its `__call__`."""
    inner, innermost = strip_partials(call), strip_wrappers(call)
    found = [inner, innermost]
    if not inspect.isclass(innermost):
        for target in (inner, innermost):
            if not inspect.isroutine(target) and (dunder := getattr(target, "__call__", None)) is not None:  # noqa: B004
                found += [strip_partials(dunder), strip_wrappers(dunder)]
    return found


def _classify(model: DependencyModel) -> None:
    candidates = _list_candidates(model.call)
    model.is_context = getattr(strip_partials(model.call), "__code__", None) in _CONTEXT_HELPERS
    kinds = [(inspect.isgeneratorfunction(item), inspect.isasyncgenfunction(item)) for item in candidates]
    model.is_generator, model.is_async_generator = next(filter(any, kinds), (False, False))
    model.is_coroutine = any(_is_coroutine_function(item) for item in candidates if not inspect.isclass(item))
    model.is_security_scheme = is_named(type(strip_wrappers(model.call)), "SecurityBase")


class _Parameter:
    """The reading of one parameter."""

    def __init__(
        self, model: DependencyModel, parameter: inspect.Parameter, names: set[str], above: tuple[object, ...]
    ) -> None:
        self.model = model
        self.chain = (*above, model.call)
        self.name = parameter.name
        self.kind = parameter.kind
        self.value = adopt(parameter.default)
        self.names = names
        self.in_path = parameter.name in names
        self.unannotated = parameter.annotation is _empty
        self.whole: Any = Any if self.unannotated else adopt_annotation(unalias(parameter.annotation))
        self.type: Any = get_args(self.whole)[0] if get_origin(self.whole) is Annotated else self.whole

    def fail(self, problem: str) -> RegistrationError:
        return RegistrationError(problem, endpoint=_name_endpoint(self.model.call), parameter=self.name)

    def read(self) -> None:
        if self.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            raise self.fail(
                "*args and **kwargs name no parameters of a request: "
                "a decorator keeps the signature of what it wraps with functools.wraps"
            )
        info, depends = self.find_marker()
        if depends is not None:
            self.add_dependency(depends)
        elif not self.take_provider() and not self.take_injected(info):
            self.add_field(info)

    def find_marker(self) -> tuple[FieldInfo | None, Depends | None]:
        """Return what the parameter says of itself, in `Annotated` or as its default."""
        info, depends = self.read_annotated()
        value = self.value
        if isinstance(value, Depends):
            if info is not None or depends is not None:
                raise self.fail("It is declared twice, in Annotated and as the default value: keep one of them")
            depends = value
        elif isinstance(value, FieldInfo):
            if info is not None or depends is not None:
                raise self.fail("It is declared twice, in Annotated and as the default value: keep one of them")
            info = copy(value)
            info.annotation = self.type
            if self.type is not self.whole:
                info.metadata = [*get_args(self.whole)[1:], *info.metadata]
        return info, depends

    def read_annotated(self) -> tuple[FieldInfo | None, Depends | None]:
        if self.type is self.whole:
            return None, None
        metadata = get_args(self.whole)[1:]
        ours = [item for item in metadata if isinstance(item, params.Param | params.Body | Depends)]
        if not ours:
            return None, None
        last = ours[-1]
        if isinstance(last, Depends):
            return None, last
        if len(metadata) == 1:
            info: FieldInfo = copy(last)
            info.annotation = self.type
        else:
            info = merge_info(last, self.whole)
        if info.default is not Undefined:
            raise self.fail(
                f"A default value does not go into {type(last).__name__}() inside Annotated: write it after `=`"
            )
        if self.value is not _empty:
            if self.in_path:
                raise self.fail(f"A path parameter takes no default value, {self.value!r} was given: leave it out")
            info.default = self.value
        return info, None

    def add_dependency(self, depends: Depends) -> None:
        model = self.model
        if depends.dependency is None:
            depends = replace(depends, dependency=self.type)
        if not callable(depends.dependency):
            raise self.fail(describe_no_callable(depends.dependency))
        self.check_cycle(depends.dependency)
        self.check_scope(depends)
        own = tuple(depends.scopes or ()) if isinstance(depends, Security) else ()
        child = DependencyModel(
            call=depends.dependency,
            name=self.name,
            path=model.path,
            kind=model.kind,
            own_scopes=own,
            parent_scopes=(*model.parent_scopes, *model.own_scopes),
            use_cache=depends.use_cache,
            scope=depends.scope,
            concurrency=depends._concurrency,
            raises=tuple(depends.raises),
        )
        _read_into(child, self.names, self.chain)
        if model.scope == "app":
            self.check_app(child)
        model.dependencies.append(child)

    def check_cycle(self, call: object) -> None:
        if call in self.chain:
            names = [getattr(link, "__name__", repr(link)) for link in (*self.chain[self.chain.index(call) :], call)]
            raise self.fail(f"It depends on itself: {' -> '.join(names)}; take one of these dependencies out")

    def check_scope(self, depends: Depends) -> None:
        if depends.scope == "app" and (depends.max_concurrency is not None or not depends.use_cache):
            raise self.fail(
                'A dependency with scope "app" is made once: max_concurrency and use_cache=False mean nothing for it'
            )
        if self.model.effective_scope == "request" and depends.scope == "function":
            name = getattr(self.model.call, "__name__", repr(self.model.call))
            raise DependencyScopeError(
                f'The dependency {name!r} has the scope "request" and outlives a dependency with scope "function": '
                'give both the scope "function", or none to the second',
                endpoint=_name_endpoint(self.model.call),
                parameter=self.name,
            )

    def check_app(self, child: DependencyModel) -> None:
        if child.scope != "app":
            raise DependencyScopeError(
                'A dependency with scope "app" outlives every request: what it depends on needs scope "app" too',
                endpoint=_name_endpoint(self.model.call),
                parameter=self.name,
            )

    def take_provider(self) -> bool:
        """Take a parameter that a container provides."""
        # Not imported, not used; nor while another thread is importing it.
        marker_of = getattr(sys.modules.get("velithon.di"), "marker_of", None)
        marker = None if marker_of is None else marker_of(self.value, self.whole)
        if marker is None:
            return False
        self.model.provided[self.name] = marker
        return True

    def take_injected(self, info: FieldInfo | None) -> bool:
        """Take a parameter that is the connection, part of it, or the response's."""
        what = self.find_injected()
        if what is None:
            return False
        if info is not None:
            if what in {item for _, item in _PARTS}:
                return False
            raise self.fail(f"{self.type.__name__} is given by the framework: leave {type(info).__name__}() out")
        if self.model.scope == "app" and what != "app":
            raise self.fail('A dependency with scope "app" belongs to no request: it cannot take one')
        other = what == ("websocket" if self.model.kind == "http" else "request")
        if other and (self.value is not _empty or hasattr(self.model.call, "__signature__")):
            return True  # a function for both kinds keeps its default; a wrapper with a signature of its own has one
        if what == "websocket" and self.model.kind == "http":
            raise self.fail("An HTTP endpoint has no WebSocket: take HTTPConnection, which both have")
        self.model.injected[self.name] = what
        return True

    def find_injected(self) -> Injected | None:
        if self.unannotated:
            if self.value is _empty and not self.in_path and self.name in ("request", "websocket"):
                wanted: Injected = "websocket" if self.name == "websocket" else "request"
                return wanted if (wanted == "websocket") == (self.model.kind == "websocket") else None
            return None
        choices = list_members(self.type)
        if len(choices) != 1:
            return None
        choice = choices[0]
        if choice is self.type:
            # `Request[State]`, with the type of the lifespan's state.
            connection = get_origin(choice) or choice
            for cls, what in _CONNECTION:
                if is_subclass(connection, cls):
                    return what
            if is_named(choice, "SecurityScopes"):
                self.model.scopes_class = choice
                return "security_scopes"
        for cls, what in _PARTS:
            if is_subclass(choice, cls) and not self.in_path:
                return what
        return None

    def add_field(self, info: FieldInfo | None) -> None:
        model = self.model
        if model.scope == "app":
            raise self.fail('A dependency with scope "app" belongs to no request: it cannot take parameters of one')
        unknown = find_unknown_marker(self.value, self.whole, marked=info is not None)
        if unknown is not None:
            raise self.fail(unknown)
        if info is None:
            info = self.infer_place()
        self.check_place(info)
        if isinstance(info, params.Form) and find_union_models(info.annotation):
            info.annotation = add_form_union_validators(info.annotation)  # type: ignore[assignment]  # pydantic says a type, and takes any annotation
        info.annotation = replace_class(info.annotation, StarletteUploadFile, UploadFile)  # type: ignore[assignment]  # whatever stood there, with one class replaced
        info = self.choose_path_alias(info)
        if not info.alias:
            convert = getattr(info, "convert_underscores", False)
            info.alias = self.name.replace("_", "-") if convert else self.name
        field = Field(self.name, info)
        check_annotation(field, self.fail)
        self.check_shape(field)
        self.add(field)

    def infer_place(self) -> FieldInfo:
        """Return the place of a parameter that says nothing."""
        default = Undefined if self.value is _empty else self.value
        if self.in_path:
            info: FieldInfo = params.Path(annotation=self.type)
        elif holds(self.type, StarletteUploadFile) or holds_many(self.type, StarletteUploadFile):
            info = params.File(default, annotation=self.type)
        elif not is_scalar(self.type):
            info = params.Body(default, annotation=self.type)
        else:
            info = params.Query(default, annotation=self.type)
        if self.type is not self.whole:
            info = merge_info(info, self.whole)
            info.default = Undefined if self.in_path else default
            if self.in_path:
                info.default_factory = None
        return info

    def check_place(self, info: FieldInfo) -> None:
        if self.in_path and not isinstance(info, params.Path):
            raise self.fail(
                f"{{{self.name}}} stands in the path {self.model.path!r}, so {type(info).__name__}() cannot read it: "
                "use Path(), or another name"
            )
        if not isinstance(info, params.Param | params.Body):
            raise self.fail(
                f"pydantic's {type(info).__name__}() does not say where the value comes from: "
                "use Query(), Header(), Cookie(), Body() or Form()"
            )
        if self.model.kind == "websocket" and isinstance(info, params.Body):
            raise self.fail("A WebSocket handshake has no body: use Query(), Header() or Cookie()")

    def choose_path_alias(self, info: FieldInfo) -> FieldInfo:
        choices = info.validation_alias
        if isinstance(info, params.Path) and isinstance(choices, AliasChoices):
            for choice in choices.choices:
                if isinstance(choice, str) and choice in self.names:
                    info.validation_alias = choice
                    break
        return info

    def check_shape(self, field: Field) -> None:
        annotation = field.annotation
        if self.in_path and not is_scalar(annotation):
            raise self.fail(
                f"A path parameter is one value, {annotation!r} holds several: use str, int, UUID, an Enum..."
            )
        if (
            isinstance(field.info, params.Query)
            and not is_scalar(annotation)
            and not is_scalar_sequence(annotation)
            and find_param_model(field) is None
            and not field.is_json
        ):
            raise self.fail(
                f"The query string cannot carry {annotation!r}: use a scalar, a list of scalars or a pydantic model"
            )

    def add(self, field: Field) -> None:
        model = self.model
        info = field.info
        if isinstance(info, params.Body):
            model.body_params.append(field)
        elif isinstance(info, params.Path):
            model.path_params.append(field)
        elif isinstance(info, params.Header):
            model.header_params.append(field)
        elif isinstance(info, params.Cookie):
            model.cookie_params.append(field)
        else:
            if not hasattr(info, "in_"):
                info.in_ = params.ParamTypes.query  # type: ignore[attr-defined]  # `Param` itself says no place
            model.query_params.append(field)
