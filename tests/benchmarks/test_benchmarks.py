"""The benchmarks run: their short forms, the checks before the timing, and the comparison with a saved run."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import page, peers, scenarios
from benchmarks.core.__main__ import compare
from benchmarks.core.cases import CASES
from benchmarks.core.stages import STAGES, finish
from benchmarks.ratios import ratio
from benchmarks.report import Report
from benchmarks.runner import Figures, Results
from benchmarks.scenarios import SCENARIOS, Scenario
from tests.effort import FULL

ROOT = Path(__file__).resolve().parents[2]

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed: apt-get install wrk")
needs_valgrind = pytest.mark.skipif(
    shutil.which("valgrind") is None, reason="valgrind is not installed: apt-get install valgrind"
)


def run(module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a benchmark as a command."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.server
@needs_wrk
def test_the_short_form_runs(tmp_path: Path) -> None:
    """Servers start, answers are checked, load is made, and the text, the page and the figures are written."""
    page, figures = tmp_path / "report.html", tmp_path / "figures.json"
    done = run("benchmarks", "--short", "--no-pinning", "--html", str(page), "--json", str(figures))
    assert done.returncode == 0, done.stderr
    assert "rate × raw" in done.stdout
    found = json.loads(figures.read_text())["scenarios"]
    assert {name: set(rows) for name, rows in found.items()} == dict.fromkeys(
        ("json", "params", "ws-echo"), set(peers.SHORT)
    )
    text = page.read_text()
    assert text.count("<svg") == 3
    # Self-contained: nothing is loaded from anywhere.
    assert re.findall(r"""(?:src|href)=["'](?!#|data:)|@import|url\(""", text) == []


def test_every_stage_is_measured(tmp_path: Path) -> None:
    """The table has a column for each stage, and a baseline must be there."""
    saved = tmp_path / "saved.json"
    arguments = ["--seconds", "0.01", "--only", "JSONResponse", "--only", "pydantic", "--only", "sync"]
    assert run("benchmarks.core", *arguments, "--baseline", str(saved)).returncode == 2, "there is no baseline yet"
    done = run("benchmarks.core", *arguments, "--save", str(saved))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split()[1:] == ["total", "raw", "RSGI", *STAGES, "ASGI", "Starlette"]
    results = json.loads(saved.read_text())["results"]
    assert set(results) == {"JSONResponse", "pydantic body in and out", "sync endpoint"}
    assert set(STAGES) < set(results["pydantic body in and out"])
    assert set(STAGES) - set(results["JSONResponse"]) == {"request"}, "an endpoint that takes nothing needs none"


@needs_valgrind
@pytest.mark.skipif(not FULL, reason="twenty seconds of callgrind: VELITHON_TESTS=full")
def test_instructions_are_counted(tmp_path: Path) -> None:
    """And two counts of the same code differ by less than a regression that is to be seen."""
    saved = tmp_path / "saved.json"
    arguments = ["--instructions", "--only", "dict"]
    done = run("benchmarks.core", *arguments, "--save", str(saved))
    assert done.returncode == 0, done.stdout + done.stderr
    done = run("benchmarks.core", *arguments, "--baseline", str(saved))
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(saved.read_text())["results"]["dict"]["total"] > 1000


def test_a_regression_is_seen() -> None:
    """A case that lost more than the tolerance, beside raw RSGI in the same run, makes the comparison fail."""
    old = {"unit": "ns", "results": {"json": {"total": 1000.0, "raw RSGI": 500.0}}}
    same, good = compare({"json": {"total": 2040.0, "raw RSGI": 1000.0}}, old, "ns", 5)
    assert good, same
    slower, good = compare({"json": {"total": 2120.0, "raw RSGI": 1000.0}}, old, "ns", 5)
    assert not good
    assert "SLOWER" in slower
    with pytest.raises(ValueError, match="measured in ns"):
        compare({}, old, "instructions", 5)


def test_stages_add_up() -> None:
    """What is left of the whole is `rest`; the cost of calling what was measured is taken off."""
    measured = {"nothing": 1.0, "resolve": 3.0, "request": 4.0, "prepared": 5.0, "plan": 20.0, "call": 6.0}
    stages = finish({**measured, "encode": 3.0, "send": 2.0}, 30.0)
    assert stages == {
        "resolve": 2.0, "request": 3.0, "bind": 8.0, "call": 5.0, "encode": 2.0, "send": 1.0, "rest": 9.0,
    }  # fmt: skip
    assert sum(stages.values()) == 30.0


@pytest.mark.parametrize(
    ("status", "headers", "body", "said"),
    [
        (500, {}, b"oops", "status 500"),
        (200, {"x-layer": "1"}, b'{"a": 1}', None),
        (200, {"x-layer": "1"}, b'{"a": 2}', "another answer"),
        (200, {"x-layer": "1"}, b"no json", "no JSON"),
        (200, {}, b'{"a": 1}', "header x-layer"),
    ],
)
def test_wrong_answers_are_told(status: int, headers: dict[str, str], body: bytes, said: str | None) -> None:
    """Status, JSON and headers are compared before anybody is timed."""
    scenario = Scenario("layers", "layers", "/", {"a": 1}, answer_headers={"x-layer": "1"})
    wrong = scenario.wrong(status, headers, body)
    assert wrong is None if said is None else said in (wrong or "")
    part = Scenario("range", "a range", "/", b"ab", status=206)
    assert part.wrong(206, {}, b"ab") is None
    assert "status 200" in (part.wrong(200, {}, b"abc") or "")


