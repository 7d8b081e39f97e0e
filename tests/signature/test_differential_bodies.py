"""Bodies and forms: the same endpoints under FastAPI and Velithon answer the same requests the same way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.signature.sidebyside import Pair

BODIES = """
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, Optional, TypeVar, Union
from typing_extensions import TypedDict
from uuid import UUID
from fastapi import Body, Depends, FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Json, RootModel, field_validator, model_validator
app = FastAPI()
T = TypeVar("T")

class Item(BaseModel):
    name: str = Field(min_length=2)
    price: float
    tags: list[str] = []
    when: date | None = None
    nested: Optional["Item"] = None

class Aliased(BaseModel):
    first_name: str = Field(alias="firstName")
    n: int = Field(3, validation_alias="number")

class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    a: int
    when: datetime | None = None

class Checked(BaseModel):
    a: int
    b: int
    @field_validator("a")
    @classmethod
    def positive(cls, value: int) -> int:
        if value < 0:
            raise ValueError("must be positive")
        return value
    @model_validator(mode="before")
    @classmethod
    def listed(cls, data: Any) -> Any:
        return {"a": data[0], "b": data[1]} if isinstance(data, list) else data

class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int
class Dog(BaseModel):
    kind: Literal["dog"]
    breed: str
Pet = Annotated[Union[Cat, Dog], Field(discriminator="kind")]

class Page(BaseModel, Generic[T]):
    items: list[T]
    total: Decimal = Decimal(1)

@dataclass
class Point:
    x: int
    y: float = 1.5

class Movie(TypedDict):
    title: str
    year: int

class Names(RootModel[list[str]]): pass

class Bin(BaseModel):
    data: bytes
    u: UUID | int | str
    d: date | int = 3

