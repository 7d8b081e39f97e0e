"""Dependencies with `yield`: how each kind is entered, and what is left for the end of the request."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

from velithon.concurrency import contextmanager_in_threadpool
from velithon.signature.dependencies import Concurrency
from velithon.signature.model import DependencyModel

ContextMaker = Callable[..., AbstractAsyncContextManager[Any]]


def context_maker(model: DependencyModel) -> ContextMaker:
    """Return what makes an asynchronous context manager of a dependency's arguments."""
    call: Callable[..., Any] = model.call
    if model.is_async_generator:
        return call if model.is_context else asynccontextmanager(call)
    threaded = call if model.is_context else contextmanager(call)

    def make(*args: Any, **kwargs: Any) -> AbstractAsyncContextManager[Any]:
        return contextmanager_in_threadpool(threaded(*args, **kwargs))

    return make


async def enter_limited(
    stack: AsyncExitStack, concurrency: Concurrency, manager: AbstractAsyncContextManager[Any]
) -> Any:
    """Enter a context manager that only so many may be inside of."""
    await stack.enter_async_context(concurrency.semaphore())
    return await stack.enter_async_context(manager)
