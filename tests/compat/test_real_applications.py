"""What whole applications written for FastAPI do at their start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastapi
import fastapi.dependencies.utils
import pytest

import velithon
from tests.conftest import ClientFactory
from velithon import (
    Body,
    Depends,
    File,
    Form,
    HTTPException,
    Request,
    Response,
    Router,
    UploadFile,
    Velithon,
    WebSocket,
    WebSocketDisconnect,
)
from velithon.compat.dependencies import get_parameterless_sub_dependant
from velithon.endpoint import HTTPEndpoint
from velithon.exceptions import RegistrationError
from velithon.openapi.models import HTTPBase
from velithon.openapi.utils import validation_error_response_definition
from velithon.security.base import SecurityBase


@pytest.mark.parametrize(
    ("variables", "warned"),
    [
        ({"FASTAPI_ENV": "development"}, True),
        ({"VELITHON_ENV": "development"}, True),
        ({"VELITHON_ENV": "production", "FASTAPI_ENV": "development"}, False),
        ({}, False),
    ],
)
def test_a_frontend_that_is_not_built_yet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], warned: bool
) -> None:
    """It is a warning while somebody develops, by either variable; the error names the way out."""
    for name in ("VELITHON_ENV", "FASTAPI_ENV"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    app = Velithon()
    if warned:
        with pytest.warns(UserWarning, match="does not exist"):
            app.frontend("/", directory=tmp_path / "dist")
    else:
        with pytest.raises(RuntimeError, match="Build the frontend first, .*VELITHON_ENV=development.*check_dir=False"):
            app.frontend("/", directory=tmp_path / "dist")


def test_a_function_that_makes_ids_of_tags_is_asked_for_routes_with_tags(client: ClientFactory, tmp_path: Path) -> None:
    """Neither for frontends nor for functions that `add_route` adds, which FastAPI does not document."""

    class Page(HTTPEndpoint):
        def get(self) -> str:
            return "page"

    app = Velithon(generate_unique_id_function=lambda route: f"{route.tags[0]}-{route.name}")
    app.get("/items", tags=["items"])(list)
    app.frontend("/", directory=tmp_path)
    app.add_route("/page", Page, tags=["pages"])
    app.route("/plain")(lambda request: Response("plain"))
    app.add_route("/own", lambda request: Response("own"), generate_unique_id_function=lambda route: "own")
    http = client(app)
    assert [http.get(path).text for path in ("/page", "/plain", "/own")] == ['"page"', "plain", "own"]
    ids = [next(iter(item.values()))["operationId"] for item in http.get("/openapi.json").json()["paths"].values()]
    assert ids == ["items-list", "pages-Page", "_lambda__plain_get", "own"]


class ByClass(SecurityBase):
    """A scheme described by attributes of its class, without `__init__`."""

    model: Any = HTTPBase(scheme="token")
    scheme_name = "by class"

    async def __call__(self, request: Request) -> str:
        """Return the credentials."""
        return request.headers.get("authorization", "none")


class Inherited(ByClass):
    """The name comes with the rest."""


class ByInit(SecurityBase):
    """A scheme whose `__init__` does not call the one above."""

    def __init__(self) -> None:
        self.model: Any = HTTPBase(scheme="token")

    def __call__(self, request: Request) -> str:
        """Return the credentials."""
        return request.headers.get("authorization", "none")


@pytest.mark.parametrize(("scheme", "name"), [(ByClass, "by class"), (Inherited, "by class"), (ByInit, "ByInit")])
def test_a_security_scheme_of_ones_own(client: ClientFactory, scheme: Any, name: str) -> None:
    """FastAPI's base has no `__init__`: a subclass says by attributes what it is."""
    app = Velithon()

    @app.get("/")
    def show(credentials: str = Depends(scheme())) -> str:
        return credentials

    http = client(app)
    assert http.get("/", headers={"authorization": "Token 1"}).json() == "Token 1"
    schemes = http.get("/openapi.json").json()["components"]["securitySchemes"]
    assert schemes == {name: {"type": "http", "scheme": "token"}}


def test_a_security_scheme_without_a_description_is_named(client: ClientFactory) -> None:
    """It works; a document cannot tell of it."""

    class Bare(SecurityBase):
        def __call__(self) -> str:
            return "bare"

    app = Velithon()

    @app.get("/")
    def show(credentials: str = Depends(Bare())) -> str:
        return credentials

    assert client(app).get("/").json() == "bare"
    with pytest.raises(RegistrationError, match=r"Bare: A security scheme says in `model`"):
        app.openapi()


def no_entry() -> None:
    """Let nobody in."""
    raise HTTPException(401)


def by_dependencies(route: Any) -> None:
    """Our way."""
    route.dependencies.insert(0, Depends(no_entry))


def by_dependant(route: Any) -> None:
    """As titiler does it."""
    depends = Depends(no_entry)
    found = get_parameterless_sub_dependant(depends=depends, path=route.path_format)
    route.dependant.dependencies.insert(0, found)
    route.dependencies.extend([depends])


def by_assignment(route: Any) -> None:
    """As stac-fastapi does it, with FastAPI's own functions."""
    made = fastapi.dependencies.utils.get_parameterless_sub_dependant(
        depends=fastapi.Security(no_entry, scopes=["read"]), path=route.path_format
    )
    route.dependant.dependencies = [made, *route.dependant.dependencies]


