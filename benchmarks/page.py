"""`python -m benchmarks.page`: measure in a quarter of an hour, and write the tables and plots of docs/performance.md.

Each part of the page stands between two comments that name it; what stands outside them is written by hand.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import envs, memory, scenarios, startup
from benchmarks.load import missing_tools
from benchmarks.peers import PEERS, Peer
from benchmarks.ratios import ratio
from benchmarks.report import plot
from benchmarks.runner import Figures, Plan, Results, measure
from benchmarks.scenarios import Scenario
from benchmarks.servers import ROOT

_RAW, _OURS, _RUN = "raw RSGI", "Velithon, Granian RSGI", "Velithon, velithon run"
_OTHERS = ("FastAPI, Granian ASGI", "Litestar, Granian ASGI", "BlackSheep, Granian ASGI", "Django-Bolt")
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Part:
    """A set of scenarios that is measured together.

    Args:
        name: Of its tables in the page.
        scenarios: Their names.
        peers: Who answers, besides raw RSGI.
        repeats: Rounds.
        workers: Of each server.
    """

    name: str
    scenarios: tuple[str, ...]
    peers: tuple[str, ...]
    repeats: int
    workers: int = 1


PARTS = (
    Part("requests", ("json", "params", "model", "struct", "deps", "cookies"), (_OURS, *_OTHERS), 5),
    Part("run", ("json", "struct"), (_OURS, _RUN), 5),
    Part("layers", ("cors", "layers"), (_OURS, *_OTHERS[:3]), 5),
    Part("bodies", ("form", "upload", "large", "stream", "file", "range", "gzip"), (_OURS, *_OTHERS), 3),
    Part("secure", ("tls", "h2"), (_OURS, *_OTHERS[:3]), 3),
    Part("sockets", ("ws-echo", "ws-broadcast", "ws-broadcast-1000", "events-1000"), (_OURS, *_OTHERS), 3),
    Part(
        "services",
        ("plaintext", "db", "queries", "updates", "fortunes", "orm"),
        (_OURS, *_OTHERS),
        3,
    ),
    Part("two workers", ("json", "db", "fortunes"), (_OURS, *_OTHERS), 3, workers=2),
)


def _named(names: tuple[str, ...]) -> list[Peer]:
    return [peer for peer in PEERS if peer.name in names]


def run(part: Part, seconds: float, repeats: int | None) -> Results:
    """Measure one part."""
    asked = [item for item in scenarios.SCENARIOS if item.name in part.scenarios]
    plan = Plan(seconds, repeats or part.repeats, workers=part.workers)
    if part.workers > 1 or (os.cpu_count() or 1) < 2:
        # Two workers get both processors, which they share with the load and the database.
        plan = replace(plan, server_core=None, load_core=None)
    return measure(_named((_RAW, *part.peers)), asked, plan)


def ratios_table(part: Part, results: Results) -> str:
    """Return the speed of each peer beside raw RSGI's, by processor time, with the interval."""
    peers = part.peers
    lines = [f"| {part.name} | raw RSGI, µs | {' | '.join(peers)} |", f"|---|---:|{'---:|' * len(peers)}"]
    for scenario in _of(part):
        figures = results.figures.get(scenario.name, {})
        raw = figures.get(_RAW)
        cells = [_ratio(raw, figures.get(name)) for name in peers]
        shown = f"{raw.processor * 1e6:,.1f}" if raw else "-"
        lines.append(f"| {scenario.title} | {shown} | {' | '.join(cells)} |")
    return "\n".join(lines)


