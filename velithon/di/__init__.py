"""Dependency injection: containers of providers, and `Provide` to ask for what they make.

For code that compiles signatures: `marker_of(default, annotation)` finds the marker of a parameter,
`strip_inject(function)` gives the function below `@inject`, and `provider.compiled` (read at each use, because an
override replaces it) tells `is_async` and has the `call` that resolves.
"""

from velithon.di.compile import Compiled, ProviderError
from velithon.di.container import ServiceContainer
from velithon.di.injection import inject, strip_inject
from velithon.di.providers import (
    AsyncFactoryProvider,
    FactoryProvider,
    Provide,
    Provider,
    SingletonProvider,
    marker_of,
)

__all__ = [
    "AsyncFactoryProvider",
    "Compiled",
    "FactoryProvider",
    "Provide",
    "Provider",
    "ProviderError",
    "ServiceContainer",
    "SingletonProvider",
    "inject",
    "marker_of",
    "strip_inject",
]
