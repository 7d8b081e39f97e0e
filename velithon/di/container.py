"""The container: a class of providers, and its instances that hold the objects."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Self, TypeVar

from velithon.di.callables import is_async_callable
from velithon.di.compile import ProviderError
from velithon.di.providers import (
    AsyncFactoryProvider,
    FactoryProvider,
    Provider,
    SingletonProvider,
    ValueProvider,
    check_arguments,
    format_path,
)
from velithon.di.resources import Singletons

T = TypeVar("T")


class ServiceContainer:
    """A set of providers, declared as class attributes of a subclass.

    A subclass of a container inherits its providers; a provider that it declares anew also serves the inherited ones
    that use the old one. Each instance has its own objects.

    Example:
        ```python
        class Container(ServiceContainer):
            db = SingletonProvider(Database)
            users = FactoryProvider(UserRepository, db=db)

        container = Container()
        app.register_container(container)
        ```

    Raises:
        ProviderError: When the class is created: providers need each other in a circle, a factory does not take an
            argument or misses one, a provider is not there.
    """

    _assembly: _Assembly
    _started: int

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        for name, value in vars(cls).items():
            if not isinstance(value, Provider):
                continue
            if hasattr(ServiceContainer, name):
                raise ProviderError(
                    f"{cls.__name__}.{name}: every container has a method of this name, choose another."
                )
            if value.owner is None and not value.bound:
                value.owner, value.name = cls, name
        _Assembly(cls).bind_all()

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        if cls.__init__ is object.__init__ and (args or kwargs):
            raise TypeError(f"{cls.__name__}() takes no arguments.")
        self = super().__new__(cls)
        assembly = _Assembly(cls)
        self.__dict__.update(assembly.bind_all(), _assembly=assembly, _started=0)
        return self

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(value, Provider) or name in self._assembly.declared:
            raise ProviderError(f"Declare {name!r} in the class {type(self).__name__}, or replace it with override().")
        super().__setattr__(name, value)

    async def startup(self) -> None:
        """Make the container ready: enter the singletons that are asynchronous context managers.

        They are entered here, and not at their first use, so that one task enters and exits them. Everything else is
        made when it is first needed.
        """
        self._started += 1
        try:
            for provider in self._assembly.bind_all().values():
                if isinstance(provider, SingletonProvider) and provider.is_async_resource:
                    await provider.resolve()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the singletons, the last made first.

        The container can be used again and makes new ones.

        A container that several applications have started is closed by the last of them.
        """
        self._started = max(0, self._started - 1)
        if not self._started:
            await self._assembly.singletons.close()

    @contextmanager
    def override(self, provider: Provider[T], replacement: object) -> Iterator[Provider[T]]:
        """Replace a provider until the block ends, for tests; may be nested.

        All threads and tasks see the replacement. Singletons that depend on the provider are made anew inside the
        block, and the ones from before it are back afterwards.

        Args:
            provider: A provider of this container.
            replacement: Another provider; or a class or function without required parameters, which takes the role of
                the provider (called once for a singleton, each time otherwise); or any other object, which is given as
                it is.

        Yields:
            The provider that replaces.

        Raises:
            ProviderError: `provider` is not one of this container's, or the replacement cannot be used.
        """
        target = self._assembly.find(provider)
        if target is None:
            raise ProviderError(f"{provider} is not a provider of {type(self).__name__}")
        bound = self._assembly.bind(_build_replacement(target, replacement), (target,))
        with target.overridden(bound):
            yield bound  # type: ignore[misc]  # it gives what `provider` does


class _Assembly:
    """Makes the bound copies of a container class's providers and connects them."""

    def __init__(self, container: type[ServiceContainer]) -> None:
        self.container = container
        self.singletons = Singletons()
        self.declared: dict[str, object] = {}
        self._names: dict[Provider[object], str] = {}
        self._bound: dict[Provider[object], Provider[object]] = {}
        for base in reversed(container.__mro__):
            for name, value in vars(base).items():
                if isinstance(value, Provider):
                    self._names[value] = name
                    self.declared[name] = value
                elif name in self.declared:
                    self.declared[name] = value

    def bind_all(self) -> dict[str, Provider[object]]:
        return {name: self.bind(value) for name, value in self.declared.items() if isinstance(value, Provider)}

    def find(self, provider: Provider[object]) -> Provider[object] | None:
        return provider if provider in self._bound.values() else self._bound.get(provider)

    def bind(self, provider: Provider[object], path: tuple[Provider[object], ...] = ()) -> Provider[object]:
        if provider.bound:
            return provider
        template = self._find_declared(provider, path)
        chain = (*path, template)
        if template in path:
            raise ProviderError(f"Providers need each other in a circle: {format_path(chain[path.index(template) :])}")
        if template not in self._bound:
            copy = template.copy(self.singletons)
            copy.args = tuple(self._bind_argument(value, chain) for value in template.args)
            copy.kwargs = {name: self._bind_argument(value, chain) for name, value in template.kwargs.items()}
            check_arguments(copy, chain)
            self._bound[template] = copy
        return self._bound[template]

    def _bind_argument(self, value: object, path: tuple[Provider[object], ...]) -> object:
        return self.bind(value, path) if isinstance(value, Provider) else value

    def _find_declared(self, provider: Provider[object], path: tuple[Provider[object], ...]) -> Provider[object]:
        """Return the provider that stands for `provider` in this class.

        The class may have declared the name anew.
        """
        name = self._names.get(provider)
        if name is None:
            if provider.owner is None:
                return provider
            raise ProviderError(
                f"{format_path((*path, provider))}: {self.container.__name__} has no such provider, "
                f"it does not inherit from {provider.owner.__name__}"
            )
        current = self.declared[name]
        if not isinstance(current, Provider):
            raise ProviderError(
                f"{format_path((*path, provider))}: {self.container.__name__}.{name} is {current!r}, "
                "which is not a provider."
            )
        # The new declaration may wrap the one that it replaces.
        return provider if path and path[-1] is current else current


def _build_replacement(target: Provider[object], replacement: object) -> Provider[object]:
    if isinstance(replacement, Provider):
        return replacement
    if not (inspect.isclass(replacement) or inspect.isroutine(replacement) or isinstance(replacement, partial)):
        return ValueProvider(replacement)
    factory: Callable[..., Any] = replacement
    if isinstance(target, SingletonProvider):
        return SingletonProvider(factory)
    return AsyncFactoryProvider(factory) if is_async_callable(factory) else FactoryProvider(factory)
