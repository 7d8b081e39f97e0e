"""The lifespan in tests with an asynchronous client, with its state and its errors."""
# /// script
# dependencies = ["asgi-lifespan", "httpx"]
# [tool.ecosystem]
# protocols = ["asgi"]
# ///

from contextlib import asynccontextmanager

import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI, Request

begun = []


@asynccontextmanager
async def lifespan(app: FastAPI):
    begun.append("begun")
    yield {"word": "from the lifespan"}
    begun.append("ended")


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def home(request: Request):
    return request.state.word


@pytest.mark.anyio
async def test_a_client_sees_what_the_lifespan_made() -> None:
    begun.clear()
    async with LifespanManager(app) as manager:
        transport = httpx.ASGITransport(app=manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            assert (await http.get("/")).json() == "from the lifespan"
        assert begun == ["begun"]
    assert begun == ["begun", "ended"]


@pytest.mark.anyio
async def test_an_error_at_the_start_is_raised() -> None:
    @asynccontextmanager
    async def broken(app: FastAPI):
        raise RuntimeError("no database")
        yield

    with pytest.raises(RuntimeError, match="no database"):
        async with LifespanManager(FastAPI(lifespan=broken)):
            pytest.fail("It started.")
