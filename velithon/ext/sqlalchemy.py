"""SQLAlchemy's asynchronous engine and sessions; needs `pip install "velithon[sqlalchemy]"` and a driver.

`Database` is one engine. Its `session` is a dependency: each request that asks gets one session, which is committed
when the endpoint returns and rolled back when it raises, before the response is sent. So a client that reads 201 can
read what it made, and a long stream holds no connection.
"""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Generic, Literal

from typing_extensions import TypeVar

from velithon.params import Depends

try:
    from sqlalchemy import Connection, event, text
    from sqlalchemy.engine import URL, make_url
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
    from sqlalchemy.pool import StaticPool
except ImportError as exc:
    raise ImportError('velithon.ext.sqlalchemy needs SQLAlchemy: pip install "velithon[sqlalchemy]"') from exc

if TYPE_CHECKING:
    from velithon.application import Velithon
    from velithon.health import Health

__all__ = ["Database"]

S = TypeVar("S", bound=AsyncSession, default=AsyncSession)


class Database(Generic[S]):
    """An engine, which connects when it is first needed, and its sessions.

    Args:
        url: Such as `postgresql+asyncpg://user@host/name`. An asynchronous driver is asked for. A database in memory,
            `sqlite+aiosqlite:///:memory:`, gives each session a connection of its own; while one writes, the others
            wait for it, readers too. It ends with `aclose()`.
        session_class: The class of the sessions, such as SQLModel's `AsyncSession`.
        sqlite_begin: How transactions of SQLite begin. One that reads and then writes fails at once where another has
            written meanwhile; with `"IMMEDIATE"` each waits for its turn from the start, readers too.
        session_options: Further arguments of the sessions. `expire_on_commit` is off by default: an object that an
            endpoint returns is read after the commit.
        engine_options: Further arguments of `create_async_engine`. `pool_pre_ping` is on by default: a connection that
            the server has closed is replaced, and no request sees it. `hide_parameters` is on: the text of an
            exception, which the log keeps, has no values of statements, such as the hash of a password.

    Raises:
        ValueError: The URL names no asynchronous driver, `sqlite_begin` is none of the two, or all sessions would share
            one connection.
    """

    def __init__(
        self,
        url: str,
        *,
        session_class: type[S] = AsyncSession,  # type: ignore[assignment]  # the default of a type variable
        session_options: dict[str, Any] | None = None,
        sqlite_begin: Literal["DEFERRED", "IMMEDIATE"] = "DEFERRED",
        **engine_options: Any,
    ) -> None:
        self.url = make_url(url)
        if not self.url.get_dialect().is_async:
            raise ValueError(
                "Database takes the URL of an asynchronous driver, such as postgresql+asyncpg:// or sqlite+aiosqlite://,"
                f" not {self.url.drivername}://."
            )
        if sqlite_begin not in ("DEFERRED", "IMMEDIATE"):
            raise ValueError(f'sqlite_begin is "DEFERRED" or "IMMEDIATE", not {sqlite_begin!r}.')
        self.sqlite_begin = sqlite_begin
        self.session_class = session_class
        self.session_options: dict[str, Any] = {"expire_on_commit": False, **(session_options or {})}
        self.engine_options: dict[str, Any] = {"pool_pre_ping": True, "hide_parameters": True, **engine_options}
        self._is_in_memory = self.url.get_backend_name() == "sqlite" and _is_in_memory(self.url)
        if engine_options.get("poolclass") is StaticPool:
            raise ValueError(
                "StaticPool gives all sessions one connection, where one's rollback undoes what another has written:"
                " leave poolclass out, in memory too."
            )
        self._engine: AsyncEngine | None = None
        self._memory: _Memory | None = None
        self._rolled_back: _RolledBack | None = None
        # An option that neither knows is refused here, not in the first request; nothing is connected.
        self.session_class(self.engine, **self.session_options)

    def __repr__(self) -> str:
        """Return the URL without its password."""
        shown = self.url.render_as_string().replace("%3Amemory%3A", ":memory:")
        return f"Database({shown!r})"

    @property
    def engine(self) -> AsyncEngine:
        """The engine; a new one after `aclose()`."""
        if self._engine is None:
            url = self.url
            if self._is_in_memory:
                self._memory = _Memory()
                url = self._memory.locate(url)
            self._engine = create_async_engine(url, **self.engine_options)
            if self.url.get_backend_name() == "sqlite":
                _begin_transactions(self._engine, self.sqlite_begin)
        return self._engine

    # -- sessions -------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[S]:
        """Return `async with` around a session outside a request.

        It is committed at the end and rolled back on an exception.
        """
        if self._rolled_back is None:
            async with self.session_class(self.engine, **self.session_options) as session, session.begin():
                yield session
            return
        async with self._rolled_back.connection(self.engine) as connection:
            options = {**self.session_options, "join_transaction_mode": "create_savepoint"}
            async with self.session_class(connection, **options) as session, session.begin():
                yield session

    async def _session(self) -> AsyncIterator[S]:
        async with self.begin() as session:
            yield session

    @property
    def session(self) -> Any:
        """A request's session: `session: AsyncSession = database.session`, or in `Annotated`.

        It is committed when the endpoint has returned, and rolled back when it raised, an `HTTPException` too; then it
        is closed, and the response is sent.
        """
        return Depends(self._session, scope="function")

    @property
    def streaming_session(self) -> Any:
        """A request's session that stays open until its response was sent.

        It is for a stream that reads rows while it is sent.

        What it changed is committed after that: the client does not learn of a commit that fails.
        """
        return Depends(self._session, scope="request")

    # -- the application ------------------------------------------------------------------------------------------

    def install(self, app: Velithon, health: Health | None = None, *, timeout: float = 2.0, cache: float = 1.0) -> None:
        """Close the engine with an application, and let its readiness depend on the database.

        Args:
            app: The application.
            health: Where the check `database` is added.
            timeout: Seconds that the database may take to answer the check.
            cache: Seconds for which an answer holds.
        """
        app.on_shutdown.append(self.aclose)
        if health is not None:
            health.add_check("database", self.check, timeout=timeout, cache=cache)

    async def check(self) -> None:
        """Ask the database for a 1.

        Raises:
            Exception: It did not answer.
        """
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def aclose(self) -> None:
        """Close the engine's connections; the next use opens new ones."""
        if self._rolled_back is not None:
            await self._rolled_back.aclose()
        engine, self._engine = self._engine, None
        memory, self._memory = self._memory, None
        if engine is not None:
            await engine.dispose()
        if memory is not None:
            memory.close()

    # -- tests ----------------------------------------------------------------------------------------------------

    @contextmanager
    def rolled_back(self, *, timeout: float = 10.0) -> Iterator[None]:
        """Undo in the end what an application does: `with database.rolled_back(), TestClient(app) as client`.

        All sessions share one connection and the transaction around it; their commits are savepoints. It is rolled
        back when the application shuts down, in whose event loop the connection lives, so the client has to be used as
        a context manager. One session is open at a time; those of other requests wait. A request that opens a second
        one meanwhile is refused, for it would wait for itself.

        Args:
            timeout: Seconds that a session waits for another before it raises `RuntimeError`.

        Raises:
            RuntimeError: The application did not shut down, or it was nested.
        """
        if self._rolled_back is not None:
            raise RuntimeError("The sessions of this database are rolled back already.")
        rolled_back = self._rolled_back = _RolledBack(timeout)
        try:
            yield
        finally:
            self._rolled_back = None
        if rolled_back.is_open:
            raise RuntimeError(
                "The test's transaction is still open: install() the database in the application, and use the test"
                " client as a context manager, so that the application shuts down."
            )


