"""What a call in a thread costs: ``velithon.concurrency`` beside ``anyio.to_thread``.

Run it on one core, as a server's worker would: ``taskset -c 0 python benchmarks/threads.py``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio.to_thread
import uvloop

from velithon.concurrency import ThreadPool

CALLS = 20_000


async def measure(run: Callable[..., Awaitable[Any]], callers: int) -> float:
    """Return the microseconds that one call takes with so many callers at once."""

    async def caller(calls: int) -> None:
        for number in range(calls):
            await run(abs, number)

    await caller(100)
    start = time.perf_counter()
    await asyncio.gather(*(caller(CALLS // callers) for _ in range(callers)))
    return (time.perf_counter() - start) / CALLS * 1e6


async def main() -> None:
    """Print one row for each number of callers."""
    pool = ThreadPool()
    print(f"{'callers':>8} {'velithon':>10} {'anyio':>10}   (µs a call)")
    for callers in (1, 8, 64, 256):
        ours = await measure(pool.run, callers)
        theirs = await measure(anyio.to_thread.run_sync, callers)
        print(f"{callers:>8} {ours:>10.1f} {theirs:>10.1f}")
    await pool.aclose()


if __name__ == "__main__":
    uvloop.run(main())
