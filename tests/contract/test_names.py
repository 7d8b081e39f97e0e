"""Where names are imported from, and what their signatures take: what no release may take away."""

import asyncio
import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

import velithon
from velithon import (
    BackgroundTask,
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    File,
    Form,
    Header,
    HTTPException,
    Path,
    Query,
    Router,
    Security,
    Velithon,
    WebSocket,
)
from velithon.di import AsyncFactoryProvider, FactoryProvider, Provider, SingletonProvider
from velithon.middleware.cors import CORSMiddleware
from velithon.openapi.docs import get_redoc_html, get_swagger_ui_html
from velithon.openapi.utils import get_openapi
from velithon.responses import FileResponse, JSONResponse, RedirectResponse, StreamingResponse
from velithon.testclient import TestClient

NAMES = {
    "velithon": "APIRouter BackgroundTask BackgroundTasks Body Cookie Depends File Form Header HTTPException Path Query"
    " Request Response Router Security UploadFile Velithon WebSocket WebSocketDisconnect WebSocketException status",
    "velithon.background": "BackgroundTask BackgroundTasks",
    "velithon.concurrency": "run_in_threadpool",
    "velithon.datastructures": "Headers Protocol Scope UploadFile",
    "velithon.di": "AsyncFactoryProvider FactoryProvider Provide ServiceContainer SingletonProvider inject",
    "velithon.encoders": "jsonable_encoder",
    "velithon.endpoint": "HTTPEndpoint",
    "velithon.exceptions": "HTTPException RequestValidationError WebSocketException",
    "velithon.middleware": "Middleware",
    "velithon.middleware.base": "BaseHTTPMiddleware",
    "velithon.middleware.cors": "CORSMiddleware",
    "velithon.middleware.gzip": "GZipMiddleware",
    "velithon.middleware.httpsredirect": "HTTPSRedirectMiddleware",
    "velithon.middleware.logging": "LoggingMiddleware",
    "velithon.middleware.trustedhost": "TrustedHostMiddleware",
    "velithon.openapi.docs": "get_redoc_html get_swagger_ui_html",
    "velithon.openapi.utils": "get_openapi",
    "velithon.params": "Body Cookie File Form Header Path Query",
    "velithon.requests": "Request",
    "velithon.responses": "FileResponse HTMLResponse JSONResponse PlainTextResponse RedirectResponse Response"
    " StreamingResponse",
    "velithon.routing": "APIRoute APIRouter Router",
    "velithon.security": "APIKeyCookie APIKeyHeader APIKeyQuery HTTPAuthorizationCredentials HTTPBasic"
    " HTTPBasicCredentials HTTPBearer OAuth2PasswordBearer OAuth2PasswordRequestForm SecurityScopes",
    "velithon.staticfiles": "StaticFiles",
    "velithon.templating": "Jinja2Templates",
    "velithon.testclient": "TestClient",
    "velithon.websocket": "WebSocket WebSocketDisconnect WebSocketEndpoint",
}

SIGNATURES: list[tuple[Callable[..., Any], str]] = [
    (Velithon, "debug routes middleware exception_handlers lifespan on_startup on_shutdown title description version"),
    (Velithon, "openapi_url docs_url redoc_url terms_of_service contact license_info servers openapi_tags root_path"),
    (Velithon.add_route, "path methods summary description tags"),
    (Velithon.add_websocket_route, "path"),
    (Velithon.add_exception_handler, "exc_class_or_status_code handler"),
    (Velithon.add_middleware, "middleware_class"),
    (Velithon.include_router, "router prefix tags dependencies responses"),
    (Velithon.register_container, "container"),
    (Router, "prefix tags dependencies responses"),
    (HTTPException, "status_code detail headers"),
    (BackgroundTasks, "tasks max_concurrent"),
    (BackgroundTasks.__call__, "continue_on_error"),
    (JSONResponse, "content status_code headers media_type background"),
    (StreamingResponse, "content status_code headers media_type background"),
    (RedirectResponse, "url status_code headers background"),
    (Query, "default alias title description min_length max_length pattern ge gt le lt deprecated examples"),
    (Path, "default title description ge le"),
    (Header, "default alias convert_underscores"),
    (Cookie, "default alias"),
    (Body, "default embed media_type examples"),
    (Form, "default max_length"),
    (File, "default description"),
    (Depends, "dependency use_cache"),
    (Security, "dependency scopes"),
    (CORSMiddleware, "app allow_origins allow_methods allow_headers allow_credentials expose_headers max_age"),
    (WebSocket.accept, "subprotocol headers"),
    (WebSocket.close, "code reason"),
    (get_openapi, "title version description routes"),
    (get_swagger_ui_html, "openapi_url title swagger_js_url swagger_css_url"),
    (get_redoc_html, "openapi_url title redoc_js_url"),
    (TestClient, "app base_url raise_server_exceptions"),
]


@pytest.mark.parametrize("module", NAMES)
def test_names_are_imported_from_where_they_always_were(module: str) -> None:
    """Each is there, and is exported."""
    found = import_module(module)
    for name in NAMES[module].split():
        assert getattr(found, name) is not None
        assert name in found.__all__


@pytest.mark.parametrize(("function", "names"), SIGNATURES, ids=lambda value: getattr(value, "__qualname__", ""))
def test_signatures_keep_their_parameters(function: Callable[..., Any], names: str) -> None:
    """By their names; what is passed on as options is taken by name too."""
    parameters = inspect.signature(function).parameters
    missing = set(names.split()) - set(parameters)
    assert missing == set() or missing <= set(option_names(parameters)), missing


def option_names(parameters: Any) -> set[str]:
    """Return what a `**options: Unpack[SomeOptions]` takes."""
    from velithon.params import ParamOptions
    from velithon.routing.options import AppOptions, RouteOptions, SharedOptions

    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return set()
    known = (AppOptions, RouteOptions, SharedOptions, ParamOptions)
    return {name for options in known for name in options.__annotations__} | {"prefix"}


def test_positions_that_calls_rely_on() -> None:
    """An exception takes status and detail, a task its function and arguments, a provider its factory."""
    error = HTTPException(404, "Not here.")
    assert (error.status_code, error.detail) == (404, "Not here.")
    task = BackgroundTask(print, 1, sep="-")
    assert (task.func, task.args, task.kwargs) == (print, (1,), {"sep": "-"})
    asyncio.run(task())  # one that never runs warns
    tasks = BackgroundTasks(max_concurrent=2)
    tasks.add_task(print, 1, sep="-")
    assert len(tasks.tasks) == 1
    providers: list[Provider[Any]] = [
        SingletonProvider(dict, a=1),
        FactoryProvider(dict, a=1),
        AsyncFactoryProvider(make, value=1),
    ]
    assert [asyncio.run(provider.resolve()) for provider in providers] == [{"a": 1}, {"a": 1}, 1]
    file = FileResponse("a.txt", headers={"x": "y"}, media_type="text/x", filename="b.txt", background=None)
    assert (file.headers["x"], file.headers["content-type"]) == ("y", "text/x; charset=utf-8")
    asyncio.run(tasks())


async def make(value: int) -> int:
    """Make something."""
    return value


def test_one_class_has_two_names() -> None:
    """FastAPI's name for the router is ours too."""
    assert velithon.APIRouter is velithon.Router
