"""Writes the source of a plan: its lines, its constants, and the compiled function."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from velithon._runtime.generated import compile_function


class Writer:
    """A function being written."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, object] = {}
        self._depth = 1
        self._prelude_at = (0, 1)
        self._known: dict[tuple[int, str], str] = {}
        self._taken: set[str] = set()

    def line(self, text: str) -> None:
        """Add a line at the current depth."""
        self.lines.append("    " * self._depth + text)

    def begin_prelude(self) -> None:
        """Remember this place for the lines of `prelude`."""
        self._prelude_at = (len(self.lines), self._depth)

    def prelude(self, text: str) -> None:
        """Add a line at the place of `begin_prelude`, before everything that was written since."""
        index, depth = self._prelude_at
        self.lines.insert(index, "    " * depth + text)
        self._prelude_at = (index + 1, depth)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Add a line that opens a block, and indent what follows inside."""
        self.line(head)
        self._depth += 1
        yield
        self._depth -= 1

    def fresh(self, hint: str) -> str:
        """Return a name that nothing else has, close to `hint`."""
        base = re.sub(r"\W", "_", hint) or "value"
        name = base
        for number in itertools.count(2):
            if name not in self._taken:
                break
            name = f"{base}_{number}"
        self._taken.add(name)
        return name

    def constant(self, value: object, hint: str) -> str:
        """Return the name under which the function sees `value`; literals are written out."""
        if value is None or isinstance(value, bool):
            return repr(value)
        if type(value) in (str, int) or (type(value) is float and value == value and abs(value) != float("inf")):
            return repr(value)
        key = (id(value), hint)
        if key not in self._known:
            name = self._known[key] = self.fresh(hint)
            self.names[name] = value
        return self._known[key]

    def function(self, parameters: str, title: str) -> Callable[..., Any]:
        """Compile what was written into the asynchronous function `plan`.

        Args:
            parameters: The function's parameters.
            title: What it answers, for tracebacks.
        """
        source = "\n".join([f"async def plan({parameters}):", *(self.lines or ["    pass"]), ""])
        plan = compile_function(title, source, "plan", self.names)
        plan.__velithon_source__ = source  # type: ignore[attr-defined] # functions take any attribute
        return plan
