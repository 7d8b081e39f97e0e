"""What runs to answer a request, in order, and where each value comes from."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from velithon._runtime.source import place_of

if TYPE_CHECKING:
    from velithon.di import Provider
    from velithon.signature import DependencyModel, EndpointModel, Field

__all__ = ["describe_callable", "describe_outcome", "describe_steps"]

_EXITS = {
    "function": "its exit runs before the response is sent",
    "request": "its exit runs after the response was sent",
    "app": "made once, its exit runs at shutdown",
}
_PLACES = {"path": "path", "query": "query", "header": "header", "cookie": "cookie", "form": "form", "file": "form"}


def describe_steps(model: EndpointModel) -> Iterator[str]:
    """Yield a line for each callable and for each of its arguments.

    Dependencies come first.
    """
    yield ""
    if model.body is not None:
        yield f"body      read first, as {model.body.label}"
    done: dict[tuple[object, ...], int] = {}
    yield from _describe_node(model, done)


def _describe_node(node: DependencyModel, done: dict[tuple[object, ...], int]) -> Iterator[str]:
    """Yield what runs before a callable, then the callable with the places of its arguments."""
    from velithon.signature import EndpointModel

    values: dict[str, str] = {}
    for dependency in node.dependencies:
        number = done.get(dependency.cache_key) if dependency.use_cache else None
        if number is None:
            yield from _describe_node(dependency, done)
            number = done[dependency.cache_key]
        if dependency.name is not None:
            values[dependency.name] = f"step {number}, {describe_callable(dependency.call)}"
    values.update({item.name: _describe_field(item) for item in node.fields})
    values.update({name: f"injected: {what.replace('_', ' ')}" for name, what in node.injected.items()})
    values.update({name: f"container: {_describe_chain(marker.provider)}" for name, marker in node.provided.items()})
    number = len(done) + 1
    done[node.cache_key] = number
    role = "  the endpoint" if isinstance(node, EndpointModel) else ""
    place = place_of(node.call)
    kind = _describe_kind(node)
    yield f"step {number}    {describe_callable(node.call)} ({kind}){f'  {place}' if place else ''}{role}"
    yield from (f"            {name} <- {values[name]}" for name in node.order or values if name in values)


def _describe_kind(node: DependencyModel) -> str:
    from velithon.signature import EndpointModel

    if node.is_generator or node.is_async_generator:
        kind = "async generator" if node.is_async_generator else "generator, in threads"
        exit_ = _EXITS.get(node.effective_scope or "")
        return f"{kind}, {exit_}" if exit_ and not isinstance(node, EndpointModel) else kind
    kind = "async" if node.is_coroutine else "in a thread"
    return f"{kind}, {_EXITS['app']}" if node.scope == "app" else kind


def _describe_field(item: Field) -> str:
    from velithon.signature.fields import find_param_model, read_model_fields

    place = _PLACES.get(item.place)
    model = find_param_model(item) if place else None
    if model is not None:
        return f"{place} as {_describe_type(model)}: {'; '.join(map(_describe_value, read_model_fields(model)))}"
    return (
        f"{place} {_describe_value(item)}"
        if place
        else f"body: {_describe_type(item.annotation)}, {_describe_default(item)}"
    )


def _describe_value(item: Field) -> str:
    return f"{item.validation_alias or item.alias!r}: {_describe_type(item.annotation)}, {_describe_default(item)}"


def _describe_default(item: Field) -> str:
    return "required" if item.required else f"default {item.default!r}"


def _describe_chain(provider: Provider[object]) -> str:
    inner = ", ".join(_describe_chain(dependency) for dependency in provider.dependencies())
    return f"{provider} ({inner})" if inner else str(provider)


def describe_outcome(model: EndpointModel, route: Any) -> str:
    """Say what becomes of what an endpoint returns."""
    from velithon.signature.outcome import read_outcome

    outcome = read_outcome(model, route.response_options)
    if outcome.is_sse_stream or outcome.is_json_stream:
        return "a stream of " + ("server-sent events" if outcome.is_sse_stream else "JSON lines")
    name = outcome.response_class.__name__
    checked = ""
    if outcome.field is not None and outcome.field.annotation is not Any:
        checked = f", validated as {_describe_type(outcome.field.annotation)}"
    return f"{name} of what it returns{checked}; a response of its own is sent as it is"


def _describe_type(annotation: object) -> str:
    return annotation.__name__ if inspect.isclass(annotation) else str(annotation).replace("typing.", "")


def describe_callable(call: object) -> str:
    """Return the name of a callable."""
    return getattr(call, "__qualname__", None) or type(call).__qualname__
