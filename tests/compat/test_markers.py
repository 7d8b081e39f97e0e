"""FastAPI's markers mean here what they mean there; a marker that nobody knows is refused; none is ignored."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import fastapi
import fastapi.params
import fastapi.security
import pytest
from pydantic import BaseModel

import velithon
import velithon.params
from tests.conftest import ClientFactory
from velithon import APIRouter, Velithon
from velithon.exceptions import RegistrationError
from velithon.signature import read_endpoint
from velithon.websockets import WebSocketDisconnect


def current_user() -> str:
    """Lock everybody out, as a login would that got no password."""
    raise fastapi.HTTPException(401)


def between(user: str = fastapi.Depends(current_user)) -> str:
    """Stand between the endpoint and the login: a package's own dependency."""
    return user


@dataclass
class Session:
    """A class that asks for its dependency by a default."""

    user: Annotated[str, fastapi.Depends(between)]


def by_default(user: str = fastapi.Depends(current_user)) -> str:
    return user


def in_annotated(user: Annotated[str, fastapi.Depends(current_user)]) -> str:
    return user


def by_security(user: Annotated[str, fastapi.Security(current_user, scopes=["me"])]) -> str:
    return user


def below(user: Annotated[str, fastapi.Depends(between)]) -> str:
    return user


def below_a_class(session: Annotated[Session, fastapi.Depends()]) -> str:
    return session.user


def below_ours(user: Annotated[str, velithon.Depends(between)]) -> str:
    return user


@pytest.mark.parametrize("endpoint", [by_default, in_annotated, by_security, below, below_a_class, below_ours])
def test_a_foreign_dependency_is_called(client: ClientFactory, endpoint: Callable[..., str]) -> None:
    """What the client says of the parameter's name counts for nothing."""
    app = Velithon()
    app.get("/me")(endpoint)
    answer = client(app).get("/me?user=root&session=root")
    assert (answer.status_code, answer.json()) == (401, {"detail": "Unauthorized"})


def _of_the_application(locked: Any) -> Velithon:
    app = Velithon(dependencies=[locked])
    app.get("/me")(lambda: "in")
    return app


def _of_the_route(locked: Any) -> Velithon:
    app = Velithon()
    app.get("/me", dependencies=[locked])(lambda: "in")
    return app


def _of_the_router(locked: Any) -> Velithon:
    app, router = Velithon(), APIRouter(dependencies=[locked])
    router.get("/me")(lambda: "in")
    app.include_router(router)
    return app


def _of_the_inclusion(locked: Any) -> Velithon:
    app, router = Velithon(), APIRouter()
    router.get("/me")(lambda: "in")
    app.include_router(router, dependencies=[locked])
    return app


@pytest.mark.parametrize("make", [_of_the_application, _of_the_route, _of_the_router, _of_the_inclusion])
@pytest.mark.parametrize("marker", [fastapi.Depends(current_user), fastapi.Security(current_user, scopes=["a"])])
def test_a_foreign_dependency_without_a_parameter_is_called(
    client: ClientFactory, make: Callable[[Any], Velithon], marker: Any
) -> None:
    """Wherever `dependencies=` stands."""
    assert client(make(marker)).get("/me").status_code == 401


def test_a_foreign_dependency_guards_a_websocket(client: ClientFactory) -> None:
    """The handshake is refused."""
    app = Velithon()

    @app.websocket("/ws")
    async def chat(websocket: fastapi.WebSocket, user: Annotated[str, fastapi.Depends(current_user)]) -> None:
        await websocket.accept()

    with pytest.raises(WebSocketDisconnect), client(app).websocket_connect("/ws?user=root"):
        pass


