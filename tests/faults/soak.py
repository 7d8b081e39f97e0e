"""The instruments in their long form: `make soak`, or `make soak ARGS="differential --count 500"`."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.faults import conformance, differential, hostile, leavers, load
from tests.faults.hostile_cases import cases
from tests.servers import EVERY_SERVER, Server, serve

APP = "tests.faults.app:app"


@contextmanager
def three_servers() -> Iterator[list[Server]]:
    """Run the instruments' application on each server."""
    with ExitStack() as stack:
        yield [stack.enter_context(serve(APP, server)) for server in EVERY_SERVER]


def soak_differential(count: int, seed: int) -> bool:
    """Compare the answers of the three servers."""
    with three_servers() as servers:
        report = differential.run([server.port for server in servers], count, seed)
    print(f"{report.requests} requests, seed {seed}, {report.seconds:.0f} s", dict(report.statuses.most_common()))
    for name, times in report.listed.most_common():
        print(f"  listed: {name}: {times}")
    print(f"  unlisted: {len(report.unlisted)}, 5xx: {len(report.failures)}")
    print(*report.unlisted[:20], *report.failures[:20], sep="\n")
    return not report.unlisted and not report.failures


def soak_hostile(count: int, seed: int) -> bool:
    """Send hostile requests to each server, one after the other."""
    chosen = cases()[:count]
    advisories = {advisory for case in chosen for advisory in case.advisories}
    print(f"  {len(chosen)} cases of {len({case.kind for case in chosen})} kinds, with {len(advisories)} advisories")
    clean = True
    for name in EVERY_SERVER:
        with serve(APP, name) as server:
            report = hostile.run(server, chosen)
        print(f"  {name}: {report}")
        clean = clean and not report.failures
    return clean


def soak_leavers(count: int, seed: int) -> bool:
    """Let clients of each kind leave each server in the middle."""
    clean = True
    for name in EVERY_SERVER:
        with serve("tests.faults.leaving:app", name) as server:
            for kind in leavers.KINDS:
                report = leavers.run(server, kind, count)
                print(
                    f"  {name}: {report.clients} left {kind.name}, closed within {report.slowest:.2f} s",
                    *report.problems,
                )
                clean = clean and not report.problems
    return clean


def soak_conformance(count: int, seed: int) -> bool:
    """Run the Autobahn suite and the linter against each server."""
    python = conformance.find_python2()
    if python is None:
        print("  Autobahn needs Python 2.7, which is not here: not run")
    clean = True
    for name in EVERY_SERVER:
        with serve(APP, name) as server, tempfile.TemporaryDirectory() as directory:
            if python is not None:
                results = conformance.run_autobahn(server, name, python, Path(directory))
                failed = {case for case, result in results.items() if result not in conformance.PASSES}
                print(f"  {name}: Autobahn: {dict(Counter(results.values()))}, failed: {sorted(failed)}")
                clean = clean and failed <= conformance.KNOWN_FAILURES.get(name, set())
            bad = conformance.lint(server.port)
            print(f"  {name}: httplint of {len(conformance.LINTED)} answers:", "not installed" if bad is None else bad)
            clean = clean and not bad
    return clean


def soak_growth(count: int, seed: int) -> bool:
    """Load each server, and see that its memory does not grow; `count` is of the requests, the rest in proportion."""
    clean = True
    for name in EVERY_SERVER:
        for what, (send, whole) in load.LOADS.items():
            with serve(APP, name) as server:
                times = max(whole * count // 1_000_000, 50)
                before, after, seconds = load.growth(server, send, times)
            grown = after / before - 1
            print(
                f"  {name}: {times} {what}: {before} KiB, then {after} KiB ({grown:+.1%}), {seconds:.0f} s", flush=True
            )
            clean = clean and grown <= 0.05
    return clean


def soak_slow(count: int, seed: int) -> bool:
    """Let clients trickle, and time the others."""
    clean = True
    for name in EVERY_SERVER:
        with serve(APP, name) as server:
            without, beside = load.slow(server, count)
        print(
            f"  {name}: p99 {without:.2f} ms, beside {count} tricklers {beside:.2f} ms ({beside / without:.2f} times)"
        )
        clean = clean and beside <= 2 * without
    return clean


def soak_signals(count: int, seed: int) -> bool:
    """Stop each server with 50 requests in hand, again and again."""
    clean = True
    for name in EVERY_SERVER:
        for number in (signal.SIGTERM, signal.SIGINT):
            lost = [problem for _ in range(count) for problem in load.stop_under_load(name, number, 50)]
            print(
                f"  {name}: {count} times {number.name} with 50 requests in hand: lost {lost or 'nothing'}", flush=True
            )
            clean = clean and not lost
    return clean


INSTRUMENTS: dict[str, tuple[Callable[[int, int], bool], int]] = {
    "differential": (soak_differential, 10_000),
    "hostile": (soak_hostile, 10_000),
    "leavers": (soak_leavers, 500),
    "conformance": (soak_conformance, 1),
    "growth": (soak_growth, 1_000_000),
    "slow": (soak_slow, 200),
    "signals": (soak_signals, 10),
}


def main(arguments: Sequence[str]) -> int:
    """Run the instruments that are named, or all; return how many found something."""
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("instruments", nargs="*", choices=[*INSTRUMENTS, []], help="all by default")
    parser.add_argument("--count", type=int, help="how many of each, in place of each instrument's own number")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of what is random")
    options = parser.parse_args(arguments)
    failed = 0
    for name in options.instruments or INSTRUMENTS:
        instrument, count = INSTRUMENTS[name]
        print(f"{name}:", flush=True)
        failed += not instrument(options.count or count, options.seed)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
