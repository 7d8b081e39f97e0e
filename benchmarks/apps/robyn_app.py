"""Robyn, as its documentation writes applications. It is its own server: `python -m benchmarks.apps.robyn_app PORT`."""

import contextlib
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from robyn import ALLOW_CORS, Headers, Request, Response, Robyn, StreamingResponse, serve_file

from benchmarks.apps import common
from benchmarks.apps.models import Item

FILE = str(common.file())
SETTINGS = common.Settings()
JSON = {"content-type": "application/json"}
logger = common.access_logger()


@contextlib.asynccontextmanager
async def session(given: dict[str, str]) -> AsyncIterator[dict[str, str]]:
    yield {"session": given["dsn"]}


async def settings() -> dict[str, str]:
    return {"dsn": "memory"}


async def user(token: str, opened: dict[str, str]) -> dict[str, str]:
    return {"user": token, **opened}


def blocking() -> dict[str, str]:
    return common.HELLO


def make(setup: str) -> Robyn:
    """Return the application for a setup."""
    app = Robyn(__file__)
    for number, path in enumerate(common.route_paths(setup)):
        _numbered(app, path.replace("{item_id}", ":item_id"), number)
    _plain_routes(app)
    _content_routes(app)
    _websocket_routes(app)
    if setup in ("cors", "layers"):
        ALLOW_CORS(app, origins=[common.ORIGIN])
        _layers(app, setup)
    return app


def _layers(app: Robyn, setup: str) -> None:
    # Robyn runs functions before and after a request; what they share is up to them.
    starts: dict[str, float] = {}

    @app.before_request()
    async def begin(request: Request) -> Request:
        starts["last"] = time.perf_counter()
        return request

    @app.after_request()
    async def finish(response: Response) -> Response:
        response.headers.set(*common.LAYER_HEADER)
        if setup == "layers":
            took = (time.perf_counter() - starts["last"]) * 1000
            logger.info('%s "%s %s" %d %.3fms', "-", "-", "-", response.status_code, took)
        return response


def _numbered(app: Robyn, path: str, number: int) -> None:
    @app.get(path)
    async def answer(request: Request) -> Any:
        return {"route": number, "item_id": int(request.path_params["item_id"])}


def _plain_routes(app: Robyn) -> None:
    @app.get("/json")
    async def json() -> Any:
        return common.HELLO

    @app.get("/items/:item_id")
    async def items(request: Request) -> Any:
        query = request.query_params
        item_id = int(request.path_params["item_id"])
        return {"item_id": item_id, "q": query.get("q", ""), "n": int(query.get("n", "1"))}

    @app.post("/model")
    async def model(request: Request) -> Response:
        item = Item.model_validate_json(request.body)
        return Response(status_code=200, headers=Headers(JSON), description=item.model_dump_json())

    @app.get("/deps")
    async def deps(request: Request) -> Any:
        async with session(await settings()) as opened:
            return await user(request.query_params.get("token", ""), opened)

    @app.get("/container")
    async def chain() -> Any:
        return {"total": common.Service(common.Repository(SETTINGS)).total(2)}

    @app.get("/sync")
    def sync() -> Any:
        return blocking()


def _content_routes(app: Robyn) -> None:
    @app.get("/text")
    async def text() -> str:
        return common.TEXT

    @app.get("/file")
    async def file() -> Any:
        return serve_file(FILE)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def chunks() -> AsyncIterator[str]:
            for _ in range(common.CHUNKS):
                yield common.CHUNK.decode()

        return StreamingResponse(content=chunks(), headers=Headers({"content-type": "text/plain"}))

    @app.post("/upload")
    async def upload(request: Request) -> Any:
        return {"size": len(next(iter(request.files.values())))}


def _websocket_routes(app: Robyn) -> None:
    @app.websocket("/ws")
    async def echo(websocket: Any) -> None:
        while True:
            await websocket.send_text(await websocket.receive_text())

    @app.websocket("/room")
    async def broadcast(websocket: Any) -> None:
        while True:
            await websocket.broadcast(await websocket.receive_text())


app = make(common.SETUP)

if __name__ == "__main__":
    app.start(host="127.0.0.1", port=int(sys.argv[1]))
