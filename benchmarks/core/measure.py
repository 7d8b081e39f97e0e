"""Two ways to say what a call costs: the least time that it took, and the instructions that it executes.

The least processor time of many batches forgives what else the machine does, but not another processor speed.
Instructions, counted by callgrind, are the same to a fraction of a percent on a busy machine. Between two calls the
process asks for its parent's id: that is the system call before which callgrind is told to write its counters down and
start anew, so one process counts everything that is to be counted.
"""

from __future__ import annotations

import inspect
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["Thunk", "best_nanoseconds", "count", "counted"]

# A plain function, or a coroutine function where the call has to wait.
Thunk = Callable[[], Any]
ROOT = Path(__file__).resolve().parents[2]
_BATCH_NS = 4_000_000
# Enough for CPython 3.11 to specialize the bytecode.
_WARM_UP = 64
_COUNTED_CALLS = 50


async def best_nanoseconds(thunk: Thunk, seconds: float) -> float:
    """Return the processor time of a call, in nanoseconds, in the fastest of the batches that fit into `seconds`."""
    batch = 1
    while await _timed(thunk, batch) < _BATCH_NS:
        batch *= 2
    until = time.perf_counter() + seconds
    best = await _timed(thunk, batch)
    while time.perf_counter() < until:
        best = min(best, await _timed(thunk, batch))
    return best / batch


async def _timed(thunk: Thunk, calls: int) -> int:
    # Processor time leaves out what other processes took; what waits may have threads of its own.
    waits = inspect.iscoroutinefunction(thunk)
    clock = time.process_time_ns if waits else time.thread_time_ns
    start = clock()
    if waits:
        for _ in itertools.repeat(None, calls):
            await thunk()
    else:
        for _ in itertools.repeat(None, calls):
            thunk()
    return clock() - start


async def count(thunks: list[Thunk]) -> None:
    """Call each thunk under callgrind, with a marker before and after what is counted. For `counted`'s child."""
    for thunk in thunks:
        await _timed(thunk, _WARM_UP)
        os.getppid()
        await _timed(thunk, _COUNTED_CALLS)
        os.getppid()


def counted(arguments: list[str], thunks: int, module: str = "benchmarks.core") -> list[float]:
    """Return the instructions of one call of each thunk, as `python -m <module> <arguments>` runs them.

    Raises:
        RuntimeError: There is no valgrind, or it failed.
    """
    if shutil.which("valgrind") is None:
        raise RuntimeError("--instructions needs valgrind: apt-get install valgrind")
    with tempfile.TemporaryDirectory(prefix="velithon-callgrind-") as directory:
        command = [
            "valgrind",
            "--tool=callgrind",
            "--dump-before=getppid*",
            f"--callgrind-out-file={directory}/out",
            sys.executable,
            "-m",
            module,
            *arguments,
        ]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"valgrind failed:\n{done.stderr[-2000:]}")
        files = sorted(Path(directory).glob("out.*"), key=lambda file: int(file.suffix[1:]))
        totals = [_total(file) for file in files]
    # Something may ask for the parent before the first thunk: only the last dumps are ours, two for each thunk.
    ours = totals[-2 * thunks :]
    if len(ours) != 2 * thunks:
        raise RuntimeError(f"callgrind wrote {len(totals)} counts where {2 * thunks} were expected")
    return [total / _COUNTED_CALLS for total in ours[1::2]]


def _total(file: Path) -> int:
    found = re.search(r"^totals: (\d+)", file.read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
