"""The commands that write the document, the documentation and the table of routes."""

import json
import os
import re
import sys
from pathlib import Path

import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator
from typer.testing import CliRunner, Result

from velithon.cli import app as cli
from velithon.openapi.export import as_markdown, select_operations

SOURCE = '''
import functools
from typing import Annotated
from pydantic import BaseModel
from velithon import Depends, Velithon, WebSocket
from velithon.endpoint import HTTPEndpoint
from starlette.routing import Route as StarletteRoute
from velithon.security import OAuth2PasswordBearer

class Item(BaseModel):
    """A | thing."""
    name: str
    tags: list[str] = []
    other: "Item | None" = None

def token(value: Annotated[str, Depends(OAuth2PasswordBearer(tokenUrl="t", scopes={"a": "A"}))]): ...

class Things(HTTPEndpoint):
    async def get(self, q: int = 1): ...

app = Velithon(title="Shop </script>", description="Sells **things**.", servers=[{"url": "/", "description": "here"}])

@app.post("/items", tags=["items"], deprecated=True)
def create(item: Item, user: Annotated[str, Depends(token)]) -> Item:
    """Create it."""
    return item

@app.get("/hidden", tags=["internal"])
def hidden(kind: str = "x"): ...

@app.webhooks.post("sold")
def sold(item: Item): ...

@app.websocket("/ws")
async def ws(websocket: WebSocket): ...

app.add_route("/things", Things)
sub = Velithon(openapi_url=None)

@sub.get("/inner")
def inner(): ...

app.mount("/sub", sub)
app.mount("/static", lambda scope, receive, send: None)
app.frontend("/", directory=".")
sub.frontend("/pages", directory=".")

def make():
    return app

app.router.add_existing(StarletteRoute("/plain", functools.partial(make)))
app.host("h.example", sub)
other = 3
'''


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Runner":
    """Run a command in a directory that holds `shop.py`."""
    (tmp_path / "shop.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("shop", "other_shop"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return Runner()


class Runner:
    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, arguments)

    def text(self, *arguments: str) -> str:
        result = self(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout


def test_openapi_writes_json(run: Runner) -> None:
    """To the standard output, valid and indented."""
    text = run.text("openapi", "--app", "shop:app")
    document = json.loads(text)
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    assert document["info"]["title"] == "Shop </script>"
    assert text.startswith('{\n  "openapi"')


def test_openapi_writes_yaml(run: Runner, tmp_path: Path) -> None:
    """By the option, or by the file's extension."""
    document = json.loads(run.text("openapi", "--app", "shop:app"))
    assert yaml.safe_load(run.text("openapi", "--app", "shop:app", "--format", "yaml")) == document
    run.text("openapi", "--app", "shop:make", "--factory", "--output", "api.yaml")
    assert yaml.safe_load((tmp_path / "api.yaml").read_text(encoding="utf-8")) == document


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--app", "nowhere:app"], "no module"),
        (["--app", "shop:other"], "no application"),
        (["--app", "shop:app", "--output", "no/such/dir.json"], "cannot write"),
    ],
)
def test_openapi_says_what_is_wrong(run: Runner, arguments: list[str], message: str) -> None:
    """One line on the standard error, and an exit code."""
    result = run("openapi", *arguments)
    assert result.exit_code == 1
    assert message in result.stderr


def test_an_application_of_another_framework_is_refused(run: Runner, tmp_path: Path) -> None:
    """It has no document of ours."""
    (tmp_path / "other_shop.py").write_text("from starlette.applications import Starlette\napp = Starlette()\n")
    result = run("routes", "--app", "other_shop:app")
    assert result.exit_code == 1
    assert "a Starlette, not a Velithon application." in result.stderr


def test_export_docs_writes_markdown(run: Runner) -> None:
    """Operations by tag, then webhooks and schemas; cells cannot break out of their tables."""
    text = run.text("export-docs", "--app", "shop:app", "--title", "Our shop", "--api-version", "7")
    assert text.startswith("# Our shop\n\nVersion 7, OpenAPI 3.1.0\n")
    assert "### `POST /items`" in text
    assert "**Deprecated.**" in text
    assert "Authorization: `OAuth2PasswordBearer`" in text
    assert "| `q` | query | integer |" in text
    assert "## Webhooks\n\n### `POST sold`" in text
    assert "| `other` | [Item-Input](#item-input) \\| null |" in text
    assert "- `/`: here" in text


def test_export_docs_selects_by_tag(run: Runner) -> None:
    """What is asked for, or all but what is not."""
    text = run.text("export-docs", "--app", "shop:app", "--include-tag", "items")
    assert "/items" in text
    assert "/hidden" not in text
    text = run.text("export-docs", "--app", "shop:app", "--exclude-tag", "internal")
    assert "/things" in text
    assert "/hidden" not in text
    assert (
        "no operation has a tag among nothing"
        in run("export-docs", "--app", "shop:app", "--include-tag", "nothing").stderr
    )


