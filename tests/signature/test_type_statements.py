"""PEP 695, which Python reads from 3.12 on: `type` statements, generic classes and functions, on both faces."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import ClientFactory

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="type statements need Python 3.12")

SOURCE = """
from typing import Annotated
from pydantic import BaseModel
from velithon import Depends, Query, Velithon
from velithon.di import FactoryProvider, Provide, ServiceContainer, inject

class Shop(ServiceContainer):
    clock = FactoryProvider(lambda: "noon")

shop = Shop()

type Positive = Annotated[int, Query(gt=0)]
type Names = Annotated[list[str], Query(max_length=2)]
type Tree = dict[str, Tree] | int
type Time = Annotated[str, Provide[shop.clock]]

class Page[Item](BaseModel):
    items: list[Item]
    rest: Tree = 0

async def found(number: Positive) -> int:
    return number * 2

type Found = Annotated[int, Depends(found)]

app = Velithon()
app.register_container(shop)

@app.get("/query")
async def query(number: Positive, names: Names = ["a"]) -> list[str | int]:
    return [number, *names]

@app.post("/page")
async def page(page: Page[int]) -> Page[str]:
    return Page[str](items=[str(item) for item in page.items], rest=page.rest)

@app.get("/dependency")
async def dependency(value: Found) -> int:
    return value

@app.get("/generic")
async def generic[T](value: int, flag: bool = False) -> dict[str, int | bool]:
    return {"value": value, "flag": flag}

@app.get("/container")
@inject
async def container(time: Time) -> str:
    return time
"""


@pytest.fixture(scope="module", params=["", "from __future__ import annotations\n"], ids=["objects", "texts"])
def module(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """A module of its own: older Pythons cannot even parse it."""
    path: Path = tmp_path_factory.mktemp("statements") / "statements.py"
    path.write_text(request.param + SOURCE)
    spec = importlib.util.spec_from_file_location("statements", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "statements", made)
        spec.loader.exec_module(made)
        yield made


@pytest.mark.parametrize(
    ("path", "status", "answer"),
    [
        ("/query?number=3&names=b&names=c", 200, [3, "b", "c"]),
        ("/query?number=3", 200, [3, "a"]),
        ("/query?number=0", 422, ["query", "number"]),
        ("/query?number=1&names=a&names=b&names=c", 422, ["query", "names"]),
        ("/dependency?number=4", 200, 8),
        ("/dependency?number=-4", 422, ["query", "number"]),
        ("/generic?value=1&flag=yes", 200, {"value": 1, "flag": True}),
        ("/container", 200, "noon"),
    ],
)
def test_an_alias_counts_as_what_it_names(
    module: ModuleType, client: ClientFactory, path: str, status: int, answer: object
) -> None:
    """In parameters, dependencies and containers."""
    response = client(module.app).get(path)
    found = response.json()
    assert (response.status_code, found if status == 200 else found["detail"][0]["loc"]) == (status, answer)


def test_a_generic_model_is_a_body_and_a_response(module: ModuleType, client: ClientFactory) -> None:
    """With a recursive alias inside; both have schemas in the document, with the names that FastAPI gives them."""
    http = client(module.app)
    answer = http.post("/page", json={"items": [1, 2], "rest": {"a": {"b": 3}}})
    assert (answer.status_code, answer.json()) == (200, {"items": ["1", "2"], "rest": {"a": {"b": 3}}})
    refused = http.post("/page", json={"items": ["x"]})
    assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["body", "items", 0])
    schemas = http.get("/openapi.json").json()["components"]["schemas"]
    assert {"Page_int_", "Page_str_", "Tree-Input", "Tree-Output"} <= set(schemas)
