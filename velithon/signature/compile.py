"""Makes the plans: the asynchronous functions that answer an endpoint's requests and WebSockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from pydantic_core import ValidationError

from velithon.background import injected_tasks
from velithon.concurrency import run_in_threadpool
from velithon.signature import bind, values
from velithon.signature.exits import Exits, close_form
from velithon.signature.fastjson import fast_validator
from velithon.signature.fields import Field, Undefined
from velithon.signature.forms import FormReader
from velithon.signature.limits import DEFAULT_LIMITS
from velithon.signature.model import DependencyModel, EndpointModel, ResponseOptions
from velithon.signature.overrides import overridden
from velithon.signature.plan import PlanWriter, called

Overrides = Mapping[Callable[..., Any], Callable[..., Any]]


def http_plan(
    model: EndpointModel,
    options: ResponseOptions,
    overrides: Overrides | None,
    strict_content_type: bool,
    limits: dict[str, int],
) -> Callable[[Any], Awaitable[Any]]:
    """Make the function that answers an endpoint's requests; see `velithon.signature.compile_http`."""
    return HTTPPlan(overridden(model, overrides) if overrides else model, options, strict_content_type, limits).build()


def websocket_plan(model: EndpointModel, overrides: Overrides | None) -> Callable[[Any], Awaitable[None]]:
    """Make the function that runs a WebSocket endpoint; see `velithon.signature.compile_websocket`."""
    return WebSocketPlan(overridden(model, overrides) if overrides else model).build()


def result_function(model: EndpointModel, options: ResponseOptions) -> Callable[..., Any]:
    """Return what turns the endpoint's value into a response."""
    from velithon.signature.result import compile_result

    return compile_result(model, options)


