"""`python -m benchmarks`: every peer, every scenario, one run.

The servers run on processor 0 and the load on processor 1. The answers of all peers are compared before they are timed.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
from pathlib import Path

from benchmarks import envs, load, peers, scenarios, startup
from benchmarks.report import Report
from benchmarks.runner import Plan, measure
from benchmarks.servers import StartError

_SHORT_SCENARIOS = "json,params,ws-echo"
_HERE = Path(__file__).resolve().parent


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="NAMES", help="scenarios, separated by commas")
    parser.add_argument("--peers", metavar="NAMES", help="parts of the peers' names, separated by commas or semicolons")
    parser.add_argument("--seconds", type=float, default=3, help="of a turn, whole for HTTP (default: 3)")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each peer (default: 3)")
    parser.add_argument("--workers", type=int, default=1, help="processes of each server (default: 1)")
    parser.add_argument("--short", action="store_true", help="prove that it runs, and measure nothing of worth")
    parser.add_argument("--no-startup", action="store_true", help="leave out import, registration and first request")
    parser.add_argument("--no-pinning", action="store_true", help="let servers and load share all processors")
    parser.add_argument("--html", type=Path, default=_HERE / "report.html", metavar="FILE", help="the page")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures, too")
    return parser.parse_args()


def facts(chosen: list[peers.Peer], plan: Plan) -> dict[str, str]:
    """Return what a reader has to know about the run."""
    found = {
        "when": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": f"python -m benchmarks {' '.join(sys.argv[1:])}".strip(),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "turns": f"{plan.repeats} of {plan.seconds:g} s each, in turns; the figures are medians",
        "load before": " ".join(f"{value:.2f}" for value in os.getloadavg()),
    }
    for framework in dict.fromkeys(peer.framework for peer in chosen):
        installed = envs.versions(framework)
        found[framework] = ", ".join(f"{name} {version}" for name, version in installed.items())
    return found


def main() -> int:
    """Run; the status is 1 when an answer of ours was wrong or a server of ours did not start."""
    options = arguments()
    missing = load.missing_tools()
    if missing is not None:
        print(missing, file=sys.stderr)
        return 2
    try:
        chosen = peers.select(options.peers, peers.SHORT if options.short else None)
        asked = scenarios.select(options.only or (_SHORT_SCENARIOS if options.short else None))
    except ValueError as exc:
        print(exc, file=sys.stderr)
        return 2
    plan = Plan(options.seconds, options.repeats, workers=options.workers)
    if options.short:
        plan = Plan(seconds=0.3, repeats=1, connections=8)
    if options.no_pinning or (os.cpu_count() or 1) < 2:
        plan = Plan(plan.seconds, plan.repeats, plan.connections, None, None, plan.workers)
    try:
        described = facts(chosen, plan)
        results = measure(chosen, asked, plan)
        before = None
        if not (options.short or options.no_startup):
            before = startup.measure(repeats=5, routes=1000, core=plan.server_core)
    except (RuntimeError, StartError) as exc:
        print(exc, file=sys.stderr)
        return 1
    report = Report(results, asked, before, described)
    print(report.text())
    options.html.write_text(report.page(), encoding="utf-8")
    print(f"\nThe page with plots: {options.html}")
    if options.json is not None:
        options.json.write_text(json.dumps(report.data(), indent=1) + "\n")
    wrong = {name for notes in results.notes.values() for name in notes}
    return 1 if any(name.startswith(("raw", "Velithon")) for name in wrong) else 0


if __name__ == "__main__":
    sys.exit(main())
