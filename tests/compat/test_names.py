"""What FastAPI has can be imported here and called with the same arguments; what is missing is listed, and why."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import fastapi
import pytest

import velithon
from velithon import params as velithon_params
from velithon import routing
from velithon.middleware.asyncexitstack import AsyncExitStackMiddleware
from velithon.routing import options as velithon_options
from velithon.testclient import TestClient

NO_NAMESAKE = {
    "_body_limit": "private",
    "_compat": "private",
    "_form_limits": "private",
    "__main__": "`python -m velithon` is there",
    "cli": "the `velithon` command is another one",
    "dependencies": "how FastAPI resolves dependencies; the model of a route is `route.model`",
    "telemetry": "its settings are `velithon.telemetry.TelemetryConfig`",
}


def modules() -> list[str]:
    """Return the names of FastAPI's modules below the package."""
    found = [module.name.removeprefix("fastapi.") for module in pkgutil.walk_packages(fastapi.__path__, "fastapi.")]
    return [name for name in found if not any(name == no or name.startswith(f"{no}.") for no in NO_NAMESAKE)]


@pytest.mark.parametrize("name", modules())
def test_modules(name: str) -> None:
    """Every public module has its namesake."""
    importlib.import_module(f"velithon.{name}")


PUBLIC = [
    ("", "BackgroundTasks Depends Body Cookie File Form Header HTTPException Path Query Request Response Security"),
    ("", "UploadFile WebSocket WebSocketDisconnect WebSocketException APIRouter status"),
    ("types", "DecoratedCallable IncEx UnionType ModelNameMap DependencyCacheKey"),
    ("utils", "generate_unique_id is_body_allowed_for_status_code get_value_or_default deep_dict_update"),
    ("utils", "get_path_param_names"),
    ("logger", "logger"),
    ("openapi.utils", "get_openapi"),
    ("routing", "APIRoute APIRouter APIWebSocketRoute Mount RouteContext iter_route_contexts"),
    ("applications", "FastAPI"),
]


@pytest.mark.parametrize(("module", "names"), PUBLIC)
def test_names(module: str, names: str) -> None:
    """What is imported by name is there under that name; the application has its own."""
    ours = importlib.import_module(f"velithon.{module}".rstrip("."))
    theirs = importlib.import_module(f"fastapi.{module}".rstrip("."))
    for name in names.split():
        assert hasattr(theirs, name)
        assert hasattr(ours, name.replace("FastAPI", "Velithon"))


def accepted(function: Callable[..., Any]) -> set[str]:
    """Return the names of the arguments, those of `**options: Unpack[...]` among them."""
    names: set[str] = set()
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is not parameter.VAR_KEYWORD:
            names.add(name)
        elif "Unpack" in str(parameter.annotation):
            options = str(parameter.annotation).rpartition("Unpack[")[2].rstrip("]").rpartition(".")[2]
            holder: Any = next(place for place in (velithon_options, velithon_params) if hasattr(place, options))
            names |= set(get_type_hints_of(getattr(holder, options)))
    return names


def get_type_hints_of(options: Any) -> frozenset[str]:
    """Return the keys of a TypedDict."""
    return frozenset(options.__optional_keys__ | options.__required_keys__)


NOT_TAKEN = {
    "UJSONResponse": {"args", "kwargs"},
    "ORJSONResponse": {"args", "kwargs"},
}
"""Positional everywhere, or the framework's own business."""


def methods(cls: type, kind: str) -> list[tuple[str, str]]:
    return [(kind, name) for name in dir(cls) if not name.startswith("_") and callable(getattr(cls, name))]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("Velithon", "__init__"), ("APIRouter", "__init__")]
    + methods(fastapi.FastAPI, "Velithon")
    + methods(fastapi.APIRouter, "APIRouter"),
)
def test_methods_take_the_same_arguments(kind: str, name: str) -> None:
    """Of applications and routers."""
    theirs = fastapi.FastAPI if kind == "Velithon" else fastapi.APIRouter
    ours = getattr(velithon, kind)
    missing = accepted(getattr(theirs, name)) - accepted(getattr(ours, name))
    assert missing <= NOT_TAKEN.get(f"{kind}.{name}", set()) | {"args", "kwargs"}


