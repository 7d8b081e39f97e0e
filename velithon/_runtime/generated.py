"""Functions made of generated source, whose lines tracebacks and debuggers can show."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

# Title -> how many different sources it has been given to.
_counts: dict[str, int] = {}


def compile_function(title: str, source: str, name: str, namespace: dict[str, Any]) -> Callable[..., Any]:
    """Compile the source of one function.

    Args:
        title: What the function answers or makes; the file name in tracebacks is `<velithon TITLE>`, with a number
            where another source has the title already.
        source: The function's source.
        name: The function's name in it.
        namespace: The global names that it uses; the function is added.
    """
    filename = _remember(title, source)
    exec(compile(source, filename, "exec"), namespace)
    function: Callable[..., Any] = namespace[name]
    return function


def _remember(title: str, source: str) -> str:
    """Give the source to `linecache`, and return its file name."""
    lines = source.splitlines(keepends=True)
    filename = _make_filename(title, _counts.get(title, 1))
    known = linecache.cache.get(filename)
    if known is not None and len(known) == 4 and known[2] != lines:
        _counts[title] = _counts.get(title, 1) + 1
        filename = _make_filename(title, _counts[title])
    # No modification time: linecache keeps the entry instead of looking for a file.
    linecache.cache[filename] = (len(source), None, lines, filename)
    return filename


def _make_filename(title: str, number: int) -> str:
    return f"<velithon {title}>" if number == 1 else f"<velithon {title} ({number})>"
