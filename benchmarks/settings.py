"""`python -m benchmarks.settings`: what the settings of Granian's runtime and of the loop change, in turns.

The application is Velithon's; the first row is what `velithon run` chooses by itself.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks import scenarios
from benchmarks.load import missing_tools
from benchmarks.peers import Peer
from benchmarks.ratios import ratio
from benchmarks.runner import Plan, measure

_VARIANTS: dict[str, tuple[str, ...]] = {
    "defaults": (),
    "--runtime-mode st": ("--runtime-mode", "st"),
    "--runtime-mode mt": ("--runtime-mode", "mt"),
    "--runtime-threads 2": ("--runtime-mode", "mt", "--runtime-threads", "2"),
    "--loop asyncio": ("--loop", "asyncio"),
    "--http 1": ("--http", "1"),
}
if sys.version_info < (3, 12):
    _VARIANTS["--task-impl rust"] = ("--task-impl", "rust")


def variants() -> list[Peer]:
    """Return Velithon behind `velithon run` with each set of options."""
    return [Peer(name, "velithon", "velithon_app", "velithon", options) for name, options in _VARIANTS.items()]


def main() -> int:
    """Measure, and print a table for each scenario."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.settings", description=__doc__)
    parser.add_argument("--only", default="json,struct", help="scenarios, separated by commas (default: json,struct)")
    parser.add_argument("--repeats", type=int, default=7, help="rounds (default: 7)")
    options = parser.parse_args()
    missing = missing_tools()
    if missing is not None:
        print(missing, file=sys.stderr)
        return 2
    asked = scenarios.select(options.only)
    results = measure(variants(), asked, Plan(seconds=1, repeats=options.repeats))
    for scenario in asked:
        figures = results.figures[scenario.name]
        base = figures["defaults"]
        print(f"{scenario.title:<28}{'µs each':>10}{'speed beside the defaults':>30}{'p99 ms':>10}")
        for name, figure in figures.items():
            shown = "" if name == "defaults" else str(ratio(base.turns, figure.turns))
            print(f"{name:<28}{figure.processor * 1e6:>10.1f}{shown:>30}{figure.p99 * 1e3:>10.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
