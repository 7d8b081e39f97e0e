"""What users write, fully typed: every form of the guide, and of FastAPI's users after changing the import."""

from __future__ import annotations

import pathlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.base import BaseHTTPMiddleware as StarletteMiddleware
from starlette.middleware.base import RequestResponseEndpoint
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response as StarletteResponse

import velithon
from velithon import (
    APIRouter,
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    Header,
    HTTPException,
    Middleware,
    Path,
    Query,
    Request,
    Response,
    Security,
    UploadFile,
    Velithon,
    WebSocket,
    WebSocketDisconnect,
    params,
    status,
)
from velithon.background import BackgroundTask
from velithon.cache import cache
from velithon.di import FactoryProvider, Provide, Provider, ServiceContainer, SingletonProvider, inject
from velithon.endpoint import HTTPEndpoint
from velithon.events import Event
from velithon.exception_handlers import http_exception_handler, request_validation_exception_handler
from velithon.exceptions import RequestValidationError
from velithon.jobs import Job, job
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.middleware.cors import CORSMiddleware
from velithon.params import File, Form
from velithon.params import Header as HeaderClass
from velithon.params import Query as QueryClass
from velithon.requests import Request as OwnRequest
from velithon.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from velithon.routing import Router
from velithon.security import HTTPAuthorizationCredentials, HTTPBearer, OAuth2PasswordBearer
from velithon.sse import EventSourceResponse, ServerSentEvent
from velithon.staticfiles import StaticFiles
from velithon.testclient import TestClient
from velithon.websocket import WebSocketEndpoint


class Item(BaseModel):
    name: str
    price: float = 0


@asynccontextmanager
async def lifespan(app: Velithon) -> AsyncIterator[dict[str, Any]]:
    app.state.ready = True
    yield {"ready": True}


# -- layers and handlers ----------------------------------------------------------------------------------------------


