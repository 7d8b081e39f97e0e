"""``jsonable_encoder`` and ``json_bytes`` give what FastAPI's encoder and ``json.dumps`` give."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import ipaddress
import json
import pathlib
import re
import uuid
from collections import OrderedDict, deque, namedtuple
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from fastapi.encoders import jsonable_encoder as fastapi_encoder
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, ConfigDict, Field, RootModel, SecretBytes, SecretStr, field_serializer
from pydantic_core import PydanticUndefined, Url

from velithon.encoders import ENCODERS_BY_TYPE, has_non_finite, json_bytes, jsonable_encoder
from velithon.exceptions import PydanticV1NotSupportedError

NAN, INFINITY = float("nan"), float("inf")


class Color(enum.Enum):
    RED = "red"
    PAIR = (1, 2)


class Level(enum.IntEnum):
    LOW = 1


class Kind(str, enum.Enum):  # noqa: UP042 - not the same as StrEnum
    A = "a"


class Text(str):
    __slots__ = ()


class Number(float):
    __slots__ = ()


class Point(NamedTuple):
    x: int
    y: int


Pair = namedtuple("Pair", ["_sa", "b"], rename=True)


@dataclasses.dataclass
class Plain:
    a: int
    _hidden: int = 2
    nested: Any = None


class Model(BaseModel):
    name: str = Field(default="n", alias="Name")
    price: float = 1.5
    maybe: int | None = None
    when: dt.datetime = dt.datetime(2020, 1, 2, tzinfo=dt.UTC)
    model_config = ConfigDict(populate_by_name=True)


class Extra(BaseModel):
    model_config = ConfigDict(extra="allow")


class Rounded(BaseModel):
    value: float = 1.239

    @field_serializer("value")
    def _round(self, value: float) -> str:
        return f"{value:.1f}"


class Dumping(BaseModel):
    a: int = 1

    def model_dump(self, **options: Any) -> dict[str, Any]:
        return {"dumped": True}


class Attributes:
    def __init__(self) -> None:
        self.a = 1
        self._sa_state = object()


class Mapping:
    def keys(self) -> list[str]:
        return ["k"]

    def __getitem__(self, key: str) -> int:
        return 5


def generated() -> Iterator[Any]:
    yield 1
    yield {2}


VALUES: list[Callable[[], Any]] = [
    lambda: None,
    lambda: True,
    lambda: "text ü €   \x00",
    lambda: {"a": 1, "b": [1, 2.5, None, "x"], "c": {"d": {}}},
    list,
    lambda: (1, (2, [3])),
    lambda: {1, 2},
    lambda: frozenset({1}),
    lambda: deque([1, {2}]),
    generated,
    lambda: {"g": generated(), "n": None},
    lambda: [generated(), generated()],
    lambda: {1: "a", None: "b", False: 2, 1.5: 3},
    lambda: {uuid.UUID(int=1): dt.date(2020, 1, 1)},
    lambda: {Color.RED: 1},
    lambda: 2**70,
    lambda: -(2**63),
    lambda: dt.datetime(2020, 1, 2, 3, 4, 5, 678),
    lambda: dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.timezone(dt.timedelta(hours=-3, minutes=-30))),
    lambda: dt.date(5, 1, 2),
    lambda: dt.time(3, 4),
    lambda: dt.time(3, 4, tzinfo=dt.UTC),
    lambda: dt.timedelta(days=1, milliseconds=5),
    lambda: [Decimal("1.0"), Decimal("1"), Decimal("1E+3"), Decimal("0.10")],
    lambda: b"bytes",
    lambda: [Color.RED, Color.PAIR, Level.LOW, Kind.A],
    lambda: [Text("t"), Number(1.5)],
    lambda: [Point(1, 2), Pair(3, 4)],
    lambda: OrderedDict(b=1, a=2),
    lambda: Plain(1, nested=Plain(2)),
    lambda: {"d": Plain(1), "n": None},
    lambda: pathlib.PurePosixPath("/a/b"),
    lambda: [ipaddress.ip_address("1.2.3.4"), ipaddress.ip_network("::/8"), ipaddress.ip_interface("1.2.3.4/8")],
    lambda: re.compile("a+"),
    lambda: [SecretStr("x"), SecretBytes(b"x")],
    lambda: [Url("http://a/b"), AnyUrl("http://c/d")],
    lambda: uuid.UUID(int=5),
    lambda: PydanticUndefined,
    lambda: Model(),
    lambda: [Model(Name="x", maybe=2), {"m": Model()}],
    lambda: Extra.model_validate({"a": 1, "b": [None]}),
    lambda: RootModel[list[int]]([1]),
    lambda: Rounded(),
    lambda: Dumping(),
    lambda: {"d": Dumping()},
    lambda: Attributes(),
    lambda: [Attributes(), None],
    lambda: Mapping(),
    lambda: {"_sa_instance_state": 1, "_salt": 2, "a": "_sa"},
    lambda: {"a": '"_sa'},
    lambda: [None, dt.datetime(2020, 1, 1), Level.LOW, Kind.A, Text("x"), {3}],
    lambda: {"n": None, "d": Decimal("1.5")},
    lambda: Extra.model_validate({"_sa": 1, "a": 2}),
    lambda: Extra.model_validate({"x": NAN}),
]


def dumped(value: Any) -> bytes:
    return json.dumps(fastapi_encoder(value), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


@pytest.mark.parametrize("make", VALUES, ids=[str(number) for number in range(len(VALUES))])
def test_values_encode_as_fastapi(make: Callable[[], Any]) -> None:
    """The same data, and the same bytes."""
    assert jsonable_encoder(make()) == fastapi_encoder(make())
    assert json_bytes(make()) == dumped(make())


@pytest.mark.parametrize(
    "make",
    [
        lambda: NAN,
        lambda: [INFINITY],
        lambda: {"a": {"b": [1, -INFINITY]}},
        lambda: {"n": None, "f": NAN},
        lambda: Number("nan"),
        lambda: Model(price=NAN),
        lambda: {"m": [Model(price=INFINITY)]},
        lambda: Plain(1, nested=(NAN,)),
        lambda: {1: NAN},
        lambda: Decimal("NaN"),
    ],
)
def test_numbers_that_json_cannot_say_are_refused(make: Callable[[], Any]) -> None:
    """FastAPI answers 500 to them, so does this."""
    with pytest.raises(ValueError, match="JSON compliant"):
        dumped(make())
    with pytest.raises(ValueError, match="JSON compliant"):
        json_bytes(make())


def test_a_missing_value_is_no_reason_to_refuse() -> None:
    """``null`` in the bytes makes it look twice, no more."""
    assert not has_non_finite({"a": [None, 1.5, "x", dt.date(2020, 1, 1)], "b": (Model(), Kind.A)})
    assert has_non_finite(object())
    assert has_non_finite({"a": [{"b": NAN}]})


def test_what_has_no_json_form_is_refused() -> None:
    """The same exception as FastAPI's."""
    with pytest.raises(ValueError, match="object"):
        dumped(object())
    with pytest.raises(ValueError, match="object"):
        json_bytes(object())