FUNCTIONS = [
    (module, name)
    for module, names in {
        "": "Body Cookie Depends File Form Header Path Query Security HTTPException WebSocketException UploadFile",
        "routing": "APIRoute APIWebSocketRoute",
        "encoders": "jsonable_encoder",
        "sse": "EventSourceResponse ServerSentEvent format_sse_event",
        "openapi.utils": "get_openapi",
        "openapi.docs": "get_swagger_ui_html get_redoc_html get_swagger_ui_oauth2_redirect_html",
        "security": "APIKeyCookie APIKeyHeader APIKeyQuery HTTPBasic HTTPBearer HTTPDigest OAuth2 SecurityScopes"
        " OAuth2AuthorizationCodeBearer OAuth2PasswordBearer OAuth2PasswordRequestForm OpenIdConnect"
        " OAuth2PasswordRequestFormStrict",
        "exceptions": "RequestValidationError ResponseValidationError WebSocketRequestValidationError",
        "responses": "UJSONResponse ORJSONResponse",
    }.items()
    for name in names.split()
]


@pytest.mark.parametrize(("module", "name"), FUNCTIONS)
def test_functions_and_classes_take_the_same_arguments(module: str, name: str) -> None:
    """By keyword, and by position as far as FastAPI takes them by position."""
    ours = getattr(importlib.import_module(f"velithon.{module}".rstrip(".")), name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(importlib.import_module(f"fastapi.{module}".rstrip(".")), name)
    assert accepted(theirs) - accepted(ours) <= NOT_TAKEN.get(name, set())
    expected, found = positional(theirs), positional(ours)
    assert found[: len(expected)] == expected


def positional(function: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]


def test_what_applications_routers_and_routes_know() -> None:
    """Attributes that packages read."""
    theirs, ours = fastapi.FastAPI(), velithon.Velithon()
    for app in (theirs, ours):
        app.get("/")(lambda: 1)
        app.websocket("/ws")(lambda websocket: None)
    assert public(theirs) - public(ours) == set()
    assert public(theirs.router) - public(ours.router) == set()
    assert public(theirs.routes[-2]) - public(ours.routes[-2]) == set()
    assert public(theirs.routes[-1]) - public(ours.routes[-1]) == set()
    assert ours.extra == {}  # of earlier versions


def test_fields_of_routes() -> None:
    """The models of a route are fields with a name, an annotation and pydantic's `field_info`."""
    app = velithon.Velithon()

    @app.post("/", responses={404: {"model": dict[str, str]}})
    def endpoint(item: dict[str, int]) -> list[str]:
        return list(item)

    @app.get("/stream")
    def stream() -> Iterator[int]:
        yield 1

    route, streamed = app.routes[-2:]
    assert isinstance(route, routing.APIRoute)
    assert isinstance(streamed, routing.APIRoute)
    assert route.body_field is not None
    assert route.body_field.field_info.annotation == dict[str, int]
    assert route.response_field is not None
    assert route.response_field.annotation == list[str]
    assert {status: field.annotation for status, field in route.response_fields.items()} == {404: dict[str, str]}
    assert route.dependency_overrides_provider is app
    assert (route.is_json_stream, streamed.is_json_stream, streamed.is_sse_stream) == (False, True, False)
    assert streamed.stream_item_field is not None
    assert streamed.stream_item_field.annotation is int


def test_overrides_of_a_route_made_by_hand() -> None:
    """The application that a route is told counts, where no router has told it one."""
    app = velithon.Velithon()

    def needed() -> str:
        return "needed"

    def endpoint(value: str = velithon.Depends(needed)) -> str:
        return value

    app.dependency_overrides[needed] = lambda: "overridden"
    route = routing.APIRoute("/", endpoint, dependency_overrides_provider=app)
    assert TestClient(velithon.Router([route])).get("/").json() == "overridden"


@pytest.mark.anyio
async def test_the_exit_stack_of_a_request() -> None:
    """What a package pushes to it is closed when the request is answered."""
    closed: list[str] = []

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        scope["fastapi_middleware_astack"].callback(closed.append, "x")
        assert closed == []

    await AsyncExitStackMiddleware(inside)({"type": "http"}, None, None)  # type: ignore[arg-type] # neither is called
    assert closed == ["x"]


def public(item: object) -> set[str]:
    return {name for name in dir(item) if not name.startswith("_")}


def test_the_overriding_route_class() -> None:
    """One route of a router may have a class of its own."""

    class Own(routing.APIRoute):
        pass

    router = velithon.APIRouter()
    router.add_api_route("/", lambda: 1, route_class_override=Own)
    assert type(router.routes[0]) is Own