class Foreign(StarletteMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> StarletteResponse:
        answer = await call_next(request)
        answer.headers["x-foreign"] = request.url.path
        return answer


class Own(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        answer = await call_next(request)
        return answer


class Older(BaseHTTPMiddleware):
    async def dispatch(self, request: OwnRequest, call_next: Callable[[OwnRequest], Awaitable[Response]]) -> Response:
        answer = await call_next(request)
        return answer


app = Velithon(
    title="Shop",
    lifespan=lifespan,
    middleware=[Middleware(CORSMiddleware, allow_origins=["*"]), Middleware(Own), Middleware(Older)],
)
app.add_middleware(Foreign)


@app.middleware("http")
async def stamp(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    answer = await call_next(request)
    answer.headers["x-stamp"] = "1"
    return answer


@app.exception_handler(StarletteHTTPException)
async def refuse(request: Request, exc: StarletteHTTPException) -> Response:
    return await http_exception_handler(request, exc)


@app.exception_handler(RequestValidationError)
async def refuse_input(request: Request, exc: RequestValidationError) -> Response:
    return await request_validation_exception_handler(request, exc)


@app.exception_handler(KeyError)
def missing(request: Request, exc: KeyError) -> JSONResponse:
    return JSONResponse({"missing": str(exc)}, status_code=status.HTTP_404_NOT_FOUND)


# -- dependencies and services ----------------------------------------------------------------------------------------


def session() -> Iterator[str]:
    yield "session"


async def connection() -> AsyncGenerator[str, None]:
    yield "connection"


class Pager:
    def __init__(self, skip: int = 0, limit: int = Query(10, le=100)) -> None:
        self.skip, self.limit = skip, limit


class Clock:
    def now(self) -> str:
        return "now"


class StoppedClock(Clock):
    pass


class Prices:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock


class Registry(ServiceContainer):
    clock = SingletonProvider(Clock)
    prices = FactoryProvider(Prices, clock=clock)


registry = Registry()
# A provider of a class gives what one of its base does.
stopped = SingletonProvider(StoppedClock)
any_clock: Provider[Clock] = stopped
oauth2 = OAuth2PasswordBearer(tokenUrl="token")
SessionDep = Annotated[str, Depends(session)]

# -- endpoints --------------------------------------------------------------------------------------------------------

router = APIRouter(prefix="/items", tags=["items"], dependencies=[Depends(session)])


@router.get("/{item_id}", response_model=Item, responses={404: {"description": "none"}})
async def read_item(
    request: Request,
    response: Response,
    database: SessionDep,
    item_id: int = Path(..., ge=1),
    q: str | None = Query(None, max_length=50),
    old: list[str] = QueryClass(default=[]),
    agent: str = Header("none"),
    token: str | None = HeaderClass(None, alias="x-token"),
    theme: str = Cookie("light"),
    pager: Pager = Depends(),
    other: str = Depends(connection),
) -> Any:
    if item_id == 13:
        raise HTTPException(status_code=404, detail="none", headers={"x": "y"})
    response.headers["x-item"] = str(item_id)
    return {"name": q or "item", "price": pager.limit}


@router.post("/", status_code=status.HTTP_201_CREATED)
async def create_item(item: Item, tasks: BackgroundTasks, extra: int = Body(0, embed=True)) -> Item:
    tasks.add_task(print, item.name)
    return item


@app.post("/upload", max_body_size=1_000_000)
async def upload(
    title: str = Form(...),
    description: str = Form(""),
    count: int = velithon.Form(1),
    file: UploadFile = File(description="A picture of the item."),
    more: list[UploadFile] = File([]),
    checked: Annotated[str, Form(min_length=1)] = "x",
) -> dict[str, Any]:
    if file.size > 1_000_000 or (file.content_type or "").startswith("video/"):
        raise HTTPException(status.HTTP_413_CONTENT_TOO_LARGE)
    name = pathlib.Path(file.filename).name
    return {"title": title, "name": name, "size": len(await file.read()), "more": len(more)}


@app.get("/services")
@inject
async def services(prices: Prices = Provide[registry.prices]) -> str:
    return prices.clock.now()


@app.get("/me")
async def me(token: Annotated[str, Security(oauth2, scopes=["me"])]) -> str:
    return token


@app.get("/bearer")
def bearer(credentials: HTTPAuthorizationCredentials = Depends(HTTPBearer())) -> str:
    return credentials.credentials


@app.get("/page", response_class=HTMLResponse)
async def page() -> str:
    return "<p>page</p>"


@app.get("/plain")
async def plain() -> PlainTextResponse:
    return PlainTextResponse("plain", background=BackgroundTask(print, "done"))


@app.get("/file")
async def file() -> FileResponse:
    return FileResponse(__file__, filename="shop.py")


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"chunk"

    return StreamingResponse(chunks(), media_type="text/plain")


@app.get("/events", response_class=EventSourceResponse)
async def events() -> AsyncIterator[ServerSentEvent]:
    yield ServerSentEvent(data="one")


@app.route("/anything", methods=["GET", "POST"])
async def anything(request: StarletteRequest) -> StarletteResponse:
    return StarletteResponse(await request.body())


class Things(HTTPEndpoint):
    async def get(self, limit: int = Query(10)) -> dict[str, int]:
        return {"limit": limit}

    async def post(self, request: OwnRequest, item: Item) -> Item:
        return item


app.add_route("/things", Things)

# -- WebSockets -------------------------------------------------------------------------------------------------------


@app.websocket("/ws/{room}")
async def chat(websocket: WebSocket, room: str, token: str | None = Query(None)) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(f"{room}: {await websocket.receive_text()}")
    except WebSocketDisconnect as left:
        app.state.code = left.code


class Echo(WebSocketEndpoint):
    encoding = "text"

    async def on_connect(self, websocket: WebSocket) -> None:
        await websocket.accept()

    async def on_receive(self, websocket: WebSocket, data: str) -> None:
        await websocket.send_text(data)

    async def on_disconnect(self, websocket: WebSocket) -> None:
        app.state.left = True


class Room(WebSocketEndpoint):
    encoding = "json"

    async def on_connect(self, websocket: WebSocket, room: str, token: str = Query("")) -> None:
        await websocket.accept()

    async def on_receive(self, websocket: WebSocket, data: Any, database: SessionDep) -> None:
        await websocket.send_json(data)

    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        app.state.code = close_code


app.add_websocket_route("/echo", Echo)
app.add_websocket_route("/rooms/{room}", Room)

# -- putting it together ----------------------------------------------------------------------------------------------


@app.get("/loud")
def loud(value: str = params.Query("x"), wanted: Annotated[int, params.Query(gt=0)] = 1) -> str:
    return value.upper()


def is_query(info: object) -> bool:
    return isinstance(info, params.Query) and info.include_in_schema and isinstance(info.default, str)


@app.on_event("startup")
async def started() -> None:
    app.state.started = True


@app.on_startup(priority=1)
def first() -> None: ...


plain_router = Router(prefix="/plain-router")
plain_router.get("/")(lambda: 1)
app.include_router(router)
app.add_router(plain_router, prefix="/v1")
app.mount("/static", StaticFiles(directory=".", check_dir=False), name="static")
app.frontend("/", directory=".", check_dir=False)
app.register_container(registry)
app.dependency_overrides[session] = lambda: "other"


# -- functions that are decorated keep their types ---------------------------------------------------------------------


@app.get("/cached")
@cache(expire=60, tags=["shop"])
async def read_stock(item: str = "all") -> dict[str, int]:
    return {item: 1}


@job(retries=3)
async def resize(picture: int, width: int = 100) -> str:
    return f"{picture}-{width}.png"


@job
def tidy() -> None: ...


@app.events.on("item.*")
async def note(event: Event) -> int:
    return len(event.type)


if TYPE_CHECKING:
    stock: Coroutine[Any, Any, dict[str, int]] = read_stock("hat")
    resized: Coroutine[Any, Any, str] = resize(1, width=2)
    noted: Coroutine[Any, Any, int] = note(Event("item.sold"))
    jobs: list[Job[..., object]] = [resize, tidy]


def use() -> list[int]:
    with TestClient(app, protocol="rsgi") as client:
        with client.websocket_connect("/echo") as websocket:
            websocket.send_text("x")
            assert websocket.receive_text() == "x"
        return [client.get("/page").status_code, client.post("/items/", json={"item": {"name": "a"}}).status_code]
