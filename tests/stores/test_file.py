"""What only a store in files does."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from velithon.stores import FileStore, StoreError, StoreUnavailableError

pytestmark = pytest.mark.asyncio

WORKER = """
import asyncio, sys
from velithon.stores import FileStore

async def main():
    store = FileStore(sys.argv[1])
    async def make():
        await store.increment("calls")
        await asyncio.sleep(0.2)
        return b"value"
    for _ in range(50):
        await store.increment("n")
    print((await store.get_or_set("key", make)).decode())

asyncio.run(main())
"""


async def test_processes_share_it(tmp_path: Path) -> None:
    """No increment is lost between them, and one of them computes."""
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    assert [process.communicate(timeout=30)[0] for process in processes] == [b"value\n"] * 3
    store = FileStore(tmp_path)
    assert await store.get("n") == b"150"
    assert await store.get("calls") == b"1"


async def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    source = """
import asyncio, sys
from velithon.stores import FileStore

async def main():
    async with FileStore(sys.argv[1]).lock("name"):
        print("in", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", source, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"in\n"
        process.kill()
    async with asyncio.timeout(5), FileStore(tmp_path).lock("name"):
        pass


async def test_locks_leave_nothing_behind(tmp_path: Path) -> None:
    """However many names there were; and one that is waited for stays one."""
    first, second = FileStore(tmp_path), FileStore(tmp_path)
    inside = most = 0

    async def enter(store: FileStore) -> None:
        nonlocal inside, most
        async with store.lock("name"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1

    await asyncio.gather(*(enter(store) for store in (first, second) * 20))
    assert most == 1
    assert list((tmp_path / "locks").iterdir()) == []


async def test_values_outlive_the_process(tmp_path: Path) -> None:
    await FileStore(tmp_path).namespace("n").set("key", b"value", expire=60)
    assert await FileStore(tmp_path).namespace("n").get("key") == b"value"


async def test_what_has_expired_is_swept(tmp_path: Path) -> None:
    """By writes, without anybody asking for it; a write that was killed leaves nothing for good."""
    store = FileStore(tmp_path)
    await store.set("old", b"value", expire=0.01)
    (path,) = tmp_path.glob("??/*")
    half = path.with_name(".half")
    half.write_bytes(b"")
    os.utime(half, (0, 0))
    await asyncio.sleep(0.02)
    end = time.monotonic() + 20
    while path.exists() or half.exists():
        assert time.monotonic() < end
        await store.set("new", b"value")


async def test_only_its_user_may_read_it(tmp_path: Path) -> None:
    await FileStore(tmp_path / "store").set("key", b"secret")
    (path,) = (tmp_path / "store").glob("??/*")
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


async def test_a_foreign_file_is_an_error(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    await store.set("key", b"value")
    (path,) = tmp_path.glob("??/*")
    path.write_bytes(b"no")
    with pytest.raises(StoreError, match="was not written by a FileStore"):
        await store.get("key")


async def test_a_directory_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    """As a full disk or a file in its place."""
    (tmp_path / "store").write_text("a file")
    store = FileStore(tmp_path / "store")
    for operation in (store.get("key"), store.set("key", b"value"), store.increment("key"), store.delete("key")):
        with pytest.raises(StoreUnavailableError, match="cannot be used"):
            await operation
    with pytest.raises(StoreUnavailableError):
        async with store.lock("name"):
            pass
