"""The documents of the applications under comparison are FastAPI's."""

from __future__ import annotations

import pytest

from tests.signature.sidebyside import Pair


@pytest.mark.parametrize("name", ["parameters", "bodies", "forms", "formmodels", "dependencies", "overrides"])
def test_documents(name: str) -> None:
    pair = Pair(name)
    expected = pair.theirs.get("/openapi.json").json()
    found = pair.ours.get("/openapi.json").json()
    for document in (expected, found):
        # FastAPI takes a bare list for files; see `test_a_bare_list_is_a_body`.
        document["paths"].pop("/bare-list", None)
        document["components"]["schemas"].pop("Body_bare_list_bare_list_post", None)
    assert found["paths"] == expected["paths"]
    assert found.get("components") == expected.get("components")
