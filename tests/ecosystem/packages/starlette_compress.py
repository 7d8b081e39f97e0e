"""Answers compressed by what the client likes best: zstd, Brotli or gzip, whole and streamed."""
# /// script
# dependencies = ["starlette-compress"]
# ///

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from starlette_compress import CompressMiddleware

from tests.ecosystem.plugin import Clients

app = FastAPI()
app.add_middleware(CompressMiddleware, minimum_size=500)


@app.get("/large")
async def large():
    return "x" * 4000


@app.get("/small")
async def small():
    return "x"


@app.get("/stream")
async def stream():
    async def lines():
        for number in range(400):
            yield f"line {number}\n"

    return StreamingResponse(lines(), media_type="text/plain")


@pytest.mark.parametrize(
    ("accepted", "encoding"), [("gzip, br, zstd", "zstd"), ("gzip, br", "br"), ("gzip", "gzip"), ("identity", None)]
)
@pytest.mark.parametrize("path", ["/large", "/stream"])
def test_answers_are_compressed(client: Clients, path: str, accepted: str, encoding: str | None) -> None:
    with client(app).stream("GET", path, headers={"accept-encoding": accepted}) as answer:
        assert answer.headers.get("content-encoding") == encoding
        assert "accept-encoding" in answer.headers.get("vary", "accept-encoding").lower()
        body = b"".join(answer.iter_raw())
    assert (len(body) < 2000) == (encoding is not None)


def test_small_answers_are_left_as_they_are(client: Clients) -> None:
    answer = client(app).get("/small", headers={"accept-encoding": "gzip, br, zstd"})
    assert (answer.json(), answer.headers.get("content-encoding")) == ("x", None)
