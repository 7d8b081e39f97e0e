"""Dependencies with `yield`: how each kind is entered, and how it exits.

AnyIO cancels a task at every `await` until the cancelled scope is left, so exit code that awaits would be cut short: it
runs behind a shield. Scopes are left in the reverse order of entering, and a dependency may open its own: the shield
is a scope that is entered before the first of the dependencies, and put up while they exit. Where no scope stands
around the request, nobody can cancel one, and none is entered.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from functools import partial
from types import TracebackType

from anyio import CancelScope
from anyio.lowlevel import checkpoint_if_cancelled

from velithon._compat.anyio_scopes import innermost_cancel_scope
from velithon.concurrency import contextmanager_in_threadpool
from velithon.exceptions import VelithonError
from velithon.signature.dependencies import Concurrency
from velithon.signature.model import DependencyModel

ContextMaker = Callable[..., AbstractAsyncContextManager[object]]


def build_context_maker(model: DependencyModel) -> ContextMaker:
    """Return what makes an asynchronous context manager of a dependency's arguments."""
    call = model.call
    if model.is_async_generator:
        return call if model.is_context else lambda *args, **kwargs: _GeneratorContext(call(*args, **kwargs))
    threaded = call if model.is_context else contextmanager(_check_single_yield(call))

    def make(*args: object, **kwargs: object) -> AbstractAsyncContextManager[object]:
        return contextmanager_in_threadpool(threaded(*args, **kwargs))

    return make


def _check_single_yield(
    call: Callable[..., Generator[object, None, object]],
) -> Callable[..., Generator[object, None, None]]:
    """Return a generator function that yields once, as `call` must.

    An error names the dependency that never yields, or yields again.
    """

    def run(*args: object, **kwargs: object) -> Generator[object, None, None]:
        generator = call(*args, **kwargs)
        try:
            value = next(generator)
        except StopIteration:
            raise build_never_yielded_error(generator) from None
        try:
            yield value
        except BaseException as error:  # noqa: BLE001 - raised at the dependency's own `yield`
            step = partial(generator.throw, error)
        else:
            step = partial(next, generator)
        try:
            step()
        except StopIteration:
            return
        generator.close()
        raise _build_yields_again_error(generator)

    return run


async def enter_limited(
    stack: AsyncExitStack, concurrency: Concurrency, manager: AbstractAsyncContextManager[object]
) -> object:
    """Enter a context manager that only so many may be inside of."""
    await stack.enter_async_context(concurrency.get_semaphore())
    return await stack.enter_async_context(manager)


