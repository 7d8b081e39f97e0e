"""Makes the plans: the asynchronous functions that answer an endpoint's requests and WebSockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING

from starlette.responses import Response

from velithon.background import injected_tasks
from velithon.concurrency import run_in_threadpool
from velithon.signature import runtime
from velithon.signature.exits import Exits
from velithon.signature.model import DependencyModel, EndpointModel, ResponseOptions
from velithon.signature.overrides import apply_overrides
from velithon.signature.patched import find_patched_functions
from velithon.signature.plan import PlanWriter, find_called, write_arguments

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from starlette.background import BackgroundTasks

    from velithon.signature.model import HTTPPlanFunction, WebSocketPlanFunction
    from velithon.signature.overrides import Overrides
    from velithon.signature.patched import PatchedFunctions
    from velithon.signature.result import Finish


def compile_http_plan(
    model: EndpointModel,
    options: ResponseOptions,
    overrides: Overrides | None,
    strict_content_type: bool,
    limits: dict[str, int],
    methods: Collection[str],
) -> HTTPPlanFunction:
    """Make the function that answers an endpoint's requests; see `velithon.signature.compile_http`."""
    if overrides:
        model = apply_overrides(model, overrides)
    return HTTPPlan(model, options, strict_content_type, limits, methods).build()


def compile_websocket_plan(model: EndpointModel, overrides: Overrides | None) -> WebSocketPlanFunction:
    """Make the function that runs a WebSocket endpoint; see `velithon.signature.compile_websocket`."""
    return WebSocketPlan(apply_overrides(model, overrides) if overrides else model, ["WS"]).build()


def get_result_function(model: EndpointModel, options: ResponseOptions) -> Finish:
    """Return what turns the endpoint's value into a response."""
    from velithon.signature.result import compile_result

    return compile_result(model, options)


