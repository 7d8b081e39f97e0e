"""What whole applications written for FastAPI do at their start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ClientFactory
from velithon import Depends, Request, Response, Velithon
from velithon.endpoint import HTTPEndpoint
from velithon.exceptions import RegistrationError
from velithon.openapi.models import HTTPBase
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
