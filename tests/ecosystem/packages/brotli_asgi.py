"""Answers compressed by Brotli, whole and streamed, with gzip for whoever has nothing better."""
# /// script
# dependencies = ["brotli-asgi"]
# ///

import brotli
from brotli_asgi import BrotliMiddleware
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from tests.ecosystem.plugin import Clients

app = FastAPI()
app.add_middleware(BrotliMiddleware, minimum_size=500, excluded_handlers=["/plain"])


@app.get("/large")
@app.get("/plain")
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


def read(http, path: str, accepted: str = "br") -> tuple[bytes, str | None]:
    with http.stream("GET", path, headers={"accept-encoding": accepted}) as answer:
        return b"".join(answer.iter_raw()), answer.headers.get("content-encoding")


def test_answers_are_compressed(client: Clients) -> None:
    http = client(app)
    body, encoding = read(http, "/large")
    assert (brotli.decompress(body), encoding) == (b'"' + b"x" * 4000 + b'"', "br")
    body, encoding = read(http, "/stream")
    assert (brotli.decompress(body).splitlines()[399], encoding) == (b"line 399", "br")
    assert read(http, "/large", "gzip")[1] == "gzip"


def test_others_are_left_as_they_are(client: Clients) -> None:
    http = client(app)
    assert read(http, "/small") == (b'"x"', None)
    assert read(http, "/plain")[1] is None
    assert read(http, "/large", "identity")[1] is None
