"""`python -m tests.ecosystem`: every package, in every way; the table of `docs/ecosystem.md` is what came of it."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.ecosystem import table
from tests.ecosystem.catalogue import Package, find
from tests.ecosystem.environments import Environment, environment_of
from tests.ecosystem.running import Outcome, run
from tests.ecosystem.ways import CONTROL, WAYS, Way, way_named

# How many lines are shown of what a failed run printed.
_LINES = 12


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.ecosystem", description=__doc__)
    parser.add_argument("packages", nargs="*", help="names on PyPI; all by default")
    parser.add_argument("--way", choices=[way.name for way in WAYS], help="one alone; the table stays as it is")
    parser.add_argument("--fresh", action="store_true", help="make the environments again, with the newest versions")
    parser.add_argument(
        "--verbose", action="store_true", help=f"all that a failed run printed, not its last {_LINES} lines"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many run at a time")
    return parser.parse_args()


def judge(package: Package, way: Way, outcomes: dict[str, Outcome]) -> str:
    """Return a cell of the table."""
    if way.protocol not in package.protocols:
        return "–"
    if not outcomes[way.name].passed:
        return "no"
    return "partly" if package.failing_tests(way.name) else "yes"


def row_of(package: Package, environment: Environment, outcomes: dict[str, Outcome]) -> table.Row:
    """Return a package's line of the table."""
    asgi, rsgi, as_asgi, as_rsgi = (judge(package, way, outcomes) for way in WAYS if way is not CONTROL)
    remarks = " ".join(filter(None, [package.remarks, *package.reasons()]))
    return table.Row(
        package.name, environment.version(package.name), package.purpose, asgi, rsgi, as_asgi, as_rsgi, remarks
    )


def try_package(package: Package, ways: list[Way], fresh: bool) -> tuple[Environment | None, dict[str, Outcome]]:
    """Run one package in these ways; without an environment each has failed."""
    try:
        environment = environment_of(package, fresh=fresh)
    except RuntimeError as exc:
        return None, {way.name: Outcome(False, str(exc)) for way in ways}
    chosen = [way for way in ways if way is CONTROL or way.protocol in package.protocols]
    return environment, {way.name: run(package, way, environment) for way in chosen}


def surprises(package: Package, outcomes: dict[str, Outcome]) -> list[str]:
    """Return the ways whose outcome is not the one that the package's file expects."""
    return [name for name, outcome in outcomes.items() if outcome.passed == (name in package.fails)]


def show(package: Package, outcomes: dict[str, Outcome], verbose: bool) -> bool:
    """Print how a package fared; return whether something surprised."""
    odd = surprises(package, outcomes)
    marks = [f"{name}:{'ok' if outcome.passed else 'FAILED'}" for name, outcome in outcomes.items()]
    print(f"{package.name:40}", *marks, flush=True)
    for name in odd:
        lines = outcomes[name].output.splitlines()
        print(f"--- {package.name}, {name}", *(lines if verbose else lines[-_LINES:]), sep="\n", flush=True)
    return bool(odd)


def main() -> int:
    """Run; the status is 1 where something came out otherwise than expected."""
    options = arguments()
    try:
        packages = find(*options.packages)
    except ValueError as exc:
        print(exc, file=sys.stderr)
        return 2
    ways = [way_named(options.way)] if options.way else list(WAYS)
    rows, failures = table.read(), 0
    with ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(lambda package: try_package(package, ways, options.fresh), packages)
        for package, (environment, outcomes) in zip(packages, results, strict=True):
            failures += show(package, outcomes, options.verbose)
            if environment is not None and options.way is None:
                rows[package.name] = row_of(package, environment, outcomes)
    if options.way is None:
        names = {package.name for package in find()}
        table.write({name: row for name, row in rows.items() if name in names}, summary())
    print(f"{len(packages) - failures} passed, {failures} failed")
    return 1 if failures else 0


def summary() -> str:
    """Say when and where the table was made."""
    return f"Made on {datetime.datetime.now(datetime.UTC):%Y-%m-%d} with Python {platform.python_version()}."


if __name__ == "__main__":
    raise SystemExit(main())
