"""Endpoints as tools for language models, served by the application that they belong to."""
# /// script
# dependencies = ["fastapi-mcp", "mcp<2"]
#
# [tool.ecosystem.fails]
# asgi = "It reads routes by FastAPI's own `get_openapi`, which knows FastAPI's alone: use `--as-fastapi`."
# rsgi = "It reads routes by FastAPI's own `get_openapi`, which knows FastAPI's alone: use `--as-fastapi`."
# ///

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi_mcp import AuthConfig, FastApiMCP
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

from tests.ecosystem.plugin import Clients, Servers

app = FastAPI()


def user(authorization: str = Header("")) -> str:
    if authorization != "Bearer right":
        raise HTTPException(401)
    return "ada"


@app.get("/items/{number}", operation_id="read_item", tags=["items"])
async def read(number: int, authorization: str = Header("")):
    return {"number": number, "by": authorization}


@app.delete("/items/{number}", operation_id="delete_item", tags=["admin"])
async def delete(number: int):
    return {}


tools = FastApiMCP(app, include_tags=["items"], auth_config=AuthConfig(dependencies=[Depends(user)]))
tools.mount_http()


@pytest.mark.anyio
async def test_a_client_calls_an_endpoint(server: Servers) -> None:
    headers = {"authorization": "Bearer right"}
    with server() as running:
        async with (
            streamablehttp_client(f"{running.url}/mcp", headers=headers) as (incoming, outgoing, _),
            ClientSession(incoming, outgoing) as session,
        ):
            await session.initialize()
            assert [tool.name for tool in (await session.list_tools()).tools] == ["read_item"]
            result = await session.call_tool("read_item", {"number": 3})
            assert '"number": 3' in result.content[0].text
            assert "Bearer right" in result.content[0].text


def test_its_dependencies_guard_it(client: Clients) -> None:
    with client(app) as http:
        assert http.post("/mcp", json={}).status_code == 401