def test_every_peer_has_its_file() -> None:
    """One readable application each; and the scenarios and cases have names of their own."""
    assert [peer.name for peer in peers.PEERS if not peer.source.is_file()] == []
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
    assert len({case.name for case in CASES}) == len(CASES)


def test_selections() -> None:
    """By parts of names; what is not there is told with what is."""
    assert [peer.name for peer in peers.select("sanic,RAW")] == ["raw RSGI", "Sanic"]
    assert [peer.name for peer in peers.select("velithon, uvicorn;robyn")] == ["Velithon, Uvicorn", "Robyn"]
    assert [item.name for item in scenarios.select("json,routes-500")] == [
        "json",
        "routes-500-first",
        "routes-500-middle",
        "routes-500-last",
    ]
    with pytest.raises(ValueError, match="no peer is named 'flask'"):
        peers.select("flask")
    with pytest.raises(ValueError, match="no scenario is named 'nothing'"):
        scenarios.select("nothing")


@pytest.mark.parametrize(
    ("base", "other", "median", "apart"),
    [
        ([10, 10, 10, 10, 10], [5, 5.1, 4.9, 5, 5.2], 2.0, True),
        # Twice as slow in some rounds, for both: each round's ratio says the same.
        ([10, 20, 10, 22, 10], [9, 18, 9.1, 19.6, 8.9], 1.11, True),
        ([10, 20, 10, 22, 10], [20, 10, 10, 10, 21], 1.0, False),
        ([10], [5], 2.0, False),
    ],
)
def test_a_ratio_is_of_rounds_and_says_whether_it_tells(
    base: list[float], other: list[float], median: float, apart: bool
) -> None:
    found = ratio(base, other)
    assert found.value == pytest.approx(median, abs=0.01)
    assert found.told_apart is apart
    assert str(found).startswith("≈") is not apart


def test_the_page_gets_tables_between_its_comments() -> None:
    """A part is replaced, what stands around it stays, and who is surely ahead is named."""

    def figure(*turns: float) -> Figures:
        return Figures(1000, turns[0], 0.001, 0.002, 2**20, 2**21, list(turns), 0, 0.003)

    part = next(item for item in page.PARTS if item.name == "requests")
    figures = {
        "raw RSGI": figure(1e-5, 1e-5, 1e-5),
        "Velithon, Granian RSGI": figure(2e-5, 2e-5, 2e-5),
        "Django-Bolt": figure(1e-5, 1e-5, 1e-5),
        "FastAPI, Granian ASGI": figure(9e-5, 9e-5, 9e-5),
    }
    results = Results({"json": figures}, {})
    table = page.ratios_table(part, results)
    assert "| JSON | 10.0 | 0.50 (0.50-0.50) | 0.11 (0.11-0.11) | - | - | ≈1.00 (1.00-1.00) |" in table
    assert "| JSON | Django-Bolt | 2.00 (2.00-2.00) |" in page.behind_table({"requests": results})
    assert "FastAPI" not in page.behind_table({"requests": results})
    assert "| JSON | Django-Bolt | 10.0 | 1,000 | 1.0 | 2.0 | 3.0 | 2 |" in page.figures_table(part, results)
    text = "a\n<!-- measured: x -->\nold\n<!-- end -->\nb <!-- end -->\n"
    assert page.put(text, "x", "new") == "a\n<!-- measured: x -->\n\nnew\n\n<!-- end -->\nb <!-- end -->\n"
    with pytest.raises(ValueError, match="no place"):
        page.put(text, "y", "new")


def test_every_part_has_its_place_in_the_page() -> None:
    """The page's own comments and the parts that are measured agree, and scenarios and peers exist."""
    text = (ROOT / "docs" / "performance.md").read_text()
    names = set(re.findall(r"<!-- measured: (.*?) -->", text))
    figures = {f"{part.name}, figures" for part in page.PARTS if part.workers > 1 or part.name == "services"}
    assert names == {part.name for part in page.PARTS} | figures | {"facts", "behind", "memory", "start"}
    assert {name for part in page.PARTS for name in part.peers} <= {peer.name for peer in peers.PEERS}
    assert {name for part in page.PARTS for name in part.scenarios} <= {item.name for item in SCENARIOS}


def test_the_report_escapes_and_compares() -> None:
    """Ratios are to raw RSGI and to FastAPI on Granian; notes say who was not timed."""

    def figure(rate: float) -> Figures:
        return Figures(rate, 1 / rate, 0.001, 0.002, 2**20, 2**21, [1 / rate] * 3, 0, 0.003)

    results = Results(
        {"json": {"raw RSGI": figure(1000), "FastAPI, Granian ASGI": figure(100), "Robyn": figure(500)}},
        {"json": {"Sanic": "<late>"}},
    )
    report = Report(results, scenarios.select("json"), None, {"when": "today"})
    robyn = next(line for line in report.text().splitlines() if line.startswith("Robyn"))
    assert robyn.split()[1:] == [
        *("2,000.0", "0.50", "(0.50-0.50)", "5.00", "(5.00-5.00)"),
        *("500", "0.50", "5.00", "1.00", "2.00", "3.00", "1", "2"),
    ]  # fmt: skip
    assert "not timed: Sanic: <late>" in report.text()
    assert "Sanic: &lt;late&gt;" in report.page()
