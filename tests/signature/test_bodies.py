"""A body format is one class and its registration; plans, documents and `velithon explain` only ask the body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel
from starlette.requests import Request

from tests.conftest import ClientFactory
from velithon import Body, File, Form, UploadFile, Velithon
from velithon.exceptions import RegistrationError
from velithon.signature import read_endpoint
from velithon.signature.bodies import DocumentBody, FormBody, JSONBody, register_body, unregister_body

msgpack = pytest.importorskip("msgspec", reason="the example of a third body format uses msgspec").msgpack


class MsgpackBody(DocumentBody):
    media_types = ("application/msgpack",)
    label = "MessagePack"

    def parse(self, body: bytes) -> Any:
        return msgpack.decode(body)


class Item(BaseModel):
    name: str
    data: bytes = b""


@pytest.fixture
def app() -> Iterator[Velithon]:
    register_body(MsgpackBody)
    app = Velithon()

    @app.post("/items")
    async def whole(item: Annotated[Item, Body(media_type="application/msgpack")]) -> Any:
        return {"name": item.name, "length": len(item.data)}

    @app.post("/pairs")
    async def embedded(
        first: Annotated[Item, Body(media_type="application/msgpack")], second: Annotated[int, Body()]
    ) -> Any:
        return [first.name, second]

    @app.post("/json")
    async def as_json(item: Item) -> Any:
        return item.name

    yield app
    unregister_body(MsgpackBody)


PACKED = {"content-type": "application/msgpack"}


def test_a_third_format_is_read_validated_and_embedded(app: Velithon, client: ClientFactory) -> None:
    http = client(app)
    answer = http.post("/items", content=msgpack.encode({"name": "a", "data": b"\xff\x00"}), headers=PACKED)
    assert answer.json() == {"name": "a", "length": 2}
    answer = http.post("/pairs", content=msgpack.encode({"first": {"name": "a"}, "second": 2}), headers=PACKED)
    assert answer.json() == ["a", 2]
    assert http.post("/json", json={"name": "b"}).json() == "b"


@pytest.mark.parametrize(
    ("content", "headers", "location", "kind"),
    [
        (b"\x81", PACKED, ["body"], "messagepack_invalid"),
        (b"\x80", PACKED, ["body", "name"], "missing"),
        (b"", PACKED, ["body"], "missing"),
        (b'{"name": "a"}', {"content-type": "application/json"}, ["body"], "model_attributes_type"),
    ],
)
def test_what_does_not_fit_says_where(
    app: Velithon, client: ClientFactory, content: bytes, headers: dict[str, str], location: Any, kind: str
) -> None:
    answer = client(app).post("/items", content=content, headers=headers)
    assert answer.status_code == 422
    assert [(error["loc"], error["type"]) for error in answer.json()["detail"]] == [(location, kind)]


def test_documents_show_each_body_under_its_media_type(app: Velithon) -> None:
    paths = app.openapi()["paths"]
    shown = {path: list(item["post"]["requestBody"]["content"]) for path, item in paths.items()}
    assert shown == {
        "/items": ["application/msgpack"],
        "/pairs": ["application/msgpack"],
        "/json": ["application/json"],
    }


def test_the_declaration_decides_between_formats() -> None:
    def as_json(item: Item) -> None: ...
    def as_form(name: Annotated[str, Form()]) -> None: ...
    def as_file(file: Annotated[UploadFile, File()]) -> None: ...
    def without(q: int = 1) -> None: ...

    bodies = [type(read_endpoint(call, path="/").body) for call in (as_json, as_form, as_file, without)]
    assert bodies == [JSONBody, FormBody, FormBody, type(None)]


@pytest.mark.parametrize(
    ("call", "content_type", "strict", "matches"),
    [
        ("json", "application/json", True, True),
        ("json", "application/vnd.api+json; charset=utf-8", True, True),
        ("json", "text/plain", True, False),
        ("json", "", True, False),
        ("json", "", False, True),
        ("form", "multipart/form-data; boundary=x", True, True),
        ("form", "Application/X-WWW-Form-Urlencoded", True, True),
        ("form", "application/json", True, False),
        ("form", "", False, True),
    ],
)
def test_a_body_knows_its_requests(call: str, content_type: str, strict: bool, matches: bool) -> None:
    def as_json(item: Item) -> None: ...
    def as_form(name: Annotated[str, Form()]) -> None: ...

    body = read_endpoint(as_json if call == "json" else as_form, path="/").body
    assert body is not None
    headers = [(b"content-type", content_type.encode())] if content_type else []
    assert body.matches(Request({"type": "http", "headers": headers}), strict) is matches


def test_a_format_without_a_media_type_is_refused() -> None:
    class Nameless(DocumentBody):
        def parse(self, body: bytes) -> Any: ...

    with pytest.raises(RegistrationError, match="Nameless needs media_types"):
        register_body(Nameless)