def _begin_transactions(engine: AsyncEngine, mode: str) -> None:
    """Begin SQLite's transactions when SQLAlchemy does: the driver waits for a change, and loses savepoints."""

    @event.listens_for(engine.sync_engine, "connect")
    def leave_it_to_us(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"BEGIN {mode}")


def _is_in_memory(url: URL) -> bool:
    if url.database in (None, "", ":memory:"):
        if sqlite3.sqlite_version_info < (3, 36):
            raise ValueError(f"A database in memory needs SQLite 3.36, not {sqlite3.sqlite_version}: use a file.")
        return True
    if url.database.startswith("file:") and (":memory:" in url.database or url.query.get("mode") == "memory"):
        raise ValueError("Database takes sqlite+aiosqlite:///:memory: for a database in memory, no URI of SQLite's.")
    return False


class _Memory:
    """A database in memory that several connections share, each with its own transaction; this one keeps it alive."""

    def __init__(self) -> None:
        self._file = f"file:/velithon-{uuid.uuid4()}"  # the slash shares it between the process's connections
        keeper = sqlite3.connect(f"{self._file}?vfs=memdb", uri=True, check_same_thread=False)
        self.close = weakref.finalize(self, keeper.close)

    def locate(self, url: URL) -> URL:
        """Return a URL with this database in it."""
        return url.set(database=self._file).update_query_dict({"vfs": "memdb", "uri": "true"})


_ONE_AT_A_TIME = (
    "Within rolled_back() all sessions share one transaction, so that one is open at a time: hand on the open one, or"
    " test this with a database of its own, without rolled_back()."
)


class _RolledBack:
    """One connection for all sessions of a test, and the transaction that is never committed."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout  # seconds
        self._connection: AsyncConnection | None = None
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[Any] | None = None

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    @asynccontextmanager
    async def connection(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        await self._wait()
        self._holder = asyncio.current_task()
        try:
            if self._connection is None:
                self._connection = await engine.connect()
                await self._connection.begin()
            yield self._connection
        finally:
            self._holder = None
            self._lock.release()

    async def _wait(self) -> None:
        if self._lock.locked() and self._holder is asyncio.current_task():
            raise RuntimeError(f"A session of this request or task is open already. {_ONE_AT_A_TIME}")
        try:
            async with asyncio.timeout(self._timeout):
                await self._lock.acquire()
        except TimeoutError:
            raise RuntimeError(f"Another session stayed open for {self._timeout:g} seconds. {_ONE_AT_A_TIME}") from None

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.rollback()
            await connection.close()