class HTTPPlan(PlanWriter):
    """Writes the plan of an HTTP endpoint."""

    def __init__(
        self, model: EndpointModel, options: ResponseOptions, strict_content_type: bool, limits: dict[str, int]
    ) -> None:
        super().__init__(model)
        self.options = options
        self.strict = strict_content_type
        self.limits = limits
        self.is_form = model.is_form
        self.fails = self.can_fail(model)
        if self.is_form:
            self.needs_request_stack = True
        self.whole = self.whole_body()

    def whole_body(self) -> Field | None:
        """Return the field that can be validated straight from the body's bytes, if there is one.

        With dependencies it cannot: they run after the JSON was parsed and before it is validated.
        """
        model = self.model
        if self.is_form or model.embed or len(model.all_body_params) != 1 or model.dependencies:
            return None
        field = model.all_body_params[0]
        return field if fast_validator(field) is not None else None

    def build(self) -> Callable[[Any], Awaitable[Any]]:
        """Write and compile."""
        out = self.out
        model_name = out.constant(self.model, "model")
        finish = result_function(self.model, self.options)
        respond = out.constant(finish, "to_response")
        if self.needs_request_stack:
            self.write_request_stack(model_name, respond)
        else:
            self.write_function_stack(model_name, respond)
            if self.needs_function_stack:
                out.line("return response_made")
        self.insert_prelude()
        plan = out.function("plan", "request")
        # What a face may call instead, without a request; of this very function, as wrappers copy attributes.
        plan.__velithon_plan__ = plan  # type: ignore[attr-defined]
        if self.takes_nothing:
            plan.__velithon_direct_call__ = (called(self.model), finish)  # type: ignore[attr-defined]
        elif self.takes_little:
            plan.__velithon_scope_plan__ = ScopePlan(self, finish).build()  # type: ignore[attr-defined]
        return plan

    @property
    def takes_nothing(self) -> bool:
        """Whether the plan is no more than a call of an asynchronous function without arguments."""
        model = self.model
        needs = model.order or model.dependencies or model.all_body_params or self.needs_response
        return model.is_coroutine and not (needs or self.needs_background)

    @property
    def takes_little(self) -> bool:
        """Whether the path, the query string and providers are all that the plan reads."""
        model = self.model
        apart = model.dependencies or model.injected or model.header_params or model.cookie_params
        return not (
            apart or model.all_body_params or self.query_is_multi or model.is_generator or model.is_async_generator
        )

    def write_request_stack(self, model_name: str, respond: str) -> None:
        out = self.out
        out.line(f"stack = {self.use(Exits)}()")
        with out.block("try:"):
            self.write_function_stack(model_name, respond, keep=True)
        with out.block("except BaseException as error:"):
            out.line(f"await {self.use(bind.unwind)}(stack, error)")
        out.line(f"{self.use(bind.keep)}(request, stack)")
        out.line("return response_made")

    def write_function_stack(self, model_name: str, respond: str, keep: bool = False) -> None:
        out = self.out
        if not self.needs_function_stack:
            self.write_core(model_name, respond, "response_made = " if keep else "return ")
            return
        out.line("response_made = None")
        with out.block(f"async with {self.use(AsyncExitStack)}() as inner:"):
            self.write_core(model_name, respond, "response_made = ")
        with out.block("if response_made is None:"):
            out.line(f"raise {self.use(bind.swallowed)}()")

    def write_core(self, model_name: str, respond: str, target: str) -> None:
        """Write from reading the body to making the response."""
        out = self.out
        self.prelude_at = (len(out.lines), out._depth)
        self.prelude = []
        if self.needs_response:
            out.line(f"response = {self.use(bind.blank_response)}()")
        if self.needs_background:
            out.line(f"background = {self.use(injected_tasks)}()")
        errors = "errors" if self.fails else None
        if errors is not None:
            out.line("errors = None")
        self.write_reading(model_name)
        arguments = self.write_node(self.model, errors)
        if errors is not None:
            with out.block("if errors is not None:"):
                if self.whole is not None:
                    text = f"{self.use(bind.invalid_whole)}({model_name}, request, errors, body, {self.strict})"
                else:
                    body = ", form" if self.is_form else ", body" if self.model.all_body_params else ""
                    text = f"{self.use(bind.invalid)}({model_name}, {self.asked}, errors{body})"
                out.line(f"raise {text}")
        response = "response" if self.needs_response else "None"
        background = "background" if self.needs_background else "None"
        out.line(f"{target}{respond}({self.endpoint_call(arguments)}, {self.asked}, {response}, {background})")

    def insert_prelude(self) -> None:
        index, depth = self.prelude_at
        self.out.lines[index:index] = [f"{'    ' * depth}{name} = {text}" for name, text in self.prelude]

    def endpoint_call(self, arguments: str) -> str:
        model = self.model
        endpoint = self.out.constant(called(model), "call_endpoint")
        if model.is_generator or model.is_async_generator:
            return f"{endpoint}({arguments})"
        if model.is_coroutine:
            return f"await {endpoint}({arguments})"
        comma = ", " if arguments else ""
        return f"await {self.use(run_in_threadpool)}({endpoint}{comma}{arguments})"

    # The body

    def write_reading(self, model_name: str) -> None:
        """Write the reading of the body, which comes before everything else."""
        out = self.out
        if not self.model.all_body_params:
            return
        if self.is_form:
            limits = ", ".join(str(self.limits[name]) for name in DEFAULT_LIMITS)
            out.line(f"form = await {self.use(bind.read_form)}(request, {limits})")
            out.line(f"stack.push_async_callback({self.use(close_form)}, form)")
        elif self.whole is None:
            out.line(f"body = await {self.use(bind.read_json)}({model_name}, request, {self.strict})")
        else:
            with out.block("try:"):
                out.line(f"body = request._body = await {self.use(bind.whole_body)}(request)")
            with out.block("except Exception as error:"):
                out.line(f"error = {self.use(bind.as_client_disconnect)}(request, error)")
                out.line(f"raise {self.use(bind.unreadable)}(error) from error")

    def write_body(self, node: DependencyModel, errors: str | None) -> dict[str, str]:
        if self.whole is not None:
            return {self.whole.name: self.write_whole(self.whole, errors)}
        if self.is_form:
            return self.write_form(node, errors)
        out = self.out
        arguments = {}
        function = values.embedded if self.model.embed else bind.body_value
        for field in node.body_params:
            name = arguments[field.name] = out.fresh(field.name)
            constant = out.constant(field, f"{field.name}_field")
            out.line(f"{name}, found = {self.use(function)}({constant}, body)")
            self.write_found(errors)
        return arguments

    def write_form(self, node: DependencyModel, errors: str | None) -> dict[str, str]:
        out = self.out
        reader = out.constant(FormReader(node.body_params, self.model.embed), "read_form_fields")
        arguments = {field.name: out.fresh(field.name) for field in node.body_params}
        values_name = out.fresh("form_values")
        out.line(f"{values_name}, found = await {reader}(form)")
        self.write_found(errors)
        for field in node.body_params:
            out.line(f"{arguments[field.name]} = {values_name}[{field.name!r}]")
        return arguments

    def write_whole(self, field: Field, errors: str | None) -> str:
        """Write the validation of the body's bytes; only what fails is parsed for its error."""
        out = self.out
        name = out.fresh(field.name)
        validate = out.constant(fast_validator(field), f"validate_{field.name}_json")
        constant = out.constant(field, f"{field.name}_field")
        model_name = out.constant(self.model, "model")
        undefined = out.constant(Undefined, "Undefined")
        with out.block(f"if body and {self.use(bind.carries_json)}(request, {self.strict}):"):
            with out.block("try:"):
                out.line(f"{name} = {validate}(body)")
            with out.block(f"except {self.use(ValidationError)}:"):
                out.line(f"body = {self.use(bind.load_json)}({model_name}, request, body)")
                out.line(f"{name}, found = {constant}.validate(body, ('body',))")
                self.write_found(errors)
        with out.block("else:"):
            out.line(f"body = body or {undefined}")
            out.line(f"{name}, found = {self.use(bind.body_value)}({constant}, body)")
            self.write_found(errors)
        return name


