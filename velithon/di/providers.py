"""The providers: how the objects of a container are made.

A provider is declared as a class attribute of a container, where it is only a template; the container's instance holds
a copy that is bound to it. Whoever resolves a provider reads two things::

    compiled = provider.compiled
    value = await compiled.call() if compiled.is_async else compiled.call()

`compiled` is how overrides are seen: it is replaced when an override begins or ends, here and in every provider that
depends on this one. So keep the provider, and read `compiled` each time.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from functools import cached_property
from typing import Annotated, Any, ClassVar, Generic, TypeVar, cast, get_args, get_origin, overload

from velithon.di.callables import describe, is_async_callable, makes_async_context
from velithon.di.compile import (
    Cell,
    Compiled,
    ProviderError,
    Recipe,
    compile_async_singleton,
    compile_singleton,
    generate,
)
from velithon.di.resources import Singletons

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Provider(Generic[T_co]):
    """The base of all providers.

    Args:
        factory: What makes the object.
        *args: Positional arguments of the factory. A provider among them is resolved, anything else is passed on.
        **kwargs: The same by keyword.

    Raises:
        ProviderError: `factory` is of a kind that this provider does not take.
    """

    def __init__(self, factory: Callable[..., object], /, *args: object, **kwargs: object) -> None:
        if not callable(factory):
            raise ProviderError(f"{type(self).__name__} takes a class or a function, not {factory!r}")
        self.factory = factory
        self.args = tuple(_unwrap_marker(value) for value in args)
        self.kwargs = {
            **_find_provided_defaults(factory, args, kwargs),
            **{k: _unwrap_marker(v) for k, v in kwargs.items()},
        }
        self.owner: type | None = None
        self.name: str | None = None
        self.bound = False
        self._singletons = Singletons()
        self._overrides: list[tuple[object, Provider[object]]] = []
        self._dependents: weakref.WeakSet[Provider[object]] = weakref.WeakSet()

    def __str__(self) -> str:
        if self.owner is not None:
            return f"{self.owner.__name__}.{self.name}"
        return f"{type(self).__name__}({describe(self.factory)})"

    def __call__(self) -> T_co:
        """Resolve here and now.

        Raises:
            ProviderError: Something in the chain is asynchronous; `await provider.resolve()` instead.
        """
        compiled = self.compiled
        if compiled.is_async:
            raise ProviderError(
                f"{self} is asynchronous: use `await provider.resolve()`, or inject into an async function."
            )
        return cast(T_co, compiled.call())

    async def resolve(self) -> T_co:
        """Resolve, whether the chain is asynchronous or not."""
        compiled = self.compiled
        return cast(T_co, await compiled.call() if compiled.is_async else compiled.call())

    async def close(self) -> None:
        """Close what a provider outside any container has made. A container closes its own."""
        await self._singletons.close()

    @cached_property
    def compiled(self) -> Compiled[T_co]:
        """The current way to resolve this provider.

        Read it at every use: an override replaces it.

        Raises:
            ProviderError: The provider or one that it needs is declared wrongly.
        """
        verify(self)
        return self._compile()

    def compile(self) -> Compiled[T_co]:
        """Check the provider and everything that it needs, and return `compiled`."""
        return self.compiled

    def dependencies(self) -> list[Provider[object]]:
        """Return the providers that this one uses directly.

        They are its replacement while it is overridden, else its arguments.
        """
        if self._overrides:
            return [self._overrides[-1][1]]
        return [value for value in (*self.args, *self.kwargs.values()) if isinstance(value, Provider)]

    def copy(self, singletons: Singletons) -> Provider[T_co]:
        """Return a bound copy for one container.

        Its arguments are those of the template until the container replaces them.
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.__dict__.pop("compiled", None)
        twin.bound = True
        twin._singletons = singletons
        twin._overrides = []
        twin._dependents = weakref.WeakSet()
        return twin

    @contextmanager
    def overridden(self, replacement: Provider[object]) -> Iterator[None]:
        """Resolve `replacement` instead of this provider, everywhere, until the block ends."""
        entry = (object(), replacement)
        self._overrides.append(entry)
        try:
            verify(self)
            self._refresh()
            yield
        finally:
            self._overrides.remove(entry)
            self._refresh()

    def _refresh(self) -> None:
        self.compiled = self._compile()
        for dependent in list(self._dependents):
            dependent._refresh()

    def _compile(self) -> Compiled[T_co]:
        for provider in self.dependencies():
            provider._dependents.add(self)
        if self._overrides:
            token, replacement = self._overrides[-1]
            found = replacement.compiled
            return Compiled(found.is_async, found.call, found.cell, found.overrides | {token})
        args = [_compile_argument(value) for value in self.args]
        kwargs = {name: _compile_argument(value) for name, value in self.kwargs.items()}
        below = [value.overrides for value in (*args, *kwargs.values()) if isinstance(value, Compiled)]
        recipe = Recipe(self.factory, args, kwargs, awaits=is_async_callable(self.factory))
        return self._finish(recipe, generate(str(self), recipe), frozenset[object]().union(*below))

    def _finish(self, recipe: Recipe, call: Callable[[], object], overrides: frozenset[object]) -> Compiled[T_co]:
        return Compiled(recipe.is_async, call, None, overrides, recipe.within)


