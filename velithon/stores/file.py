"""A store in a directory, shared by the processes of one machine.

Its values outlive a restart.

A value is a file whose name is a digest of the key. It is written beside and moved into its place, so readers see the
old value or the new one, whatever is killed. Who writes or removes holds a `flock`, which ends with its process.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import struct
import tempfile
import time
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from velithon.concurrency import run_in_threadpool
from velithon.stores.base import (
    BaseStore,
    LocalLocks,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
    check_expire,
    check_value,
    parse_number,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

__all__ = ["FileStore"]

P = ParamSpec("P")
T = TypeVar("T")

# When it ends (Unix time, 0 for never) and the length of the key, which follows; then the value.
_HEAD = struct.Struct("<dI")
_NEVER = 0.0
# Expired files are looked for once in so many writes of a process.
_SWEEP_EVERY = 1000
_LOCKS = 256
_FULL = {28, 122}  # ENOSPC, EDQUOT


class FileStore(BaseStore):
    """Keeps values in files.

    Processes of one machine share them; use a directory on a local disk.

    Expired values are removed by a sweep once in a thousand writes. Nothing bounds the directory but
    `expire`.

    Args:
        directory: Where; it is made, for this user alone, when the first value is kept.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        super().__init__()
        self.directory = Path(directory)
        self._locks = LocalLocks()
        self._writes = [0]

    async def get(self, key: str) -> bytes | None:
        """Return a value, or `None`."""
        return await self._run(self._read_value, self.full(key))

    async def get_many(self, *keys: str) -> list[bytes | None]:
        """Return the values of several keys, in their order."""
        return await self._run(lambda: [self._read_value(full) for full in map(self.full, keys)])

    async def set(self, key: str, value: bytes, *, expire: float | None = None) -> None:
        """Keep a value."""
        lifetime = check_expire(expire)
        until = _NEVER if lifetime is None else time.time() + lifetime
        await self._run(self._set, self.full(key), check_value(value), until)

    async def replace(self, key: str, value: bytes, *, expire: float | None = None) -> bool:
        """Keep a value where there is one, in one step; tell whether there was."""
        lifetime = check_expire(expire)
        until = _NEVER if lifetime is None else time.time() + lifetime
        return await self._run(self._replace, self.full(key), check_value(value), until)

    async def delete(self, *keys: str) -> int:
        """Remove values; return how many there were."""
        return await self._run(lambda: sum(self._remove(full) for full in map(self.full, keys)))

    async def exists(self, key: str) -> bool:
        """Tell whether there is a value."""
        return await self.get(key) is not None

    async def increment(self, key: str, by: int = 1, *, expire: float | None = None) -> int:
        """Add to a number; return the sum."""
        return await self._run(self._increment, self.full(key), by, check_expire(expire))

    @asynccontextmanager
    async def lock(self, key: str) -> AsyncIterator[None]:
        """Return `async with` that one task at a time may be in, of all processes."""
        full = self.full(key)
        async with self._locks(full):
            path = self.directory / "locks" / _compute_digest(full)
            wait = 0.001
            while (file := await self._run(_try_lock, path)) is None:
                await asyncio.sleep(wait)
                wait = min(wait * 2, 0.05)
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
                os.close(file)

    async def clear(self) -> None:
        """Remove everything in this namespace and in those below it."""
        await self._run(self._sweep, everything=True)

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await run_in_threadpool(function, *args, **kwargs)
        except OSError as exc:
            kind = StoreFullError if exc.errno in _FULL else StoreUnavailableError
            raise kind(f"The directory {self.directory} cannot be used: {exc}.") from exc

    def _build_path(self, full: str) -> Path:
        digest = _compute_digest(full)
        return self.directory / digest[:2] / digest[2:]

    def _read_value(self, full: str) -> bytes | None:
        entry = self._read(full)
        return None if entry is None else entry[0]

    def _read(self, full: str) -> tuple[bytes, float] | None:
        """Return a value and when it ends."""
        path = self._build_path(full)
        found = _load(path)
        if found is None or found[0] != full:
            return None
        _, value, until = found
        return None if until != _NEVER and until <= time.time() else (value, until)

    def _set(self, full: str, value: bytes, until: float) -> None:
        with self._guard(full):
            self._write(full, value, until)
        self._writes[0] += 1
        if self._writes[0] % _SWEEP_EVERY == 0:
            self._sweep(everything=False)

    def _write(self, full: str, value: bytes, until: float) -> None:
        path, name = self._build_path(full), full.encode()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_HEAD.pack(until, len(name)) + name + value)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _replace(self, full: str, value: bytes, until: float) -> bool:
        with self._guard(full):
            if self._read(full) is None:
                return False
            self._write(full, value, until)
            return True

    def _remove(self, full: str) -> bool:
        with self._guard(full):
            there = self._read(full) is not None
            self._build_path(full).unlink(missing_ok=True)
            return there

    def _increment(self, full: str, by: int, lifetime: float | None) -> int:
        with self._guard(full):
            entry = self._read(full)
            if entry is None:
                number, until = by, _NEVER if lifetime is None else time.time() + lifetime
            else:
                number, until = parse_number(entry[0]) + by, entry[1]
            self._write(full, b"%d" % number, until)
            return number

    @contextmanager
    def _guard(self, full: str) -> Iterator[None]:
        """Hold one of a few locks for a short time, in this thread."""
        number = int(_compute_digest(full)[:4], 16) % _LOCKS
        file = _open_lock(self.directory / "locks" / f"guard-{number}")
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def _sweep(self, *, everything: bool) -> None:
        """Remove what has expired, or everything in this namespace; and what a killed process left half written."""
        now = time.time()
        for path in self.directory.glob("[0-9a-f][0-9a-f]/*"):
            if path.name.startswith("."):
                if now - path.stat().st_mtime > 3600:
                    path.unlink(missing_ok=True)
                continue
            found = _load(path)
            if found is not None and self._is_expired(found, now, everything):
                with self._guard(found[0]):
                    # Somebody may have written a new value meanwhile.
                    found = _load(path)
                    if found is not None and self._is_expired(found, now, everything):
                        path.unlink(missing_ok=True)

    def _is_expired(self, found: tuple[str, bytes, float], now: float, everything: bool) -> bool:
        full, _, until = found
        return (until != _NEVER and until <= now) or (everything and self.contains(full))


def _compute_digest(full: str) -> str:
    return hashlib.blake2b(full.encode(), digest_size=20).hexdigest()


def _load(path: Path) -> tuple[str, bytes, float] | None:
    """Return the key, the value and the end that a file holds."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        until, length = _HEAD.unpack_from(data)
        start = _HEAD.size + length
        return data[_HEAD.size : start].decode(), data[start:], until
    except (struct.error, UnicodeDecodeError) as exc:
        raise StoreError(f"The file {path} was not written by a FileStore.") from exc


def _open_lock(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(path: Path) -> int | None:
    """Return the open file of a lock that is held now; `None` while somebody else holds it.

    Who leaves a lock removes its file: one that was opened before that is no lock any more.
    """
    file = _open_lock(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file).st_ino == path.stat().st_ino:
            return file
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(file)
    return None