class HTTPPlan(PlanWriter):
    """Writes the plan of an HTTP endpoint."""

    def __init__(
        self,
        model: EndpointModel,
        options: ResponseOptions,
        strict_content_type: bool,
        limits: Mapping[str, int],
        methods: Collection[str],
    ) -> None:
        super().__init__(model, methods)
        self.options = options
        self.strict = strict_content_type
        self.form_limits: Mapping[str, int] = limits
        self.has_dependencies = bool(model.dependencies)
        self.model_name = self.out.constant(model, "model")
        self.fails = self.can_fail(model)
        self.patched = find_patched_functions()
        # A body may leave something to close: a request that left nothing has no stack to keep.
        self.may_need_stack = not self.needs_request_stack and model.body is not None and model.body.needs_exit
        if self.may_need_stack:
            self.needs_request_stack = True

    def build(self) -> HTTPPlanFunction:
        """Write and compile."""
        out = self.out
        finish = get_result_function(self.model, self.options)
        if self.model.span_of is not None:
            finish = build_traced_finish(finish, self.model.span_of)
        respond = out.constant(finish, "to_response")
        if self.needs_request_stack:
            self.write_request_stack(respond)
        else:
            self.write_function_stack(respond)
            if self.needs_function_stack:
                out.line("return response_made")
        plan = out.function("request", self.title)
        # What a face may call instead, without a request; of this very function, as wrappers copy attributes.
        plan.__velithon_plan__ = plan  # type: ignore[attr-defined]  # functions take any attribute
        if self.takes_nothing:
            plan.__velithon_direct_call__ = (find_called(self.model), finish)  # type: ignore[attr-defined]  # functions take any attribute
        elif self.takes_little:
            plan.__velithon_scope_plan__ = ScopePlan(self, finish).build()  # type: ignore[attr-defined]  # functions take any attribute
        return plan

    @property
    def takes_nothing(self) -> bool:
        """Whether the plan is no more than a call of an asynchronous function without arguments."""
        model = self.model
        needs = model.order or model.dependencies or model.body or self.needs_response
        return model.is_coroutine and not (needs or self.needs_background or self.is_traced or self.patched)

    @property
    def takes_little(self) -> bool:
        """Whether the path, the query string and providers are all that the plan reads."""
        model = self.model
        apart = model.dependencies or model.injected or model.header_params or model.cookie_params
        return not (
            self.is_traced
            or self.patched
            or apart
            or model.body
            or self.query_is_multi
            or model.is_generator
            or model.is_async_generator
        )

    def write_request_stack(self, respond: str) -> None:
        out = self.out
        out.line(f"stack = {self.use(Exits)}()")
        with out.block("try:"):
            self.write_function_stack(respond, keep=True)
        with out.block("except BaseException as error:"):
            out.line(f"await {self.use(runtime.unwind)}(stack, error)")
        if self.may_need_stack:
            with out.block("if stack.is_pending:"):
                out.line(f"{self.use(runtime.hand_over_exits)}(request, stack)")
        else:
            out.line(f"{self.use(runtime.hand_over_exits)}(request, stack)")
        out.line("return response_made")

    def write_function_stack(self, respond: str, keep: bool = False) -> None:
        out = self.out
        if not self.needs_function_stack:
            self.write_core(respond, "response_made = " if keep else "return ")
            return
        out.line("response_made = None")
        with out.block(f"async with {self.use(Exits)}() as inner:"):
            self.write_core(respond, "response_made = ")
        with out.block("if response_made is None:"):
            out.line(f"raise {self.use(runtime.build_swallowed_error)}()")

    def write_core(self, respond: str, target: str) -> None:
        """Write from reading the body to making the response."""
        out = self.out
        out.begin_prelude()
        if self.needs_response:
            out.line(f"response = {self.use(runtime.make_blank_response)}()")
        if self.needs_background:
            out.line(f"background = {self.use(injected_tasks)}()")
        response = "response" if self.needs_response else "None"
        background = "background" if self.needs_background else "None"
        if self.patched is not None:
            result = self.write_patched_call(self.patched)
            out.line(f"{target}{respond}({result}, {self.asked}, {response}, {background})")
            return
        errors = "errors" if self.fails else None
        if errors is not None:
            out.line("errors = None")
        self.write_note()
        span_of = self.model.span_of
        if span_of is None:
            arguments = self.write_solving(errors)
        else:
            with out.block(f"with {out.constant(span_of, 'span_of')}('dependencies'):"):
                arguments = self.write_solving(errors)
                out.line("pass")
        out.line(f"{target}{respond}({self.write_endpoint_call(arguments)}, {self.asked}, {response}, {background})")

    def write_patched_call(self, patched: PatchedFunctions) -> str:
        """Write what an instrument stands around; return the text of the endpoint's call."""
        model = self.model
        self.write_patched_solving(patched, lambda: "None" if model.body is None else model.body.write_reading(self))
        if self.fails:
            with self.out.block("if solved.errors:"):
                error = self.use(runtime.build_request_error)
                self.out.line(f"raise {error}({self.model_name}, request, solved.errors, solved.body)")
        if model.is_generator or model.is_async_generator:
            return f"{self.out.constant(find_called(model), 'call_endpoint')}(**solved.values)"
        run = self.out.constant(patched[1], "run_endpoint_function")
        return f"await {run}(dependant={self.model_name}, values=solved.values, is_coroutine={model.is_coroutine})"

    def write_solving(self, errors: str | None) -> str:
        """Write what happens before the endpoint is called; return the text of its arguments."""
        # Before everything else, as under FastAPI.
        received = "" if self.model.body is None else f", {self.model.body.write_reading(self)}"
        if self.is_traced and received:
            with self.out.block("if note is not None:"):
                self.out.line(f"note.note_body(lambda: {received[2:]})")
        arguments = write_arguments(self.model, self.write_endpoint_values(errors))
        if errors is not None:
            with self.out.block("if errors is not None:"):
                self.out.line(
                    f"raise {self.use(runtime.build_request_error)}({self.model_name}, {self.asked}, errors{received})"
                )
        return arguments

    def write_body_fields(self, node: DependencyModel, errors: str | None) -> dict[str, str]:
        body = self.model.body
        return body.write_fields(self, node.body_params, errors) if body is not None and node.body_params else {}

    def write_endpoint_call(self, arguments: str) -> str:
        model = self.model
        endpoint = self.out.constant(find_called(model), "call_endpoint")
        if model.is_generator or model.is_async_generator:
            return f"{endpoint}({arguments})"
        if model.is_coroutine:
            return f"await {endpoint}({arguments})"
        comma = ", " if arguments else ""
        return f"await {self.use(run_in_threadpool)}({endpoint}{comma}{arguments})"