class FactoryProvider(Provider[T]):
    """Makes a new object each time.

    Args:
        factory: A class or a synchronous function.
        *args: Positional arguments; providers among them are resolved.
        **kwargs: The same by keyword.

    Raises:
        ProviderError: `factory` is asynchronous.
    """

    def __init__(self, factory: Callable[..., T], /, *args: object, **kwargs: object) -> None:
        super().__init__(factory, *args, **kwargs)
        if is_async_callable(factory):
            raise ProviderError(f"{describe(factory)} is asynchronous: use AsyncFactoryProvider for it.")


class AsyncFactoryProvider(Provider[T]):
    """Awaits an asynchronous function for a new object each time.

    Args:
        factory: An ``async def`` function.
        *args: Positional arguments; providers among them are resolved.
        **kwargs: The same by keyword.

    Raises:
        ProviderError: `factory` is not asynchronous.
    """

    def __init__(self, factory: Callable[..., Awaitable[T]], /, *args: object, **kwargs: object) -> None:
        super().__init__(factory, *args, **kwargs)
        if not is_async_callable(factory):
            raise ProviderError(f"{describe(factory)} is not an async function: use FactoryProvider for it.")


class SingletonProvider(Provider[T]):
    """Makes one object, at the first use, and gives it to everybody.

    An object that is a context manager is entered, and its users get what entering returns. When the container closes,
    it is exited, or its `aclose()` or `close()` is called, in the reverse order of creation. A synchronous factory runs
    where it is first needed, not in a thread.

    Args:
        factory: A class or a function, synchronous or asynchronous.
        *args: Positional arguments; providers among them are resolved.
        **kwargs: The same by keyword.

    Raises:
        ProviderError: `factory` is a generator function without `contextlib.contextmanager` around it.
    """

    @overload
    def __init__(self, factory: Callable[..., Coroutine[Any, Any, T]], /, *args: object, **kwargs: object) -> None: ...
    @overload
    def __init__(
        self, factory: Callable[..., AbstractAsyncContextManager[T]], /, *args: object, **kwargs: object
    ) -> None: ...
    @overload
    def __init__(
        self, factory: Callable[..., AbstractContextManager[T]], /, *args: object, **kwargs: object
    ) -> None: ...
    @overload
    def __init__(self, factory: Callable[..., T], /, *args: object, **kwargs: object) -> None: ...

    def __init__(self, factory: Callable[..., object], /, *args: object, **kwargs: object) -> None:
        super().__init__(factory, *args, **kwargs)
        if inspect.isgeneratorfunction(factory) or inspect.isasyncgenfunction(factory):
            raise ProviderError(
                f"{describe(factory)} is a generator function: decorate it with contextlib.contextmanager or "
                "contextlib.asynccontextmanager."
            )
        self._cells: dict[frozenset[object], Cell] = {}

    @cached_property
    def is_async_resource(self) -> bool:
        """Whether the object is an asynchronous context manager, as far as the factory's declaration tells."""
        return makes_async_context(self.factory)

    def copy(self, singletons: Singletons) -> SingletonProvider[T]:
        """Return a bound copy for one container, with an object of its own."""
        twin = cast(SingletonProvider[T], super().copy(singletons))
        twin._cells = {}
        return twin

    def _finish(self, recipe: Recipe, call: Callable[[], object], overrides: frozenset[object]) -> Compiled[T]:
        cell = self._cells.setdefault(overrides, Cell())
        if recipe.is_async or self.is_async_resource:
            call = compile_async_singleton(str(self), cell, call, self._singletons.keep_async, awaits=recipe.is_async)
            return Compiled(True, call, cell, overrides)
        return Compiled(False, compile_singleton(str(self), cell, call, self._singletons.keep), cell, overrides)


