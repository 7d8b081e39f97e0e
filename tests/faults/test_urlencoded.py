"""URL-encoded forms are read as Starlette reads them, in time that a client cannot make long."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Annotated, Any
from urllib.parse import quote_plus, unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette import formparsers
from starlette.datastructures import FormData, Headers
from starlette.formparsers import MultiPartException

from tests.conftest import ClientFactory
from tests.effort import examples
from velithon import Request, Velithon
from velithon.params import Form
from velithon.requests.forms import FormFields, TextForm, unescaped
from velithon.signature.bodies.form import FormReader
from velithon.signature.fields import Field

LIMITS: tuple[dict[str, Any], ...] = (
    {},
    {"max_fields": 2},
    {"max_part_size": 3},
    {"max_fields": 1, "max_part_size": 2},
)
bodies = st.one_of(
    st.text("&=ab%+;\xff\xc3\xa4 2fF0", max_size=14).map(lambda text: text.encode("latin-1")),
    st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), max_size=4).map(
        lambda fields: "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in fields).encode()
    ),
    st.binary(max_size=20),
)


def theirs(chunks: list[bytes], **limits: Any) -> Any:
    """Return what Starlette's parser reads, or what was wrong."""

    async def stream() -> AsyncGenerator[bytes, None]:
        for chunk in chunks:
            yield chunk

    try:
        return asyncio.run(formparsers.FormParser(Headers({}), stream(), **limits).parse()).multi_items()
    except MultiPartException as exc:
        return exc.message


def ours(chunks: list[bytes], max_fields: float = 1000, max_part_size: int = 1024 * 1024) -> Any:
    """Return what is read here, or what was wrong."""
    fields = FormFields(max_fields, max_part_size)
    try:
        for chunk in chunks[:-1]:
            fields.feed(chunk)
        return fields.finish(chunks[-1]).multi_items()
    except MultiPartException as exc:
        return exc.message


# A machine that is busy is no failure.
patient = settings(max_examples=examples(100, 20_000), deadline=None, suppress_health_check=[HealthCheck.too_slow])


@patient
@given(bodies, st.lists(st.integers(0, 20), max_size=3))
def test_fields_are_those_of_starlette(body: bytes, cuts: list[int]) -> None:
    """Any bytes, whole and cut anywhere, with and without limits: the same fields, or the same refusal."""
    cuts = sorted(min(cut, len(body)) for cut in cuts)
    chunks = [body[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    for limits in LIMITS:
        expected = theirs(chunks, **limits)
        assert ours(chunks, **limits) == expected
        assert ours([*chunks, b""], **limits) == expected
    assert unescaped(body.decode("latin-1")) == unquote(body.decode("latin-1"))


class Fields(BaseModel, extra="allow"):
    """Texts alone."""

    a: str = "default"
    b: str = "default"
    c: str | None = None


@patient
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(("", "1", "two"))), max_size=6))
def test_a_form_of_texts_is_read_as_any_form(items: list[tuple[str, Any]]) -> None:
    """What a model gets of a URL-encoded form, in the same order, is what it gets of a form that may hold files."""
    field = Field("fields", Form())
    field.info.annotation = Fields
    reader = FormReader([field], embed=False)

    async def read(form: FormData) -> Any:
        values, errors = await reader(form)
        fields = values["fields"]
        assert isinstance(fields, Fields)
        return list(fields.model_dump(exclude_unset=True).items()), errors

    assert asyncio.run(read(TextForm(items))) == asyncio.run(read(FormData(items)))


def test_a_form_of_texts_is_form_data() -> None:
    """It equals any form with the same fields, from either side, and is shown as one."""
    form, same = TextForm([("a", "1"), ("a", "2")]), FormData([("a", "1"), ("a", "2")])
    assert form == same
    assert same == form
    assert form == TextForm([("a", "1"), ("a", "2")])
    assert form != FormData([("a", "2")])
    assert repr(form) == repr(same)


def test_fields_on_a_server(client: ClientFactory) -> None:
    """Empty texts count as absent, unknown fields are the model's to keep, limits are those that the endpoint named."""
    app = Velithon()

    @app.post("/model")
    async def model(fields: Annotated[Fields, Form()]) -> Any:
        return fields.model_dump()

    @app.post("/parameters")
    async def parameters(a: Annotated[str, Form()], b: Annotated[list[str], Form()] = []) -> Any:  # noqa: B006
        return [a, b]

    @app.post("/request")
    async def request(request: Request) -> Any:
        async with request.form(max_fields=2) as form:
            return form.multi_items()

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    http = client(app)
    assert http.post("/model", content=b"c=%C3%A4+;&a=&b=1&b=2", headers=form).json() == {
        "a": "default",
        "b": "2",
        "c": "\xe4 ;",
    }
    assert http.post("/model", content=b"d=1&d=&a=%zz", headers=form).json() == {
        "a": "%zz",
        "b": "default",
        "c": None,
        "d": ["1", ""],
    }
    assert http.post("/parameters", content=b"a=1&b=2&b=3", headers=form).json() == ["1", ["2", "3"]]
    assert http.post("/parameters", content=b"a=&b=2", headers=form).json()["detail"][0]["loc"] == ["body", "a"]
    assert http.post("/request", content=b"&a=1&&b", headers=form).json() == [["a", "1"], ["b", ""]]
    refused = http.post("/request", content=b"a&b&c", headers=form)
    assert (refused.status_code, refused.json()) == (
        400,
        {"detail": "Too many fields. Maximum number of fields is 2."},
    )


@pytest.mark.parametrize("body", [b"&" * 1_000_000, b"%" * 1_000_000, b"+" * 1_000_000, b"a;" * 500_000, b"&=" * 900])
def test_a_megabyte_takes_less_than_a_tenth_of_a_second(body: bytes) -> None:
    """CVE-2026-53539 was quadratic; the others took long because each byte was looked at in Python."""
    chunks = [body[begin : begin + 131_072] for begin in range(0, len(body), 131_072)]
    begun = time.process_time()
    ours(chunks)
    assert time.process_time() - begun < 0.1