def test_export_docs_writes_one_html_file(run: Runner, tmp_path: Path) -> None:
    """It refers to nothing else, and the document in it stays data."""
    run.text("export-docs", "--app", "shop:app", "--output", "shop.html")
    html = (tmp_path / "shop.html").read_text(encoding="utf-8")
    assert "Content-Security-Policy" in html
    assert not re.search(r'(?:src|href)="(?!data:)', html)
    found = re.search(r'id="velithon-document">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    assert json.loads(found[1])["info"]["title"] == "Shop </script>"


def test_routes_lists_every_route(run: Runner) -> None:
    """In order, with dependencies and the place in the source; mounted applications' too."""
    lines = run.text("routes", "--app", "shop:app", "--docs").splitlines()
    cells = [re.split(r"\s{2,}", line.strip()) for line in lines]
    assert cells[0] == ["METHODS", "PATH", "NAME", "ENDPOINT", "DEPENDENCIES", "SOURCE"]
    by_path = {row[1]: row for row in cells[1:]}
    create = by_path["/items"]
    assert create[:5] == ["POST", "/items", "create", "shop.create", "token, OAuth2PasswordBearer"]
    assert re.fullmatch(r"shop\.py:\d+", create[5])
    assert by_path["/ws"][0] == "WS"
    assert by_path["/sub/inner"][:3] == ["GET", "/sub/inner", "inner"]
    assert by_path["/static"][0] == "MOUNT"
    assert by_path["/"][:4] == ["GET,HEAD", "/", "FrontendFiles", "velithon.routing.frontend.FrontendFiles"]
    assert by_path["/sub/pages"][3] == "velithon.routing.frontend.FrontendFiles"
    assert by_path["/things"][3] == "shop.Things"
    assert by_path["/openapi.json"][5].startswith(os.path.join("velithon", "openapi", "serve.py:"))
    assert by_path["/plain"][3] == "functools.partial"
    assert "h.example/inner" in by_path


def test_routes_leaves_the_documentation_out(run: Runner) -> None:
    """The application's routes are listed, and those that serve documents only when asked for."""
    paths = [line.split()[1] for line in run.text("routes", "shop:app").splitlines()]
    everything = [line.split()[1] for line in run.text("routes", "shop:app", "--docs").splitlines()]
    hidden = [path for path in everything if path not in paths]
    assert {"/openapi.json", "/docs", "/redoc"} <= set(hidden)
    assert {"/items", "/sub/inner"} <= set(paths)


@pytest.mark.parametrize("command", ["routes", "openapi", "export-docs", "explain GET /items"])
def test_applications_are_named_by_argument_or_option(run: Runner, command: str) -> None:
    """As `velithon run` takes them; neither, or two different ones, is a mistake."""
    words = command.split()
    assert run.text(*words, "shop:app") == run.text(*words, "--app", "shop:app")
    run.text(*words, "shop:app", "--app", "shop:app")
    missing, two = run(*words), run(*words, "shop:app", "--app", "shop:other")
    assert (missing.exit_code, two.exit_code) == (1, 1)
    assert "No application was given" in missing.stderr
    assert "Two applications were given, 'shop:app' and --app 'shop:other'" in two.stderr


def test_markdown_says_what_a_document_says() -> None:
    """Types of every form, examples, descriptions of servers, schemes and scopes."""
    document = {
        "openapi": "3.1.0",
        "info": {"title": "T", "version": "1", "summary": "In short"},
        "servers": [{"url": "/x"}],
        "paths": {
            "/": {
                "summary": "no operation",
                "post": {
                    "security": [{"key": [], "oauth": ["a", "b"]}, {}],
                    "requestBody": {"content": {"application/json": {"schema": {}, "example": {"a": 1}}}},
                    "responses": {"200": {"description": "Yes |\n no", "content": {"text/plain": {"itemSchema": {}}}}},
                },
            }
        },
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "description": "The key"}, "oauth": {"type": "oauth2"}},
            "schemas": {
                "Const": {"const": "x"},
                "Enum": {"enum": [1, None], "description": "Which"},
                "Map": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
                "Both": {"allOf": [{"type": "string", "format": "date"}, {"oneOf": [True, {}]}]},
                "Free": {"type": "object", "additionalProperties": True},
            },
        },
    }
    text = as_markdown(document)
    for line in (
        "In short",
        "- `/x`",
        "Authorization: `key` and `oauth` (a, b) or none",
        '    "a": 1',
        "- `200`: Yes \\| no",
        "- `key` (apiKey): The key",
        '`"x"`',
        "`1` \\| `null`",
        "map of string \\| null",
        "string (date) & any \\| any",
        "object",
    ):
        assert line in text.splitlines(), line
    least = {"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": {}}
    assert as_markdown(least) == "# T\n\nVersion 1, OpenAPI 3.1.0\n"
    assert select_operations(document, exclude=["z"])["paths"]["/"]["summary"] == "no operation"
    assert select_operations(document, include=["z"])["paths"] == {}


def test_export_docs_takes_the_format_from_the_option(run: Runner) -> None:
    """Whatever the file is called."""
    assert run.text("export-docs", "--app", "shop:app", "--format", "html").startswith("<!DOCTYPE html>")


def test_yaml_without_its_package_says_what_to_install(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with the command."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    result = run("openapi", "--app", "shop:app", "--format", "yaml")
    assert result.exit_code == 1
    assert 'pip install "velithon[yaml]"' in result.stderr
