"""Dependencies with `yield`: how each kind is entered, and what is left for the end of the request.

AnyIO cancels a task at every `await` until the cancelled scope is left, so exit code that awaits would be cut short: it
runs behind a shield. A shield must not stand inside a scope that the dependency itself opened (scopes are left in the
reverse order of entering), so it is put up only where the dependency left the innermost scope as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any

from anyio import CancelScope
from anyio._backends._asyncio import _task_states
from starlette.datastructures import FormData

from velithon.concurrency import contextmanager_in_threadpool
from velithon.signature.dependencies import Concurrency
from velithon.signature.model import DependencyModel

ContextMaker = Callable[..., AbstractAsyncContextManager[Any]]


def context_maker(model: DependencyModel) -> ContextMaker:
    """Return what makes an asynchronous context manager of a dependency's arguments."""
    call: Callable[..., Any] = model.call
    if model.is_async_generator:
        asynchronous = call if model.is_context else asynccontextmanager(call)

        def shielded(*args: Any, **kwargs: Any) -> AbstractAsyncContextManager[Any]:
            return _CancelSafe(asynchronous(*args, **kwargs))

        return shielded
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


def _innermost_scope() -> Any:
    """Return AnyIO's innermost cancel scope of this task; it has no public name."""
    task = asyncio.current_task()
    state = None if task is None else _task_states.get(task)
    return None if state is None else state.cancel_scope


class _CancelSafe(AbstractAsyncContextManager[Any]):
    """A context manager whose exit code may await although the task was cancelled."""

    __slots__ = ("_manager", "_scope")

    def __init__(self, manager: AbstractAsyncContextManager[Any]) -> None:
        self._manager = manager
        self._scope: Any = None

    # Plain functions that return the awaitable: a coroutine around it would cost as much as all the rest.
    def __aenter__(self) -> Awaitable[Any]:  # type: ignore[override]
        self._scope = _innermost_scope()
        return self._manager.__aenter__()

    def __aexit__(  # type: ignore[override]
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Awaitable[bool | None]:
        if kind is not None and issubclass(kind, asyncio.CancelledError) and _innermost_scope() is self._scope:
            return self._exit_shielded(kind, error, trace)
        return self._manager.__aexit__(kind, error, trace)

    async def _exit_shielded(
        self, kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        handled: bool | None = None
        with CancelScope(shield=True):
            handled = await self._manager.__aexit__(kind, error, trace)
        return handled


async def close_form(form: FormData) -> None:
    """Close a form's files, which removes them, whether the task was cancelled or not."""
    with CancelScope(shield=True):
        await form.close()
