"""A client's bytes are answered with JSON and never with a 5xx, and cost little."""

import time
from datetime import datetime
from typing import Annotated, Any

import orjson
import pytest
from pydantic import BaseModel
from starlette.requests import cookie_parser

from tests.conftest import ClientFactory
from velithon import Velithon
from velithon.datastructures import UploadFile
from velithon.exceptions import RequestValidationError
from velithon.params import Body, Cookie, Form
from velithon.requests import Request
from velithon.requests.cookies import parse_cookies

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class Item(BaseModel):
    name: str = ""
    number: float = 0
    count: int = 0
    when: datetime | None = None
    more: dict[str, Any] = {}


def build() -> Velithon:
    app = Velithon()

    @app.post("/model")
    async def model(item: Item) -> Any:
        return item

    @app.post("/any")
    async def anything(value: Annotated[Any, Body()]) -> Any:
        return value

    @app.post("/two")
    async def two(a: Annotated[float, Body()], b: Annotated[str, Body()] = "") -> Any:
        return [a, b]

    @app.post("/problem")
    async def problem(items: list[Item]) -> Any:
        return items

    @app.post("/form")
    async def form(name: Annotated[str, Form()], number: Annotated[float, Form()] = 0) -> Any:
        return [name, number]

    @app.post("/raw")
    async def raw(request: Request) -> Any:
        return len(await request.form())

    @app.post("/upload")
    async def upload(file: UploadFile) -> Any:
        return file.filename

    @app.get("/float/{value}")
    async def float_(value: float, other: float = 0) -> Any:
        return [value, other]

    @app.get("/cookie")
    async def cookie(a: Annotated[str, Cookie()] = "") -> Any:
        return len(a)

    return app


BODIES = {
    "binary": b"\xff\xfe\x00\x80",
    "NaN": b'{"number": NaN, "a": NaN}',
    "Infinity": b"[-Infinity]",
    "1e999": b'{"number": 1e999, "a": 1E+999}',
    "half a pair": b'{"name": "\\ud800", "a": 1, "b": "\\udfff"}',
    "half a pair as key": b'{"more": {"\\uD800": 1}, "\\ud800": 1}',
    "400 digits": b'{"number": ' + b"9" * 400 + b', "a": ' + b"9" * 400 + b"}",
    "5000 digits": b"9" * 5000,
    "a time of 1e400": b'{"when": 1e400}',
    "600 arrays": b"[" * 600 + b"]" * 600,
    "300 objects": b'{"more": ' + b'{"a":' * 300 + b"1" + b"}" * 301,
    "wrong and deep": b'{"count": ' + b"[" * 470 + b"]" * 470 + b', "a": ' + b"[" * 470 + b"]" * 470 + b"}",
    "100,000 arrays": b"[" * 100_000,
}


@pytest.mark.parametrize("path", ["/model", "/any", "/two", "/problem"])
@pytest.mark.parametrize("body", list(BODIES))
def test_bodies(client: ClientFactory, path: str, body: str) -> None:
    """What JSON or an answer in JSON cannot carry is refused; the answer is valid JSON."""
    with client(build()) as http:
        response = http.post(path, content=BODIES[body], headers={"content-type": JSON})
        assert response.status_code in (400, 422)
        assert orjson.loads(response.content)["detail"]
        assert len(response.content) < 10_000


@pytest.mark.parametrize("path", ["/float/nan", "/float/-inf", "/float/1e999", "/float/1?other=nan"])
def test_numbers_that_json_cannot_carry(client: ClientFactory, path: str) -> None:
    with client(build()) as http:
        response = http.get(path)
        assert response.status_code == 422
        assert response.json()["detail"][0]["type"] == "finite_number"


def test_a_body_that_is_no_text(client: ClientFactory) -> None:
    """What it is shown as in the error is text."""
    with client(build()) as http:
        response = http.post("/model", content=b"\xff\xfe", headers={"content-type": "text/plain"})
        assert response.status_code == 422
        assert response.json()["detail"][0]["input"] == "\ufffd\ufffd"


PART = b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nx\xff\r\n--b--\r\n'
FORMS = {
    "1 MB of &": (b"&" * 1_000_000, FORM),
    "100,000 keys": (b"&".join(b"k%d=1" % number for number in range(100_000)), FORM),
    "binary": (b"\xff=\xfe&name=%ff%ed%a0%80&number=nan", FORM),
    **{
        charset: (PART, f"multipart/form-data; boundary=b; charset={charset}")
        for charset in ("punycode", "idna", "undefined", "rot13", "hex", "nothing", "utf-16")
    },
}


@pytest.mark.parametrize("path", ["/form", "/raw", "/upload"])
@pytest.mark.parametrize("form", list(FORMS))
def test_forms(client: ClientFactory, path: str, form: str) -> None:
    body, content_type = FORMS[form]
    with client(build()) as http:
        begun = time.process_time()
        response = http.post(path, content=body, headers={"content-type": content_type})
        assert response.status_code < 500
        orjson.loads(response.content)
        assert time.process_time() - begun < 2


def test_quoted_cookies_take_linear_time() -> None:
    """CVE-2024-7592: CPython's unquoting took seconds for this."""
    begun = time.process_time()
    assert parse_cookies(['a="' + "\\" * 60_000 + '"']) == {"a": "\\" * 30_000}
    assert parse_cookies(['a="' + "\\101" * 15_000 + '"']) == {"a": "A" * 15_000}
    assert time.process_time() - begun < 0.2


def test_requests_read_cookies_by_it(client: ClientFactory) -> None:
    with client(build()) as http:
        begun = time.process_time()
        assert http.get("/cookie", headers={"cookie": 'a="' + "\\" * 30_000 + '"'}).json() == 15_000
        assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    "header", ["a=1; b=2", 'a="1\\"2\\054"', "a", "=b", "a=b=c;;  d = e ;", 'a="', 'a=""', '"a"=b', 'a=b; a=c; x="\\']
)
def test_cookies_are_read_as_starlette_reads_them(header: str) -> None:
    assert parse_cookies([header]) == cookie_parser(header)


def test_the_text_of_a_validation_error_is_bounded() -> None:
    """A wrong body of a hundred kilobytes does not fill the log."""
    errors = [{"loc": ("body", number), "input": "x" * 10_000} for number in range(100)]
    text = str(RequestValidationError(errors))
    assert len(text) < 20_000
    assert text.startswith("100 validation errors:")
    assert "and 80 more" in text