class ScopePlan(HTTPPlan):
    """Writes the plan of an HTTP endpoint over an RSGI scope and the values in the path: `plan(scope, path)`.

    A request object takes longer to make than what such an endpoint reads of it.
    """

    asked = "scope"

    def __init__(self, plan: HTTPPlan, finish: Callable[..., Any]) -> None:
        super().__init__(plan.model, plan.options, plan.strict, plan.limits)
        self.finish = finish

    def build(self) -> Callable[..., Awaitable[Any]]:
        """Write and compile."""
        out = self.out
        self.write_core(out.constant(self.model, "model"), out.constant(self.finish, "to_response"), "return ")
        self.insert_prelude()
        return self.out.function("plan", "scope, path")

    def source(self, place: str, many: bool) -> str:
        """Return the variable that holds a place's values, writing it at its first use."""
        if place == "query" and place not in self.sources:
            self.sources[place] = "query"
            self.prelude.append(("query", f"{self.use(bind.parse_query)}(scope.query_string)"))
        return place


class WebSocketPlan(PlanWriter):
    """Writes the plan of a WebSocket endpoint."""

    def build(self) -> Callable[[Any], Awaitable[None]]:
        """Write and compile."""
        out = self.out
        self.prelude = []
        if self.needs_request_stack:
            with out.block(f"async with {self.use(Exits)}() as stack:"):
                self.write_inner()
        else:
            self.write_inner()
        index, depth = self.prelude_at
        out.lines[index:index] = [f"{'    ' * depth}{name} = {text}" for name, text in self.prelude]
        return out.function("plan", "request")

    def write_inner(self) -> None:
        out = self.out
        if self.needs_function_stack:
            with out.block(f"async with {self.use(AsyncExitStack)}() as inner:"):
                self.write_core()
        else:
            self.write_core()

    def write_core(self) -> None:
        out = self.out
        self.prelude_at = (len(out.lines), out._depth)
        if self.needs_response:
            out.line(f"response = {self.use(bind.blank_response)}()")
        if self.needs_background:
            out.line(f"background = {self.use(injected_tasks)}()")
        errors = "errors" if self.can_fail(self.model) else None
        if errors is not None:
            out.line("errors = None")
        arguments = self.write_node(self.model, errors)
        if errors is not None:
            with out.block("if errors is not None:"):
                model_name = out.constant(self.model, "model")
                out.line(f"raise {self.use(bind.invalid_websocket)}({model_name}, request, errors)")
        out.line(f"await {out.constant(called(self.model), 'call_endpoint')}({arguments})")
