"""What each feature adds to a request: small applications that differ from the plainest one by that feature alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

from benchmarks.apps import common
from benchmarks.apps.models import Item
from benchmarks.core.cases import BODY, Case
from velithon import BackgroundTasks, Cookie, Depends, Header, Request, Response, Velithon
from velithon.di import FactoryProvider, Provide, ServiceContainer, SingletonProvider
from velithon.health import Health
from velithon.metrics import Metrics
from velithon.middleware.cors import CORSMiddleware
from velithon.middleware.gzip import GZipMiddleware
from velithon.middleware.logging import LoggingMiddleware
from velithon.middleware.overload import ConcurrencyLimitMiddleware, TimeoutMiddleware
from velithon.middleware.request_id import RequestIDMiddleware
from velithon.middleware.security_headers import SecurityHeadersMiddleware
from velithon.middleware.timing import TimingMiddleware
from velithon.middleware.trustedhost import TrustedHostMiddleware
from velithon.responses import JSONResponse, StreamingResponse
from velithon.telemetry import Telemetry

__all__ = ["FEATURES", "PLAIN", "Feature"]


@dataclass(frozen=True)
class Feature:
    """An application and a request to it.

    Args:
        name: In the table.
        endpoint: Added as a route; ignored where `make` is given.
        path: Of the route.
        target: Of the request; the route's path by default.
        make: Returns the application, from one that has no documents.
        case: Further arguments of the request, as `Case` takes them.
    """

    name: str
    endpoint: Callable[..., Any]
    path: str = "/"
    target: str | None = None
    make: Callable[[Velithon], object] | None = None
    case: dict[str, Any] = field(default_factory=dict)

    def application(self) -> Velithon:
        """Return the application."""
        app = Velithon(openapi_url=None)
        app.add_api_route(self.path, self.endpoint, methods=[self.case.get("method", "GET")])
        if self.make is not None:
            self.make(app)
        return app

    def request(self) -> Case:
        """Return the request; what it is answered with is not compared."""
        return Case(self.name, self.target or self.path, None, **self.case)


async def plain() -> Any:
    return common.HELLO


async def own_response() -> JSONResponse:
    return JSONResponse(common.HELLO)


def threaded() -> Any:
    return common.HELLO


async def text_path(item_id: str) -> Any:
    return common.HELLO


async def whole_path(item_id: int) -> Any:
    return common.HELLO


async def one_query(q: str) -> Any:
    return common.HELLO


async def two_queries(q: str, n: int = 1) -> Any:
    return common.HELLO


async def query_list(q: Annotated[list[int], "repeated"] = []) -> Any:  # noqa: B006 - never changed
    return common.HELLO


async def header(x_token: Annotated[str, Header()]) -> Any:
    return common.HELLO


async def cookie(session: Annotated[str, Cookie()]) -> Any:
    return common.HELLO


async def annotated() -> dict[str, str]:
    return common.HELLO


async def body(item: Item) -> Any:
    return common.HELLO


async def body_and_result(item: Item) -> Item:
    return item


async def asks_request(request: Request) -> Any:
    return common.HELLO


async def asks_response(response: Response) -> Any:
    response.headers["x-one"] = "1"
    return common.HELLO


async def work() -> None:
    return None


async def asks_tasks(tasks: BackgroundTasks) -> Any:
    tasks.add_task(work)
    return common.HELLO


async def first() -> str:
    return "first"


async def second(given: Annotated[str, Depends(first)]) -> str:
    return given


async def opened() -> AsyncIterator[str]:
    yield "opened"


def blocking() -> str:
    return "blocking"


async def one_dependency(one: Annotated[str, Depends(first)]) -> Any:
    return common.HELLO


async def two_dependencies(two: Annotated[str, Depends(second)]) -> Any:
    return common.HELLO


async def generator_dependency(one: Annotated[str, Depends(opened)]) -> Any:
    return common.HELLO


async def early_exit(one: Annotated[str, Depends(opened, scope="function")]) -> Any:
    return common.HELLO


async def app_dependency(one: Annotated[str, Depends(first, scope="app")]) -> Any:
    return common.HELLO


async def sync_dependency(one: Annotated[str, Depends(blocking)]) -> Any:
    return common.HELLO


class Container(ServiceContainer):
    """The services."""

    settings = SingletonProvider(common.Settings)
    repository = FactoryProvider(common.Repository, settings=settings)
    service = FactoryProvider(common.Service, repository=repository)


container = Container()


async def singleton(given: common.Settings = Provide[container.settings]) -> Any:
    return common.HELLO


async def chain(given: common.Service = Provide[container.service]) -> Any:
    return common.HELLO


async def one_chunk() -> AsyncIterator[bytes]:
    yield common.CHUNK


async def stream() -> StreamingResponse:
    return StreamingResponse(one_chunk())


async def function(request: Request, call_next: Callable[[Request], Awaitable[Any]]) -> Any:
    return await call_next(request)


class ASGILayer:
    """A layer of the Starlette kind."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class RSGILayer:
    """A layer of the guide's kind."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, protocol: Any) -> None:
        await self.app(scope, protocol)


def _layer(name: str, cls: Any, headers: dict[str, str] | None = None, **options: Any) -> Feature:
    return Feature(name, plain, make=lambda app: app.add_middleware(cls, **options), case={"headers": headers or {}})


def _functions(count: int) -> Callable[[Velithon], None]:
    def make(app: Velithon) -> None:
        for _ in range(count):
            app.middleware("http")(function)

    return make


def _logged(app: Velithon) -> None:
    common.access_logger("velithon.access")
    app.add_middleware(LoggingMiddleware)


def _measured(app: Velithon) -> None:
    Metrics(registry=CollectorRegistry()).install(app)


def _not_traced(app: Velithon) -> None:
    """Leave it to the application, which finds OpenTelemetry loaded and no provider."""


def _traced(app: Velithon) -> None:
    app._telemetry = Telemetry({"tracer_provider": TracerProvider(), "metrics": False, "logs": False})


def _sampled_out(app: Velithon) -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF)
    app._telemetry = Telemetry({"tracer_provider": provider, "metrics": False, "logs": False})


_JSON = {"method": "POST", "body": BODY, "headers": {"content-type": "application/json"}}

PLAIN = Feature("an async endpoint that returns a dict", plain)
FEATURES = (
    Feature("it returns a JSONResponse instead", own_response),
    Feature("its return annotation is validated: dict[str, str]", annotated),
    Feature("it is a sync function, run in a thread", threaded, case={"waits": True}),
    Feature("a path parameter, str", text_path, "/items/{item_id}", "/items/3"),
    Feature("a path parameter, int", whole_path, "/items/{item_id}", "/items/3"),
    Feature("a query parameter, str", one_query, "/", "/?q=a"),
    Feature("two query parameters, str and int", two_queries, "/", "/?q=a&n=2"),
    Feature("a query parameter, list[int]", query_list, "/", "/?q=1&q=2"),
    Feature("a header", header, case={"headers": {"x-token": "a"}}),
    Feature("a cookie", cookie, case={"headers": {"cookie": "session=a"}}),
    Feature("a pydantic body", body, case=_JSON),
    Feature("a pydantic body, and the same model out", body_and_result, case=_JSON),
    Feature("the Request", asks_request),
    Feature("the Response, a header set", asks_response),
    Feature("BackgroundTasks, one task run", asks_tasks, case={"waits": True}),
    Feature("an async dependency", one_dependency),
    Feature("two async dependencies in a chain", two_dependencies),
    Feature("a generator dependency", generator_dependency),
    Feature('a generator dependency, scope="function"', early_exit),
    Feature('a dependency, scope="app"', app_dependency),
    Feature("a sync dependency, run in a thread", sync_dependency, case={"waits": True}),
    Feature("Provide: a singleton", singleton),
    Feature("Provide: two factories over a singleton", chain),
    Feature("StreamingResponse, one chunk", stream, case={"waits": True}),
    Feature("one http function middleware", plain, make=_functions(1)),
    Feature("two http function middlewares", plain, make=_functions(2)),
    _layer("CORS, no Origin in the request", CORSMiddleware, allow_origins=[common.ORIGIN]),
    _layer("CORS, an allowed Origin", CORSMiddleware, {"origin": common.ORIGIN}, allow_origins=[common.ORIGIN]),
    Feature("metrics for Prometheus", plain, make=_measured),
    Feature("telemetry, no provider set", plain, make=_not_traced),
    Feature("telemetry, a span for each request", plain, make=_traced),
    Feature("telemetry, sampled out", plain, make=_sampled_out),
    Feature("health endpoints beside it", plain, make=lambda app: Health().install(app)),
    _layer("Timeout, of the request", TimeoutMiddleware, request=30),
    _layer("ConcurrencyLimit", ConcurrencyLimitMiddleware, max_requests=100),
    _layer("RequestID", RequestIDMiddleware),
    _layer("Timing", TimingMiddleware),
    _layer("TrustedHost", TrustedHostMiddleware, allowed_hosts=["127.0.0.1"]),
    _layer("SecurityHeaders", SecurityHeadersMiddleware),
    _layer("GZip, a body too small for it", GZipMiddleware, {"accept-encoding": "gzip"}),
    Feature("Logging, text to a file", plain, make=_logged),
    _layer("an ASGI layer", ASGILayer),
    _layer("an RSGI layer", RSGILayer),
    Feature("a path that nobody answers (404)", plain, target="/nowhere", case={"status": 404}),
    Feature("a query parameter that is missing (422)", one_query, case={"status": 422}),
)
