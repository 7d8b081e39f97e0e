"""Runs the blocks that a test names."""

from pathlib import Path
from types import ModuleType

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark that `Document.block` puts on tests."""
    config.addinivalue_line("markers", "block: the blocks of a document that the test runs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the documents use what pydantic 2 deprecates: `user.dict()`, `@validator`, class Config."""
    for item in items:
        if item.get_closest_marker("block"):
            item.add_marker(pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince20"))


@pytest.fixture
def space(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module in which the test's blocks ran, in an empty working directory."""
    mark = request.node.get_closest_marker("block")
    assert mark is not None, "the test names no block"
    document, blocks, prelude = mark.args
    monkeypatch.chdir(tmp_path)
    module: ModuleType = document.run(blocks, prelude)
    return module
