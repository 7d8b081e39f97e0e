"""`python -m benchmarks.core`: the table of stages, and the comparison with an earlier run."""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import sys
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.core.cases import CASES, Case, makers
from benchmarks.core.measure import Thunk, best_nanoseconds, count, counted
from benchmarks.core.sockets import asgi_socket_thunk, disconnect, rsgi_socket_thunk
from benchmarks.core.stages import STAGES, asgi_thunk, finish, rsgi_thunk, stage_thunks

Results = dict[str, dict[str, float]]
Item = tuple[str, str, Thunk]


async def thunks(cases: list[Case]) -> AsyncIterator[Item]:
    """Yield (case, what, thunk) for everything that is measured."""
    made = {name: cache(make) for name, make in makers().items()}
    for case in cases:
        ours = made["velithon"](case.setup)
        if case.socket:
            yield case.name, "total", await rsgi_socket_thunk(ours, case, "Velithon on RSGI")
            yield case.name, "raw RSGI", await rsgi_socket_thunk(made["raw"](case.setup), case, "raw RSGI")
            yield case.name, "ASGI", await asgi_socket_thunk(ours, case, "Velithon on ASGI")
            yield case.name, "Starlette", await asgi_socket_thunk(made["starlette"](case.setup), case, "Starlette")
            continue
        yield case.name, "total", await rsgi_thunk(ours, case, "Velithon on RSGI")
        for name, thunk in stage_thunks(ours, case).items():
            yield case.name, name, thunk
        if case.raw:
            yield case.name, "raw RSGI", await rsgi_thunk(made["raw"](case.setup), case, "raw RSGI")
        yield case.name, "ASGI", await asgi_thunk(ours, case, "Velithon on ASGI")
        if case.starlette:
            # Its function middleware is a task of its own for each layer.
            waits = case.setup in ("cors", "layers")
            yield case.name, "Starlette", await asgi_thunk(made["starlette"](case.setup), case, "Starlette", waits)


async def nanoseconds(cases: list[Case], seconds: float) -> Results:
    """Measure the cases, `seconds` for each figure."""
    results: Results = {case.name: {} for case in cases}
    async for name, what, thunk in thunks(cases):
        results[name][what] = await best_nanoseconds(thunk, seconds)
    return _finished(results)


async def features(seconds: float) -> str:
    """Measure every feature on both faces; return the table of what each adds to the plainest request."""
    from benchmarks.core.features import FEATURES, PLAIN

    base: tuple[float, ...] = ()
    rows: list[tuple[str, tuple[float, ...]]] = []
    for feature in (PLAIN, *FEATURES):
        application, case = feature.application(), feature.request()
        faces = (await rsgi_thunk(application, case, "RSGI"), await asgi_thunk(application, case, "ASGI"))
        cost = tuple([await best_nanoseconds(face, seconds) for face in faces])
        base = base or cost
        rows.append((feature.name, (*cost, *(own - plain for own, plain in zip(cost, base, strict=True)))))
    width = max(len(name) for name, _ in rows)
    head = f"{'µs':<{width}}" + "".join(f"{name:>9}" for name in ("RSGI", "ASGI", "+ RSGI", "+ ASGI"))
    lines = [name.ljust(width) + "".join(f"{value / 1000:>9.2f}" for value in values) for name, values in rows]
    return "\n".join([head, *lines])


async def instructions(cases: list[Case]) -> Results:
    """Count the instructions of the cases."""
    plan = [(name, what) async for name, what, _ in thunks(cases)]
    values = counted(["--count", *(f"--only={case.name}" for case in cases)], len(plan))
    results: Results = {name: {} for name, _ in plan}
    for (name, what), value in zip(plan, values, strict=True):
        results[name][what] = value
    return _finished(results)


def _finished(results: Results) -> Results:
    for name, measured in results.items():
        whole: dict[str, float] = {
            what: measured.pop(what) for what in ("total", "raw RSGI", "ASGI", "Starlette") if what in measured
        }
        results[name] = {**whole, **(finish(measured, whole["total"]) if measured else {})}
    return results


COLUMNS = ("total", "raw RSGI", *STAGES, "ASGI", "Starlette")