def build_traced_finish(finish: Finish, span_of: Callable[[str], AbstractContextManager[None]]) -> Finish:
    """Return the function that makes responses of results with a span around it."""

    def traced_finish(
        result: object, request: object, response: Response | None, background: BackgroundTasks | None
    ) -> Response:
        with span_of("serialization"):
            return finish(result, request, response, background)

    return traced_finish


class ScopePlan(HTTPPlan):
    """Writes the plan of an HTTP endpoint over an RSGI scope: `plan(scope, path)`.

    A request object takes longer to make than what such an endpoint reads of it.
    """

    asked = "scope"

    def __init__(self, plan: HTTPPlan, finish: Callable[..., object]) -> None:
        super().__init__(plan.model, plan.options, plan.strict, plan.form_limits, plan.methods)
        self.finish = finish

    def build(self) -> Callable[..., Awaitable[Response]]:
        """Write and compile."""
        out = self.out
        self.write_core(out.constant(self.finish, "to_response"), "return ")
        return out.function("scope, path", self.title)

    def write_source(self, place: str, many: bool) -> str:
        """Return the variable that holds a place's values, writing it at its first use."""
        if place == "query" and place not in self.sources:
            self.sources[place] = "query"
            self.out.prelude(f"query = {self.use(runtime.parse_query)}(scope.query_string)")
        return place


class WebSocketPlan(PlanWriter):
    """Writes the plan of a WebSocket endpoint."""

    def build(self) -> WebSocketPlanFunction:
        """Write and compile."""
        out = self.out
        if self.needs_request_stack:
            with out.block(f"async with {self.use(Exits)}() as stack:"):
                self.write_inner()
        else:
            self.write_inner()
        return out.function("request", self.title)

    def write_inner(self) -> None:
        out = self.out
        if self.needs_function_stack:
            with out.block(f"async with {self.use(Exits)}() as inner:"):
                self.write_core()
        else:
            self.write_core()

    def write_core(self) -> None:
        out = self.out
        out.begin_prelude()
        if self.needs_response:
            out.line(f"response = {self.use(runtime.make_blank_response)}()")
        if self.needs_background:
            out.line(f"background = {self.use(injected_tasks)}()")
        patched, call = find_patched_functions(), out.constant(find_called(self.model), "call_endpoint")
        if patched is not None:
            self.write_patched_solving(patched, lambda: "None")
            with out.block("if solved.errors:"):
                error, model_name = self.use(runtime.build_websocket_error), out.constant(self.model, "model")
                out.line(f"raise {error}({model_name}, request, solved.errors)")
            out.line(f"await {call}(**solved.values)")
            return
        errors = "errors" if self.can_fail(self.model) else None
        if errors is not None:
            out.line("errors = None")
        self.write_note()
        span_of = self.model.span_of
        if span_of is None:
            arguments = self.write_solving(errors)
        else:
            with out.block(f"with {out.constant(span_of, 'span_of')}('dependencies'):"):
                arguments = self.write_solving(errors)
                out.line("pass")
        out.line(f"await {call}({arguments})")

    def write_solving(self, errors: str | None) -> str:
        """Write what happens before the endpoint is called; return the text of its arguments."""
        arguments = write_arguments(self.model, self.write_endpoint_values(errors))
        if errors is not None:
            with self.out.block("if errors is not None:"):
                model_name = self.out.constant(self.model, "model")
                self.out.line(f"raise {self.use(runtime.build_websocket_error)}({model_name}, request, errors)")
        return arguments