@pytest.mark.parametrize("guard", [by_dependencies, by_dependant, by_assignment])
@pytest.mark.parametrize("late", [True, False])
def test_dependencies_are_added_to_routes_that_exist(client: ClientFactory, guard: Any, late: bool) -> None:
    """They count from the next request on, for WebSockets and class endpoints too, and in what is included later."""

    class Page(HTTPEndpoint):
        def get(self) -> str:
            return "page"

    app, router, calls = Velithon(), Router(), list[str]()
    router.get("/plain")(lambda: "plain")
    router.get("/with", dependencies=[Depends(lambda: calls.append("own"))])(lambda q=1: "with")
    router.add_route("/class", Page)

    @router.websocket("/ws")
    async def chat(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    if not late:
        app.include_router(router)
    http = client(app)
    assert [http.get(path).status_code for path in ("/plain", "/with", "/class")] == [404 if late else 200] * 3
    for route in router.routes if late else app.routes:
        if getattr(route, "path", "") in ("/plain", "/with", "/class", "/ws"):
            guard(route)
    if late:
        app.include_router(router)
    assert [http.get(path).status_code for path in ("/plain", "/with", "/class")] == [401] * 3
    with pytest.raises(WebSocketDisconnect), http.websocket_connect("/ws"):
        pass
    assert calls == ([] if late else ["own"])


def test_what_cannot_be_done_with_a_dependant_is_said() -> None:
    """Whatever is not understood would leave a route unguarded."""
    app = Velithon()
    app.get("/", dependencies=[Depends(no_entry)])(lambda: 1)
    route: Any = app.routes[-1]
    with pytest.raises(RegistrationError, match=r"add Depends\(\.\.\.\) to route.dependencies"):
        route.dependant.dependencies.append(no_entry)
    with pytest.raises(RegistrationError, match="cannot be taken out"):
        route.dependant.dependencies.clear()
    assert route.dependant.call is route.endpoint
    app.mount("/static", app)
    assert not hasattr(app.routes[-1], "dependant")


def test_applications_that_are_routes_stay_behind_dependencies(client: ClientFactory) -> None:
    """Of the application, the router and the route; the application of another framework is called after them."""

    class Theirs:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await Response("theirs")(scope, receive, send)

    app = Velithon()
    router = Router(dependencies=[Depends(no_entry)])
    router.add_route("/in", Theirs())
    app.add_route("/route", Theirs(), dependencies=[Depends(no_entry)])
    app.add_route("/open", Theirs())
    app.include_router(router)
    http = client(app)
    assert [http.get(path).status_code for path in ("/in", "/route", "/open")] == [401, 401, 200]


def test_a_dependency_stands_around_an_application(client: ClientFactory) -> None:
    """Its exit runs once the application has answered."""
    app, events = Velithon(), list[str]()

    def around() -> Iterator[None]:
        events.append("enter")
        yield
        events.append("exit")

    async def theirs(scope: Any, receive: Any, send: Any) -> None:
        events.append("theirs")
        await Response("theirs")(scope, receive, send)

    app.add_route("/", _Application(theirs), dependencies=[Depends(around)])
    answer = client(app).get("/")
    assert (answer.text, events) == ("theirs", ["enter", "theirs", "exit"])


class _Application:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def test_fastapis_schemas_of_errors_are_changed_where_packages_change_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are the very objects that documents hold."""
    monkeypatch.setitem(validation_error_response_definition, "properties", {"message": {"type": "string"}})
    app = Velithon()
    app.get("/{item}")(lambda item: item)
    assert app.openapi()["components"]["schemas"]["HTTPValidationError"]["properties"] == {
        "message": {"type": "string"}
    }


def test_the_name_fastapi_is_there() -> None:
    """`from velithon import FastAPI`: what a replaced import of a module finds."""
    assert velithon.FastAPI is velithon.Velithon


def test_an_override_may_read_a_body_that_nobody_read_before(client: ClientFactory) -> None:
    """A form, a file or JSON; what the route itself reads goes on being read."""

    def plain() -> str:
        return "plain"

    def form(name: str = Form()) -> str:
        return name

    def upload(file: UploadFile = File()) -> str:
        return str(file.filename)

    def document(text: str = Body(embed=True)) -> str:
        return text

    app = Velithon()

    @app.post("/")
    def show(value: str = Depends(plain)) -> str:
        return value

    @app.post("/form")
    def show_both(own: str = Form(), value: str = Depends(plain)) -> list[str]:
        return [own, value]

    http = client(app)
    assert http.post("/").json() == "plain"
    app.dependency_overrides[plain] = form
    assert http.post("/", data={"name": "given"}).json() == "given"
    assert http.post("/").status_code == 422
    assert http.post("/form", data={"name": "given", "own": "mine"}).json() == ["mine", "given"]
    app.dependency_overrides[plain] = upload
    assert http.post("/", files={"file": ("a.txt", b"x")}).json() == "a.txt"
    app.dependency_overrides[plain] = document
    assert http.post("/", json={"text": "given"}).json() == "given"
    app.dependency_overrides.clear()
    assert http.post("/").json() == "plain"
