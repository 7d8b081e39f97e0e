"""One suite over every store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from velithon.stores import FileStore, MemoryStore, RedisStore, Store

KINDS = ["memory", "file", "redis"]


@pytest_asyncio.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store of each kind."""
    made: MemoryStore | FileStore | RedisStore
    if request.param == "memory":
        made = MemoryStore()
    elif request.param == "file":
        made = FileStore(tmp_path / "store")
    else:
        made = RedisStore(request.getfixturevalue("redis_url"))
    async with made:
        yield made
