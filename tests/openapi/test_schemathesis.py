"""Requests made of the documents, of thousands of shapes, get answers that the documents know."""

import subprocess
from pathlib import Path

import pytest

from tests.effort import variants
from tests.servers import EVERY_SERVER, ServerName, serve
from tests.tools import find

SCHEMATHESIS = find("schemathesis")
SOURCE = '''
import datetime, uuid
from enum import Enum
from typing import Annotated, Any, Literal
from pydantic import BaseModel, Field
from velithon import Body, Cookie, Depends, Form, Header, HTTPException, Path, Query, Velithon
from velithon.endpoint import HTTPEndpoint
from velithon.security import APIKeyHeader, HTTPBearer

class NotFoundError(HTTPException):
    """There is no such item."""
    def __init__(self):
        super().__init__(404, "No such item")

class Unauthorized(HTTPException):
    """Nobody is logged in."""
    def __init__(self):
        super().__init__(401, "Not authenticated")

class Kind(str, Enum):
    lamp = "lamp"
    desk = "desk"

class Item(BaseModel):
    name: str = Field(min_length=1, max_length=20)
    kind: Kind = Kind.lamp
    size: int | None = Field(None, ge=0, le=100)
    tags: list[str] = Field([], max_length=3)
    made: datetime.date | None = None

app = Velithon(title="Shop", responses={400: {"description": "The body cannot be read"}})

@app.get("/items/{item_id}", raises=[NotFoundError])
async def read_item(
    item_id: Annotated[int, Path(ge=0)],
    kind: Kind = Kind.lamp,
    order: Literal["asc", "desc"] = "asc",
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
    x_trace: Annotated[uuid.UUID, Header()] = uuid.UUID(int=0),
    theme: Annotated[str | None, Cookie()] = None,
) -> Item:
    if item_id > 100:
        raise NotFoundError
    return Item(name=str(item_id), kind=kind, size=limit)

@app.post("/items", status_code=201)
async def create_item(item: Item) -> Item:
    return item

@app.put("/pairs")
async def pairs(first: Item, second: Annotated[list[int], Body()]) -> dict[str, int]:
    return {first.name: sum(second) % 1000}

@app.post("/sign")
async def sign(
    note: Annotated[str, Form(min_length=1, max_length=10)], times: Annotated[int, Form(ge=0)] = 1
) -> dict[str, Any]:
    return {"note": note, "times": times}

def user(key: Annotated[Any, Depends(HTTPBearer())]) -> str:
    if key.credentials != "right":
        raise Unauthorized
    return "me"

@app.get("/me")
async def me(name: Annotated[str, Depends(user, raises=[Unauthorized])]) -> str:
    return name

class Things(HTTPEndpoint):
    async def get(self, q: Annotated[str, Query(max_length=5)] = "") -> list[str]:
        """List the things"""
        return [q]

    async def delete(self, thing: Annotated[bool, Query()]) -> None:
        """Delete the things"""

app.add_route("/things", Things)
'''
# A query string, a header or a form carries text: what was meant as another type arrives as text that may well fit.
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance,unsupported_method,positive_data_acceptance,missing_required_header,ignored_auth"
)


EXAMPLES = ["quickstart", "rest_api", "uploads"]


def _check(document: Path | str, url: str, directory: Path, *options: str) -> None:
    assert SCHEMATHESIS is not None
    command = [SCHEMATHESIS, "run", str(document), "--url", url, "--checks", CHECKS, *options]
    result = subprocess.run(
        [*command, "--seed", "1", "--generation-database", "none"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr


@pytest.mark.server
@pytest.mark.skipif(SCHEMATHESIS is None, reason="there is no schemathesis: make install")
@pytest.mark.parametrize("server", variants(("granian-rsgi",), EVERY_SERVER))
def test_every_answer_is_one_that_the_document_knows(server: ServerName, tmp_path: Path) -> None:
    """No server error, no status, media type or body that is not declared."""
    with serve(SOURCE, server) as running:
        _check(f"{running.url}/openapi.json", running.url, tmp_path, "--max-examples", "30")


@pytest.mark.server
@pytest.mark.skipif(SCHEMATHESIS is None, reason="there is no schemathesis: make install")
@pytest.mark.parametrize("server", variants(["uvicorn"], ["granian-rsgi", "uvicorn"]))
@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_answer_what_they_declare(example: str, server: ServerName, tmp_path: Path) -> None:
    """The same checks for each example: its document tells all that it answers."""
    options = ["--max-examples", "8"]
    if example == "uploads":
        # What a file contains decides whether it is taken, which a schema cannot say; GET /files/batch asks for a file.
        options += ["--exclude-checks", "positive_data_acceptance,unsupported_method"]
    with serve(f"examples.{example}:app", server) as running:
        _check(f"{running.url}/openapi.json", running.url, tmp_path, *options)
