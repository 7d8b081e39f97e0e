"""Makes the values of `scope="app"` dependencies."""

from __future__ import annotations

from contextlib import AsyncExitStack

from velithon.concurrency import run_in_threadpool
from velithon.signature.dependencies import AppValues
from velithon.signature.exits import build_context_maker
from velithon.signature.model import DependencyModel


def get_key(node: DependencyModel) -> object:
    """Return what tells an application's values apart: the callable."""
    return node.call


async def get_app_value(scope: AppValues, node: DependencyModel, app: object) -> object:
    """Return the application's value of a dependency; make it, and what it needs, if missing."""

    async def make(stack: AsyncExitStack) -> object:
        arguments: dict[str, object] = {}
        for child in node.dependencies:
            value = await get_app_value(scope, child, app)
            if child.name is not None:
                arguments[child.name] = value
        arguments.update(dict.fromkeys(node.injected, app))
        for name, marker in node.provided.items():
            arguments[name] = await marker.provider.resolve()
        if node.is_generator or node.is_async_generator:
            return await stack.enter_async_context(build_context_maker(node)(**arguments))
        if node.is_coroutine:
            return await node.call(**arguments)
        return await run_in_threadpool(node.call, **arguments)

    return await scope.get(get_key(node), make)
