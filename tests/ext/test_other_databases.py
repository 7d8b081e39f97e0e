"""The recipes for asyncpg and Tortoise, on a real PostgreSQL and on SQLite, as the page has them."""

import re
import sys
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import ClientFactory
from tests.services.postgresql import postgresql
from tests.test_docs import ROOT

PAGE = ROOT / "docs" / "how-to" / "other-databases.md"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that the page's blocks make."""
    module = ModuleType("recipes")
    monkeypatch.setitem(sys.modules, "recipes", module)
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        exec(compile(block, str(PAGE), "exec", dont_inherit=True), module.__dict__)
    return module


def test_asyncpg(page: Any, client: ClientFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is a transaction: what an endpoint raises leaves nothing behind."""
    with postgresql() as server:
        monkeypatch.setenv("DATABASE_URL", server.url("asyncpg").replace("+asyncpg", ""))
        with client(page.app, raise_server_exceptions=False) as caller:
            assert caller.post("/notes?text=one").json() == {"id": 1, "text": "one"}
            assert caller.post("/notes?text=%20").status_code == 500
            assert caller.get("/notes").json() == [{"id": 1, "text": "one"}]


def test_tortoise(page: Any, client: ClientFactory) -> None:
    """Requests see what the lifespan has opened, and a second start begins anew."""
    for _ in range(2):
        with client(page.notes) as caller:
            assert caller.post("/notes?text=one").json() == {"id": 1, "text": "one"}
            assert caller.get("/notes").json() == [{"id": 1, "text": "one"}]
