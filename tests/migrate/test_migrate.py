"""`velithon migrate`: what it rewrites, what it leaves, and that the result runs."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from textwrap import dedent

import pytest
from typer.testing import CliRunner

from tests.ecosystem import table
from velithon.cli import app as cli
from velithon.migrate import migrate_source
from velithon.migrate.packages import Package, find_packages

REWRITTEN = [
    ("from fastapi import FastAPI, Depends as D  # why\n", "from velithon import Velithon, Depends as D  # why\n"),
    (
        "from fastapi import FastAPI as App\napp = App()\n",
        'from velithon import Velithon as App\napp = App(title="FastAPI")\n',
    ),
    ("import fastapi\napp = fastapi.FastAPI()\n", 'import velithon\napp = velithon.Velithon(title="FastAPI")\n'),
    ("import fastapi as f, os\napp = f.FastAPI(**o)\n", "import velithon as f, os\napp = f.Velithon(**o)\n"),
    ("import fastapi.security as s\ns.HTTPBasic()\n", "import velithon.security as s\ns.HTTPBasic()\n"),
    (
        "import fastapi\nfastapi.responses.JSONResponse\n",
        "import velithon\nvelithon.responses.JSONResponse\n",
    ),
    (
        "from fastapi import FastAPI\nclass A(FastAPI):\n    x: 'list[FastAPI]'\n",
        "from velithon import Velithon\nclass A(Velithon):\n    x: 'list[Velithon]'\n",
    ),
    (
        "from fastapi.dependencies.utils import (\n    get_dependant,\n    solve_generator,\n)\n",
        (
            "from velithon.compat.dependencies import get_dependant\n"
            "from fastapi.dependencies.utils import solve_generator\n"
        ),
    ),
    (
        "from fastapi import FastAPI\napp = FastAPI(\n    debug=True,\n)\n",
        'from velithon import Velithon\napp = Velithon(\n    title="FastAPI", debug=True,\n)\n',
    ),
    (
        "from fastapi import status\nstatus.HTTP_422_UNPROCESSABLE_ENTITY\n",
        "from velithon import status\nstatus.HTTP_422_UNPROCESSABLE_ENTITY\n",
    ),
    ("from fastapi import *\r\n", "from velithon import *\r\n"),
]


@pytest.mark.parametrize(("before", "after"), REWRITTEN)
def test_imports_and_names_are_rewritten(before: str, after: str) -> None:
    """With aliases, comments and line ends as they stand."""
    assert migrate_source(before)[0] == after


@pytest.mark.parametrize(
    "source",
    [
        "from fastapi_users import FastAPIUsers\n",
        "from .fastapi import FastAPI\napp = FastAPI()\n",
        "class FastAPI: ...\napp = FastAPI()\nfastapi = 1\n",
        "from starlette.requests import Request\n",
        "from fastapi._compat import ModelField\n",
    ],
)
def test_what_is_not_fastapis_stays(source: str) -> None:
    assert migrate_source(source)[0] == source


def test_a_name_that_means_something_else_stays() -> None:
    """An attribute, a keyword and a parameter of that name are no references."""
    source = "from fastapi import FastAPI\ndef f(FastAPI):\n    return x.FastAPI, g(FastAPI=FastAPI)\n"
    assert migrate_source(source)[0] == source.replace("from fastapi import FastAPI", "from velithon import Velithon")


NOTED = [
    ("from fastapi._compat import ModelField", "fastapi._compat is internal to FastAPI and has no namesake"),
    ("from fastapi.dependencies.utils import solve_generator", "has solve_generator, Velithon has not"),
    ("import fastapi\nfastapi.nothing", "fastapi has nothing, Velithon has not"),
    ("import fastapi\nlogging.getLogger('fastapi')", "the text 'fastapi' may name"),
    ("import fastapi\nfastapi.FastAPI(root_path='/x')\nrequest.url.path", "below a root_path the path begins with it"),
    ("import fastapi\nfastapi.FastAPI(middleware=[a, b])", "turn the list around"),
    ("import fastapi\napp.add_route('/', f)", "include_in_schema=False"),
    ("import fastapi\napp.mount('/', f)", "lifespan=False"),
    ("from fastapi import Query\ndef f(q: Annotated[int, Query(ge=1)] = Query(5)): ...", "both count"),
]


@pytest.mark.parametrize(("source", "text"), NOTED)
def test_what_is_left_to_a_person_is_named(source: str, text: str) -> None:
    """With its line."""
    notes = migrate_source(source + "\n")[1]
    assert [note.line for note in notes if text in note.text] == [source.count("\n") + 1]


def test_what_is_as_with_fastapi_is_not_noted() -> None:
    source = """
    from fastapi import FastAPI
    app = FastAPI(title="Shop", middleware=[only])
    app.add_route("/", f, include_in_schema=False)
    app.mount("/static", StaticFiles(directory="static"))
    def show(request): return request.url.path
    """
    assert migrate_source(dedent(source))[1] == []


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with an application, a test, a virtual environment and files beside them."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "main.py").write_text(
        dedent("""
        from fastapi import Depends, FastAPI, HTTPException, Request
        from fastapi.responses import PlainTextResponse

        app = FastAPI(title="Shop")

        def nobody() -> None:
            raise HTTPException(401)

        @app.get("/")
        def show(request: Request) -> PlainTextResponse:
            return PlainTextResponse(type(request.app).__name__)

        @app.get("/me", dependencies=[Depends(nobody)])
        def me() -> str:
            return "me"
        """)
    )
    (tmp_path / "test_shop.py").write_text(
        dedent("""
        from fastapi.testclient import TestClient
        from shop.main import app

        client = TestClient(app)
        print(client.get("/").text, client.get("/me").status_code)
        """)
    )
    (tmp_path / "broken.py").write_text("import fastapi\ndef (:\n")
    (tmp_path / "requirements.txt").write_text("# fastapi\nfastapi[standard]>=0.100\nfastapi-users\n")
    (tmp_path / "Dockerfile").write_text('CMD ["fastapi", "run", "shop/main.py"]\n')
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "venv" / "installed.py").write_text("import fastapi\n")
    return tmp_path


def test_a_project_is_shown_then_rewritten_and_runs(project: Path) -> None:
    """Nothing is written without `--write`; afterwards its tests run without fastapi."""
    before = {path: path.read_text() for path in project.rglob("*.*") if path.is_file()}
    shown = CliRunner().invoke(cli, ["migrate", str(project)])
    assert shown.exit_code == 0
    assert "-from fastapi.testclient import TestClient\n+from velithon.testclient import TestClient\n" in shown.output
    assert "2 files would change; --write rewrites them." in shown.output
    assert f"{project}/broken.py:1: it cannot be read" in shown.output
    assert f"{project}/requirements.txt:2: fastapi is required" in shown.output
    assert "requirements.txt:3" not in shown.output
    assert f"{project}/Dockerfile:1: the command `fastapi run` is `velithon run`" in shown.output
    assert {path: path.read_text() for path in before} == before

    written = CliRunner().invoke(cli, ["migrate", str(project), "--write"])
    assert "2 files rewritten." in written.output
    assert (project / "venv" / "installed.py").read_text() == "import fastapi\n"
    script = "import sys; sys.modules['fastapi'] = None; sys.path.insert(0, '.'); import test_shop"
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=project, capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.split() == ["Velithon", "401"]
    assert "0 files would change" in CliRunner().invoke(cli, ["migrate", str(project)]).output


def test_packages_of_the_environment_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those that require FastAPI, with what the table of packages knows of them."""
    installed = {"dishka-9.dist-info": "", "unheard_of-1.dist-info": "Requires-Dist: fastapi>=0.1\n"}
    installed["sideways-1.dist-info"] = 'Requires-Dist: fastapi; extra == "web"\n'
    for directory, requires in installed.items():
        (tmp_path / directory).mkdir()
        name, version = directory.removesuffix(".dist-info").split("-")
        (tmp_path / directory / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"
        )
    monkeypatch.setattr("velithon.migrate.packages.distributions", lambda: metadata.distributions(path=[str(tmp_path)]))
    found = list(find_packages())
    assert [one.name for one in found] == ["dishka", "unheard-of"]
    assert found[0] == Package("dishka", "9", f"{table.read()['dishka'].version} works as it is")
    assert found[1].fares.startswith("it was not tried")


def test_what_is_said_of_packages_is_what_the_table_says() -> None:
    """`make ecosystem` writes both."""
    assert json.loads(table.FARES.read_text()) == table.fares(table.read())
