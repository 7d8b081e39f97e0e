"""`@inject`: functions that resolve their own `Provide` parameters when nobody else does."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from typing import Any, ParamSpec, TypeVar

from velithon.di.callables import describe
from velithon.di.compile import ProviderError
from velithon.di.providers import Provider, marker_of

P = ParamSpec("P")
R = TypeVar("R")

_MARK = "__velithon_inject__"


def inject(function: Callable[P, R]) -> Callable[P, R]:
    """Resolve the parameters that are marked with `Provide`, unless the caller gives them.

    A route, a class endpoint's method or a WebSocket handler is resolved by its own plan, with `inject` above or below
    the route decorator and without it; `inject` makes the same function work when it is called directly, outside any
    request.

    Args:
        function: A function, a coroutine function or a generator function of either kind.

    Returns:
        A function with the same signature.

    Raises:
        ProviderError: `function` is a class, or a marked parameter is positional-only. When called: a synchronous
            function needs an asynchronous provider, or an annotation that speaks of `Provide` cannot be evaluated.
    """
    if isinstance(function, type):
        raise ProviderError(f"@inject takes functions; for the class {function.__qualname__}, decorate its __init__.")
    if _is_marked(function):
        return function
    wrapper = functools.update_wrapper(_build_wrapper(function, _Needs(function)), function)
    setattr(wrapper, _MARK, wrapper)
    return wrapper


def strip_inject(function: Callable[..., object]) -> Callable[..., Any]:
    """Return the function that `inject` wraps, or the function itself.

    A plan calls it, after it has resolved everything.
    """
    return function.__wrapped__ if _is_marked(function) else function  # type: ignore[attr-defined]  # set by `functools.update_wrapper`


def _is_marked(function: Callable[..., object]) -> bool:
    # The mark names the wrapper: `functools.wraps` copies it to decorators further out, which are none.
    return getattr(function, _MARK, None) is function


class _Needs:
    """The name, position and provider of each parameter to resolve."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function
        # None while an annotation names something that is defined later: it is read again at the first call.
        self._found = self._read(final=False)

    def _read(self, *, final: bool) -> list[tuple[str, int, Provider[object]]] | None:
        found = []
        for index, parameter in enumerate(inspect.signature(self._function).parameters.values()):
            try:
                annotation = _evaluate(parameter.annotation, self._function)
            except NameError as error:
                if not final:
                    return None
                if "Provide" in parameter.annotation:
                    raise ProviderError(f"{self}: the annotation of {parameter.name!r}: {error}") from error
                continue
            marker = marker_of(parameter.default, annotation)
            if marker is None:
                continue
            if parameter.kind is parameter.POSITIONAL_ONLY:
                raise ProviderError(f"{self}: {parameter.name!r} is positional-only, it cannot be injected.")
            found.append((parameter.name, index, marker.provider))
        return found

    def __str__(self) -> str:
        return describe(self._function)

    def find_missing(self, args: tuple[object, ...], kwargs: dict[str, object]) -> list[tuple[str, Provider[object]]]:
        if self._found is None:
            self._found = self._read(final=True) or []
        return [(name, needed) for name, index, needed in self._found if index >= len(args) and name not in kwargs]

    def fill(self, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        for name, provider in self.find_missing(args, kwargs):
            compiled = provider.compiled
            if compiled.is_async:
                raise ProviderError(
                    f"{self} is a synchronous function and {provider} is asynchronous: "
                    f"make the function async, or give it {name!r}"
                )
            kwargs[name] = compiled.call()

    async def fill_async(self, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        for name, provider in self.find_missing(args, kwargs):
            kwargs[name] = await provider.resolve()


def _evaluate(annotation: object, function: Callable[..., object]) -> object:
    if not isinstance(annotation, str):
        return annotation
    return eval(annotation, getattr(inspect.unwrap(function), "__globals__", {}))


def _build_wrapper(function: Callable[..., Any], needs: _Needs) -> Callable[..., Any]:
    async def call_async(*args: object, **kwargs: object) -> object:
        await needs.fill_async(args, kwargs)
        return await function(*args, **kwargs)

    async def iterate_async(*args: object, **kwargs: object) -> AsyncGenerator[object, object]:
        await needs.fill_async(args, kwargs)
        async with aclosing(function(*args, **kwargs)) as generator:
            step = generator.asend(None)
            while True:
                try:
                    value = await step
                except StopAsyncIteration:
                    return
                try:
                    step = generator.asend((yield value))
                except Exception as error:  # noqa: BLE001 - thrown in by the caller, meant for the generator
                    step = generator.athrow(error)

    def iterate(*args: object, **kwargs: object) -> Generator[object, object, object]:
        needs.fill(args, kwargs)
        return (yield from function(*args, **kwargs))

    def call(*args: object, **kwargs: object) -> object:
        needs.fill(args, kwargs)
        return function(*args, **kwargs)

    if inspect.iscoroutinefunction(function):
        return call_async
    if inspect.isasyncgenfunction(function):
        return iterate_async
    return iterate if inspect.isgeneratorfunction(function) else call
