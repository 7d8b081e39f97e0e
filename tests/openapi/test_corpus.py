"""For the same source text the document equals FastAPI's."""

import json
import warnings
from typing import Any

import pytest
from fastapi.testclient import TestClient as FastAPIClient

from tests.openapi.corpus import cases, load

CASES = cases()


def document(name: str, framework: str) -> Any:
    with warnings.catch_warnings():
        # What one framework says about the source is not the subject here.
        warnings.simplefilter("ignore")
        app = load(CASES[name], framework)
        with FastAPIClient(app) as client:
            return json.loads(client.get("/openapi.json").content)


@pytest.mark.parametrize("name", CASES)
def test_the_document_equals_fastapis(name: str) -> None:
    assert document(name, "velithon") == document(name, "fastapi")


def test_the_corpus_is_large() -> None:
    """The comparison is worth what it covers."""
    assert len(CASES) >= 150
