"""Runs the blocks that a test names."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, text

from tests.services.postgresql import PostgreSQL, postgresql
from tests.spec.documents import ABSENT, FOLDER

FOLDER_OF_TESTS = Path(__file__).resolve().parent


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark that `Document.block` puts on tests."""
    config.addinivalue_line("markers", "block: the blocks of a document that the test runs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the documents use what pydantic 2 deprecates; without the documents, skip all that is here."""
    if FOLDER is None:
        for item in items:
            if FOLDER_OF_TESTS in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=ABSENT))
    for item in items:
        if item.get_closest_marker("block"):
            item.add_marker(pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince20"))


@pytest.fixture
def space(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module in which the test's blocks ran, in an empty working directory."""
    mark = request.node.get_closest_marker("block")
    assert mark is not None, "the test names no block"
    document, blocks, prelude, given = mark.args
    monkeypatch.chdir(tmp_path)
    values = {name: request.getfixturevalue(name) for name in given}
    module: ModuleType = document.run(blocks, prelude, Modules(monkeypatch, {}), values)
    return module


@pytest.fixture(scope="session")
def shared_postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL for all tests of the documents."""
    with postgresql() as server:
        yield server


@pytest.fixture
def database_url(shared_postgresql: PostgreSQL) -> Iterator[str]:
    """The URL of an empty database, for asyncpg."""
    admin = create_engine(shared_postgresql.url("psycopg"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
        yield shared_postgresql.url("asyncpg")


class Modules(dict[str, ModuleType]):
    """Puts what it is given into `sys.modules`, for the length of a test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, modules: dict[str, ModuleType]) -> None:
        self.monkeypatch = monkeypatch
        self.update(modules)

    def update(self, modules: Any) -> None:  # type: ignore[override]
        """Add modules."""
        for name, module in modules.items():
            self.monkeypatch.setitem(sys.modules, name, module)
