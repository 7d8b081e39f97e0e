"""Counts and durations for Prometheus, by route template, with labels of one's own."""
# /// script
# dependencies = ["starlette-exporter"]
# ///

from fastapi import APIRouter, FastAPI
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette_exporter import PrometheusMiddleware, from_header, handle_metrics
from starlette_exporter.optional_metrics import response_body_size

from tests.ecosystem.plugin import Clients


async def hello(request):
    return PlainTextResponse("hello")


app = FastAPI()
app.add_middleware(
    PrometheusMiddleware,
    app_name="shop",
    group_paths=True,
    labels={"tenant": from_header("x-tenant")},
    optional_metrics=[response_body_size],
    skip_paths=["/health"],
)
app.add_route("/metrics", handle_metrics)
router = APIRouter(prefix="/items")


@router.get("/{item}")
async def read(item: int):
    return item


@app.get("/fail/{item}")
def fail(item: int):
    raise ValueError


@app.get("/health")
def health():
    return "well"


app.include_router(router)
app.mount("/inner", FastAPI(routes=[Route("/hello/{name}", hello)]))


def test_requests_are_counted_by_their_template(client: Clients) -> None:
    http = client(app, raise_server_exceptions=False)
    for number in range(3):
        assert http.get(f"/items/{number}", headers={"x-tenant": "blue"}).status_code == 200
    assert http.get("/fail/1").status_code == 500
    assert http.get("/health").status_code == 200
    assert http.get("/inner/hello/ada").text == "hello"
    http.get("/nowhere")
    lines = http.get("/metrics").text.splitlines()
    counted = {
        line.split("} ")[0]: line.split("} ")[1] for line in lines if line.startswith("starlette_requests_total{")
    }

    def count(method: str, path: str, status: int, tenant: str = "") -> str | None:
        label = f'app_name="shop",method="{method}",path="{path}",status_code="{status}",tenant="{tenant}"'
        return counted.get("starlette_requests_total{" + label)

    assert count("GET", "/items/{item}", 200, "blue") == "3.0"
    assert count("GET", "/fail/{item}", 500) == "1.0"
    assert count("GET", "/inner/hello/{name}", 200) == "1.0"
    assert count("GET", "/health", 200) is None
    assert any(line.startswith("starlette_request_duration_seconds_bucket{") for line in lines)
    assert any(line.startswith("starlette_response_body_bytes_total{") for line in lines)