@app.post("/item")
async def item(item: Item): return item
@app.put("/item/{item_id}")
async def put_item(item_id: int, item: Item, q: str | None = None): return {"item_id": item_id, **item.model_dump(), "q": q}
@app.post("/two")
async def two(item: Item, other: Checked): return [item, other]
@app.post("/embed")
async def embed(item: Annotated[Item, Body(embed=True)]): return item
@app.post("/scalars")
async def scalars(a: int = Body(), b: str = Body("x", max_length=3)): return [a, b]
@app.post("/scalar")
async def scalar(a: int = Body()): return a
@app.post("/scalar-embed")
async def scalar_embed(a: int = Body(embed=True, gt=3)): return a
@app.post("/mixed")
async def mixed(item: Item, importance: Annotated[int, Body(gt=0)], flag: bool = False): return [item, importance, flag]
@app.post("/optional")
async def optional(item: Item | None = None): return item
@app.post("/optional-body")
async def optional_body(item: Annotated[Item | None, Body()] = None, n: int | None = Body(None)): return [item, n]
@app.post("/dict")
async def dict_(data: dict): return data
@app.post("/dict-int")
async def dict_int(data: dict[int, float]): return data
@app.post("/list")
async def list_(data: list[Item]): return data
@app.post("/bare-list")
async def bare_list(data: list): return data
@app.post("/set")
async def set_(data: set[int]): return sorted(data)
@app.post("/any")
async def any_(data: Any = Body()): return data
@app.post("/any-none")
async def any_none(data: Any = Body(None)): return data
@app.post("/bytes")
async def bytes_(data: bytes = Body()): return data.decode()
@app.post("/str")
async def str_(data: str = Body(media_type="text/plain")): return data
@app.post("/aliased")
async def aliased(data: Aliased): return data
@app.post("/aliased-field")
async def aliased_field(data: Annotated[int, Body(alias="theData", embed=True)]): return data
@app.post("/strict")
async def strict(data: Strict): return data
@app.post("/checked")
async def checked(data: Checked): return data
@app.post("/pet")
async def pet(data: Pet): return data
@app.post("/pet2")
async def pet2(data: Union[Cat, Dog] = Body(discriminator="kind")): return data
@app.post("/union")
async def union(data: Cat | Dog | list[int]): return data
@app.post("/page")
async def page(data: Page[Item]): return data
@app.post("/point")
async def point(data: Point): return data
@app.post("/movie")
async def movie(data: Movie): return data
@app.post("/names")
async def names(data: Names): return data
@app.post("/bin")
async def bin_(data: Bin): return [data.data.decode(), data.u, data.d, type(data.u).__name__, type(data.d).__name__]
@app.post("/sync")
def sync(data: Item, q: int = 1): return [data, q]
@app.post("/request")
async def request_(request: Request, data: dict): return [(await request.json()), data]
def dep(item: Item): return item.name
def dep2(extra: Checked): return extra.a
@app.post("/dep")
async def dep_(name: str = Depends(dep)): return name
@app.post("/dep-same")
async def dep_same(item: Item, name: str = Depends(dep)): return [item, name]
@app.post("/dep-two")
async def dep_two(item: Item, a: int = Depends(dep2), name: str = Depends(dep)): return [item, a, name]
@app.get("/get-body")
async def get_body(item: Item): return item
@app.post("/constrained")
async def constrained(data: Annotated[list[int], Body(min_length=2, max_length=3)]): return data
@app.post("/float")
async def float_(data: list[float]): return [str(item) for item in data]
@app.post("/factory")
async def factory(data: Annotated[list[int], Body(default_factory=list)]): return data
"""

JSON = {"content-type": "application/json"}
PATHS = [
    "/item", "/two", "/embed", "/scalars", "/scalar", "/scalar-embed", "/mixed", "/optional", "/optional-body", "/dict",
    "/dict-int", "/list", "/bare-list", "/set", "/any", "/any-none", "/bytes", "/str", "/aliased", "/aliased-field", "/strict",
    "/checked", "/pet", "/pet2", "/union", "/page", "/point", "/movie", "/names", "/bin", "/sync", "/request", "/dep", "/dep-same",
    "/dep-two", "/constrained", "/float", "/factory",
]  # fmt: skip
PAYLOADS = [
    b"", b"null", b"{}", b"[]", b"3", b"-1", b'"text"', b'"x', b"{", b"nope", b"\xff\xfe", b"[1, 2]", b"[1, 2, 3, 4]", b"[1, \"x\"]", 
    b'{"name": "ab", "price": 3}', b'{"name": "a", "price": "x"}', b'{"name": "ab", "price": "3.5", "when": "2020-01-01", "tags": ["a"], "nested": {"name": "cd", "price": 1}}',
    b'{"name": "ab", "price": 3, "nested": {"name": 3}, "extra": 5}', b'{"name": "ab", "name": "cd", "price": 3}',
    b'{"item": {"name": "ab", "price": 3}, "other": {"a": 1, "b": 2}, "importance": 3, "flag": true}',
    b'{"item": {"name": "a"}, "other": {"a": -1, "b": 2}, "importance": 0}', b'{"item": null, "n": 4}', b'{"item": {"name": "ab", "price": 3}, "extra": [1, 2]}',
    b'{"item": 3, "other": [1, 2], "extra": [1]}', b'{"a": 5, "b": "xyz"}', b'{"a": 1, "b": "xyzw"}', b'{"a": "5"}', b'{"a": -5, "b": 1}', b'{"a": 1, "b": 2, "when": "2020-01-01T00:00:00"}',
    b'{"firstName": "x", "number": 4}', b'{"first_name": "x"}', b'{"theData": 4}', b'{"data": 4}', b'{"kind": "cat", "lives": 9}', b'{"kind": "dog"}', b'{"kind": "cow"}', b'{"kind": 1}',
    b'{"items": [{"name": "ab", "price": 1}], "total": "1.50"}', b'{"items": [{"name": "ab", "price": 1}], "total": 1e22}', b'{"items": 3}', b'{"x": 1, "y": "2"}', b'{"x": "q"}', b'{"title": "t", "year": 2000}', b'{"title": 3}',
    b'["a", "b"]', b'["a", 1]', b'{"data": "abc", "u": "00000000-0000-0000-0000-000000000001", "d": "2020-01-01"}', b'{"data": "abc", "u": 3, "d": "1700000000"}', b'{"data": 1, "u": [1]}',
    b'{"1": 2, "3": "4"}', b'{"x": 2}', b'[{"name": "ab", "price": 1}, {"name": "a", "price": 1}]', "{\"name\": \"\\ud800x\", \"price\": 1}".encode(), "{\"name\": \"żółć\", \"price\": 1}".encode(),
    '{"name": "ab", "price": 1}'.encode("utf-16"), b'\xef\xbb\xbf{"name": "ab", "price": 1}', b'{"name": "ab", "price": 1} x', b"[" * 300 + b"]" * 300, b'{"name": "ab", "price": true}',
    b'[true, 1.5, "2", 9007199254740993, 0.1, 1e22]', b'[1, 1, 2.0]', b'[[1, "a"], {"b": null}]',
]  # fmt: skip


@pytest.fixture(scope="module")
def bodies() -> Iterator[Pair]:
    yield Pair(BODIES)


@pytest.mark.parametrize("path", PATHS)
def test_json_bodies(bodies: Pair, path: str) -> None:
    for payload in PAYLOADS:
        bodies.same("POST", path, content=payload, headers=JSON)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/vnd.api+json",
        "application/x-www-form-urlencoded",
        "json",
        "application/jsonx",
        ";",
    ],
)
@pytest.mark.parametrize("path", ["/item", "/two", "/dict", "/bytes", "/str", "/any", "/dep", "/optional"])
def test_content_types(bodies: Pair, path: str, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    for payload in (b'{"name": "ab", "price": 1}', b"{", b""):
        bodies.same("POST", path, content=payload, headers=headers)


def test_more_bodies(bodies: Pair) -> None:
    good: Any = {"name": "ab", "price": 1}
    bodies.same("PUT", "/item/3?q=z", json=good)
    bodies.same("PUT", "/item/x?q=z", json={"name": 1})
    bodies.same("PUT", "/item/x", content=b"{", headers=JSON)
    bodies.same("GET", "/get-body")
    bodies.same("GET", "/get-body", content=b'{"name": "ab", "price": 1}', headers=JSON)
    bodies.same("POST", "/sync?q=x", json={})
    bodies.same("POST", "/sync?q=3", json=good)


FORMS = """
from typing import Annotated, Any, Literal, Union
from fastapi import Body, Depends, FastAPI, File, Form, Query, UploadFile
from pydantic import AliasChoices, BaseModel, ConfigDict, Discriminator, Field, Json, Tag, model_validator
app = FastAPI()

