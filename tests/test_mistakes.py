"""Common mistakes get an error or a warning that names the place and the cure; the texts are those of the page."""

import gc
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import ClientFactory
from velithon import Velithon, WebSocket
from velithon.exceptions import RegistrationError, RegistrationWarning
from velithon.routing import Route

PAGE = Path(__file__).resolve().parent.parent / "docs" / "how-to" / "mistakes.md"
_MISTAKE = re.compile(r"^```py\n(.*?)^```\n+```text\n(.*?)\n```", re.DOTALL | re.MULTILINE)


def mistakes() -> dict[str, tuple[str, str]]:
    """Return the mistakes of the page: heading -> the code and its text."""
    found: dict[str, tuple[str, str]] = {}
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        heading = section.partition("\n")[0]
        for number, (code, text) in enumerate(_MISTAKE.findall(section)):
            found[heading + "+" * number] = (code, text)
    return found


@pytest.fixture
def said(client: ClientFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], set[str]]:
    """What a module `main` makes Velithon say: when it is imported, when it starts, when its first route is asked."""

    def run(code: str) -> set[str]:
        monkeypatch.chdir(tmp_path)
        file = tmp_path / "main.py"
        file.write_text(code)
        module = ModuleType("main")
        module.__file__ = str(file)
        monkeypatch.setitem(sys.modules, "main", module)
        texts: list[str] = []
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            try:
                exec(compile(code, str(file), "exec", dont_inherit=True), vars(module))
                _ask(client, module.app)
            except Exception as error:  # noqa: BLE001 - whatever it is, its text counts
                texts.append(str(error))
            # A coroutine that nobody awaited is warned of by Python when it is collected.
            gc.collect()
        texts += [str(warning.message) for warning in given if warning.category is RegistrationWarning]
        return {text.replace(f"{tmp_path}/", "") for text in texts}

    return run


def _ask(client: ClientFactory, app: Velithon) -> None:
    with client(app) as http:
        route = next(route for route in app.routes if isinstance(route, Route) and route.include_in_schema)
        http.request(next(iter(route.methods)), re.sub("{.*?}", "1", route.path))


@pytest.mark.parametrize("name", mistakes())
def test_a_mistake_gets_its_text(said: Callable[[str], set[str]], name: str) -> None:
    """One text says what is wrong, where, and what to do; nothing else is said."""
    code, text = mistakes()[name]
    assert said(code) == {text}


def test_the_page_has_the_sixteen_mistakes() -> None:
    assert len([name for name in mistakes() if not name.endswith("+")]) == 16


SOUND = """
from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Json, model_validator
from velithon import Depends, Form, Query, Request, Velithon

if TYPE_CHECKING:
    from decimal import Decimal as Session

app = Velithon()

def session():
    yield 1

def checked(function):
    @wraps(function)
    async def check(*args, **kwargs):
        return await function(*args, **kwargs)
    return check

class Text(BaseModel):
    a: int

    @model_validator(mode="before")
    @classmethod
    def parse(cls, value):
        return value

@app.get("/")
@checked
async def read(one: Annotated[Session, Depends(session)], two: Session = Depends(session)):
    return one, 404, two

@app.get("/pair")
async def pair() -> None: ...
@app.get("/users/me")
async def me() -> None: ...
@app.get("/users/{user_id}")
async def by_request(request: Request) -> None: ...
@app.delete("/users/{user_id}", status_code=204)
async def delete(user_id: int): ...
@app.get("/tags")
async def tags(tags: Annotated[list[str], Query()] = []) -> None: ...
@app.post("/text")
async def text(text: Text, name: Annotated[str, Form()]) -> None: ...
@app.post("/json")
async def json(item: Annotated[Json[Text], Form()], name: Annotated[str, Form()]) -> None: ...
"""


def test_what_only_looks_like_a_mistake_is_let_pass(said: Callable[[str], set[str]]) -> None:
    assert said(SOUND) == set()


def test_code_for_fastapi_goes_on_where_warnings_are_errors(
    client: ClientFactory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where `fastapi` means Velithon, what would be a warning is logged: it was no error under FastAPI."""
    monkeypatch.setenv("VELITHON_AS_FASTAPI", "1")
    app = Velithon()

    @app.get("/users/{user_id}", response_model=None)
    async def read() -> Any:
        return {}, 404

    with client(app) as http:
        assert http.get("/users/1").json() == [{}, 404]
    texts = [record.getMessage() for record in caplog.records]
    assert any("no parameter takes {user_id}" in text for text in texts)
    assert any("It returned a value and 404" in text for text in texts)


async def fetch() -> int:
    return 1


@pytest.mark.parametrize("verb", ["get", "post", "api_route"])
def test_a_decorator_without_a_call_is_refused(verb: str) -> None:
    """`@app.get` without a path raises where it is written, and says how to write it."""
    text = f'{__name__}.fetch: The decorator needs a path: write @app.{verb}("/...").'
    with pytest.raises(RegistrationError, match=f"^{re.escape(text)}$"):
        getattr(Velithon(), verb)(fetch)


def test_an_unknown_convertor_is_refused_for_websockets() -> None:
    """As for other routes."""
    app = Velithon()
    text = "The path '/{a:integer}' has the unknown convertor 'integer'; there are float, int, path, str, uuid."

    async def listen(websocket: WebSocket) -> None:
        await websocket.close()

    with pytest.raises(RegistrationError, match=re.escape(text)):
        app.websocket("/{a:integer}")(listen)