def figures_table(part: Part, results: Results) -> str:
    """Return what each peer did in each scenario: rates, latencies, memory."""
    lines = [
        "| scenario | | µs each | rate/s | p50 ms | p99 ms | p99.9 ms | MiB |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for scenario in _of(part):
        figures = results.figures.get(scenario.name, {})
        there = [name for name in (_RAW, *part.peers) if name in figures]
        lines += [f"| {scenario.title} | {name} | {_cells(figures[name])} |" for name in there]
    return "\n".join(lines)


def _of(part: Part) -> list[Scenario]:
    return [item for item in scenarios.SCENARIOS if item.name in part.scenarios]


def _ratio(raw: Figures | None, figure: Figures | None) -> str:
    return str(ratio(raw.turns, figure.turns)) if raw and figure else "-"


def _cells(figure: Figures) -> str:
    times = " | ".join(f"{seconds * 1e3:,.1f}" for seconds in (figure.p50, figure.p99, figure.p999))
    return f"{figure.processor * 1e6:,.1f} | {figure.rate:,.0f} | {times} | {figure.loaded / _MIB:,.0f}"


def behind_table(results: dict[str, Results]) -> str:
    """Return where others take surely less processor time than we do, and how much less."""
    lines = ["| scenario | ahead of us | their speed beside ours |", "|---|---|---:|"]
    for part in PARTS:
        figures_of = results[part.name].figures if part.name in results else {}
        for scenario in _of(part):
            figures = figures_of.get(scenario.name, {})
            ours = figures.get(_OURS)
            for name, figure in figures.items():
                if ours is None or name in (_OURS, _RUN):
                    continue
                found = ratio(ours.turns, figure.turns)
                if found.told_apart and found.value > 1:
                    title = scenario.title + (f", {part.workers} workers" if part.workers > 1 else "")
                    lines.append(f"| {title} | {name} | {found} |")
    return "\n".join(lines) if len(lines) > 2 else "Nowhere in this run."


def memory_table(found: dict[str, memory.Memory]) -> str:
    """Return what workers hold."""
    lines = [
        "| | idle, MiB | with 1,000 routes | an idle connection, KiB | an open WebSocket, KiB |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, held in found.items():
        routes = "-" if held.routes is None else f"{held.routes / _MIB:.0f}"
        websocket = "-" if held.websocket is None else f"{held.websocket / 1024:.1f}"
        lines.append(f"| {name} | {held.idle / _MIB:.0f} | {routes} | {held.connection / 1024:.1f} | {websocket} |")
    return "\n".join(lines)


def startup_table(found: dict[str, startup.Startup]) -> str:
    """Return what comes before the requests, beside FastAPI's."""
    ours, theirs = found["velithon"], found["fastapi"]
    rows = [
        ("import, ms", ours.imported * 1e3, theirs.imported * 1e3),
        ("import, application and its first route, ms", ours.started * 1e3, theirs.started * 1e3),
        ("registration of 1,000 typed routes, ms", ours.registered * 1e3, theirs.registered * 1e3),
        ("first request, ms", ours.first * 1e3, theirs.first * 1e3),
        ("hundredth request, ms", ours.hundredth * 1e3, theirs.hundredth * 1e3),
    ]
    lines = ["| | Velithon | FastAPI | ratio |", "|---|---:|---:|---:|"]
    lines += [f"| {name} | {mine:.2f} | {other:.2f} | {mine / other:.2f} |" for name, mine, other in rows]
    return "\n".join(lines)


def facts(started: float) -> str:
    """Return when, where and with what the tables were made."""
    when = datetime.datetime.now(datetime.UTC).strftime("%d %B %Y, %H:%M UTC")
    versions = {}
    for name in ("velithon", "fastapi", "litestar", "blacksheep", "bolt"):
        try:
            versions.update(envs.versions(name))
        except RuntimeError:
            continue
    shown = ", ".join(f"{name} {version}" for name, version in versions.items() if name != "velithon")
    minutes = (time.monotonic() - started) / 60
    machine = f"CPython {platform.python_version()}, {os.cpu_count()} processors"
    return (
        f"Made by `python -m benchmarks.page` on {when}, in {minutes:.0f} minutes; {machine}, "
        f"load average at the end {os.getloadavg()[0]:.1f}. Versions: {shown}."
    )


def put(page: str, name: str, text: str) -> str:
    """Return a page with a part replaced.

    Raises:
        ValueError: The page has no place for it.
    """
    start, end = f"<!-- measured: {name} -->", "<!-- end -->"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    if pattern.search(page) is None:
        raise ValueError(f"The page has no place {start!r}.")
    return pattern.sub(lambda _: f"{start}\n\n{text}\n\n{end}", page, count=1)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1, help="of a turn (default: 1)")
    parser.add_argument("--repeats", type=int, help="rounds, instead of each part's own")
    parser.add_argument("--parts", help="names, separated by commas (default: all)")
    parser.add_argument("--no-memory", action="store_true", help="leave out memory and start-up")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "performance.md", metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures, too")
    return parser.parse_args()


def main() -> int:
    """Measure part by part, and write the page after each: what was measured is kept when the run is stopped."""
    options = arguments()
    missing = missing_tools()
    if missing is not None:
        print(missing, file=sys.stderr)
        return 2
    started = time.monotonic()
    asked = None if options.parts is None else options.parts.split(",")
    results: dict[str, Results] = {}
    data: dict[str, object] = {}
    for part in PARTS:
        if asked is not None and part.name not in asked:
            continue
        found = results[part.name] = run(part, options.seconds, options.repeats)
        data[part.name] = {name: {peer: vars(f) for peer, f in rows.items()} for name, rows in found.figures.items()}
        page = put(options.page.read_text(), part.name, ratios_table(part, found))
        if part.workers > 1 or part.name == "services":
            page = put(page, f"{part.name}, figures", figures_table(part, found))
        if asked is None:
            page = put(page, "behind", behind_table(results))
        options.page.write_text(put(page, "facts", facts(started)))
        for scenario in _of(part):
            name = f"assets/performance-{scenario.name}.svg"
            if part.workers == 1 and part.name != "run" and found.figures.get(scenario.name) and name in page:
                (options.page.parent / name).write_text(plot(scenario, found.figures[scenario.name]))
    if not options.no_memory:
        peers = _named((_RAW, _OURS, *_OTHERS))
        page = put(options.page.read_text(), "memory", memory_table(memory.measure(peers, None)))
        page = put(page, "start", startup_table(startup.measure(repeats=5, routes=1000, core=None)))
        options.page.write_text(put(page, "facts", facts(started)))
    if options.json is not None:
        options.json.write_text(json.dumps(data, indent=1) + "\n")
    notes = {name: found.notes for name, found in results.items()}
    print(json.dumps(notes, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