class Login(BaseModel):
    username: str
    password: str = Field(min_length=3)
    tags: list[str] = []
    age: int | None = None

class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int
    b: str = "x"

class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    z: int = 0

class WithFile(BaseModel):
    note: str
    file: UploadFile
    files: list[UploadFile] = []

class A(BaseModel):
    kind: Literal["a"] = "a"
    a: int
    l: list[int] = []
class B(BaseModel):
    kind: Literal["b"] = "b"
    b: str

class Doc(BaseModel):
    title: str
    @model_validator(mode="before")
    @classmethod
    def parse(cls, value: Any) -> Any:
        import json
        return json.loads(value) if isinstance(value, str) else value

async def info(file): 
    return None if file is None else file if isinstance(file, str) else [file.filename, file.content_type, (await file.read()).decode(), file.size]

@app.post("/login")
async def login(username: str = Form(), password: Annotated[str, Form(min_length=3)] = "default", remember: bool = Form(False)): return [username, password, remember]
@app.post("/one")
async def one(a: int = Form()): return a
@app.post("/alias")
async def alias(a: int = Form(alias="the-a"), b: Annotated[str, Form(validation_alias=AliasChoices("bb", "bbb"))] = "q"): return [a, b]
@app.post("/list")
async def list_(a: list[int] = Form(), b: Annotated[list[str] | None, Form()] = None, c: Annotated[set[str], Form()] = {"x"}): return [a, b, sorted(c)]
@app.post("/model")
async def model(data: Annotated[Login, Form()]): return data
@app.post("/strict")
async def strict(data: Annotated[Strict, Form()]): return data
@app.post("/loose")
async def loose(data: Annotated[Loose, Form()]): return data
@app.post("/model-plus")
async def model_plus(data: Annotated[Login, Form()], extra: Annotated[int, Form()] = 3): return [data, extra]
@app.post("/maybe")
async def maybe(data: Annotated[Strict | None, Form()] = None): return data
@app.post("/maybe-plus")
async def maybe_plus(data: Annotated[Strict | None, Form()] = None, n: int = Form(1)): return [data, n]
@app.post("/embed")
async def embed(data: Annotated[Login, Form(embed=True) if False else Form()]): return data
@app.post("/union")
async def union(data: Annotated[Union[A, B], Form()]): return data
@app.post("/union-kind")
async def union_kind(data: Annotated[Union[A, B], Form(discriminator="kind")]): return data
@app.post("/file")
async def file(file: UploadFile): return await info(file)
@app.post("/file-optional")
async def file_optional(file: UploadFile | None = None, note: str = Form("n")): return [await info(file), note]
@app.post("/file-marked")
async def file_marked(file: Annotated[UploadFile, File(description="x")]): return await info(file)
@app.post("/bytes")
async def bytes_(file: Annotated[bytes, File()]): return file.decode()
@app.post("/bytes-max")
async def bytes_max(file: Annotated[bytes | None, File(max_length=3)] = None): return file and file.decode()
@app.post("/files")
async def files(files: list[UploadFile], n: int = Form(0)): return [[await info(f) for f in files], n]
@app.post("/files-bytes")
async def files_bytes(files: Annotated[list[bytes], File()]): return [f.decode() for f in files]
@app.post("/files-optional")
async def files_optional(files: list[UploadFile] | None = None): return None if files is None else [await info(f) for f in files]
@app.post("/both")
async def both(a: Annotated[bytes, File()], b: UploadFile, token: str = Form()): return [a.decode(), await info(b), token]
@app.post("/shared")
async def shared(a: Annotated[bytes, File(alias="f")], b: Annotated[UploadFile, File(alias="f")]): return [a.decode(), await info(b)]
@app.post("/with-file")
async def with_file(data: Annotated[WithFile, Form()]): return [data.note, await info(data.file), [await info(f) for f in data.files]]
@app.post("/body-and-file")
async def body_and_file(doc: Doc = Body(), file: UploadFile = File()): return [doc, await info(file)]
@app.post("/json-field")
async def json_field(data: Annotated[Json[list[int]], Form()], other: int = Form(1)): return [data, other]
@app.post("/dict-and-file")
async def dict_and_file(tags: list[str], file: UploadFile | None = None): return [tags, await info(file)]
def dep(username: str = Form(), password: str = Form()): return username + password
@app.post("/dep")
async def dep_(both: str = Depends(dep)): return both
@app.post("/dep-more")
async def dep_more(both: str = Depends(dep), username: str = Form(), n: int = Form(3), q: int = Query(1)): return [both, username, n, q]
"""

FORM_PATHS = [
    "/login", "/one", "/alias", "/list", "/model", "/strict", "/loose", "/model-plus", "/maybe", "/maybe-plus", "/embed", "/union",
    "/union-kind", "/file", "/file-optional", "/file-marked", "/bytes", "/bytes-max", "/files", "/files-bytes", "/files-optional", "/both",
    "/shared", "/with-file", "/body-and-file", "/json-field", "/dict-and-file", "/dep", "/dep-more",
]  # fmt: skip
FIELDS: list[dict[str, Any]] = [
    {},
    {"username": "me", "password": "secret", "remember": "on"},
    {"username": "", "password": "ab"},
    {"username": "me", "password": "secret", "tags": ["a", "b"], "age": "3", "extra": "4"},
    {"username": "me", "password": "secret", "tags": ["a", ""], "age": "x", "extra": "x"},
    {"a": "1"},
    {"a": ["1", "2"]},
    {"a": "x", "b": ["1", "2"], "c": ["z", "y"]},
    {"a": "1", "b": "2", "c": "3"},
    {"a": ""},
    {"the-a": "3", "bbb": "5"},
    {"the-a": "x", "bb": ["1", "2"]},
    {"b": "only"},
    {"z": "5", "y": ["1", "2"]},
    {"n": "x"},
    {"kind": "a", "a": "1", "l": ["1", "2"]},
    {"kind": "a", "a": "1", "l": "1"},
    {"kind": "b"},
    {"kind": "c", "b": "q"},
    {"file": "text", "note": "y"},
    {"data": "[1, 2]", "other": "x"},
    {"data": "[1"},
    {"doc": '{"title": "t"}', "tags": ["a"]},
]
A = ("a.txt", b"aaaa", "text/plain")
B = ("b.bin", b"bb", "application/octet-stream")
EMPTY = ("", b"", "application/octet-stream")
FILES: list[Any] = [
    [("file", A)],
    [("file", EMPTY)],
    [("file", ("empty.txt", b"", "text/plain"))],
    [("files", A)],
    [("files", A), ("files", B)],
    [("files", EMPTY)],
    [("files", A), ("files", EMPTY)],
    [("file", A), ("files", A), ("files", B)],
    [("a", A), ("b", B)],
    [("f", A)],
    [("file", A), ("file", B)],
    [("username", A)],
]
FILE_FIELDS: list[dict[str, Any]] = [
    {},
    {"note": "n", "token": "t", "n": "3"},
    {"doc": '{"title": "t"}', "tags": ["x", "y"], "n": "z"},
]


@pytest.fixture(scope="module")
def forms() -> Iterator[Pair]:
    yield Pair(FORMS)


@pytest.mark.parametrize("path", FORM_PATHS)
def test_urlencoded_forms(forms: Pair, path: str) -> None:
    for fields in FIELDS:
        forms.same("POST", path, data=fields)
    forms.same("POST", path)
    forms.same("POST", path, json={"a": 1})


@pytest.mark.parametrize("path", FORM_PATHS)
def test_multipart_forms(forms: Pair, path: str) -> None:
    for files in FILES:
        for fields in FILE_FIELDS:
            forms.same("POST", path, files=files, data=fields)
    for fields in FIELDS:
        flat = [
            (name, item) for name, value in fields.items() for item in (value if isinstance(value, list) else [value])
        ]
        forms.same("POST", path, files=[(name, (None, value)) for name, value in flat] or {"nothing": (None, "x")})


def test_broken_multipart(forms: Pair) -> None:
    for headers in (
        {"content-type": "multipart/form-data"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "multipart/form-data; boundary="},
    ):
        forms.same("POST", "/login", content=b"--x\r\nbroken", headers=headers)
        forms.same("POST", "/login", content=b"", headers=headers)