def test_foreign_places_are_read_and_checked(client: ClientFactory) -> None:
    """Each place with its constraints, aliases and defaults, in both spellings."""
    app = Velithon()

    @app.post("/items/{item}")
    def read(
        item: Annotated[int, fastapi.Path(gt=3), "documentation"],
        size: int = fastapi.Query(2, alias="s", le=9),
        tag: Annotated[list[str], fastapi.Query(min_length=1)] = ["a"],  # noqa: B006 - as FastAPI's guide has it
        x_token: str = fastapi.Header(),
        plain_name: Annotated[str | None, fastapi.Header(convert_underscores=False)] = None,
        session: Annotated[str, fastapi.Cookie(max_length=3)] = "no",
        body: dict[str, int] = fastapi.Body(..., embed=True),
    ) -> list[Any]:
        return [item, size, tag, x_token, plain_name, session, body]

    http = client(app, cookies={"session": "abc"})
    answer = http.post("/items/4?s=3", headers={"x-token": "t", "plain_name": "p"}, json={"body": {"a": 1}})
    assert answer.json() == [4, 3, ["a"], "t", "p", "abc", {"a": 1}]
    refused = http.post("/items/3?s=10", json={}).json()["detail"]
    assert [(error["type"], error["loc"]) for error in refused] == [
        ("greater_than", ["path", "item"]),
        ("less_than_equal", ["query", "s"]),
        ("missing", ["header", "x-token"]),
        ("missing", ["body", "body"]),
    ]


def test_foreign_forms_and_files(client: ClientFactory) -> None:
    """Its Form, File, UploadFile and the form of the password flow."""
    app = Velithon()

    @app.post("/upload")
    async def upload(
        name: Annotated[str, fastapi.Form(max_length=5)],
        first: fastapi.UploadFile,
        second: bytes = fastapi.File(b""),
        third: fastapi.UploadFile | None = None,
    ) -> list[Any]:
        return [name, first.filename, (await first.read()).decode(), len(second), third]

    @app.post("/token")
    def token(form: Annotated[fastapi.security.OAuth2PasswordRequestForm, fastapi.Depends()]) -> list[Any]:
        return [form.username, form.password, form.scopes]

    http = client(app)
    answer = http.post("/upload", data={"name": "n"}, files={"first": ("a.txt", b"one"), "second": ("b", b"four")})
    assert answer.json() == ["n", "a.txt", "one", 4, None]
    assert http.post("/upload", data={"name": "too long"}, files={"first": b"1"}).status_code == 422
    answer = http.post("/token", data={"username": "u", "password": "p", "scope": "a b"})
    assert answer.json() == ["u", "p", ["a", "b"]]
    assert http.post("/token?username=u&password=p").status_code == 422


def test_foreign_security_schemes(client: ClientFactory) -> None:
    """They are asked, told the scopes, and stand in the document."""
    app = Velithon()
    oauth2 = fastapi.security.OAuth2PasswordBearer("token", scopes={"read": "Read.", "write": "Write."})
    key = fastapi.security.APIKeyHeader(name="x-key")

    def whoever(scopes: fastapi.security.SecurityScopes, token: str = fastapi.Depends(oauth2)) -> list[Any]:
        return [type(scopes) is fastapi.security.SecurityScopes, scopes.scopes, scopes.scope_str, token]

    @app.get("/me", dependencies=[fastapi.Security(key)])
    def me(user: list[Any] = fastapi.Security(whoever, scopes=["read", "write"])) -> list[Any]:
        return user

    http = client(app)
    assert http.get("/me", headers={"x-key": "k"}).status_code == 401
    assert http.get("/me", headers={"authorization": "Bearer t"}).status_code in (401, 403)
    answer = http.get("/me", headers={"authorization": "Bearer t", "x-key": "k"})
    assert answer.json() == [True, ["read", "write"], "read write", "t"]
    document = app.openapi()
    assert document["components"]["securitySchemes"] == {
        "OAuth2PasswordBearer": {
            "type": "oauth2",
            "flows": {"password": {"scopes": {"read": "Read.", "write": "Write."}, "tokenUrl": "token"}},
        },
        "APIKeyHeader": {"type": "apiKey", "in": "header", "name": "x-key"},
    }
    assert document["paths"]["/me"]["get"]["security"] == [
        {"APIKeyHeader": []},
        {"OAuth2PasswordBearer": ["read", "write"]},
    ]


def test_foreign_helpers_of_the_connection(client: ClientFactory) -> None:
    """Its BackgroundTasks, Request and Response are the framework's to give."""
    app, done = Velithon(), list[str]()

    @app.get("/")
    def endpoint(tasks: fastapi.BackgroundTasks, request: fastapi.Request, response: fastapi.Response) -> str:
        tasks.add_task(done.append, "task")
        response.headers["x-path"] = request.url.path
        return "ok"

    answer = client(app).get("/")
    assert (answer.json(), answer.headers["x-path"], done) == ("ok", "/", ["task"])


