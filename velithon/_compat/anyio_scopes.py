"""What is private of AnyIO's cancel scopes; apart, as it imports AnyIO's backend."""

from __future__ import annotations

import asyncio
from typing import Any

from anyio._backends._asyncio import _task_states

__all__ = ["innermost_cancel_scope"]


def innermost_cancel_scope() -> Any:
    """Return AnyIO's innermost cancel scope of this task; `None` where there is none."""
    if not _task_states.data:  # type: ignore[attr-defined]  # of WeakKeyDictionary, which typeshed does not show
        return None
    task = asyncio.current_task()
    state = None if task is None else _task_states.get(task)
    return None if state is None else state.cancel_scope
