"""What is private of AnyIO's cancel scopes; apart, as it imports AnyIO's backend."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import ref

from anyio._backends._asyncio import _task_states

__all__ = ["innermost_cancel_scope", "states_of_tasks"]

# By weak reference to the task, and empty where no task has had a scope. The dictionary inside of AnyIO's is asked,
# whose own methods are calls of Python functions.
states_of_tasks = _task_states.data  # type: ignore[attr-defined]  # of WeakKeyDictionary, which typeshed does not show


def innermost_cancel_scope() -> Any:
    """Return AnyIO's innermost cancel scope of this task; `None` where there is none."""
    task = asyncio.current_task() if states_of_tasks else None
    state = None if task is None else states_of_tasks.get(ref(task))
    return None if state is None else state.cancel_scope
