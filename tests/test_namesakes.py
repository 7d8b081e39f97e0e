"""Every public module of FastAPI has its namesake here, with FastAPI's names in it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest
from starlette import status as starlette_status

from tests.conftest import ClientFactory
from velithon import Request, Velithon, status

MODULES = (
    "applications background concurrency datastructures encoders exception_handlers exceptions openapi openapi.docs "
    "openapi.models openapi.utils param_functions params requests responses routing security security.api_key "
    "security.http security.oauth2 security.open_id_connect_url sse staticfiles templating testclient websockets "
    "middleware middleware.cors middleware.gzip middleware.httpsredirect middleware.trustedhost middleware.wsgi"
).split()

INTERNAL = {
    "applications": {"AppType"},
    "encoders": {"PyExtraColor", "generate_encoders_by_class_tuples"},
    "exceptions": {"RequestErrorModel", "WebSocketErrorModel"},
    "routing": {
        "RouteContext",
        "get_request_handler",
        "get_websocket_app",
        "iter_route_contexts",
        "request_response",
        "run_endpoint_function",
        "serialize_response",
        "websocket_session",
    },
    "datastructures": {"DefaultType"},
    "openapi.utils": {
        "get_fields_from_routes",
        "get_openapi_operation_metadata",
        "get_openapi_operation_request_body",
        "get_openapi_path",
        "generate_operation_id",
        "generate_operation_summary",
    },
}
"""What FastAPI defines without an underscore and documents nowhere."""


def own_names(module: ModuleType) -> set[str]:
    """Return what a module defines itself, or only passes on."""
    passes_on = not any(getattr(value, "__module__", "") == module.__name__ for value in vars(module).values())
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (
            getattr(value, "__module__", "") == module.__name__
            or (passes_on and getattr(value, "__module__", "").startswith("starlette"))
        )
    }


@pytest.mark.parametrize("name", MODULES)
def test_the_namesake_has_fastapis_names(name: str) -> None:
    """Changing the first word of an import is enough."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = importlib.import_module(f"fastapi.{name}")
    ours = importlib.import_module(f"velithon.{name}")
    missing = {found for found in own_names(theirs) if not hasattr(ours, found)}
    assert missing <= INTERNAL.get(name, set())


def test_status_codes_are_starlettes() -> None:
    """All of them, and the deprecated names with their warning."""
    assert {name: getattr(status, name) for name in starlette_status.__all__} == {
        name: getattr(starlette_status, name) for name in starlette_status.__all__
    }
    with pytest.warns(UserWarning, match="HTTP_422_UNPROCESSABLE_CONTENT"):
        assert status.HTTP_422_UNPROCESSABLE_ENTITY == 422
    with pytest.raises(AttributeError):
        _ = status.HTTP_999


def test_templates_and_static_files(client: ClientFactory, tmp_path: Path) -> None:
    """Starlette's, on both faces."""
    from velithon.staticfiles import StaticFiles
    from velithon.templating import Jinja2Templates

    (tmp_path / "page.html").write_text("<p>{{ name }}</p>")
    templates = Jinja2Templates(directory=tmp_path)
    app = Velithon()
    app.mount("/static", StaticFiles(directory=tmp_path))

    @app.get("/{name}")
    async def page(request: Request, name: str):  # type: ignore[no-untyped-def]
        return templates.TemplateResponse(request, "page.html", {"name": name}, status_code=202)

    answer = client(app).get("/me")
    assert (answer.status_code, answer.text) == (202, "<p>me</p>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert client(app).get("/static/page.html").text == "<p>{{ name }}</p>"
    assert client(app).get("/static/none").status_code == 404


def test_templates_without_jinja_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The install command is in the message."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jinja2" else find_spec(name))
    monkeypatch.delitem(sys.modules, "velithon.templating", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'velithon\[templates\]'"):
        importlib.import_module("velithon.templating")
