"""A client that a well-known generator makes of the document talks to the application."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.servers import serve
from tests.tools import find
from velithon.cli import app as cli

GENERATOR = find("openapi-python-client")
ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
SOURCE = """
from enum import Enum
from typing import Annotated
from pydantic import BaseModel
from velithon import Depends, Form, Header, HTTPException, Query, Velithon
from velithon.security import OAuth2PasswordBearer

class Kind(str, Enum):
    lamp = "lamp"
    desk = "desk"

class Item(BaseModel):
    name: str
    kind: Kind = Kind.lamp
    parts: list["Item"] = []
    note: str | None = None

class NotFoundError(HTTPException):
    def __init__(self):
        super().__init__(404, "No such item")

app = Velithon(title="Shop", separate_input_output_schemas=False)
oauth2 = OAuth2PasswordBearer(tokenUrl="token")

@app.get("/items/{item_id}", tags=["items"], operation_id="read_item", raises=[NotFoundError])
async def read_item(item_id: int, q: str | None = None, tags: Annotated[list[str], Query()] = []) -> Item:
    if item_id > 10:
        raise NotFoundError
    return Item(name=f"{item_id} {q} {tags}")

@app.post("/items", tags=["items"], status_code=201, operation_id="create_item")
async def create_item(item: Item, x_tag: Annotated[str, Header()]) -> Item:
    return Item(name=x_tag, kind=item.kind, parts=[item])

@app.post("/sign", tags=["forms"], operation_id="sign")
async def sign(note: Annotated[str, Form()], size: Annotated[int, Form()] = 1) -> dict[str, int]:
    return {note: size}

@app.get("/me", tags=["users"], operation_id="me")
async def me(token: Annotated[str, Depends(oauth2)]) -> str:
    return token
"""
CALLS = """
import sys
from client import AuthenticatedClient, Client
from client.api.forms import sign
from client.api.items import create_item, read_item
from client.api.users import me
from client.models import BodySign, Item, Kind

anonymous = Client(base_url=sys.argv[1], raise_on_unexpected_status=True)
found = read_item.sync(7, client=anonymous, q="x y", tags=["a", "b&c"])
assert found.name == "7 x y ['a', 'b&c']" and found.kind is Kind.LAMP, found
gone = read_item.sync_detailed(11, client=anonymous)
assert gone.status_code == 404 and gone.parsed.detail == "No such item", gone
top = Item(name="top", kind=Kind.DESK, parts=[Item(name="leg")])
made = create_item.sync(client=anonymous, body=top, x_tag="tagged")
assert made.name == "tagged" and made.parts[0].parts[0].name == "leg", made
sizes = sign.sync(client=anonymous, body=BodySign(note="n & m", size=5))
assert sizes.additional_properties == {"n & m": 5}, sizes
assert me.sync(client=AuthenticatedClient(base_url=sys.argv[1], token="t0k")) == "t0k"
"""


def write(directory: Path, *options: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run `velithon client` in a directory, with the generator on the PATH unless another is given."""
    assert GENERATOR is not None
    found = os.pathsep.join([str(Path(GENERATOR).parent), os.environ["PATH"]])
    return subprocess.run(
        [sys.executable, "-m", "velithon", "client", *options],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PATH": found if path is None else path, "PYTHONPATH": PATHS},
        check=False,
    )


@pytest.mark.server
@pytest.mark.skipif(GENERATOR is None, reason="there is no openapi-python-client: make install")
def test_a_generated_client_talks_to_the_application(tmp_path: Path) -> None:
    """Parameters, models, errors, forms and tokens go through types that the document gave."""
    pytest.importorskip("attrs")
    pytest.importorskip("dateutil")
    (tmp_path / "shop.py").write_text(SOURCE)
    made = write(tmp_path, "shop:app", "--fail-on-warning")
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.startswith("Wrote client: 4 operations, 8 models, ")
    with serve(SOURCE) as server:
        called = subprocess.run(
            [sys.executable, "-c", CALLS, server.url],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "NO_PROXY": "127.0.0.1"},
            check=False,
        )
    assert called.returncode == 0, called.stderr
    again = write(tmp_path, "shop:app")
    assert again.returncode == 1
    assert again.stderr == "velithon: --output: client is there already; give another directory, or --overwrite.\n"


def test_a_missing_generator_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    result = CliRunner().invoke(cli, ["client", "shop:app"])
    assert result.exit_code == 1
    assert "pipx install openapi-python-client, or uv tool install openapi-python-client" in result.stderr


def test_what_the_generator_lacks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its warnings are shown, and its failure is the command's."""
    generator = tmp_path / "openapi-python-client"
    (tmp_path / "bare.py").write_text("from velithon import Velithon\napp = Velithon()\n")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    for status, expected in ((0, "WARNING parsing POST /odd"), (3, "openapi-python-client ended with status 3:")):
        generator.write_text(f"#!/bin/sh\necho WARNING parsing POST /odd\nexit {status}\n")
        generator.chmod(0o755)
        result = CliRunner().invoke(cli, ["client", "bare:app"])
        assert result.exit_code == (1 if status else 0)
        assert expected in result.stderr
