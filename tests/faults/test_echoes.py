"""Endpoints that send back what they were sent: no bytes of a client's make an answer impossible."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from tests.conftest import ClientFactory
from velithon import Body, File, Form, Request, UploadFile, Velithon
from velithon.encoders import jsonable_encoder
from velithon.responses import JSONResponse

app = Velithon()


class Thing(BaseModel):
    a: Any


@app.post("/request")
async def request(request: Request) -> Any:
    return await request.json()


@app.post("/response")
async def response(request: Request) -> JSONResponse:
    return JSONResponse(await request.json())


@app.post("/headers")
async def headers(request: Request) -> JSONResponse:
    return JSONResponse(await request.json(), headers={"x-a": "1"})


@app.post("/model")
async def model(request: Request) -> Thing:
    return Thing(a=await request.json())


@app.post("/unannotated")
async def unannotated(request: Request):  # type: ignore[no-untyped-def] # without an annotation on purpose
    return Thing(a=await request.json())


@app.post("/caught")
async def caught(request: Request) -> Any:
    try:
        return await request.json()
    except json.JSONDecodeError:
        return "caught"


@app.post("/declared")
async def declared(data: Annotated[Any, Body()]) -> Any:
    return data


@app.post("/bytes")
async def bytes_of_body(request: Request) -> Any:
    return {"b": await request.body()}


@app.post("/annotated-bytes")
async def annotated_bytes(request: Request) -> dict[str, bytes]:
    return {"b": await request.body()}


@app.post("/chosen", response_class=JSONResponse)
async def chosen(request: Request) -> dict[str, bytes]:
    return {"b": await request.body()}


class Blob(BaseModel):
    b: bytes


@app.post("/blob")
async def blob(request: Request) -> Any:
    return JSONResponse(jsonable_encoder(Blob(b=await request.body())))


@app.post("/file")
async def file(b: Annotated[bytes, File()]):  # type: ignore[no-untyped-def] # without an annotation on purpose
    return {"b": b}


@app.post("/upload")
async def upload(b: UploadFile) -> Any:
    return {"name": b.filename, "headers": dict(b.headers)}


@app.post("/form")
async def form(b: Annotated[str, Form()]) -> Any:
    return b


NO_JSON = [b"{", b"", b"\xff", b"NaN", b"[1e999]", b"[" * 100_000, b"1" * 5000, b'{"a":-Infinity}', b"\xef\xbb\xbf{"]
HALVES = [rb'{"a":"\ud800"}', rb'{"\udfff":1}', rb'["\ud800x"]', rb'"\ud800"']


@pytest.mark.parametrize("body", NO_JSON, ids=lambda body: repr(body[:8]))
def test_a_body_that_a_handler_reads_and_that_is_no_json_is_a_400(client: ClientFactory, body: bytes) -> None:
    """Unless the handler catches `json.JSONDecodeError`."""
    c = client(app)
    answer = c.post("/request", content=body)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("The body is not valid JSON: ")
    assert c.post("/caught", content=body).json() == "caught"


@pytest.mark.parametrize("path", ["/request", "/response", "/headers"])
@pytest.mark.parametrize("body", HALVES)
def test_half_a_surrogate_pair_comes_back_as_it_came(client: ClientFactory, path: str, body: bytes) -> None:
    answer = client(app).post(path, content=body)
    assert answer.status_code == 200
    assert json.loads(answer.content) == json.loads(body)


@pytest.mark.parametrize("path", ["/model", "/unannotated"])
def test_in_a_model_too(client: ClientFactory, path: str) -> None:
    answer = client(app).post(path, content=rb'"\ud800"')
    assert json.loads(answer.content) == {"a": "\ud800"}


@pytest.mark.parametrize("path", ["/bytes", "/annotated-bytes", "/chosen", "/blob", "/file"])
def test_bytes_that_are_no_text_are_shown_as_replacement_characters(client: ClientFactory, path: str) -> None:
    """As in a query, a path and a form."""
    c = client(app)
    if path == "/file":
        answer = c.post(path, files={"b": b"a\xff"})
    else:
        answer = c.post(path, content=b"a\xff")
    assert answer.json() == {"b": "a\ufffd"}


@pytest.mark.parametrize("name", [b"\xff", b"a\x00b", "é€".encode(), b"\xed\xa0\x80"])
def test_names_of_files_come_back(client: ClientFactory, name: bytes) -> None:
    body = b'--B\r\ncontent-disposition: form-data; name="b"; filename="' + name + b'"\r\n\r\nx\r\n--B--\r\n'
    answer = client(app).post("/upload", content=body, headers={"content-type": "multipart/form-data; boundary=B"})
    assert answer.status_code == 200
    assert set(answer.json()) == {"name", "headers"}


@pytest.mark.parametrize("text", [b"b=%ff", b"b=%ed%a0%80", b"b=\xff", b"b=%00"])
def test_forms_come_back(client: ClientFactory, text: bytes) -> None:
    answer = client(app).post("/form", content=text, headers={"content-type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 200
    assert isinstance(answer.json(), str)


@pytest.mark.parametrize("body", [*NO_JSON, *HALVES], ids=lambda body: repr(body[:12]))
def test_declared_bodies_are_refused_or_come_back(client: ClientFactory, body: bytes) -> None:
    answer = client(app).post("/declared", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400, 422)
    assert answer.json() is not None
