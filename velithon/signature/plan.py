"""Writes, for one endpoint, the function that answers its requests and does nothing else.

The source follows the order in which FastAPI solves a request: the body is parsed first; then each callable's
dependencies, its path, query, header and cookie parameters and its body fields, errors collected all the way; then the
endpoint. What can be decided at registration is decided here, so the function holds neither loops over parameters nor
look-ups in a cache of dependencies.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, get_origin

from pydantic_core import ValidationError

from velithon.concurrency import run_dependency_in_threadpool
from velithon.signature import runtime, values
from velithon.signature.annotations import is_sequence, strip_wrappers
from velithon.signature.exits import build_context_maker, build_never_yielded_error, enter_limited
from velithon.signature.fields import Field, Undefined, build_missing_error, find_param_model, list_aliases
from velithon.signature.model import DependencyModel, EndpointModel
from velithon.signature.patched import SolvedArguments
from velithon.signature.path import has_convertor, list_path_names
from velithon.signature.writer import Writer

if TYPE_CHECKING:
    from velithon.di.providers import Provide
    from velithon.signature.patched import PatchedFunctions

_SOURCES = {
    "path": "path_params",
    "query": "query_params",
    "header": "headers",
    "cookie": "cookies",
}
_PARTS = {
    "request": "request",
    "websocket": "request",
    "http_connection": "request",
    "headers": "request.headers",
    "query_params": "request.query_params",
    "state": "request.state",
    "url": "request.url",
    "client": "request.client",
    "app": "request.app",
    "form": "(await request.form())",
    "response": "response",
    "background_tasks": "background",
}


class Solved:
    """A dependency that was written: the variables of its value and of its errors.

    There is no variable of errors if the dependency cannot fail.
    """

    __slots__ = ("errors", "value")

    def __init__(self, value: str, errors: str | None) -> None:
        self.value = value
        self.errors = errors


class PlanWriter:
    """Writes what HTTP and WebSocket plans share: parameters, dependencies, exits."""

    # The variable of what was asked, for messages about it.
    asked = "request"

    def __init__(self, model: EndpointModel, methods: Collection[str] = ()) -> None:
        self.model = model
        self.methods = methods
        self.out = Writer()
        self.sources: dict[str, str] = {}
        self.solved: dict[tuple[object, ...], Solved] = {}
        self.needs_function_stack = False
        self.needs_request_stack = False
        self.is_shielded = False
        for dependency in model.walk():
            if dependency is model or not (dependency.is_generator or dependency.is_async_generator):
                continue
            if dependency.scope == "function":
                self.needs_function_stack = True
            elif dependency.scope != "app":
                self.needs_request_stack = True
        injected = {what for dependency in model.walk() for what in dependency.injected.values()}
        self.needs_background = "background_tasks" in injected
        self.needs_response = "response" in injected
        for name in (
            "request", "scope", "errors", "error", "body", "response", "background", "raw", "found", "form", "result",
            "stack", "inner", "plan", "path", "query", "headers", "cookies", "endpoint", "invalid", "more", "value",
            "note", "solve", "solved",
        ):  # fmt: skip
            self.out.fresh(name)

    @property
    def title(self) -> str:
        """What the plan answers, for tracebacks: `GET /items/{key} shop.read`."""
        call = strip_wrappers(self.model.call)
        name = getattr(call, "__qualname__", None) or type(call).__qualname__
        return f"{','.join(sorted(self.methods))} {self.model.path} {call.__module__}.{name}".strip()

    def use(self, function: Callable[..., object]) -> str:
        """Return the name of a function of ours in the plan."""
        return self.out.constant(function, function.__name__)

    # Parameters

    def write_source(self, place: str, many: bool) -> str:
        """Return the variable that holds a place's values, writing it at its first use."""
        if place == "query" and not many and not self.query_is_multi:
            name, expression = "query", f"{self.use(runtime.read_query)}(request)"
        else:
            name = {"path": "path", "query": "query", "header": "headers", "cookie": "cookies"}[place]
            expression = f"request.{_SOURCES[place]}"
        if place not in self.sources:
            self.sources[place] = name
            self.out.prelude(f"{name} = {expression}")
        return name

    def write_fields(self, node: DependencyModel, errors: str | None) -> dict[str, str]:
        """Write the reading of a callable's parameters; return the expressions of its arguments."""
        arguments: dict[str, str] = {}
        for field in [*node.path_params, *node.query_params, *node.header_params, *node.cookie_params]:
            arguments[field.name] = self.write_field(field, errors)
        arguments.update(self.write_body_fields(node, errors))
        return arguments

    def write_body_fields(self, node: DependencyModel, errors: str | None) -> dict[str, str]:
        """Write the validation of a callable's body fields; a WebSocket's handshake has no body."""
        return {}

    def write_field(self, field: Field, errors: str | None) -> str:
        name = self.out.fresh(field.name)
        if is_simple(field):
            self.write_simple(field, name, errors)
        else:
            received = self.write_source(field.place, many=True)
            constant = self.out.constant(field, f"{field.name}_field")
            self.out.line(f"{name}, found = {self.use(values.take_argument)}({constant}, {received})")
            self.write_found(errors)
        return name

    def write_found(self, errors: str | None) -> None:
        """Write that the errors in the variable `found` are added to the variable `errors`."""
        if errors is not None:
            with self.out.block("if found:"):
                self.out.line(f"{errors} = {self.use(runtime.add_errors)}({errors}, found)")

    def write_simple(self, field: Field, name: str, errors: str | None) -> None:
        """Write the reading of one string under one name."""
        out = self.out
        wire = str.__str__(list_aliases(field)[0][1])
        key = wire.lower() if field.place == "header" else wire
        received = self.write_source(field.place, many=False)
        location = out.constant((field.place, wire), f"{field.name}_at")
        certain = field.place == "path" and wire in list_path_names(self.model.path)
        as_it_is = is_text(field) and not (certain and has_convertor(self.model.path, wire))
        if certain and as_it_is:
            out.line(f"{name} = {received}[{key!r}]")
            return
        if as_it_is and field.constant_default and field.info.default is not None:
            out.line(f"{name} = {received}.get({key!r}, {out.constant(field.info.default, f'{field.name}_default')})")
            return
        if certain:
            out.line(f"{name} = {received}[{key!r}]")
        else:
            out.line(f"{name} = {received}.get({key!r})")
        if as_it_is and not field.required and field.constant_default:
            return
        if not certain:
            with out.block(f"if {name} is None:"):
                self.write_absent(field, name, location, errors)
        if not as_it_is:
            if certain:
                self.write_validation(field, name, location, errors)
            else:
                with out.block("else:"):
                    self.write_validation(field, name, location, errors)

    def write_absent(self, field: Field, name: str, location: str, errors: str | None) -> None:
        out = self.out
        if field.required:
            out.line(
                f"{errors} = {self.use(runtime.add_errors)}({errors}, [{self.use(build_missing_error)}({location})])"
            )
        elif field.constant_default:
            out.line(f"{name} = {out.constant(field.info.default, f'{field.name}_default')}")
        else:
            constant = out.constant(field, f"{field.name}_field")
            out.line(f"{name}, found = {constant}.absent({location})")
            self.write_found(errors)

    def write_validation(self, field: Field, name: str, location: str, errors: str | None) -> None:
        out = self.out
        validate = out.constant(field.validator.validate_python, f"validate_{field.name}")
        with out.block("try:"):
            out.line(f"{name} = {validate}({name})")
        with out.block(f"except {self.use(ValidationError)} as error:"):
            out.line(f"{errors} = {self.use(runtime.add_validation_error)}({errors}, error, {location})")

    # Dependencies

    @property
    def is_traced(self) -> bool:
        """Whether somebody traces the endpoint."""
        return self.model.note is not None

    def write_note(self) -> None:
        """Write the variable `note`, which takes what is read for an endpoint that is traced."""
        if self.model.note is not None:
            self.out.line(f"note = {self.out.constant(self.model.note, 'note_connection')}(request)")

    def write_endpoint_values(self, errors: str | None) -> dict[str, str]:
        """Write everything that the endpoint needs; return the expressions of its arguments."""
        arguments = self.write_values(self.model, errors)
        if self.is_traced:
            valid = "note is not None" if errors is None else "note is not None and errors is None"
            with self.out.block(f"if {valid}:"):
                self.out.line(f"note.values = {write_dictionary(arguments)}")
                self.out.line("note.errors = []")
        return arguments

    def write_patched_solving(self, patched: PatchedFunctions, write_body: Callable[[], str]) -> None:
        """Write that the variable `solved` is what an instrument's function returns."""
        out = self.out
        fails = self.can_fail(self.model)
        with out.block("async def solve():"):
            out.begin_prelude()
            if fails:
                out.line("errors = None")
            self.write_note()
            received = write_body()
            made = write_dictionary(self.write_endpoint_values("errors" if fails else None))
            if fails:
                with out.block("if errors is not None:"):
                    out.line(f"return {self.use(SolvedArguments)}({{}}, errors, {received})")
            out.line(f"return {self.use(SolvedArguments)}({made}, [])")
        solve = out.constant(patched[0], "solve_dependencies")
        out.line(f"solved = await {solve}(request=request, dependant={out.constant(self.model, 'model')}, solve=solve)")

    def write_node(self, node: DependencyModel, errors: str | None) -> str:
        """Write everything that a callable needs; return the text of its arguments."""
        return write_arguments(node, self.write_values(node, errors))

    def write_values(self, node: DependencyModel, errors: str | None) -> dict[str, str]:
        """Write everything that a callable needs; return the expressions of its arguments."""
        arguments: dict[str, str] = {}
        for dependency in node.dependencies:
            solved = self.write_dependency(dependency, errors)
            if dependency.name is not None:
                arguments[dependency.name] = solved.value
        arguments.update(self.write_fields(node, errors))
        for name, what in node.injected.items():
            arguments[name] = self.write_injected(node, what)
        for name, marker in node.provided.items():
            arguments[name] = self.write_provided(name, marker)
        return arguments

    def write_injected(self, node: DependencyModel, what: str) -> str:
        if what != "security_scopes":
            return _PARTS[what]
        scopes = self.out.constant(node.scopes_class, "SecurityScopes")
        return f"{scopes}({node.scopes!r})"

    def write_provided(self, name: str, marker: Provide) -> str:
        """Return what resolves a container's provider.

        It is looked up each time, because an override replaces it.
        """
        provider = self.out.constant(marker.provider, f"{name}_provider")
        local = self.out.fresh(name)
        self.out.line(f"{local} = {provider}.compiled")
        if marker.provider.compiled.cell is not None:
            self.write_cell(local)
        else:
            self.out.line(f"{local} = (await {local}.call()) if {local}.is_async else {local}.call()")
        return local

    def write_cell(self, local: str) -> None:
        """Write the reading of a singleton: the object in its cell, once there is one."""
        from velithon.di.compile import MISSING

        self.out.line(
            f"{local} = {local}.cell.value "
            f"if {local}.cell is not None and {local}.cell.value is not {self.out.constant(MISSING, 'MISSING')} "
            f"else ((await {local}.call()) if {local}.is_async else {local}.call())"
        )

    def write_dependency(self, node: DependencyModel, errors: str | None) -> Solved:
        out = self.out
        key = node.cache_key
        known = self.solved.get(key) if node.use_cache else None
        if known is not None:
            if known.errors is not None:
                with out.block(f"if {known.errors} is not None:"):
                    out.line(f"{errors} = {self.use(runtime.add_errors)}({errors}, {known.errors})")
            return known
        name = out.fresh(node.name or str(getattr(node.call, "__name__", "dependency")))
        own = out.fresh(f"{name}_errors") if self.can_fail(node) else None
        if own is not None:
            out.line(f"{own} = None")
        solved = Solved(name, own)
        if node.scope == "app":
            self.write_app_scoped(node, name)
        else:
            arguments = self.write_node(node, own)
            if own is None:
                self.write_call(node, name, arguments)
            else:
                with out.block(f"if {own} is None:"):
                    self.write_call(node, name, arguments)
                with out.block("else:"):
                    out.line(f"{errors} = {self.use(runtime.add_errors)}({errors}, {own})")
        self.solved.setdefault(key, solved)
        return solved

    def write_call(self, node: DependencyModel, name: str, arguments: str) -> None:
        out = self.out
        if node.is_async_generator and not node.is_context and node.concurrency is None:
            self.write_generator(node, name, arguments)
            return
        if node.is_generator or node.is_async_generator:
            maker = out.constant(build_context_maker(node), f"{name}_context")
            stack = "inner" if node.scope == "function" else "stack"
            manager = f"{maker}({arguments})"
            if node.is_async_generator:
                self.write_shield()
            if node.concurrency is None:
                out.line(f"{name} = await {stack}.enter_async_context({manager})")
            else:
                limit = out.constant(node.concurrency, f"{name}_limit")
                out.line(f"{name} = await {self.use(enter_limited)}({stack}, {limit}, {manager})")
            return
        if node.concurrency is None:
            out.line(f"{name} = {self.write_call_expression(node, name, arguments)}")
            return
        limit = out.constant(node.concurrency, f"{name}_limit")
        with out.block(f"async with {limit}.get_semaphore():"):
            out.line(f"{name} = {self.write_call_expression(node, name, arguments)}")

    def write_generator(self, node: DependencyModel, name: str, arguments: str) -> None:
        """Write the start of an asynchronous generator, up to its `yield`."""
        out = self.out
        generator = out.fresh(f"{name}_generator")
        self.write_shield()
        out.line(f"{generator} = {out.constant(find_called(node), f'call_{name}')}({arguments})")
        with out.block("try:"):
            out.line(f"{name} = await {generator}.__anext__()")
        with out.block("except StopAsyncIteration:"):
            out.line(f"raise {self.use(build_never_yielded_error)}({generator}) from None")
        if node.scope == "function":
            out.line(f"inner.leave({generator})")
        else:
            out.line(f"stack.leave({generator})")

    def write_shield(self) -> None:
        """Write the shield that protects exits from cancellation.

        It stands before the first dependency whose exit may await.
        """
        if not self.is_shielded:
            self.is_shielded = True
            stack, *inner = ["stack"] * self.needs_request_stack + ["inner"] * self.needs_function_stack
            self.out.prelude(f"{stack}.enter_shield({''.join(inner)})")

    def write_call_expression(self, node: DependencyModel, name: str, arguments: str) -> str:
        function = self.out.constant(find_called(node), f"call_{name}")
        if node.is_coroutine:
            return f"await {function}({arguments})"
        comma = ", " if arguments else ""
        return f"await {self.use(run_dependency_in_threadpool)}({function}{comma}{arguments})"

    def write_app_scoped(self, node: DependencyModel, name: str) -> None:
        from velithon.signature.appvalues import get_app_value, get_key

        out = self.out
        constant = out.constant(node, f"{name}_dependency")
        key = out.constant(get_key(node), f"{name}_key")
        scope = "request.app._app_values"
        out.line(f"{name} = {scope}.values.get({key}, {out.constant(Undefined, 'Undefined')})")
        with out.block(f"if {name} is {out.constant(Undefined, 'Undefined')}:"):
            out.line(f"{name} = await {self.use(get_app_value)}({scope}, {constant}, request.app)")

    def can_fail(self, node: DependencyModel) -> bool:
        """Tell whether a request can lack what the callable, or something below it, needs."""
        if node.scope == "app":
            return False
        return any(not self.is_certain(item) for item in node.fields) or any(map(self.can_fail, node.dependencies))

    def is_certain(self, field: Field) -> bool:
        """Tell whether a parameter always has a valid value."""
        if field.place not in _SOURCES or not is_simple(field) or not is_text(field):
            return False
        if field.place == "path":
            key = str.__str__(list_aliases(field)[0][1])
            return key in list_path_names(self.model.path) and not has_convertor(self.model.path, key)
        return field.constant_default

    @property
    def query_is_multi(self) -> bool:
        """Whether something needs the query's repeated keys, so that all read Starlette's multidict."""
        if self.model.kind == "websocket":
            return True
        return any(not is_simple(item) for node in self.model.walk() for item in node.query_params)


