"""The end of a worker: who is told when."""

import asyncio

import pytest

from velithon_adapters.stopping import Stopping

pytestmark = pytest.mark.asyncio


async def test_streams_are_told_after_half_of_the_time() -> None:
    """Everybody else at once; a second call changes nothing."""
    stop = Stopping()
    told: list[str] = []
    over = asyncio.Event()
    stop.at_once.add(lambda: told.append("at once"))
    stop.streams.update((lambda: told.append("streams"), over.set))
    assert (stop.active, stop.halfway, stop.time_left()) == (False, False, None)
    stop.begin(0.06, 0.02)
    stop.begin(1000, 0)
    assert (stop.active, stop.halfway, told) == (True, False, ["at once"])
    assert 0 < (stop.time_left() or 0) <= 0.06
    begun = asyncio.get_running_loop().time()
    await asyncio.wait_for(over.wait(), 10)
    assert asyncio.get_running_loop().time() - begun >= 0.015
    assert (stop.halfway, sorted(told)) == (True, ["at once", "streams"])
