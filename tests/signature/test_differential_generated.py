"""Generated requests, valid and invalid: FastAPI and Velithon answer each the same way."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.effort import examples
from tests.signature.sidebyside import Pair

PAIRS: dict[str, Pair] = {}
SETTINGS = settings(
    max_examples=examples(100, 500),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)


def pair(name: str) -> Pair:
    if name not in PAIRS:
        PAIRS[name] = Pair(name)
    return PAIRS[name]


numbers = st.one_of(st.integers(-20, 120), st.integers(), st.floats(allow_nan=False, allow_infinity=False)).map(str)
words = st.sampled_from(
    [
        "",
        "abc",
        "u",
        "v",
        "true",
        "off",
        "null",
        "None",
        "2020-01-01",
        "2020-01-01T10:00:00Z",
        "10:30",
        "PT1S",
        "1e3",
        "0x1",
    ]
    + [" 1", "1 ", "+1", "1_000", "00000000-0000-0000-0000-000000000001", "created_at", "[1, 2]", "é", "\x00", "1.5"]
)
values = st.one_of(numbers, words, st.text(max_size=5).filter(lambda text: text.isprintable()))
queries = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "h", "cc", "ccc", "bee", "item-query", "limit", "offset"])
        | st.sampled_from(["order_by", "tags", "ren", "renamed", "b_c", "x", "a[]", ""]),
        values,
    ),
    max_size=7,
)
tokens = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=',;"\\'), max_size=6)
headers = st.dictionaries(
    st.sampled_from(["user-agent", "x-int", "x-list", "raw_name", "raw-name", "x-named", "x-token", "x-ints", "x-tags"])
    | st.sampled_from(["if-modified", "if_modified"]),
    st.one_of(tokens, st.integers(0, 9).map(str)),
    max_size=4,
)
cookies = st.dictionaries(st.sampled_from(["session", "level", "other"]), tokens, max_size=3)
QUERY_PATHS = [
    "/query",
    "/lists",
    "/constrained",
    "/aliases",
    "/times",
    "/factory",
    "/checked",
    "/json",
    "/validated",
    "/bytes",
    "/filters",
    "/loose",
    "/maybe",
    "/header",
    "/header-required",
    "/heads",
    "/cookie",
    "/cooks",
    "/optional-path",
    "/sync/1",
]


@SETTINGS
@given(path=st.sampled_from(QUERY_PATHS), query=queries, headers=headers, cookies=cookies)
def test_parameters(path: str, query: list[tuple[str, str]], headers: dict[str, str], cookies: dict[str, str]) -> None:
    sent = dict(headers)
    if cookies:
        sent["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    pair("parameters").same("GET", f"{path}?{urlencode(query)}", headers=sent)


json_values: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
    | st.sampled_from(["2020-01-01", "1700000000", "cat", "dog", "1.50", "00000000-0000-0000-0000-000000000001"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
names = st.sampled_from(
    [
        "name",
        "price",
        "tags",
        "when",
        "nested",
        "item",
        "other",
        "a",
        "b",
        "importance",
        "flag",
        "n",
        "firstName",
        "number",
    ]
    + ["kind", "lives", "breed", "items", "total", "x", "y", "title", "year", "data", "u", "d", "theData", "extra"]
)
items = st.fixed_dictionaries(
    {"name": st.text(min_size=1, max_size=3), "price": st.floats(0, 9) | st.integers(0, 9) | json_values},
    optional={
        "tags": st.lists(st.text(max_size=2), max_size=2) | json_values,
        "when": st.dates().map(str),
        "z": json_values,
    },
)
bodies = st.one_of(
    json_values,
    items,
    st.dictionaries(names, json_values | items, max_size=4),
    st.fixed_dictionaries({"item": items, "other": st.fixed_dictionaries({"a": json_values, "b": st.integers()})}),
    st.fixed_dictionaries({"kind": st.sampled_from(["cat", "dog", "x"]), "lives": json_values, "breed": json_values}),
    st.lists(items, max_size=2),
)
BODY_PATHS = [
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


@SETTINGS
@given(path=st.sampled_from(BODY_PATHS), body=bodies)
def test_bodies(path: str, body: Any) -> None:
    pair("bodies").same("POST", path, json=body)


@SETTINGS
@given(
    path=st.sampled_from(["/login", "/one", "/alias", "/list", "/model", "/strict", "/loose", "/model-plus", "/maybe"])
    | st.sampled_from(["/maybe-plus", "/union", "/union-kind", "/dep", "/dep-more", "/json-field", "/dict-and-file"]),
    form=st.lists(
        st.tuples(
            st.sampled_from(["username", "password", "remember", "tags", "age", "a", "b", "c", "the-a", "bb", "bbb"])
            | st.sampled_from(["z", "kind", "l", "data", "extra", "n", "other"]),
            values,
        ),
        max_size=6,
    ),
    multipart=st.booleans(),
)
def test_forms(path: str, form: list[tuple[str, str]], multipart: bool) -> None:
    if multipart and form:
        pair("forms").same("POST", path, files=[(name, (None, value)) for name, value in form])
    else:
        sent = {"content-type": "application/x-www-form-urlencoded"}
        pair("forms").same("POST", path, content=urlencode(form), headers=sent)
