"""The same exception in the same hook is answered and logged alike by every server."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults import faults
from tests.faults.raising import EXCEPTIONS, HOOKS
from tests.servers import EVERY_SERVER, ServerName, serve
from velithon_adapters._compat.granian import make_printable

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[ServerName, faults.Outcomes]]:
    """What became of every exception in every hook, by server."""
    with ExitStack() as stack:
        servers = {server: stack.enter_context(serve("tests.faults.raising:app", server)) for server in EVERY_SERVER}
        yield {server: faults.run(running) for server, running in servers.items()}


@pytest.mark.server
def test_the_table_of_the_documentation_is_what_happens(outcomes: dict[ServerName, faults.Outcomes]) -> None:
    """By hook: what is answered, how many records are logged, and for which exceptions."""
    assert faults.table(outcomes) in (ROOT / "docs" / "reliability.md").read_text()


@pytest.mark.server
def test_a_record_names_what_was_raised(outcomes: dict[ServerName, faults.Outcomes]) -> None:
    """Also where another exception was raised from it, which Granian by itself does not print."""
    for server, found in outcomes.items():
        silent = {key for key, outcome in found.items() if outcome.startswith("500") and outcome.endswith("no record")}
        # A client that left before the handshake ended is one line of INFO, which names nobody.
        assert {name for _, name in silent} <= {"WebSocketDisconnect"}, server


def test_no_hook_is_forgotten() -> None:
    assert len(HOOKS) == len(set(HOOKS)) >= 16
    assert len(EXCEPTIONS) >= 18
    by_kind = defaultdict(list)
    for name, make in EXCEPTIONS.items():
        by_kind[isinstance(make(""), Exception)].append(name)
    assert len(by_kind[False]) >= 6


def test_granian_is_given_all_that_python_prints() -> None:
    """An exception alone stays as it is; causes, notes and what a group holds are in the message of the others."""
    alone = ValueError("a")
    assert make_printable(alone) is alone
    hidden = ValueError("b")
    hidden.__context__, hidden.__suppress_context__ = KeyError("c"), True
    assert make_printable(hidden) is hidden
    group = ExceptionGroup("d", [OSError("e")])
    group.__cause__ = alone
    group.add_note("A note.")
    shown = make_printable(group)
    assert type(shown).__name__ == "ExceptionGroup"
    text = str(shown)
    for part in ("d (1 sub-exception)", "A note.", "OSError: e", "ValueError: a"):
        assert text.count(part) == 1