def is_simple(field: Field) -> bool:
    """Tell whether one string under one name makes the value."""
    return (
        not field.is_json
        and not is_sequence(field.annotation)
        and find_param_model(field) is None
        and len(list_aliases(field)) == 1
        and get_origin(field.annotation) not in (dict,)
    )


def is_text(field: Field) -> bool:
    """Tell whether every string is valid as it is."""
    return (
        (field.annotation is str or field.annotation == (str | None))
        and not field.info.metadata
        and field.config is None
        and field.info.discriminator is None
    )


def find_called(node: DependencyModel) -> Callable[..., object]:
    """Return what the plan calls: the function itself where `inject` wraps it.

    The plan has done the work of the wrapper.
    """
    call = node.call
    return call.__wrapped__ if hasattr(call, "__velithon_inject__") else call  # type: ignore[attr-defined]  # set by `functools.update_wrapper`


def write_dictionary(values: dict[str, str]) -> str:
    """Return the text of a dictionary of expressions."""
    return f"{{{', '.join(f'{key!r}: {text}' for key, text in values.items())}}}"


def write_arguments(node: DependencyModel, arguments: dict[str, str]) -> str:
    """Write a call's arguments: by position as far as that is safe, which is faster."""
    parts = []
    positional = node.positional
    for index, name in enumerate(node.order):
        if name in arguments:
            parts.append(arguments[name] if index < positional else f"{name}={arguments[name]}")
        else:
            positional = index  # it keeps its default, so those after it need their names
    return ", ".join(parts)
