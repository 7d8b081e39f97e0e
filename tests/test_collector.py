"""The garbage collector in a server's process, and in a process that only tests."""

import gc
from pathlib import Path

import httpx
import pytest

from tests.servers import SERVERS, ServerName, serve
from velithon import Velithon
from velithon.testclient import TestClient

APP = """
import gc, sys
from pathlib import Path
from velithon import Velithon

def report():
    Path({report!r}).write_text(f"{{gc.get_freeze_count()}} {{gc.get_threshold()[0]}}")

{before}
app = Velithon({options})

@app.get("/")
async def collector() -> dict[str, int]:
    return {{"frozen": gc.get_freeze_count(), "threshold": gc.get_threshold()[0]}}
"""
USUAL = gc.get_threshold()[0]


def app(options: str = "", before: str = "", report: Path = Path("unused")) -> str:
    """The source of an application that tells how the collector is set up."""
    return APP.format(options=options, before=before, report=str(report))


def found(source: str, server: ServerName) -> dict[str, int]:
    """What the application says, on a server."""
    with serve(source, server) as running:
        answer: dict[str, int] = httpx.get(f"{running.url}/", timeout=20).json()
        return answer


@pytest.mark.parametrize("server", SERVERS)
def test_what_lives_as_long_as_the_process_is_frozen(server: ServerName) -> None:
    """From the start on, and objects are looked at less often."""
    answer = found(app(), server)
    assert answer["frozen"] > 10_000
    assert answer["threshold"] > USUAL


def test_it_can_be_left_out() -> None:
    """By an option of the application."""
    assert found(app("tune_gc=False"), "granian-rsgi") == {"frozen": 0, "threshold": USUAL}


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("gc.set_threshold(50_000)", {"frozen": 0, "threshold": 50_000}),
        ("gc.set_threshold(0)", {"frozen": 0, "threshold": 0}),
        ("gc.disable()", {"frozen": 0, "threshold": USUAL}),
    ],
)
def test_a_process_that_set_it_up_is_left_alone(before: str, expected: dict[str, int]) -> None:
    """What a developer chose stays."""
    assert found(app(before=before), "uvicorn") == expected


def test_it_is_set_back_at_the_end(tmp_path: Path) -> None:
    """What is frozen then is collected by nobody, not even when Python ends."""
    report = tmp_path / "report"
    found(app(before="import atexit; atexit.register(report)", report=report), "uvicorn")
    assert report.read_text() == f"0 {USUAL}"


@pytest.mark.parametrize("protocol", ["asgi", "rsgi"])
def test_a_test_changes_nothing(protocol: str) -> None:
    """It may start a thousand applications in one process."""
    with TestClient(Velithon(), protocol=protocol):  # type: ignore[arg-type]
        assert gc.get_freeze_count() == 0
        assert gc.get_threshold()[0] == USUAL
