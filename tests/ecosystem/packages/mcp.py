"""Tools and resources for language models: on a path of the application, called by the SDK's own client."""
# /// script
# dependencies = ["mcp"]
# ///

from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from mcp import Client
from mcp.server.mcpserver import MCPServer

from tests.ecosystem.plugin import Clients, Servers
from tests.ecosystem.ways import Way

mcp = MCPServer("shop")


@mcp.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@mcp.resource("items://{name}")
def item(name: str) -> str:
    """Describe an item."""
    return f"This is {name}."


tools = mcp.streamable_http_app(streamable_http_path="/")


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with mcp.session_manager.run():
        yield


app = FastAPI(lifespan=lifespan)
app.mount("/mcp", tools)


@app.get("/")
async def home():
    return "the shop"


@pytest.mark.anyio
async def test_a_client_calls_a_tool(server: Servers) -> None:
    with server() as running:
        async with Client(f"{running.url}/mcp/") as shop:
            assert [tool.name for tool in (await shop.list_tools()).tools] == ["add"]
            result = await shop.call_tool("add", {"a": 1, "b": 2})
            assert result.content[0].text == "3"
            assert (await shop.call_tool("add", {"a": "x", "b": 2})).is_error
            answer = await shop.read_resource("items://lamp")
            assert answer.contents[0].text == "This is lamp."


def test_a_server_that_is_mounted_starts_with_the_application(client: Clients, way: Way) -> None:
    # Each start has a server of its own: the SDK's starts once. FastAPI's mount starts nothing.
    for _ in range(2):
        started = MCPServer("started")
        started.tool()(add)
        mounted = started.streamable_http_app(streamable_http_path="/", json_response=True, stateless_http=True)
        if way.is_control:
            parent = FastAPI(lifespan=lambda _, mounted=mounted: mounted.router.lifespan_context(mounted))
            parent.mount("/mcp", mounted)
        else:
            parent = FastAPI()
            parent.mount("/mcp", mounted, lifespan=True)
        with client(parent, base_url="http://127.0.0.1:8000") as http:
            call = {"name": "add", "arguments": {"a": 2, "b": 3}}
            asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
            answer = http.post("/mcp/", json=asked, headers={"accept": "application/json, text/event-stream"})
            assert answer.json()["result"]["content"][0]["text"] == "5", answer.text
