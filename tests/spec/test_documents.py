"""Every block of code of the four documents is run by a test, or excepted with a reason."""

from importlib import import_module
from pathlib import Path

import pytest

from scripts import specification
from tests.spec.documents import DOCUMENTS, Document


def python_blocks(document: Document) -> set[str]:
    """Return the names of a document's Python blocks."""
    return {name for name, block in document.blocks.items() if block.language == "python"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_block_is_run_or_excepted(document: Document) -> None:
    """No block is left out in silence, and none is both run and excepted."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        import_module(f"tests.spec.{path.stem}")
    tested, excepted = document.tested, set(document.excepted)
    assert python_blocks(document) - tested - excepted == set()
    assert tested & excepted == set()
    assert excepted - python_blocks(document) == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_exception_has_a_reason(document: Document) -> None:
    """An excepted block says which outside service or library it is about."""
    assert all(document.excepted.values())


def test_the_table_of_promises_is_up_to_date() -> None:
    """docs/specification.md is what these tests say."""
    assert specification.PAGE.read_text(encoding="utf-8") == specification.page()
