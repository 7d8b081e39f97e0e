"""What `velithon check` finds, and what it lets pass."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from typer.testing import CliRunner

from velithon.checks import RULES
from velithon.cli import app as cli

HEAD = """
import time
from time import sleep
from typing import Annotated, Any
from starlette.responses import PlainTextResponse
from velithon import Body, Depends, Query, Request, Router, Velithon, WebSocket
from velithon.middleware import Middleware
from velithon.middleware.cors import CORSMiddleware
from velithon.middleware.sessions import SessionMiddleware
app = Velithon()
"""

Check = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Check]:
    """Check an application that is written below `HEAD`; returns the status and the lines."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delenv("VELITHON_ENV", raising=False)
    (tmp_path / "checked_application.py").touch()

    def run(source: str, *options: str) -> tuple[int, list[str]]:
        (tmp_path / "checked_application.py").write_text(HEAD + dedent(source))
        result = CliRunner().invoke(cli, ["check", "checked_application:app", *options])
        return result.exit_code, (result.stdout + result.stderr).splitlines()

    yield run
    sys.modules.pop("checked_application", None)


SOUND = """
import asyncio
app = Velithon(middleware=[
    Middleware(SessionMiddleware, secret_key="k" * 32),
    Middleware(CORSMiddleware, allow_origins=["https://example.org"], allow_credentials=True),
])
@app.get("/users/me")
async def me() -> None:
    await asyncio.to_thread(lambda: time.sleep(1))
@app.get("/users/{user_id:int}")
def by_number(user_id: int) -> None:
    time.sleep(1)
@app.get("/users/{name}")
async def by_name(name: str) -> None: ...
@app.put("/users/{other}")
async def put(other: str) -> None: ...
@app.websocket("/users/{other}")
async def connect(websocket: WebSocket, other: str) -> None: ...
@app.get("/raw/{anything}")
async def raw(request: Request) -> None: ...
def current(tenant: str) -> str: return tenant
@app.get("/tenants/{tenant}")
async def tenants(who: Annotated[str, Depends(current)], tags: Annotated[list[str], Query()] = []) -> None: ...
@app.get("/search")
async def search(names: Annotated[list[str], Body()]) -> None: ...
@app.post("/batch")
async def batch(names: list[str]) -> None: ...
app.mount("/static", PlainTextResponse("file"))
"""


def test_a_sound_application_passes(check: Check) -> None:
    """What looks like each of the mistakes and is none is not reported; the status is 0."""
    assert check(SOUND) == (0, ["Nothing found."])


