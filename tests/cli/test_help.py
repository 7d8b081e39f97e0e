"""Help in panels, at the width of the terminal."""

import io

import pytest
from typer.testing import CliRunner

from velithon.cli import app as cli
from velithon.cli.help import is_coloured, panel


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        """Say that it is."""
        return True


@pytest.mark.parametrize(("columns", "width"), [(20, 44), (60, 60), (80, 80), (300, 110)])
@pytest.mark.parametrize("command", [[], ["run"], ["client"]])
def test_panels_are_as_wide_as_the_terminal(columns: int, width: int, command: list[str]) -> None:
    """Every line of a panel; nothing is coloured where there is no terminal."""
    text = CliRunner().invoke(cli, [*command, "--help"], env={"COLUMNS": str(columns)}).output
    lines = [line for line in text.splitlines() if line[:1] in set("╭│╰")]
    assert lines
    assert {len(line) for line in lines} == {width}
    assert "\x1b" not in text


def test_options_stand_in_panels() -> None:
    """Of `velithon run`: by what they are about; commands: by what they are for."""
    text = CliRunner().invoke(cli, ["run", "--help"]).output
    titles = [line.split(" ")[1] for line in text.splitlines() if line.startswith("╭")]
    assert titles == [
        *(
            "Arguments",
            "Application",
            "Server",
            "Workers",
            "Development",
            "Logging",
            "TLS",
            "Granian",
            "HTTP/1",
            "Options",
        )
    ]
    logging = text.partition("╭─ Logging ")[2].partition("╰")[0]
    assert logging.count("│ --") == 7
    text = CliRunner().invoke(cli, ["--help"]).output
    assert [line.split(" ")[1] for line in text.splitlines() if line.startswith("╭")] == [
        *("Write", "Serve", "Document", "Options")
    ]


def test_a_panel_has_colours_where_they_are_shown() -> None:
    """And lines of ASCII where the terminal has no others; the widths stay."""
    rows = [("--name <str>", "What it is called.")]
    plain, coloured, ascii_only = (
        panel("T", rows, 40, **more) for more in ({}, {"colour": True}, {"ascii_only": True})
    )
    assert "\x1b[36m--name <str>\x1b[0m" in coloured
    assert plain.splitlines()[0] == "╭─ T " + "─" * 34 + "╮"
    assert ascii_only.splitlines() == [line.translate(str.maketrans("╭╮╰╯─│", "++++-|")) for line in plain.splitlines()]


@pytest.mark.parametrize(
    ("stream", "environment", "expected"),
    [
        (Terminal(), {"TERM": "xterm", "NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb", "NO_COLOR": ""}, False),
        (io.StringIO(), {"TERM": "xterm", "NO_COLOR": ""}, False),
    ],
)
def test_colours_need_a_terminal(
    stream: io.StringIO, environment: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nobody who says `NO_COLOR`."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_coloured(stream) is expected