def test_text_of_clients_always_has_a_form() -> None:
    """Where FastAPI raises: bytes that are no text, as everywhere, and half a surrogate pair, which JSON can escape."""
    assert jsonable_encoder({"a": b"a\xff"}) == {"a": "a\ufffd"}
    assert json_bytes({"a": b"a\xff"}) == '{"a":"a\ufffd"}'.encode()
    assert json_bytes({"a": "\ud800"}) == rb'{"a":"\ud800"}'
    assert json_bytes(["é"]) == '["é"]'.encode()


OPTIONS: list[dict[str, Any]] = [
    {"include": {"Name", "a", "name"}},
    {"include": ["name", "a"]},
    {"exclude": {"name", "a", "price"}},
    {"exclude": ["a"]},
    {"by_alias": False},
    {"exclude_unset": True},
    {"exclude_defaults": True},
    {"exclude_none": True},
    {"custom_encoder": {dt.datetime: lambda value: "when", int: lambda value: value + 1}},
    {"custom_encoder": {dict: lambda value: "mapping"}},
    {"custom_encoder": {dt.date: lambda value: "date or subclass"}},
    {"sqlalchemy_safe": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
@pytest.mark.parametrize(
    "make",
    [
        lambda: Model(price=1.5, maybe=None),
        lambda: {"a": 1, "b": None, "_sa": 2, "when": dt.datetime(2020, 1, 1)},
        lambda: [Model(Name="x"), {"a": None}, Plain(1)],
        lambda: Plain(1, nested=Model()),
        lambda: Attributes().__dict__.copy() | {"_sa_state": 1},
    ],
)
def test_options_mean_what_they_mean_to_fastapi(options: dict[str, Any], make: Callable[[], Any]) -> None:
    """Every option, over models, mappings, lists and dataclasses."""
    assert jsonable_encoder(make(), **options) == fastapi_encoder(make(), **options)


def test_encoders_can_be_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """A type of one's own, and what derives from it."""

    class Money:
        pass

    class Euro(Money):
        pass

    monkeypatch.setitem(ENCODERS_BY_TYPE, Money, lambda money: "money")
    assert jsonable_encoder([Money(), Euro()]) == ["money", "money"]
    assert json_bytes([Money(), Euro()]) == b'["money","money"]'


def test_models_of_pydantic_v1_are_refused() -> None:
    """With a sentence that says what to do."""
    kind = type("Old", (), {"__module__": "app"})
    base = type("BaseModel", (), {})
    base.__module__ = "pydantic.v1.main"
    old = type("Old", (base,), {"__doc__": kind.__doc__})()
    with pytest.raises(PydanticV1NotSupportedError, match="pydantic.BaseModel"):
        jsonable_encoder(old)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.datetimes() | st.uuids() | st.sampled_from(Color),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.frozensets(st.integers()),
    max_leaves=20,
)


@given(json_values)
def test_any_value_encodes_as_fastapi(value: Any) -> None:
    """The fast way and the slow way are one."""
    assert jsonable_encoder(value) == fastapi_encoder(value)
    assert json_bytes(value) == dumped(value)


@given(st.lists(st.floats()))
def test_floats_mean_the_same(values: list[float]) -> None:
    """Digits may differ (``1e16``, ``1e+16``), numbers do not."""
    try:
        expected = json.loads(dumped(values))
    except ValueError:
        with pytest.raises(ValueError, match="JSON compliant"):
            json_bytes(values)
    else:
        assert json.loads(json_bytes(values)) == expected