class _GeneratorContext(AbstractAsyncContextManager[object]):
    """A dependency's asynchronous generator as a context manager."""

    __slots__ = ("_generator", "_leaving")

    def __init__(self, generator: AsyncGenerator[object, None]) -> None:
        self._generator = generator

    async def __aenter__(self) -> object:
        try:
            value = await self._generator.__anext__()
        except StopAsyncIteration:
            raise build_never_yielded_error(self._generator) from None
        self._leaving = Leaving(self._generator)
        return value

    def __aexit__(  # type: ignore[override]  # an awaitable, which is all that `async with` asks for
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Awaitable[bool | None]:
        return self._leaving.__aexit__(kind, error, trace)


class Leaving:
    """The exit of an asynchronous generator: what `contextlib.asynccontextmanager` does, without its objects.

    Args:
        generator: The generator, at its `yield`.
    """

    __slots__ = ("_generator",)

    def __init__(self, generator: AsyncGenerator[object, None]) -> None:
        self._generator = generator

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            try:
                await self._generator.__anext__()
            except StopAsyncIteration:
                return False
            raise await self._build_yields_again_error()
        return await self._throw(error, trace)

    async def _throw(self, error: BaseException, trace: TracebackType | None) -> bool:
        """Raise the exception at the `yield`; return whether the generator dealt with it."""
        try:
            await self._generator.athrow(error)
        except StopAsyncIteration as stopped:
            return stopped is not error
        except BaseException as raised:
            # PEP 479 wraps a StopIteration that a generator lets through in a RuntimeError.
            wrapped = isinstance(error, StopIteration | StopAsyncIteration) and raised.__cause__ is error
            if raised is not error and not wrapped:
                raise
            error.__traceback__ = trace
            return False
        raise await self._build_yields_again_error()

    async def _build_yields_again_error(self) -> VelithonError:
        await self._generator.aclose()
        return _build_yields_again_error(self._generator)


class Exits(AsyncExitStack):
    """The exits of a request's dependencies.

    Ending without an exception, which nearly all requests do, takes a third of what `AsyncExitStack` needs for it.
    """

    _shield: CancelScope | None = None
    # Whether there are exits that may await, and a scope that could cancel them.
    _needs_shield = False
    _shares_shield = False

    @property
    def is_pending(self) -> bool:
        """Whether there is an exit to run, or a shield to leave.

        The inner exits may have used the shield alone.
        """
        return self._shield is not None or bool(self._exit_callbacks)  # type: ignore[attr-defined]  # private, of `contextlib.AsyncExitStack`

    def leave(self, generator: AsyncGenerator[object, None]) -> None:
        """Push the exit of an asynchronous generator; see `Leaving`."""
        self._exit_callbacks.append((False, Leaving(generator).__aexit__))  # type: ignore[attr-defined]  # private, of `contextlib.AsyncExitStack`

    def enter_shield(self, inner: Exits | None = None) -> None:
        """Prepare to shield the exits from cancellation.

        Called once, before the first dependency that may await.

        Args:
            inner: The exits that end before these, which use the same shield.
        """
        if innermost_cancel_scope() is None:
            return
        self._needs_shield = True
        self._shield = CancelScope()
        self._shield.__enter__()
        if inner is not None:
            inner._needs_shield = inner._shares_shield = True
            inner._shield = self._shield

    def hand_over(self) -> None:
        """Leave the shield, unless a dependency has a scope open.

        The scopes around the request may end before the exits run.
        """
        if self._shield is not None and innermost_cancel_scope() is self._shield:
            self._leave_shield()

    def _leave_shield(self) -> None:
        shield, self._shield = self._shield, None
        if shield is not None and not self._shares_shield:
            shield.__exit__(None, None, None)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Run the exits with an exception, or with none."""
        if not self._needs_shield:
            return await super().__aexit__(kind, error, trace)
        self._needs_shield = False
        if self._shield is None:
            self._shield = CancelScope().__enter__()
        self._shield.shield = True
        try:
            handled = await super().__aexit__(kind, error, trace)
        finally:
            self._shield.shield = False
            self._leave_shield()
        # A dependency's task group can swallow a cancellation that came from outside of the shield.
        await checkpoint_if_cancelled()
        return handled

    async def aclose(self) -> None:
        """Run the exits; from the first that raises on, as any stack does."""
        if self._needs_shield:
            await self.__aexit__(None, None, None)
            return
        callbacks = self._exit_callbacks  # type: ignore[attr-defined]  # private, of `contextlib.AsyncExitStack`
        raised: BaseException | None = None
        try:
            while callbacks:
                is_sync, callback = callbacks.pop()
                if is_sync:
                    callback(None, None, None)
                else:
                    await callback(None, None, None)
        except BaseException as error:  # noqa: BLE001 - raised again below
            raised = error
        if raised is not None:
            # Not while it is handled: the stack would take it for the context of what other exits raise.
            try:
                if not await self.__aexit__(type(raised), raised, raised.__traceback__):
                    raise raised
            finally:
                # The frame is in the exception's traceback.
                del raised


def build_never_yielded_error(generator: object) -> VelithonError:
    """Return the error of a dependency that ended before its `yield`."""
    return VelithonError(
        f"{_describe_generator(generator)} ended without yielding: yield a value, or raise an exception."
    )


def _build_yields_again_error(generator: object) -> VelithonError:
    return VelithonError(
        f"{_describe_generator(generator)} yields more than once: what follows its first yield is exit code."
    )


def _describe_generator(generator: object) -> str:
    code = getattr(generator, "ag_code", None) or getattr(generator, "gi_code", None)
    place = "" if code is None else f" ({code.co_filename}:{code.co_firstlineno})"
    return f"The dependency {getattr(generator, '__qualname__', repr(generator))}(){place}"
