"""Annotations inside of annotations, written as text."""

from __future__ import annotations

from typing import Annotated, Any, List, Optional  # noqa: UP035 - as older code writes it

from pydantic import BaseModel

from tests.conftest import ClientFactory
from velithon import Body, Query, Velithon


class Item(BaseModel):
    """What is named before it is known."""

    x: int


def test_quoted_names_inside_annotations(client: ClientFactory) -> None:
    """They are found where the endpoint is defined, however deep they stand; FastAPI fails at some of them."""
    app = Velithon()

    class Local(BaseModel):
        y: "int"  # noqa: UP037

    @app.post("/")
    def nested(
        a: List["Item"],  # noqa: UP006, UP037
        b: Annotated["dict[str, Item]", Body()],  # noqa: UP037
        c: "Optional[Local]" = None,  # noqa: UP037, UP045
        q: Annotated["list['int']", Query()] = [],  # noqa: B006, UP037
    ) -> list["Item | Local | int"]:  # noqa: UP037
        found: list[Any] = [*a, *b.values(), c, *q]
        return [item for item in found if item is not None]

    body = {"a": [{"x": 1}], "b": {"k": {"x": 2}}, "c": {"y": 3}}
    assert client(app).post("/?q=4", json=body).json() == [{"x": 1}, {"x": 2}, {"y": 3}, 4]
    answer = client(app).post("/?q=z", json={"a": [{}], "b": {"k": 2}})
    assert [error["loc"] for error in answer.json()["detail"]] == [
        ["query", "q", 0],
        ["body", "a", 0, "x"],
        ["body", "b", "k"],
    ]
