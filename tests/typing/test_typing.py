"""A user's strict type checker accepts what users write, and still finds their mistakes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ClientFactory
from tests.typing.shop import app, use

SHOP = Path(__file__).parent / "shop.py"
MISTAKES = """
from velithon import Query, Velithon
from velithon.params import Form
from velithon.websocket import WebSocketEndpoint

app = Velithon()
Form(embd=True)
Query(minlength=3)
app.get("/", respons_model=int)
app.frontend("/", directory="dist", fallback="app.html")

class Room(WebSocketEndpoint):
    encoding = "xml"

from velithon import Quary
from velithon.routing import APIRuter
from velithon.websocket import WebSoket
from velithon.signature import read_endpont

Query(deprecated=3)
Query(gt=object())
from velithon.middleware.cors import CORSMiddleware
app.add_middleware(CORSMiddleware, allow_origin=["*"])

from velithon.cache import cache
from velithon.jobs import job

@job
async def send(address: str) -> int:
    return len(address)

send(3)

@cache(expire=60)
async def read(limit: int) -> str:
    return "x" * limit

read("all")
"""


@pytest.fixture(scope="module")
def mypy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What `mypy --strict` says of each file, without this project's configuration; one run, for it takes seconds."""
    directory = tmp_path_factory.mktemp("typing")
    shutil.copy(SHOP, directory)
    (directory / "mistakes.py").write_text(MISTAKES)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary", "."]
    found = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=300)
    assert found.stderr == ""
    lines = found.stdout.splitlines()
    return {name: [line for line in lines if line.startswith(name)] for name in ("shop.py", "mistakes.py")}


def test_mypy_accepts_what_users_write(mypy: dict[str, list[str]]) -> None:
    assert mypy["shop.py"] == []


def test_mypy_finds_mistakes(mypy: dict[str, list[str]]) -> None:
    lines = {int(line.split(":")[1]) for line in mypy["mistakes.py"] if ": error: " in line}
    assert lines == {7, 8, 9, 10, 13, 15, 16, 17, 18, 20, 21, 23, 32, 38}


@pytest.mark.skipif(shutil.which("pyright") is None, reason="pyright is not installed")
def test_pyright_accepts_what_users_write(tmp_path: Path) -> None:
    file = Path(shutil.copy(SHOP, tmp_path))
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "standard"}')
    command = ["pyright", "--pythonpath", sys.executable, file.name]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (found.returncode, found.stdout.splitlines()[-1]) == (0, "0 errors, 0 warnings, 0 informations ")


def test_what_the_checkers_see_runs(client: ClientFactory) -> None:
    assert use() == [200, 201]
    with client(app) as caller:
        assert caller.get("/items/3?q=x").json() == {"name": "x", "price": 10}
        assert caller.get("/items/13").headers["x"] == "y"
        sent = caller.post("/upload", data={"title": "t"}, files={"file": ("a.txt", b"abc")})
        assert sent.json() == {"title": "t", "name": "a.txt", "size": 3, "more": 0}
        assert caller.get("/services").json() == "now"
        assert caller.get("/loud").json() == "X"
        assert caller.get("/things").json() == {"limit": 10}
        with caller.websocket_connect("/rooms/a") as websocket:
            websocket.send_json([1])
            assert websocket.receive_json() == [1]