class ValueProvider(Provider[T]):
    """Gives an object that somebody else made and will close: the replacement in an override."""

    def __init__(self, value: T) -> None:
        super().__init__(lambda: value)
        self._value = value

    def __str__(self) -> str:
        return f"the value {self._value!r}"

    def _finish(self, recipe: Recipe, call: Callable[[], object], overrides: frozenset[object]) -> Compiled[T]:
        return Compiled(False, call, Cell(self._value), overrides)


class _ProvideType(type):
    def __getitem__(cls, provider: Provider[T]) -> T:
        # The marker stands where the object will be, so a type checker is told the object's type.
        return cast(T, Provide(provider))


class Provide(metaclass=_ProvideType):
    """`Provide[container.service]` marks a parameter that is resolved by a provider.

    Used as the parameter's default, or as ``Annotated[Service, Provide[container.service]]``.

    Attributes:
        provider: The provider.

    Raises:
        ProviderError: What is given is no provider, belongs to a container's class and not to its instance, or is
            declared wrongly.
    """

    __slots__ = ("provider",)

    # The signature compiler knows the marker by this name, and so needs no import of the container.
    __velithon_provide__: ClassVar[bool] = True

    def __init__(self, provider: Provider[object]) -> None:
        if not isinstance(provider, Provider):
            raise ProviderError(f"Provide[...] takes a provider of a container, not {provider!r}")
        provider.compile()
        self.provider = provider

    def __repr__(self) -> str:
        return f"Provide[{self.provider}]"


def marker_of(default: object, annotation: object) -> Provide | None:
    """Return the `Provide` marker of a parameter, given its default and its evaluated annotation."""
    if isinstance(default, Provide):
        return default
    if get_origin(annotation) is Annotated:
        return next((item for item in reversed(get_args(annotation)) if isinstance(item, Provide)), None)
    return None


def format_path(path: tuple[Provider[object], ...]) -> str:
    """Return the path of providers, for a message."""
    return " -> ".join(str(provider) for provider in path)


def verify(provider: Provider[object], path: tuple[Provider[object], ...] = ()) -> None:
    """Check a provider and all that it needs.

    Cycles, wrong arguments, and providers of a class without an instance are mistakes.

    Raises:
        ProviderError: With the path from the first provider to the mistake.
    """
    chain = (*path, provider)
    if provider in path:
        raise ProviderError(f"Providers need each other in a circle: {format_path(chain[path.index(provider) :])}")
    if provider.owner is not None and not provider.bound:
        raise ProviderError(
            f"{format_path(chain)} belongs to a class: make a container, {provider.owner.__name__}(), and use its own."
        )
    check_arguments(provider, chain)
    for needed in provider.dependencies():
        verify(needed, chain)


def check_arguments(provider: Provider[object], path: tuple[Provider[object], ...]) -> None:
    """Check that the factory takes the arguments that it will be given.

    Raises:
        ProviderError: An argument is unknown or missing.
    """
    try:
        signature = inspect.signature(provider.factory)
    except ValueError:  # some C functions have no signature to read
        return
    try:
        signature.bind(*provider.args, **provider.kwargs)
    except TypeError as error:
        name = describe(provider.factory)
        taken = ", ".join(signature.parameters) or "nothing"
        known = signature.parameters
        open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
        unknown = [keyword for keyword in provider.kwargs if keyword not in known and not open_ended]
        if unknown:
            message = f"{name} has no parameter {', '.join(map(repr, unknown))}; it takes {taken}"
        else:
            message = f"no provider or value for {name}: {error}; it takes {taken}"
        raise ProviderError(f"{format_path(path)}: {message}") from None


def _compile_argument(value: object) -> object:
    return value.compiled if isinstance(value, Provider) else value


def _unwrap_marker(value: object) -> object:
    return value.provider if isinstance(value, Provide) else value


def _find_provided_defaults(
    factory: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]
) -> dict[str, object]:
    """Return the providers that the factory's signature names, where no argument is given."""
    try:
        signature = inspect.signature(factory)
        given = signature.bind_partial(*args, **kwargs).arguments
    except (TypeError, ValueError):  # reported with the path when the container is made
        return {}
    markers = {
        name: marker_of(parameter.default, parameter.annotation)
        for name, parameter in signature.parameters.items()
        if name not in given
    }
    return {name: marker.provider for name, marker in markers.items() if marker is not None}
