"""Structs of msgspec and attrs classes as bodies, responses and parameters; dataclasses stay pydantic's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import attrs
import msgspec
import pytest
from pydantic import BaseModel
from pydantic import Field as PydanticField

from tests.conftest import ClientFactory
from velithon import Body, Cookie, Depends, Form, Header, Query, Velithon
from velithon.exceptions import RegistrationError, ResponseValidationError
from velithon.signature import compile_http, explain, read_endpoint
from velithon.signature.bodies import DocumentBody, register_body, unregister_body


class Tag(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=2, max_length=5, pattern="^[a-z]+$")]


class Item(msgspec.Struct, rename="camel"):
    """A thing for sale."""

    item_id: Annotated[int, msgspec.Meta(ge=1)]
    tags: list[Tag] = []
    kind: Literal["new", "used"] = "new"
    note: str | None = None


class Priced(Item):
    purchase_price: int = 7


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    by_key: dict[str, Tag] = {}
    step: Annotated[int, msgspec.Meta(multiple_of=5, lt=50)] = 5

    def __post_init__(self) -> None:
        if self.step == 35:
            raise ValueError("{35} is no step")


@attrs.define
class Point:
    x: int = attrs.field(validator=attrs.validators.ge(0))
    y: int = 0


class Filters(msgspec.Struct):
    x_word: str
    limit: Annotated[int, msgspec.Meta(ge=1, le=100, description="At most")] = 10
    only: list[str] = []
    deep: bool = False


class Model(BaseModel):
    n: int


@dataclass
class Plain:
    n: int


@pytest.fixture
def app() -> Velithon:
    app = Velithon()

    @app.post("/items")
    async def item(item: Item) -> Item:
        return item

    @app.post("/lists")
    async def items(items: list[Item]) -> list[Item]:
        return items

    @app.post("/optional")
    async def optional(item: Item | None = None) -> Item | None:
        return item

    @app.post("/strict")
    async def strict(strict: Strict) -> Strict:
        return strict

    @app.post("/points")
    async def point(point: Point) -> Point:
        return point

    @app.post("/together")
    async def together(item: Item, point: Point, model: Model, plain: Plain) -> dict[str, Any]:
        return {"item": item, "point": point, "model": model, "plain": plain}

    @app.post("/mixed")
    async def mixed(things: list[Item | Model]) -> list[Item | Model]:
        return things

    return app


def test_a_struct_comes_from_bytes_and_goes_to_bytes(app: Velithon, client: ClientFactory) -> None:
    http = client(app)
    sent = {"itemId": 1, "tags": [{"name": "ab"}], "kind": "used", "note": "x"}
    answer = http.post("/items", json=sent)
    assert (answer.status_code, answer.json(), answer.headers["content-type"]) == (200, sent, "application/json")
    assert http.post("/lists", json=[sent, {"itemId": 2}]).json() == [
        sent, {"itemId": 2, "tags": [], "kind": "new", "note": None},
    ]  # fmt: skip
    assert http.post("/optional").json() is None
    assert http.post("/optional", json=sent).json() == sent
    assert http.post("/points", json={"x": 3}).json() == {"x": 3, "y": 0}


def test_nothing_is_parsed_between_the_bytes_and_the_struct() -> None:
    async def item(item: Item) -> Item:
        return item

    plan = explain(compile_http(read_endpoint(item, path="/")))
    assert "validate_item_json(body)" in plan
    assert "check_numbers" not in plan


def test_bodies_that_pydantic_and_msgspec_share(app: Velithon, client: ClientFactory) -> None:
    http = client(app)
    answer = http.post(
        "/together", json={"item": {"itemId": 1}, "point": {"x": 1}, "model": {"n": 1}, "plain": {"n": 2}}
    )
    assert answer.json() == {
        "item": {"itemId": 1, "tags": [], "kind": "new", "note": None},
        "point": {"x": 1, "y": 0},
        "model": {"n": 1},
        "plain": {"n": 2},
    }
    things = [{"itemId": 1, "tags": [], "kind": "new", "note": None}, {"n": 3}]
    assert http.post("/mixed", json=things).json() == things


@pytest.mark.parametrize(
    ("path", "sent", "errors"),
    [
        ("/items", {"itemId": 0, "tags": [{"name": "a"}, {"name": 3}, {}], "kind": "old", "note": 3}, [
            ("greater_than_equal", "itemId"),
            ("string_too_short", "tags", 0, "name"),
            ("string_type", "tags", 1, "name"),
            ("missing", "tags", 2, "name"),
            ("enum", "kind"),
            ("string_type", "note"),
        ]),
        ("/items", {"itemId": "1"}, [("int_type", "itemId")]),
        ("/items", {"itemId": None, "tags": {}}, [("int_type", "itemId"), ("list_type", "tags")]),
        ("/items", [], [("model_attributes_type",)]),
        ("/lists", [{"itemId": 1}, {}, 3], [("missing", 1, "itemId"), ("model_attributes_type", 2)]),
        ("/optional", {"note": "a"}, [("missing", "itemId")]),
        ("/strict", {"byKey": {}}, [("extra_forbidden", "byKey")]),
        ("/strict", {"by_key": {"k": {"name": "toolong"}, "l": {"name": "AB"}}}, [
            ("string_too_long", "by_key", "k", "name"), ("string_pattern_mismatch", "by_key", "l", "name"),
        ]),
        ("/strict", {"step": 4}, [("multiple_of", "step")]),
        ("/strict", {"step": 50}, [("less_than_equal", "step")]),
        ("/strict", {"step": 35}, [("value_error",)]),
        ("/points", {"x": -1}, [("value_error",)]),
        ("/together", {"item": {"itemId": "1"}, "point": {}, "model": {"n": "a"}, "plain": {}}, [
            ("int_type", "item", "itemId"), ("missing", "point", "x"),
            ("int_parsing", "model", "n"), ("missing", "plain", "n"),
        ]),
    ],
)  # fmt: skip
def test_every_error_says_where(
    app: Velithon, client: ClientFactory, path: str, sent: Any, errors: list[tuple[Any, ...]]
) -> None:
    answer = client(app).post(path, json=sent)
    assert answer.status_code == 422
    assert [(error["type"], *error["loc"]) for error in answer.json()["detail"]] == [
        (kind, "body", *location) for kind, *location in errors
    ]
    assert all({"type", "loc", "msg", "input"} <= error.keys() for error in answer.json()["detail"])


def test_an_error_has_pydantics_words_where_it_is_one_of_pydantics_and_msgspecs_elsewhere(
    app: Velithon, client: ClientFactory
) -> None:
    http = client(app)
    assert http.post("/items", json={"itemId": 0}).json()["detail"] == [
        {
            "type": "greater_than_equal",
            "loc": ["body", "itemId"],
            "msg": "Input should be greater than or equal to 1",
            "input": 0,
            "ctx": {"ge": 1},
        }
    ]
    assert http.post("/strict", json={"step": 35}).json()["detail"][0]["msg"] == "{35} is no step"


# Python 3.11 refuses 1,000 levels, and 3.14 what its stack does not hold.
TOO_DEEP = 5_000_000


@pytest.mark.parametrize(
    ("content", "status", "kind"),
    [
        (b'{"itemId": 1', 422, "json_invalid"),
        (b'{"itemId": NaN}', 400, None),
        (b'{"itemId": 1, "note": "\xff"}', 400, None),
        (b"", 422, "missing"),
        (b'{"itemId": 1, "other": ' + b"[" * TOO_DEEP + b"]" * TOO_DEEP + b"}", 400, None),
    ],
)
def test_what_is_no_json_is_answered_as_for_pydantic_models(
    app: Velithon, client: ClientFactory, content: bytes, status: int, kind: str | None
) -> None:
    answer = client(app).post("/items", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status
    if kind is not None:
        assert answer.json()["detail"][0]["type"] == kind


def test_a_response_has_the_declared_fields_and_no_others(client: ClientFactory) -> None:
    app = Velithon()

    @app.get("/one")
    async def one() -> Item:
        return Priced(item_id=1)

    @app.get("/list")
    async def many() -> list[Item]:
        return [Priced(item_id=1), Item(item_id=2)]

    @app.get("/rows")
    async def rows() -> list[Item]:
        return [{"itemId": 3}]  # type: ignore[list-item]  # rows of a database, say

    @app.get("/some", response_model_exclude={"tags", "kind"}, response_model_exclude_none=True)
    async def some() -> Item:
        return Item(item_id=4)

    @app.get("/any")
    async def any_() -> Any:
        return Item(item_id=5)

    @app.get("/none", response_model=None)
    async def none() -> Any:
        return [Item(item_id=6), Point(1)]

    http = client(app)
    item: dict[str, Any] = {"tags": [], "kind": "new", "note": None}
    assert http.get("/one").json() == {"itemId": 1, **item}
    assert http.get("/list").json() == [{"itemId": 1, **item}, {"itemId": 2, **item}]
    assert http.get("/rows").json() == [{"itemId": 3, **item}]
    assert http.get("/some").json() == {"itemId": 4}
    assert http.get("/any").json() == {"itemId": 5, **item}
    assert http.get("/none").json() == [{"itemId": 6, **item}, {"x": 1, "y": 0}]


def test_a_response_that_does_not_fit_is_the_servers_error(client: ClientFactory) -> None:
    app = Velithon()

    @app.get("/")
    async def wrong() -> Item:
        return {"itemId": "one"}  # type: ignore[return-value]  # the mistake that the test is about

    with pytest.raises(ResponseValidationError) as caught:
        client(app).get("/")
    assert [(error["type"], error["loc"]) for error in caught.value.errors()] == [("int_type", ("response", "itemId"))]


def test_a_generator_sends_structs_as_lines(client: ClientFactory) -> None:
    app = Velithon()

    @app.get("/")
    async def points() -> AsyncIterator[Point]:
        yield Point(1)
        yield Point(2, 3)

    assert client(app).get("/").text == '{"x":1,"y":0}\n{"x":2,"y":3}\n'


def test_parameters_are_the_fields_of_a_struct(client: ClientFactory) -> None:
    app = Velithon()

    @app.get("/query")
    async def query(filters: Annotated[Filters, Query()]) -> Filters:
        assert type(filters) is Filters
        return filters

    @app.get("/headers")
    async def headers(filters: Annotated[Filters, Header()]) -> Filters:
        return filters

    @app.get("/cookies")
    async def cookies(filters: Annotated[Filters | None, Cookie()] = None) -> Filters | None:
        return filters

    @app.post("/form")
    async def form(filters: Annotated[Filters, Form()]) -> Filters:
        return filters

    @app.get("/attrs")
    async def attrs_query(point: Annotated[Point, Query()]) -> Point:
        return point

    http = client(app)
    full = {"x_word": "a", "limit": 5, "only": ["b", "c"], "deep": True}
    assert http.get("/query?x_word=a&limit=5&only=b&only=c&deep=yes").json() == full
    assert http.post("/form", data={"x_word": "a", "limit": "5", "only": ["b", "c"], "deep": "on"}).json() == full
    assert http.get("/headers", headers={"x-word": "a"}).json() == {
        "x_word": "a",
        "limit": 10,
        "only": [],
        "deep": False,
    }
    assert http.get("/cookies").json() is None
    assert http.get("/cookies", headers={"cookie": "x_word=b; limit=3"}).json()["limit"] == 3
    assert http.get("/attrs?x=3").json() == {"x": 3, "y": 0}
    answers = {
        "/query?limit=0": [["query", "x_word"], ["query", "limit"]],
        "/headers": [["header", "x-word"]],
        "/attrs?x=-1": [["query"]],
        "/attrs?x=a": [["query", "x"]],
    }
    for path, locations in answers.items():
        answer = http.get(path)
        assert (answer.status_code, [error["loc"] for error in answer.json()["detail"]]) == (422, locations)
    assert http.post("/form", data={"limit": "a"}).json()["detail"][1]["loc"] == ["body", "limit"]

    document = app.openapi()
    shown = {parameter["name"]: parameter for parameter in document["paths"]["/query"]["get"]["parameters"]}
    assert [name for name, parameter in shown.items() if parameter["required"]] == ["x_word"]
    assert shown["limit"]["schema"] == {
        "type": "integer", "minimum": 1, "maximum": 100, "default": 10, "title": "Limit", "description": "At most",
    }  # fmt: skip
    assert document["components"]["schemas"]["Filters"]["required"] == ["x_word"]


def test_a_struct_is_read_from_another_format_and_after_dependencies(client: ClientFactory) -> None:
    class MsgpackBody(DocumentBody):
        media_types = ("application/msgpack",)
        label = "MessagePack"

        def parse(self, body: bytes) -> Any:
            return msgspec.msgpack.decode(body)

    register_body(MsgpackBody)
    app = Velithon()

    async def user() -> str:
        return "ann"

    @app.post("/packed")
    async def packed(item: Annotated[Item, Body(media_type="application/msgpack")]) -> Item:
        return item

    @app.post("/depends")
    async def depends(item: Item, name: Annotated[str, Depends(user)]) -> Item:
        return item

    unregister_body(MsgpackBody)
    http = client(app)
    answer = http.post(
        "/packed", content=msgspec.msgpack.encode({"itemId": 1}), headers={"content-type": "application/msgpack"}
    )
    assert answer.json()["itemId"] == 1
    assert http.post("/depends", json={"itemId": 2}).json()["itemId"] == 2
    assert http.post("/depends", json={"itemId": 0}).json()["detail"][0]["loc"] == ["body", "itemId"]


def test_documents_have_msgspecs_schemas_beside_pydantics(app: Velithon) -> None:
    @app.post("/clash")
    async def clash(point: Annotated[Any, Body()]) -> Clash:
        return Clash(n=1)

    document = app.openapi()
    schemas = document["components"]["schemas"]
    assert schemas["Item"]["description"] == "A thing for sale."
    assert schemas["Item"]["required"] == ["itemId"]
    assert schemas["Item"]["properties"]["tags"]["items"] == {"$ref": "#/components/schemas/Tag"}
    assert schemas["Tag"]["properties"]["name"]["minLength"] == 2
    assert schemas["PointStruct"]["properties"]["y"] == {"type": "integer", "default": 0}
    body = document["paths"]["/items"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/Item"}
    listed = document["paths"]["/lists"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert (listed["type"], listed["items"]) == ("array", {"$ref": "#/components/schemas/Item"})
    assert "x-velithon-struct" not in str(document)


class _Pydantic:
    class Point(BaseModel):
        """A namesake of the attrs class."""

        z: int = 0


class Clash(BaseModel):
    n: int
    inner: _Pydantic.Point = _Pydantic.Point()


class Unknown(msgspec.Struct):
    model: Model


class Constrained(msgspec.Struct):
    n: Annotated[int, PydanticField(gt=3)]


@attrs.define
class Renamed:
    n: int = attrs.field(alias="m")


@attrs.define
class Given:
    n: int = attrs.field(default=1, init=False)


@attrs.define
class Converted:
    n: int = attrs.field(converter=int)


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (Unknown, "msgspec does not know Model, which Unknown holds"),
        (Constrained, "Constrained.n has FieldInfo in Annotated, which msgspec ignores: say msgspec.Meta"),
        (Renamed, "Renamed.n has an alias"),
        (Given, "Given.n has init=False"),
        (Converted, "Converted.n has converter="),
        (Annotated[list[Point], Form()], "The fields of one Struct or attrs class are parameters"),
    ],
)
def test_what_msgspec_would_ignore_is_refused(annotation: Any, said: str) -> None:
    async def endpoint(value: Any) -> None: ...

    endpoint.__annotations__["value"] = annotation
    with pytest.raises(RegistrationError, match=said):
        Velithon().post("/")(endpoint)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"response_model_exclude_unset": True}, "omit_defaults=True"),
        ({"response_model_by_alias": False}, "rename="),
        ({"response_model_include": {"tags": {0}}}, "a set of names"),
    ],
)
def test_options_of_pydantics_models_that_mean_nothing_are_refused(options: dict[str, Any], said: str) -> None:
    async def item() -> Item:
        return Item(item_id=1)

    with pytest.raises(RegistrationError, match=said):
        Velithon().get("/", **options)(item)


def test_nobody_else_imports_msgspec() -> None:
    source = """
import sys
from pydantic import BaseModel
from velithon import Velithon
from velithon.testclient import TestClient
class Model(BaseModel):
    n: int
app = Velithon()
@app.post("/")
async def endpoint(model: Model) -> Model:
    return model
assert TestClient(app).post("/", json={"n": 1}).json() == {"n": 1}
app.openapi()
print("msgspec" in sys.modules, "velithon.signature.structs" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_an_attrs_class_without_msgspec_names_the_extra() -> None:
    source = """
import sys
sys.modules["msgspec"] = None
import attrs
from velithon import Velithon
@attrs.define
class Point:
    x: int
try:
    @Velithon().post("/")
    async def endpoint(point: Point) -> None: ...
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == 'attrs classes as models need the package msgspec: pip install "velithon[msgspec]"'
