"""Reads a job's function once: its arguments and its dependencies.

Arguments travel with the job's message; dependencies are resolved by the worker.

Dependencies, `Provide` and the application are resolved by the plan that endpoints have, with everything that stands
for: exits, overrides, the scopes of a function, a request (here: the job) and the application.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, get_args, get_origin

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation
from pydantic_core import PydanticSerializationError
from starlette.applications import Starlette

from velithon._runtime.json_values import JSONObject
from velithon.concurrency import run_in_threadpool
from velithon.di import inject
from velithon.di.injection import strip_inject
from velithon.di.providers import marker_of
from velithon.exceptions import RegistrationError
from velithon.jobs.context import JobContext
from velithon.params import Depends
from velithon.signature.annotations import is_subclass, read_signature, strip_metadata
from velithon.signature.compile import WebSocketPlan
from velithon.signature.model import EndpointModel
from velithon.signature.overrides import apply_overrides
from velithon.signature.read import read_endpoint
from velithon.signature.unknown import Unknown

__all__ = ["JobCall"]

Arguments = dict[str, object]

_EMPTY = inspect.Parameter.empty


class Invocation:
    """What a plan knows of one run: where a request would stand, there is this."""

    __slots__ = ("app", "arguments", "call", "is_done")

    def __init__(self, app: object, call: JobCall, arguments: Arguments) -> None:
        self.app = app
        self.call = call
        self.arguments = arguments
        self.is_done = False


Plan = Callable[[Invocation], Awaitable[object]]


class JobCall:
    """A job's function, read.

    Args:
        function: A function, `async def` or `def`.

    Raises:
        RegistrationError: A parameter can be nothing that a job has.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        self.function = function
        self.direct: Callable[..., Any] = inject(function)
        self._inner = strip_inject(function)
        self.is_coroutine = inspect.iscoroutinefunction(self._inner)
        self._plans: dict[tuple[object, ...], Plan] = {}
        self.arguments: dict[str, TypeAdapter[object]] = {}
        self._context: str | None = None
        declared = read_signature(function)
        resolved = []
        for parameter in declared.parameters.values():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
                raise self._build_error(
                    parameter.name, "a job's parameters have names: leave out *args, **kwargs and the sign /"
                )
            if is_subclass(strip_metadata(parameter.annotation), JobContext):
                self._context = parameter.name
            elif _is_resolved(parameter):
                resolved.append(parameter.replace(kind=parameter.KEYWORD_ONLY))
            else:
                self.arguments[parameter.name] = self._build_adapter(parameter)
        self._signature = declared.replace(
            parameters=[found for found in declared.parameters.values() if found.name in self.arguments],
            return_annotation=_EMPTY,
        )
        self.returns: TypeAdapter[object] = self._build_return_adapter(declared.return_annotation)
        self._model = self._read_dependencies(resolved)

    def _build_error(self, parameter: str, problem: str) -> RegistrationError:
        return RegistrationError(problem, endpoint=self.function, parameter=parameter)

    def _build_adapter(self, parameter: inspect.Parameter) -> TypeAdapter[object]:
        annotation = Any if parameter.annotation is _EMPTY else parameter.annotation
        if isinstance(annotation, Unknown):
            raise self._build_error(
                parameter.name,
                f"the name {annotation.name!r} of its annotation {annotation.text!r} is unknown where the job stands",
            )
        try:
            return TypeAdapter(annotation)
        except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation) as error:
            raise self._build_error(
                parameter.name,
                f"{annotation!r} cannot travel as JSON: take an id or a model, or let it be resolved where the job is "
                "done, with Depends or Provide",
            ) from error

    def _build_return_adapter(self, annotation: Any) -> TypeAdapter[object]:
        try:
            return TypeAdapter(Any if annotation in (_EMPTY, inspect.Signature.empty) else annotation)
        except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
            return TypeAdapter(Any)

    def _read_dependencies(self, resolved: list[inspect.Parameter]) -> EndpointModel:
        def collect(**_: object) -> None: ...

        for name in ("__module__", "__qualname__", "__name__"):
            setattr(collect, name, getattr(self.function, name))
        collect.__signature__ = inspect.Signature(resolved)  # type: ignore[attr-defined] # PEP 362
        model = read_endpoint(collect, path="")
        for node in model.walk():
            what = [field.name for field in node.fields]
            what += [name for name, kind in node.injected.items() if kind not in ("app", "security_scopes")]
            if what:
                raise RegistrationError(
                    "There is no request where a job is done: give the job what it needs as an argument",
                    endpoint=node.call if node is not model else self.function,
                    parameter=what[0],
                )
        return model

    def bind(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> JSONObject:
        """Return the arguments of a call as JSON carries them.

        Raises:
            TypeError: They do not fit the function.
        """
        name = self.function.__qualname__
        try:
            given = self._signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(
                f"The job {name} takes {self._signature}: {error}. The options of one call go into "
                f"{self.function.__name__}.options(...), and what is injected is resolved where the job is done."
            ) from error
        bound = {}
        for parameter, value in given.items():
            adapter = self.arguments[parameter]
            try:
                bound[parameter] = adapter.dump_python(adapter.validate_python(value), mode="json")
            except (ValidationError, PydanticSerializationError, ValueError) as error:
                raise TypeError(f"The job {name} cannot take {value!r} as {parameter!r}: {error}") from error
        return bound

    async def run(self, app: object, arguments: JSONObject, context: JobContext) -> object:
        """Call the function with arguments as JSON carries them.

        Return its value as JSON carries it.

        Raises:
            ValidationError: The arguments are those of another version of the function.
            Exception: What the function or a dependency raised.
        """
        unknown = arguments.keys() - self.arguments.keys()
        if unknown:
            raise TypeError(f"The job {self.function.__qualname__} has no parameters {sorted(unknown)}.")
        values = {name: self.arguments[name].validate_json(orjson.dumps(value)) for name, value in arguments.items()}
        if self._context is not None:
            values[self._context] = context
        invocation = Invocation(app, self, values)
        value = await self._find_plan(app)(invocation)
        if not invocation.is_done:
            raise RuntimeError("A dependency with yield caught the job's exception: it must raise it again.")
        return self.returns.dump_python(value, mode="json", warnings=False)

    def load(self, result: object) -> object:
        """Return the value that JSON carried, as the function's annotation says."""
        return self.returns.validate_json(orjson.dumps(result))

    def _find_plan(self, app: object) -> Plan:
        overrides = getattr(app, "dependency_overrides", None) or {}
        key = tuple(overrides.items())
        plan = self._plans.get(key)
        if plan is None:
            model = apply_overrides(self._model, overrides) if overrides else self._model
            plan = self._plans[key] = _JobPlan(model).build()
        return plan

    async def call(self, values: Arguments) -> object:
        """Call the function itself."""
        if self.is_coroutine:
            return await self._inner(**values)
        return await run_in_threadpool(self._inner, **values)


class _JobPlan(WebSocketPlan):
    """Writes the plan of a job: its dependencies, then the call."""

    def write_core(self) -> None:
        """Write from the dependencies to the value."""
        out = self.out
        out.begin_prelude()
        arguments = self.write_node(self.model, None)
        out.line(f"return await {self.use(_run_invocation)}(request, {arguments})")


async def _run_invocation(invocation: Invocation, **resolved: object) -> object:
    value = await invocation.call.call({**invocation.arguments, **resolved})
    invocation.is_done = True
    return value


def _is_resolved(parameter: inspect.Parameter) -> bool:
    """Tell whether a parameter is resolved where the job is done."""
    annotation = parameter.annotation
    if isinstance(parameter.default, Depends) or marker_of(parameter.default, annotation) is not None:
        return True
    if get_origin(annotation) is Annotated and any(isinstance(item, Depends) for item in get_args(annotation)[1:]):
        return True
    return is_subclass(strip_metadata(annotation), Starlette)