def table(results: Results, unit: str) -> str:
    """Return the results as text: microseconds, or thousands of instructions."""
    width = max(len("µs" if unit == "ns" else "thousand instructions"), *map(len, results))
    head = "µs" if unit == "ns" else "thousand instructions"
    lines = [f"{head:<{width}}  " + " ".join(f"{column:>9}" for column in COLUMNS)]
    for name, row in results.items():
        cells = (f"{row[column] / 1000:>9.3f}" if column in row else f"{'-':>9}" for column in COLUMNS)
        lines.append(f"{name:<{width}}  " + " ".join(cells))
    return "\n".join(lines)


def compare(results: Results, baseline: dict[str, Any], unit: str, tolerance: float) -> tuple[str, bool]:
    """Compare with a run that was saved.

    Nanoseconds are compared by their ratio to raw RSGI in the same run, which takes the machine's speed out.

    Args:
        results: The new run.
        baseline: The old one.
        unit: Of the new run.
        tolerance: In percent.

    Returns:
        The comparison as text, and whether nothing became slower than the tolerance allows.

    Raises:
        ValueError: The baseline was taken in another unit.
    """
    if baseline["unit"] != unit:
        raise ValueError(f"the baseline was measured in {baseline['unit']}, this run in {unit}")
    old: Results = baseline["results"]
    scale = 1.0
    if unit == "ns":
        pairs = [(results[name]["raw RSGI"], old[name]["raw RSGI"]) for name in _shared(results, old, "raw RSGI")]
        ratios = sorted(new / before for new, before in pairs)
        scale = ratios[len(ratios) // 2] if ratios else 1.0
    lines, good = [], True
    for what in ("total", "ASGI"):
        for name in _shared(results, old, what):
            change = (results[name][what] / scale / old[name][what] - 1) * 100
            slower = change > tolerance
            good = good and not slower
            lines.append(f"{change:+7.1f} %  {what:<5}  {name}{'  SLOWER' if slower else ''}")
    return "\n".join(lines), good


def _shared(results: Results, old: Results, what: str) -> list[str]:
    return [name for name in results if what in results[name] and what in old.get(name, {})]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.core", description=__doc__)
    parser.add_argument("--only", action="append", metavar="CASE", help="part of a case's name; may be repeated")
    parser.add_argument("--seconds", type=float, default=0.2, help="for each figure (default: 0.2)")
    parser.add_argument("--instructions", action="store_true", help="count instructions with valgrind, not time")
    parser.add_argument("--features", action="store_true", help="what each feature adds, instead of the stages")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="compare with results that were saved")
    parser.add_argument("--tolerance", type=float, default=5.0, help="percent that a case may lose (default: 5)")
    parser.add_argument("--count", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


async def main(options: argparse.Namespace) -> int:
    """Run; the status is 1 when a case became slower than the baseline allows."""
    try:
        return await _run(options)
    finally:
        disconnect()


async def _run(options: argparse.Namespace) -> int:
    cases = [case for case in CASES if not options.only or any(part in case.name for part in options.only)]
    if not cases:
        print(f"no case has such a name; there are: {', '.join(case.name for case in CASES)}", file=sys.stderr)
        return 2
    if options.count:
        await count([thunk async for _, _, thunk in thunks(cases)])
        return 0
    if options.features:
        print(await features(options.seconds))
        return 0
    unit = "instructions" if options.instructions else "ns"
    try:
        baseline = None if options.baseline is None else json.loads(options.baseline.read_text())
    except (OSError, ValueError) as exc:
        print(f"--baseline: {exc}", file=sys.stderr)
        return 2
    results = await (instructions(cases) if options.instructions else nanoseconds(cases, options.seconds))
    print(table(results, unit))
    if options.save is not None:
        meta = {"python": platform.python_version(), "machine": platform.machine(), "unit": unit}
        options.save.write_text(json.dumps({**meta, "results": results}, indent=1) + "\n")
    if baseline is not None:
        text, good = compare(results, baseline, unit, options.tolerance)
        print(f"\nBeside {options.baseline}:\n{text}")
        return 0 if good else 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(arguments())))
