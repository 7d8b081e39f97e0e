"""What Prometheus is told of an application, read by prometheus-client's own parser."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics import parser
from prometheus_client.parser import text_string_to_metric_families as read_text
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse as StarletteText
from starlette.routing import Route as StarletteRoute

from tests.conftest import ClientFactory
from velithon import BackgroundTasks, Velithon, WebSocket, WebSocketDisconnect
from velithon.metrics import Metrics
from velithon.responses import StreamingResponse

# It is not annotated.
read_openmetrics: Any = parser.text_string_to_metric_families

Sample = tuple[str, frozenset[tuple[str, str]]]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def samples(http: Any, path: str = "/metrics") -> dict[Sample, float]:
    """Scrape, and return every sample by its name and labels."""
    answer = http.get(path)
    assert answer.status_code == 200
    families = read_text(answer.text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(found: dict[Sample, float], name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


def application(metrics: Metrics) -> Velithon:
    app = Velithon()

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> Any:
        return {"id": item_id}

    @app.post("/items")
    async def create(body: dict[str, Any]) -> Any:
        return body

    @app.get("/error")
    async def error() -> None:
        raise ZeroDivisionError

    @app.get("/stream")
    async def stream() -> Any:
        async def chunks() -> Any:
            yield b"x" * 400
            yield b"x" * 400

        return StreamingResponse(chunks())

    @app.websocket("/rooms/{room}")
    async def room(websocket: WebSocket, room: str) -> None:
        await websocket.accept()
        try:
            while True:
                await websocket.send_text(await websocket.receive_text())
        except WebSocketDisconnect:
            pass

    inner = Velithon()

    @inner.get("/users/{name}")
    async def user(name: str) -> Any:
        return name

    app.mount("/tenants/{tenant}", inner)
    app.mount("/old", Starlette(routes=[StarletteRoute("/page/{number}", lambda request: StarletteText("page"))]))
    metrics.install(app)
    return app


def test_requests_are_counted_by_template(client: ClientFactory, registry: CollectorRegistry) -> None:
    app = application(Metrics(registry=registry))
    with client(app, raise_server_exceptions=False) as http:
        for number in range(3):
            http.get(f"/items/{number}")
        http.get("/items/none")
        http.get("/nowhere/at/all")
        http.get("/error")
        http.request("BREW", "/items/1")
        http.get("/tenants/acme/users/ann")
        http.get("/old/page/7")
        found = samples(http)
    total = "http_requests_total"
    assert value(found, total, method="GET", route="/items/{item_id}", status="200") == 3
    assert value(found, total, method="GET", route="/items/{item_id}", status="422") == 1
    assert value(found, total, method="GET", route="unmatched", status="404") == 1
    assert value(found, total, method="GET", route="/error", status="500") == 1
    assert value(found, total, method="other", route="/items/{item_id}", status="405") == 1
    assert value(found, total, method="GET", route="/tenants/{tenant}/users/{name}", status="200") == 1
    assert value(found, total, method="GET", route="/old/page/{number}", status="200") == 1
    assert value(found, "http_requests_in_flight") == 0
    assert not any("metrics" in str(labels) for _, labels in found), "the endpoint counts itself"


def of_requests(http: Any) -> int:
    """Return how many series there are about requests; those of jobs appear with whoever uses jobs in this process."""
    return sum(name.startswith("http_") for name, _ in samples(http))


def test_no_path_becomes_a_label(client: ClientFactory, registry: CollectorRegistry) -> None:
    """However many paths and methods a client invents, the number of series stays."""
    app = application(Metrics(registry=registry))
    with client(app) as http:
        http.get("/nowhere/0")
        http.request("M0", "/items/1")
        before = of_requests(http)
        for number in range(1, 30):
            http.get(f"/nowhere/{number}")
            http.request(f"M{number}", f"/items/{number}")
        assert of_requests(http) == before


def test_durations_and_sizes_are_histograms(client: ClientFactory, registry: CollectorRegistry) -> None:
    app = application(Metrics(registry=registry, buckets=(1.0, 5.0), size_buckets=(100, 1000)))
    with client(app) as http:
        http.get("/items/1")
        http.post("/items", json={"text": "x" * 500})
        http.get("/stream")
        found = samples(http)
    get = {"method": "GET", "route": "/items/{item_id}"}
    assert value(found, "http_request_duration_seconds_bucket", **get, le="1.0") == 1
    assert value(found, "http_request_duration_seconds_bucket", **get, le="+Inf") == 1
    assert value(found, "http_request_duration_seconds_bucket", **get, le="0.1") is None
    assert 0 < (value(found, "http_request_duration_seconds_sum", **get) or 0) < 1
    post = {"method": "POST", "route": "/items"}
    assert value(found, "http_request_size_bytes_bucket", **post, le="100.0") == 0
    assert value(found, "http_request_size_bytes_bucket", **post, le="1000.0") == 1
    assert value(found, "http_response_size_bytes_sum", **post) == value(found, "http_request_size_bytes_sum", **post)
    assert value(found, "http_response_size_bytes_sum", method="GET", route="/stream") == 800


def test_websockets_are_counted_with_their_messages(client: ClientFactory, registry: CollectorRegistry) -> None:
    app = application(Metrics(registry=registry))
    route = "/rooms/{room}"
    with client(app) as http:
        with http.websocket_connect("/rooms/a") as websocket:
            for text in ("one", "two"):
                websocket.send_text(text)
                assert websocket.receive_text() == text
            found = samples(http)
            assert value(found, "websockets_open", route=route) == 1
            assert value(found, "websocket_messages_total", route=route, direction="received") == 2
        with pytest.raises(WebSocketDisconnect), http.websocket_connect("/nowhere"):
            pass
        found = samples(http)
    assert value(found, "websockets_open", route=route) == 0
    assert value(found, "websocket_connections_total", route=route, outcome="accepted") == 1
    assert value(found, "websocket_connections_total", route="unmatched", outcome="refused") == 1
    assert value(found, "websocket_messages_total", route=route, direction="sent") == 2


def test_work_behind_the_responses_is_seen(client: ClientFactory, registry: CollectorRegistry) -> None:
    """Tasks that run, wait and failed; threads in use; requests in flight."""
    metrics = Metrics(registry=registry)
    app = application(metrics)
    released, entered = threading.Event(), threading.Event()
    done: list[str] = []

    async def wait() -> None:
        while not released.is_set():
            await asyncio.sleep(0.001)
        done.append("one")

    async def fail() -> None:
        raise ZeroDivisionError

    @app.get("/work")
    async def work(tasks: BackgroundTasks) -> Any:
        tasks.add_task(wait)
        tasks.add_task(fail)
        tasks.add_task(done.append, "three")

    @app.get("/thread")
    def thread() -> Any:
        entered.set()
        released.wait(10)

    with client(app) as http:
        threads = [threading.Thread(target=http.get, args=(path,)) for path in ("/work", "/thread")]
        for started in threads:
            started.start()
        assert entered.wait(10)
        deadline = 200
        while value(found := samples(http), "background_tasks_running") != 1 and deadline:
            deadline -= 1
        assert value(found, "background_tasks_running") == 1
        assert value(found, "background_tasks_queued") == 2
        assert value(found, "thread_pool_threads_in_use") == 1
        assert (value(found, "http_requests_in_flight") or 0) >= 1
        released.set()
        for started in threads:
            started.join(10)
        while value(found := samples(http), "background_tasks_running"):
            pass
        assert value(found, "background_tasks_failed_total") == 1
        assert value(found, "background_tasks_queued") == 0
        assert value(found, "thread_pool_threads_in_use") == 0


def test_a_blocked_event_loop_lags(client: ClientFactory, registry: CollectorRegistry) -> None:
    metrics = Metrics(registry=registry, interval=0.01)
    app = application(metrics)

    @app.get("/block")
    async def block() -> None:
        import time

        time.sleep(0.2)

    with client(app) as http:
        http.get("/block")
        for _ in range(200):
            found = samples(http)
            if (value(found, "event_loop_lag_seconds_sum") or 0) > 0.1:
                return
    raise AssertionError("the lag was not seen")


def test_own_gauges_excluded_paths_and_a_namespace(client: ClientFactory, registry: CollectorRegistry) -> None:
    metrics = Metrics(registry=registry, namespace="shop", exclude_paths={"/stream"})
    metrics.gauge("jobs_queued", "Jobs that wait.", lambda: 7)
    app = application(metrics)
    with client(app) as http:
        http.get("/stream")
        http.get("/items/2")
        found = samples(http)
    assert not any("/stream" in str(labels) for _, labels in found)
    assert value(found, "shop_jobs_queued") == 7
    assert value(found, "shop_http_requests_total", method="GET", route="/items/{item_id}", status="200") == 1


def test_openmetrics_with_the_trace_as_exemplar(client: ClientFactory, registry: CollectorRegistry) -> None:
    trace = pytest.importorskip("opentelemetry.trace")
    app = application(Metrics(registry=registry))
    context = trace.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))

    @app.middleware("http")
    async def traced(request: Any, call_next: Any) -> Any:
        with trace.use_span(trace.NonRecordingSpan(context)):
            return await call_next(request)

    with client(app) as http:
        http.get("/items/1")
        answer = http.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    exemplars = [
        sample.exemplar.labels
        for family in read_openmetrics(answer.text)
        for sample in family.samples
        if sample.exemplar is not None
    ]
    assert {"trace_id": f"{0xABC:032x}", "span_id": f"{0xDEF:016x}"} in exemplars


def test_the_document_has_the_endpoint_only_where_asked(client: ClientFactory) -> None:
    for asked in (False, True):
        app = Velithon()
        Metrics(registry=CollectorRegistry()).install(app, "/numbers", include_in_schema=asked)
        assert ("/numbers" in app.openapi()["paths"]) is asked


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"buckets": ()}, "buckets are upper bounds"),
        ({"buckets": (1, 1)}, "buckets are upper bounds"),
        ({"size_buckets": (2, 1)}, "size_buckets are upper bounds"),
        ({"interval": 0}, "interval is a number of seconds above 0"),
    ],
)
def test_what_cannot_be_counted_is_an_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Metrics(registry=CollectorRegistry(), **options)


def test_one_registry_has_one_set_of_series(registry: CollectorRegistry) -> None:
    first = Metrics(registry=registry)
    assert Metrics(registry=registry).series is first.series
    with pytest.raises(ValueError, match="different buckets"):
        Metrics(registry=registry, buckets=(1.0,))
    first.install(Velithon())
    with pytest.raises(RuntimeError, match="installed already"):
        first.install(Velithon())


@pytest.fixture(autouse=True)
def no_observers_left() -> Iterator[None]:
    from velithon.background import failure_observers

    yield
    assert failure_observers == []
