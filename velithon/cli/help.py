"""The command line's help, with options in panels as wide as the terminal.

No name is cut.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from typer import Context

__all__ = ["PanelApp", "PanelCommand", "PanelGroup", "is_coloured", "panel"]

_WIDEST = 110
_NARROWEST = 44  # which the longest name fits into
# Of a panel's width; longer names have their text below them.
_NAMES = 34

F = TypeVar("F", bound=Callable[..., Any])
Row = tuple[str, str]


def panel(title: str, rows: Sequence[Row], width: int, *, colour: bool = False, ascii_only: bool = False) -> str:
    """Draw a box around names and what they mean.

    Args:
        title: Stands in the box's upper edge.
        rows: Names and texts.
        width: Of the box, in columns.
        colour: Whether names and title are coloured.
        ascii_only: Whether the terminal has no lines to draw with.
    """
    left_top, right_top, left_low, right_low, across, down = "++++-|" if ascii_only else "╭╮╰╯─│"
    inner = width - 4
    head = f"{across} {title} "
    lines = [left_top + _style(head, colour, bold=True) + across * max(0, width - 2 - len(head)) + right_top]
    for line, length in _wrap_rows(rows, inner, colour):
        lines.append(f"{down} {line}{' ' * max(0, inner - length)} {down}")
    return "\n".join([*lines, left_low + across * (width - 2) + right_low])


def is_coloured(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal that shows colours.

    `NO_COLOR` says that it does not.
    """
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _wrap_rows(rows: Sequence[Row], width: int, colour: bool) -> Iterable[tuple[str, int]]:
    """Yield each line with its length on the screen, which colours do not count for."""
    indent = 4 if width < 2 * _NAMES else min(_NAMES, max(len(name) for name, _ in rows) + 2)
    for name, text in rows:
        texts = textwrap.wrap(text, width - indent) or [""]
        if len(name) + 2 <= indent:
            first = f"{_style(name, colour, fg='cyan')}{' ' * (indent - len(name))}{texts[0]}"
            yield first, indent + len(texts.pop(0))
        else:
            yield from (
                (_style(part, colour, fg="cyan"), len(part))
                for part in textwrap.wrap(name, width, break_on_hyphens=False)
            )
        yield from ((" " * indent + part, indent + len(part)) for part in texts if part)


def _style(text: str, colour: bool, **style: Any) -> str:
    return typer.style(text, **style) if colour else text


def _draw(context: Context, rows: dict[str, list[Row]]) -> str:
    width = max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size().columns))
    colour = is_coloured(sys.stdout)
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    ascii_only = not encoding.lower().startswith("utf")
    boxes = [panel(title, found, width, colour=colour, ascii_only=ascii_only) for title, found in rows.items() if found]
    usage = context.command.get_usage(context)
    paragraphs = (context.command.help or "").split("\n\n")
    texts = [
        textwrap.fill(" ".join(part.split()), width, initial_indent=" ", subsequent_indent=" ") for part in paragraphs
    ]
    return "\n\n".join(filter(None, [usage, *texts, "\n".join(boxes)])) + "\n"


def _list_parameters(command: TyperCommand | TyperGroup, context: Context) -> dict[str, list[Row]]:
    """Return the rows of a command's parameters by their panels; the panel of `--help` is the last one."""
    found: dict[str, list[Row]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            default = "Arguments" if parameter.param_type_name == "argument" else "Options"
            title = getattr(parameter, "rich_help_panel", None) or default
            found.setdefault(title, []).append(record)
    options = found.pop("Options", [])
    return {**found, "Options": options}


class PanelCommand(TyperCommand):
    """A command whose help is drawn in panels."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments, and leave out of a message what pydantic puts before each."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(_draw(ctx, _list_parameters(self, ctx)))


class PanelGroup(TyperGroup):
    """A group of commands whose help is drawn in panels."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        rows: dict[str, list[Row]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                title = getattr(command, "rich_help_panel", None) or "Commands"
                rows.setdefault(title, []).append((name, command.get_short_help_str(200)))
        formatter.write(_draw(ctx, {**rows, **_list_parameters(self, ctx)}))


class PanelApp(typer.Typer):
    """`typer.Typer` whose commands have panels."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[F], F]:
        """Register a command, as `typer.Typer.command` does."""
        return super().command(name, **{"cls": PanelCommand, **options})