MISTAKES = {
    "a parameter takes a later literal": (
        """
        @app.get("/users/{user_id}")
        async def user(user_id: str) -> None: ...
        @app.get("/users/me")
        async def me() -> None: ...
        """,
        (
            "checked_application.py:14: shadowed-path: GET /users/me is never reached:"
            " GET /users/{user_id} (checked_application.py:12) takes its requests. Declare it before."
        ),
    ),
    "a path takes what is below it": (
        """
        @app.get("/{rest:path}")
        async def rest(rest: str) -> None: ...
        @app.get("/users/{number:int}")
        async def user(number: int) -> None: ...
        """,
        "shadowed-path: GET /users/{number:int} is never reached",
    ),
    "a mount takes what is below it": (
        """
        app.mount("/api", PlainTextResponse("api"))
        @app.get("/api/users")
        async def users() -> None: ...
        """,
        "shadowed-path: GET /api/users is never reached: MOUNT /api ",
    ),
    "a WebSocket takes another": (
        """
        @app.websocket("/rooms/{room}")
        async def room(websocket: WebSocket, room: str) -> None: ...
        @app.websocket("/rooms/lobby")
        async def lobby(websocket: WebSocket) -> None: ...
        """,
        "shadowed-path: WS /rooms/lobby is never reached: WS /rooms/{room} ",
    ),
    "one of two methods is taken": (
        """
        @app.get("/a/{b}")
        async def first(b: str) -> None: ...
        @app.api_route("/a/c", methods=["GET", "POST"])
        async def second() -> None: ...
        """,
        "shadowed-path: GET /a/c is never reached",
    ),
    "the same route within a mount": (
        """
        inner = Velithon()
        @inner.get("/users/{a}")
        async def first(a: str) -> None: ...
        @inner.get("/users/{b}")
        async def second(b: str) -> None: ...
        app.mount("/inner", inner)
        """,
        (
            "duplicate-route: GET /inner/users/{b} is there already, as GET /inner/users/{a}"
            " (checked_application.py:13). Remove one of them."
        ),
    ),
    "a path parameter that nothing takes": (
        """
        @app.get("/users/{user_id}")
        async def user(id: int) -> None: ...
        """,
        (
            "unread-path-parameter: GET /users/{user_id}: no parameter takes {user_id}. Add 'user_id' to the signature"
            " of user(). What is read from the query instead: 'id'."
        ),
    ),
    "a list without a marker": (
        """
        def wanted(tags: list[str] = []) -> list[str]: return tags
        @app.get("/search")
        async def search(tags: Annotated[list[str], Depends(wanted)]) -> None: ...
        """,
        (
            "checked_application.py:12: list-body: GET /search: 'tags' of wanted() is a list without a marker, so it is"
            " read from the body. Write Annotated[..., Query()] to read it from the query."
        ),
    ),
    "a function by its module": (
        """
        async def helper() -> None:
            if True:
                time.sleep(1)
        """,
        (
            "checked_application.py:14: blocking-call: time.sleep() in async helper() stops every other request while"
            " it runs. Use await asyncio.sleep(...), or make the function `def`."
        ),
    ),
    "a function by its name": ("async def helper() -> None: sleep(1)", "blocking-call: time.sleep() in async helper()"),
    "a method": (
        """
        from velithon.security.passwords import Passwords
        passwords = Passwords()
        async def register() -> None:
            passwords.hash("secret")
        """,
        "blocking-call: velithon.security.passwords.Passwords.hash() in async register()",
    ),
    "a function that is imported within": (
        """
        class Service:
            async def helper(self) -> None:
                import subprocess as processes
                processes.run(["true"])
        """,
        "blocking-call: subprocess.run() in async helper()",
    ),
    "a short secret": (
        'app.add_middleware(SessionMiddleware, secret_key="change-me")',
        "short-secret: The secret_key of SessionMiddleware has 9 bytes, and needs 32.",
    ),
    "a short secret of a route": (
        """
        @app.get("/", middleware=[Middleware(SessionMiddleware, secret_key="short")])
        async def home() -> None: ...
        """,
        "short-secret: The secret_key of SessionMiddleware of / has 5 bytes",
    ),
    "a decorator above the route's": (
        """
        def checked(function: Any) -> Any:
            async def check() -> None:
                await function()
            return check
        @checked
        @app.get("/")
        async def read() -> None: ...
        """,
        "decorator-above-route: GET /: a decorator above the route's wraps read()",
    ),
    "debug": ("app = Velithon(debug=True)", "debug: debug=True shows code and values to clients."),
    "debug of what is mounted": (
        'app.mount("/x", Velithon(debug=True))',
        "debug: debug=True of what is mounted at /x ",
    ),
    "every origin with credentials": (
        'app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_credentials=True)',
        'cors-credentials: CORSMiddleware allows the origin "*" with credentials',
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found(check: Check, name: str) -> None:
    """One line names the place, the rule and the cure; the status is 1."""
    source, expected = MISTAKES[name]
    status, lines = check(source)
    assert (status, lines[1:]) == (1, ["", "1 mistake found."])
    assert expected in lines[0]


def test_every_rule_has_a_mistake() -> None:
    """The list of the rules is that of what is found."""
    found = {rule for rule in RULES for _, text in MISTAKES.values() if f"{rule}: " in text}
    assert found == set(RULES)


def test_a_dependency_cycle_is_named(check: Check) -> None:
    """The application cannot be made; what depends on itself is named in its order."""
    status, lines = check(
        """
        def one(v: "Annotated[int, Depends(two)]") -> None: ...
        def two(v: "Annotated[int, Depends(one)]") -> None: ...
        @app.get("/")
        async def home(v: Annotated[int, Depends(one)]) -> None: ...
        """
    )
    assert status == 1
    assert "two, parameter 'v': It depends on itself: one -> two -> one; take one" in lines[-1]


def test_a_cycle_of_providers_is_named(check: Check) -> None:
    """What containers provide is held to the same."""
    status, lines = check(
        """
        from velithon.di import FactoryProvider, Provide, ServiceContainer, inject
        class A:
            def __init__(self, b: Any) -> None: ...
        class Container(ServiceContainer):
            a = FactoryProvider(A)
            b = FactoryProvider(A, b=a)
            a.kwargs["b"] = b
        @app.get("/")
        @inject
        async def home(a: A = Provide[Container.a]) -> None: ...
        """
    )
    assert status == 1
    assert "circle: Container.a -> Container.b -> Container.a" in lines[-1]


def test_a_rule_is_ignored(check: Check) -> None:
    """What is left out is not counted either."""
    assert check("app = Velithon(debug=True)", "--ignore", "debug") == (0, ["Nothing found."])


def test_an_unknown_rule_is_an_error(check: Check) -> None:
    """The rules that there are are named."""
    status, lines = check("", "--ignore", "debugging")
    assert status == 1
    assert lines[0].startswith("velithon: --ignore: there is no rule 'debugging'; the rules are shadowed-path, ")


def test_debug_in_development_is_no_mistake(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment says that this is development, debug is right."""
    monkeypatch.setenv("VELITHON_ENV", "development")
    assert check("app = Velithon(debug=True)") == (0, ["Nothing found."])


def test_no_extra_is_needed(tmp_path: Path) -> None:
    """An application without sessions is checked where what they need is not installed."""
    (tmp_path / "main.py").write_text("from velithon import Velithon\napp = Velithon(debug=True)\n")
    code = "import sys; sys.modules['itsdangerous'] = None; from velithon.cli import main; main()"
    env = {**os.environ, "VELITHON_ENV": "test"}
    command = [sys.executable, "-c", code, "check", "main:app"]
    result = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert (result.returncode, result.stdout.splitlines()[-1]) == (1, "1 mistake found."), result.stderr
