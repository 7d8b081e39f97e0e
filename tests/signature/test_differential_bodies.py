"""Bodies and forms: the same endpoints under FastAPI and Velithon answer the same requests the same way."""

from __future__ import annotations

from typing import Any

import pytest

from tests.signature.sidebyside import Pair

JSON = {"content-type": "application/json"}
PATHS = [
    "/item",
    "/two",
    "/embed",
    "/scalars",
    "/scalar",
    "/scalar-embed",
    "/mixed",
    "/optional",
    "/optional-body",
    "/dict",
    "/dict-int",
    "/list",
    "/set",
    "/any",
    "/any-none",
    "/bytes",
    "/str",
    "/aliased",
    "/aliased-field",
    "/strict",
    "/checked",
    "/pet",
    "/pet2",
    "/union",
    "/page",
    "/point",
    "/movie",
    "/names",
    "/bin",
    "/sync",
    "/request",
    "/dep",
    "/dep-same",
    "/dep-two",
    "/constrained",
    "/float",
    "/factory",
]
PAYLOADS = [
    b"",
    b"null",
    b"{}",
    b"[]",
    b"3",
    b"-1",
    b'"text"',
    b'"x',
    b"{",
    b"nope",
    b"\xff\xfe",
    b"[1, 2]",
    b"[1, 2, 3, 4]",
    b'[1, "x"]',
    b'{"name": "ab", "price": 3}',
    b'{"name": "a", "price": "x"}',
    b'{"name": "ab", "price": "3.5", "when": "2020-01-01", "tags": ["a"], "nested": {"name": "cd", "price": 1}}',
    b'{"name": "ab", "price": 3, "nested": {"name": 3}, "extra": 5}',
    b'{"name": "ab", "name": "cd", "price": 3}',
    b'{"item": {"name": "ab", "price": 3}, "other": {"a": 1, "b": 2}, "importance": 3, "flag": true}',
    b'{"item": {"name": "a"}, "other": {"a": -1, "b": 2}, "importance": 0}',
    b'{"item": null, "n": 4}',
    b'{"item": {"name": "ab", "price": 3}, "extra": [1, 2]}',
    b'{"item": 3, "other": [1, 2], "extra": [1]}',
    b'{"a": 5, "b": "xyz"}',
    b'{"a": 1, "b": "xyzw"}',
    b'{"a": "5"}',
    b'{"a": -5, "b": 1}',
    b'{"a": 1, "b": 2, "when": "2020-01-01T00:00:00"}',
    b'{"firstName": "x", "number": 4}',
    b'{"first_name": "x"}',
    b'{"theData": 4}',
    b'{"data": 4}',
    b'{"kind": "cat", "lives": 9}',
    b'{"kind": "dog"}',
    b'{"kind": "cow"}',
    b'{"kind": 1}',
    b'{"items": [{"name": "ab", "price": 1}], "total": "1.50"}',
    b'{"items": [{"name": "ab", "price": 1}], "total": 1e22}',
    b'{"items": 3}',
    b'{"x": 1, "y": "2"}',
    b'{"x": "q"}',
    b'{"title": "t", "year": 2000}',
    b'{"title": 3}',
    b'["a", "b"]',
    b'["a", 1]',
    b'{"data": "abc", "u": "00000000-0000-0000-0000-000000000001", "d": "2020-01-01"}',
    b'{"data": "abc", "u": 3, "d": "1700000000"}',
    b'{"data": 1, "u": [1]}',
    b'{"1": 2, "3": "4"}',
    b'{"x": 2}',
    b'[{"name": "ab", "price": 1}, {"name": "a", "price": 1}]',
    '{"name": "żółć", "price": 1}'.encode(),
    '{"name": "ab", "price": 1}'.encode("utf-16"),
    b'\xef\xbb\xbf{"name": "ab", "price": 1}',
    b'{"name": "ab", "price": 1} x',
    b"[" * 150 + b"]" * 150,
    b'{"name": "ab", "price": true}',
    b'[true, 1.5, "2", 9007199254740993, 0.1, 1e22]',
    b"[1, 1, 2.0]",
    b'[[1, "a"], {"b": null}]',
]


@pytest.fixture(scope="module")
def bodies() -> Pair:
    return Pair("bodies")


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


def test_a_bare_list_is_a_body(bodies: Pair) -> None:
    """FastAPI takes `data: list` for a list of files, because nothing in it is none."""
    assert bodies.ours.post("/bare-list", json=[1, "x"]).json() == [1, "x"]


def test_more_bodies(bodies: Pair) -> None:
    good: Any = {"name": "ab", "price": 1}
    bodies.same("PUT", "/item/3?q=z", json=good)
    bodies.same("PUT", "/item/x?q=z", json={"name": 1})
    bodies.same("PUT", "/item/x", content=b"{", headers=JSON)
    bodies.same("GET", "/get-body")
    bodies.same("GET", "/get-body", content=b'{"name": "ab", "price": 1}', headers=JSON)
    bodies.same("POST", "/sync?q=x", json={})
    bodies.same("POST", "/sync?q=3", json=good)


FORM_PATHS = [
    "/login",
    "/one",
    "/alias",
    "/list",
    "/model",
    "/strict",
    "/loose",
    "/model-plus",
    "/maybe",
    "/maybe-plus",
    "/embed",
    "/union",
    "/union-kind",
    "/file",
    "/file-optional",
    "/file-marked",
    "/bytes",
    "/bytes-max",
    "/files",
    "/files-bytes",
    "/files-optional",
    "/both",
    "/shared",
    "/with-file",
    "/body-and-file",
    "/json-field",
    "/dict-and-file",
    "/dep",
    "/dep-more",
]
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
def forms() -> Pair:
    return Pair("forms")


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


@pytest.mark.parametrize(
    "path",
    ["/both", "/plus", "/file", "/maybe", "/maybe-required", "/maybe-two", "/maybe-empty", "/union", "/named"]
    + ["/multipart", "/all-optional", "/nothing-required"],
)
def test_form_models(path: str) -> None:
    pair = Pair("formmodels")
    fields: list[dict[str, Any]] = [
        {},
        {"a": "1"},
        {"a": "x", "b": "y"},
        {"a": "1", "c": "2", "d": ["x", "y"]},
        {"a": "1", "n": "5"},
        {"c": "1"},
        {"firstName": "f", "zweite": "3"},
        {"first": "f", "second": "x"},
        {"extra": "1"},
        {"a": "", "b": ""},
    ]
    for given in fields:
        pair.same("POST", path, data=given)
        pair.same("POST", path, data=given, files={"file": ("a.txt", b"abc", "text/plain")})
