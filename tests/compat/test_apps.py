"""Whole applications as FastAPI's users write them, under FastAPI and Velithon alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.signature.sidebyside import Pair

APPS = sorted((Path(__file__).parent / "apps").glob("*.txt"))


@pytest.mark.filterwarnings("ignore::UserWarning")  # operation ids that occur twice
@pytest.mark.parametrize("text", APPS, ids=lambda text: text.stem)
def test_applications(text: Path) -> None:
    """Each text ends with the requests that are sent to it."""
    pair = Pair(text)
    with pair.theirs, pair.ours, pair.over_rsgi:
        for method, path, *options in pair.requests:
            if path.endswith("openapi.json"):
                same_document(pair, path)
            else:
                pair.same(method, path, **(options[0] if options else {}))
    assert pair.logs[0] == pair.logs[1] == pair.logs[2]


def same_document(pair: Pair, path: str) -> None:
    """Compare the documents alone: ours are sent with an ETag."""
    expected: Any = pair.theirs.get(path).json()
    expected["info"]["title"] = expected["info"]["title"].replace("FastAPI", "Velithon")
    assert pair.ours.get(path).json() == expected
    assert pair.over_rsgi.get(path).json() == expected
