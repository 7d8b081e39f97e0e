"""The frames of an exception: of the application, of packages, of generated code."""

from __future__ import annotations

import linecache
import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType, TracebackType
from typing import Literal

from velithon.pages.secrets import format_value

__all__ = ["Frame", "iterate_links", "read_frames"]

_AROUND = 5  # lines of code before and after
_LOCALS = 50

Kind = Literal["yours", "package", "generated"]


@dataclass
class Frame:
    """One call on the way to where an exception was raised.

    Attributes:
        kind: Whose code it is.
        place: The file as people name it: below the working directory, or below where packages are.
        file: The file.
        line: The line, from 1.
        function: The function's qualified name.
        code: The lines around: (number, text).
        span: Where in the line the call stands, as columns; empty where that is not known.
        values: The local variables as text, secrets masked; of the application's own frames only.
    """

    kind: Kind
    place: str
    file: str
    line: int
    function: str
    code: list[tuple[int, str]]
    span: tuple[int, int]
    values: dict[str, str] = field(default_factory=dict)


def iterate_links(exc: BaseException) -> Iterator[tuple[BaseException, str]]:
    """Yield an exception and its causes, each with its relation to the previous one.

    The relation is worded as in tracebacks.
    """
    seen: set[int] = set()
    found: BaseException | None = exc
    relation = ""
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found, relation
        if found.__cause__ is not None:
            found, relation = found.__cause__, "It was raised from"
        elif found.__context__ is not None and not found.__suppress_context__:
            found, relation = found.__context__, "It was raised while this was handled"
        else:
            found = None


def read_frames(exc: BaseException) -> list[Frame]:
    """Return the frames of an exception, the place where it was raised first."""
    found = []
    trace = exc.__traceback__
    while trace is not None:
        found.append(_read_frame(trace))
        trace = trace.tb_next
    return found[::-1]


def _read_frame(trace: TracebackType) -> Frame:
    code = trace.tb_frame.f_code
    kind = _find_kind(code.co_filename)
    values: dict[str, str] = {}
    if kind == "yours":
        variables = list(trace.tb_frame.f_locals.items())
        if trace.tb_frame.f_locals is trace.tb_frame.f_globals:
            variables = []
        values = {name: format_value(name, value) for name, value in variables[:_LOCALS] if not name.startswith("@")}
    line = trace.tb_lineno or code.co_firstlineno
    lines = linecache.getlines(code.co_filename, trace.tb_frame.f_globals)
    first = max(1, line - _AROUND)
    around = [(first + index, text.rstrip("\n")) for index, text in enumerate(lines[first - 1 : line + _AROUND])]
    return Frame(
        kind,
        _format_place(code.co_filename),
        code.co_filename,
        line,
        code.co_qualname,
        around,
        _find_span(code, trace.tb_lasti, line, lines),
        values,
    )


def _find_kind(file: str) -> Kind:
    if file.startswith("<velithon "):
        return "generated"
    if file.startswith("<") or any(file.startswith(place) for place in _list_package_directories()):
        return "package"
    return "yours"


@cache
def _list_package_directories() -> tuple[str, ...]:
    """Return the directories of packages, of the standard library and of Velithon."""
    found = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found |= {os.path.dirname(os.path.realpath(os.__file__))}
    ours = Path(__file__).resolve().parent.parent
    found |= {str(ours), str(ours.parent / "adapters" / "velithon_adapters"), str(ours.parent / "velithon_adapters")}
    return tuple(os.path.join(place, "") for place in found if place)


def _format_place(file: str) -> str:
    if file.startswith("<"):
        return file.strip("<>")
    for directory in (os.getcwd(), *sorted(_list_package_directories(), key=len, reverse=True)):
        if file.startswith(os.path.join(directory, "")):
            inside = os.path.relpath(file, directory)
            name = os.path.basename(os.path.normpath(directory))
            return f"{name}/{inside}" if name.startswith("velithon") else inside
    return file


def _find_span(code: CodeType, index: int, line: int, lines: list[str]) -> tuple[int, int]:
    """Return the columns of what was executed, as characters; the code object has bytes."""
    positions = next((found for number, found in enumerate(code.co_positions()) if number == index // 2), None)
    if positions is None or not 0 < line <= len(lines):
        return (0, 0)
    start_line, end_line, start, end = positions
    if start_line != line or end_line != line or start is None or end is None:
        return (0, 0)
    raw = lines[line - 1].encode()
    return (len(raw[:start].decode(errors="replace")), len(raw[:end].decode(errors="replace")))