def test_one_marker_is_one_limit() -> None:
    """A foreign marker that several endpoints share counts their calls together."""
    shared = fastapi.params.Depends(current_user, max_concurrency=2)
    other = fastapi.params.Depends(current_user, max_concurrency=2)

    def first(user: Any = shared) -> None: ...
    def second(user: Any = shared) -> None: ...
    def third(user: Any = other) -> None: ...

    one, two, three = (read_endpoint(call, path="/").dependencies[0] for call in (first, second, third))
    assert one.concurrency is two.concurrency is not None
    assert one.concurrency is not three.concurrency


class Subscription:
    """What an event framework calls its dependency: recognised by its shape."""

    dependency = staticmethod(current_user)
    use_cache = True


class TaskDepends:
    """Recognised by its name."""


class Query:
    """Somebody's class of values, which happens to be called like a marker."""


class _Param:
    """Documentation in Annotated, of a class whose name says nothing."""


def _no_marker(
    query: Annotated[Query, velithon.Depends()],
    path: pathlib.Path = pathlib.Path("a"),
    kind: Annotated[str, _Param()] = "x",
    both: Annotated[str, velithon.Depends(current_user), TaskDepends()] = "",
    request: velithon.Request = TaskDepends(),  # type: ignore[assignment] # as TaskIQ's guide has it
) -> None: ...


def _by_shape(user: str = Subscription()) -> None: ...  # type: ignore[assignment]
def _by_name(user: str = TaskDepends()) -> None: ...  # type: ignore[assignment]
def _as_object(user: object = TaskDepends()) -> None: ...
def _unannotated(user=TaskDepends()) -> None: ...  # type: ignore[no-untyped-def]
def _annotated(user: Annotated[str, TaskDepends()]) -> None: ...
def _annotated_with_default(user: Annotated[str, velithon.Query()] = TaskDepends()) -> None: ...  # type: ignore[assignment]
def _uncalled(user: str = fastapi.Depends) -> None: ...  # type: ignore[assignment]
def _uncalled_ours(user: Annotated[str, velithon.Depends]) -> None: ...
def _inside_a_union(user: Annotated[str, fastapi.Depends(current_user)] | None = None) -> None: ...
def _inside_a_list(user: list[Annotated[str, velithon.Depends(current_user)]]) -> None: ...
def _both(user: Annotated[str, fastapi.Depends(current_user)] = fastapi.Query("x")) -> None: ...


def test_values_are_no_markers() -> None:
    """Values that look like markers, and markers beside ours or where the framework gives the value anyway."""
    assert read_endpoint(_no_marker, path="/").order == ("query", "path", "kind", "both", "request")


@pytest.mark.parametrize(
    "endpoint",
    [
        _by_shape,
        _by_name,
        _as_object,
        _unannotated,
        _annotated,
        _annotated_with_default,
        _uncalled,
        _uncalled_ours,
        _inside_a_union,
        _inside_a_list,
        _both,
    ],
)
def test_a_marker_that_would_be_ignored_is_refused(endpoint: Callable[..., Any]) -> None:
    """The message names the endpoint and the parameter."""
    with pytest.raises(RegistrationError, match=rf"{endpoint.__name__}, parameter 'user': .*(ignored|twice)"):
        Velithon().get("/")(endpoint)


def test_recognising_them_imports_nothing() -> None:
    """FastAPI may be absent: module and name of the class are what counts."""
    script = """
import sys
from dataclasses import dataclass
from typing import Any
from velithon import Velithon, HTTPException
from velithon.testclient import TestClient

@dataclass
class Depends:
    dependency: Any
    use_cache: bool = True
Depends.__module__ = "fastapi.params"

def locked():
    raise HTTPException(401)

def endpoint(user: str = Depends(locked)): ...

app = Velithon()
app.get("/")(endpoint)
assert TestClient(app).get("/?user=root").status_code == 401
assert "fastapi" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_pydantic_model_may_hold_markers() -> None:
    """As settings of packages do, which take dependencies."""

    class Settings(BaseModel):
        dependencies: Sequence[velithon.params.Depends]

    marker = velithon.params.Depends(lambda: 1, max_concurrency=2)
    assert Settings(dependencies=[marker]).dependencies == [marker]
