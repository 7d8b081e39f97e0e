"""Dependencies, containers, security, middleware, forms, tasks, WebSockets and events, on both faces."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import pytest

from tests.conftest import ClientFactory
from velithon import (
    BackgroundTask,
    BackgroundTasks,
    Depends,
    File,
    Form,
    HTTPEndpoint,
    HTTPException,
    Middleware,
    Request,
    UploadFile,
    Velithon,
    WebSocket,
    WebSocketDisconnect,
)
from velithon.datastructures import Protocol, Scope
from velithon.di import AsyncFactoryProvider, FactoryProvider, Provide, ServiceContainer, SingletonProvider, inject
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.middleware.cors import CORSMiddleware
from velithon.middleware.logging import LoggingMiddleware
from velithon.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse
from velithon.security import HTTPAuthorizationCredentials, HTTPBearer, OAuth2PasswordBearer, OAuth2PasswordRequestForm
from velithon.staticfiles import StaticFiles
from velithon.websocket import WebSocketEndpoint


def test_dependencies(client: ClientFactory) -> None:
    """Functions, generators with exits, classes; of each other, once a request, replaced in tests."""
    app = Velithon()
    log: list[str] = []

    async def connection() -> AsyncIterator[str]:
        log.append("opened")
        yield "connection"
        log.append("closed")

    class Paging:
        def __init__(self, skip: int = 0, limit: int = 10) -> None:
            self.skip, self.limit = skip, limit

    def user(connection: Annotated[str, Depends(connection)]) -> str:
        return f"user over {connection}"

    def guard() -> None:
        log.append("guarded")

    @app.get("/", dependencies=[Depends(guard)])
    async def show(
        connection: Annotated[str, Depends(connection)],
        user: Annotated[str, Depends(user)],
        paging: Annotated[Paging, Depends()],
    ) -> list[Any]:
        return [connection, user, paging.skip, paging.limit]

    with client(app) as api:
        assert api.get("/?skip=5").json() == ["connection", "user over connection", 5, 10]
        assert log == ["guarded", "opened", "closed"]
        app.dependency_overrides[user] = lambda: "somebody"
        assert api.get("/").json()[1] == "somebody"


def test_containers(client: ClientFactory) -> None:
    """A singleton is one, factories make new ones, asynchronous ones are awaited; in functions and classes."""

    class Store:
        pass

    class Books:
        def __init__(self, store: Store) -> None:
            self.store = store

    class Desk:
        def __init__(self, books: Books, key: str) -> None:
            self.books, self.key = books, key

    async def make_desk(books: Books, key: str = "none") -> Desk:
        return Desk(books, key)

    class Shop(ServiceContainer):
        store = SingletonProvider(Store)
        books = FactoryProvider(Books, store=store)
        desk = AsyncFactoryProvider(make_desk, books=books, key="k")

    shop = Shop()
    app = Velithon()
    app.register_container(shop)
    seen: list[Desk] = []

    class Visit(HTTPEndpoint):
        @inject
        async def get(self, desk: Desk = Provide[shop.desk]) -> JSONResponse:
            seen.append(desk)
            return JSONResponse(desk.key)

    @inject
    @app.get("/visits/{number}")
    async def visit(number: int, desk: Desk = Provide[shop.desk]) -> JSONResponse:
        seen.append(desk)
        return JSONResponse(number)

    app.add_route("/visit", Visit, methods=["GET"])
    with client(app) as api:
        assert api.get("/visit").json() == "k"
        assert api.get("/visits/3").json() == 3
    assert seen[0].books is not seen[1].books
    assert seen[0].books.store is seen[1].books.store


def test_security(client: ClientFactory) -> None:
    """A bearer's token is found or asked for; the login takes a form; the document has both."""
    app = Velithon()
    oauth2 = OAuth2PasswordBearer(tokenUrl="/login")

    @app.post("/login")
    async def log_in(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> dict[str, str]:
        if form.password != "right":
            raise HTTPException(401, "Wrong.", headers={"WWW-Authenticate": "Bearer"})
        return {"access_token": form.username, "token_type": "bearer"}

    @app.get("/me")
    async def me(token: Annotated[str, Depends(oauth2)]) -> str:
        return token

    @app.get("/plain")
    async def plain(found: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> list[str]:
        return [found.scheme, found.credentials]

    api = client(app)
    token = api.post("/login", data={"username": "ada", "password": "right"}).json()["access_token"]
    bearer = {"authorization": f"Bearer {token}"}
    assert api.get("/me", headers=bearer).json() == "ada"
    assert api.get("/plain", headers=bearer).json() == ["Bearer", "ada"]
    for path in ("/me", "/plain"):
        refused = api.get(path)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert api.post("/login", data={"username": "ada", "password": "no"}).status_code == 401
    schemes = api.get("/openapi.json").json()["components"]["securitySchemes"]
    assert set(schemes) == {"OAuth2PasswordBearer", "HTTPBearer"}


class Refuse:
    """A layer in the guide's form."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, protocol: Protocol) -> None:
        """Let nobody in without a key."""
        if scope.path.startswith("/in") and not scope.headers.get("x-key"):
            await JSONResponse(content={"error": "no key"}, status_code=401)(scope, protocol)
            return
        await self.app(scope, protocol)


class Marking(BaseHTTPMiddleware):
    """A layer in Starlette's form, with an option."""

    def __init__(self, app: Any, mark: str = "m") -> None:
        super().__init__(app)
        self.mark = mark

    async def dispatch(self, request: Request, call_next: Any) -> Any:
        """Mark the request and the response."""
        request.state.mark = self.mark
        response = await call_next(request)
        response.headers["x-mark"] = self.mark
        return response


def test_middleware(client: ClientFactory, caplog: pytest.LogCaptureFixture) -> None:
    """The last of the list is outermost: what it refuses, the others do not see."""
    app = Velithon(middleware=[Middleware(LoggingMiddleware), Middleware(Marking, mark="x"), Middleware(Refuse)])

    @app.get("/in")
    async def inside(request: Request) -> str:
        return str(request.state.mark)

    @app.middleware("http")
    async def outermost(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-out"] = "1"
        return response

    api = client(app)
    with caplog.at_level("INFO"):
        refused = api.get("/in")
    assert (refused.status_code, refused.json()) == (401, {"error": "no key"})
    assert "x-mark" not in refused.headers
    assert refused.headers["x-out"] == "1"
    assert [record for record in caplog.records if record.name.startswith("velithon")] == []
    with caplog.at_level("INFO"):
        let_in = api.get("/in", headers={"x-key": "k"})
    assert (let_in.json(), let_in.headers["x-mark"]) == ("x", "x")
    assert any("/in" in record.getMessage() for record in caplog.records if record.name.startswith("velithon"))


def test_cors(client: ClientFactory) -> None:
    """Preflights are answered, and answers may be read by origins that are named."""
    app = Velithon()
    app.add_middleware(CORSMiddleware, allow_origins=["https://a.b"], allow_methods=["PUT"], allow_headers=["X-A"])
    api = client(app)
    asked = {"origin": "https://a.b", "access-control-request-method": "PUT", "access-control-request-headers": "X-A"}
    assert api.options("/", headers=asked).headers["access-control-allow-origin"] == "https://a.b"
    assert api.options("/", headers={**asked, "access-control-request-method": "GET"}).status_code == 400
    assert "access-control-allow-origin" not in api.get("/", headers={"origin": "https://c.d"}).headers


def test_responses(client: ClientFactory, tmp_path: Path) -> None:
    """Each class sends its type; files have ranges; streams are streamed; directories are served."""
    (tmp_path / "paper.txt").write_text("0123456789")
    app = Velithon()
    app.mount("/static", StaticFiles(directory=tmp_path), name="static")

    @app.get("/html")
    async def html() -> HTMLResponse:
        return HTMLResponse("<p>")

    @app.get("/away")
    async def away() -> RedirectResponse:
        return RedirectResponse("/html")

    @app.get("/paper")
    async def paper() -> FileResponse:
        return FileResponse(tmp_path / "paper.txt", filename="p.txt")

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            for number in range(3):
                yield f"{number}\n"

        return StreamingResponse(pieces(), media_type="text/csv", headers={"x-s": "1"})

    api = client(app, follow_redirects=False)
    assert api.get("/html").headers["content-type"] == "text/html; charset=utf-8"
    assert (api.get("/away").status_code, api.get("/away").headers["location"]) == (307, "/html")
    assert api.get("/paper", headers={"range": "bytes=2-4"}).text == "234"
    assert 'filename="p.txt"' in api.get("/paper").headers["content-disposition"]
    assert (api.get("/stream").text, api.get("/stream").headers["x-s"]) == ("0\n1\n2\n", "1")
    assert api.get("/static/paper.txt").text == "0123456789"


def test_forms_and_files(client: ClientFactory) -> None:
    """Fields, one file, several; what a file tells of itself; optional ones; limits by default."""
    app = Velithon()

    @app.post("/one")
    async def one(title: str = Form(...), note: str = Form(None), file: UploadFile = File(...)) -> list[Any]:
        start = await file.read(2)
        await file.seek(0)
        return [title, note, file.filename, file.content_type, file.size, start.decode(), len(await file.read())]

    @app.post("/several")
    async def several(files: list[UploadFile] = File(...)) -> list[str | None]:
        return [file.filename for file in files]

    @app.post("/fields")
    async def fields(request: Request) -> int:
        async with request.form() as form:
            return len(form.multi_items())

    api = client(app)
    part = ("a.txt", b"hello", "text/plain")
    assert api.post("/one", data={"title": "t"}, files={"file": part}).json() == [
        "t",
        None,
        "a.txt",
        "text/plain",
        5,
        "he",
        5,
    ]
    missing = api.post("/one", files={"file": part}).json()["detail"]
    assert [error["loc"] for error in missing] == [["body", "title"]]
    assert api.post("/several", files=[("files", part), ("files", ("b", b""))]).json() == ["a.txt", "b"]
    assert api.post("/fields", files=[("f", (None, "x"))] * 1000).json() == 1000
    assert api.post("/fields", files=[("f", (None, "x"))] * 1001).status_code == 400
    assert api.post("/fields", files={"f": (None, "x" * (1024 * 1024 + 1))}).status_code == 400


def test_tasks(client: ClientFactory) -> None:
    """Given to a response, injected, or awaited with a bound; an error is raised where that is asked for."""
    app = Velithon()
    done: list[Any] = []

    def note(value: Any) -> None:
        done.append(value)

    async def fail() -> None:
        raise ValueError("no")

    @app.post("/given")
    async def given() -> JSONResponse:
        tasks = BackgroundTasks(max_concurrent=3)
        tasks.add_task(note, value="kept")
        return JSONResponse({}, background=tasks)

    @app.post("/single")
    async def single() -> JSONResponse:
        return JSONResponse({}, background=BackgroundTask(note, "single"))

    @app.post("/injected")
    async def injected(tasks: BackgroundTasks) -> None:
        tasks.add_task(note, "injected")

    @app.post("/awaited")
    async def awaited(stop: bool) -> str:
        tasks = BackgroundTasks()
        tasks.add_task(fail)
        tasks.add_task(note, "after")
        try:
            await tasks(continue_on_error=not stop)
        except RuntimeError:
            return "failed"
        return "went on"

    with client(app) as api:
        for path in ("/given", "/single", "/injected"):
            assert api.post(path).status_code == 200
        assert api.post("/awaited?stop=false").json() == "went on"
        assert api.post("/awaited?stop=true").json() == "failed"
    assert {"kept", "single", "injected", "after"} <= set(done)


def test_websockets(client: ClientFactory) -> None:
    """Functions with parameters and dependencies, classes with three methods; who is refused sees it."""
    app = Velithon()
    left: list[str] = []

    def known(token: str = "") -> str:
        if token != "t":
            raise HTTPException(403)
        return token

    @app.websocket("/rooms/{room}")
    async def chat(websocket: WebSocket, room: int, token: Annotated[str, Depends(known)]) -> None:
        await websocket.accept()
        try:
            while True:
                await websocket.send_json([room, await websocket.receive_text()])
        except WebSocketDisconnect:
            left.append("function")

    class Echo(WebSocketEndpoint):
        encoding = "text"

        async def on_connect(self, websocket: WebSocket) -> None:
            await websocket.accept()

        async def on_receive(self, websocket: WebSocket, data: str) -> None:
            await websocket.send_text(f"{websocket.path_params['name']}: {data}")

        async def on_disconnect(self, websocket: WebSocket) -> None:
            left.append("class")

    app.add_websocket_route("/echo/{name}", Echo)
    with client(app) as api:
        with api.websocket_connect("/rooms/3?token=t") as websocket:
            websocket.send_text("hi")
            assert websocket.receive_json() == [3, "hi"]
        with api.websocket_connect("/echo/e") as websocket:
            websocket.send_text("hi")
            assert websocket.receive_text() == "e: hi"
        for path in ("/rooms/x?token=t", "/rooms/3"):
            with pytest.raises(WebSocketDisconnect), api.websocket_connect(path):
                pass
    assert sorted(left) == ["class", "function"]


def test_the_life_of_an_application(client: ClientFactory) -> None:
    """A lifespan with state, or functions for each end."""
    log: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Velithon) -> AsyncIterator[dict[str, str]]:
        log.append("up")
        yield {"word": "state"}
        log.append("down")

    app = Velithon(lifespan=lifespan)

    @app.get("/")
    def show(request: Request) -> str:
        return str(request.state.word)

    with client(app) as api:
        assert api.get("/").json() == "state"
    old = Velithon(on_startup=[lambda: log.append("started")])
    old.on_event("shutdown")(lambda: log.append("stopped"))
    with client(old):
        pass
    assert log == ["up", "down", "started", "stopped"]
