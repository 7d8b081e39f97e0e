"""FastAPI's patterns, with its name read as ours."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import pytest
from jose import jwt
from starlette.websockets import WebSocketDisconnect

from tests.conftest import ClientFactory
from tests.spec.documents import PATTERNS

WORKFLOW = '2. Technical Deep Dive (The "How-to") / 2.3 Implementation Workflow'
EXAMPLES = "7. Implementation Examples / "

SETTINGS = """
from types import SimpleNamespace
settings = SimpleNamespace(
    PROJECT_NAME="My API", VERSION="1.0.0", API_V1_STR="/api/v1", BACKEND_CORS_ORIGINS=["http://localhost:3000"],
    SECRET_KEY="secret", ALGORITHM="HS256",
)
"""

ROUTER = """
from velithon import APIRouter
api_router = APIRouter()

@api_router.get("/users")
async def get_users():
    return {"users": []}
"""

# The document's own settings and its database, in SQLite; what it leaves to the reader are the tables.
ENVIRONMENT = """
from pathlib import Path
Path(".env").write_text(
    "SECRET_KEY=only for tests, 32 bytes or more\\nDATABASE_URL=sqlite:///users.db\\nSMTP_USER=u\\nSMTP_PASSWORD=p\\n"
)
verify_password = None
"""
TABLES = """
from sqlalchemy import Boolean, Column, DateTime, Integer, String
from sqlalchemy.orm import Session

class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
    is_active = Column(Boolean, default=True)
    is_superuser = Column(Boolean, default=False)
    last_active = Column(DateTime)

Base.metadata.create_all(engine)
with SessionLocal() as session:
    session.add_all([User(is_superuser=True), User(), User(is_active=False)])
    session.commit()
"""
DATABASE = [EXAMPLES + "7.2 Application Setup", EXAMPLES + "7.2 Application Setup #2", TABLES]
pytestmark = pytest.mark.filterwarnings("ignore:The ``declarative_base")


@pytest.fixture
def space(space: ModuleType) -> Iterator[ModuleType]:
    """The module, whose connections to a database end with the test."""
    yield space
    if (engine := getattr(space, "engine", None)) is not None:
        engine.dispose()


@pytest.mark.parametrize("app", ["settings", "engine"])
@PATTERNS.block(
    "3. Tooling & Tech Stack / 3.2 Configuration Essentials",
    "3. Tooling & Tech Stack / 3.2 Configuration Essentials #2",
    prelude=ENVIRONMENT,
)
def test_settings_and_a_database(space: ModuleType, app: str) -> None:
    """Settings come from a file and have defaults; a session is open for as long as its user needs it."""
    assert space.settings.BACKEND_CORS_ORIGINS == ["http://localhost:3000"]
    generator = space.get_db()
    session = next(generator)
    assert session.connection().exec_driver_sql("SELECT 1").scalar() == 1
    assert (app, str(getattr(space, app)).count("users.db")) in [("settings", 1), ("engine", 1)]
    generator.close()
    assert not session.in_transaction()


@PATTERNS.block(
    WORKFLOW,
    WORKFLOW + " #2",
    "\napi_router = APIRouter()\napi_router.include_router(router)\n",
    WORKFLOW + " #3",
    prelude=SETTINGS + "api_router = None",
)
def test_implementation_workflow(space: ModuleType, client: ClientFactory) -> None:
    """A router within a router answers under both prefixes; the pages are where they are asked for."""
    api = client(space.app)
    assert api.get("/api/v1/users").json() == {"users": []}
    assert "swagger" in api.get("/docs").text.lower()
    assert "redoc" in api.get("/redoc").text.lower()
    assert api.get("/openapi.json").json()["info"] == {"title": "My API", "version": "1.0.0"}


@PATTERNS.block(EXAMPLES + "7.1 Project Structure", prelude=SETTINGS + ROUTER)
def test_application_setup(space: ModuleType, client: ClientFactory) -> None:
    """Options, a middleware, a router and events make an application."""
    with client(space.app) as api:
        assert api.get("/api/v1/users").json() == {"users": []}
        assert api.get("/api/v1/openapi.json").status_code == 200
        assert api.get("/openapi.json").status_code == 404
        answer = api.get("/api/v1/users", headers={"origin": "http://localhost:3000"})
        assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
        assert answer.headers["access-control-allow-credentials"] == "true"
        other = api.get("/api/v1/users", headers={"origin": "http://elsewhere"})
        assert "access-control-allow-origin" not in other.headers


USERS = """
from velithon import Velithon
app = Velithon()

@app.post("/users", response_model=UserResponse, status_code=201)
async def create(user: UserCreate):
    now = datetime(2026, 1, 2)
    return {**user.model_dump(), "id": 1, "created_at": now, "updated_at": now}

@app.patch("/users")
async def update(user: UserUpdate):
    return user.model_dump(exclude_unset=True)
"""


@PATTERNS.block(EXAMPLES + "7.3 Pydantic Models", USERS)
def test_pydantic_models(space: ModuleType, client: ClientFactory) -> None:
    """Models validate what comes and choose what goes: a password never does."""
    api = client(space.app)
    user = {"email": "test@example.com", "full_name": "Test User", "password": "Test123456"}
    created = api.post("/users", json=user)
    assert created.status_code == 201
    assert created.json() == {
        "email": "test@example.com",
        "full_name": "Test User",
        "id": 1,
        "is_active": True,
        "created_at": "2026-01-02T00:00:00",
        "updated_at": "2026-01-02T00:00:00",
    }
    wrong = api.post("/users", json={"email": "no", "password": "test123456"}).json()["detail"]
    assert [error["loc"] for error in wrong] == [["body", "email"], ["body", "password"]]
    assert wrong[1]["msg"] == "Value error, Password must contain uppercase letter"
    assert api.patch("/users", json={"is_active": False}).json() == {"is_active": False}


PAGES = """
from velithon import Velithon
app = Velithon()

@app.get("/pages")
async def pages() -> PaginatedResponse[int]:
    return PaginatedResponse(items=[1, 2], total=2, page=1, size=10, pages=1)

@app.get("/success", response_model=SuccessResponse[dict], responses={400: {"model": ErrorResponse}})
async def success():
    return {"data": {"a": 1}}
"""


@PATTERNS.block(EXAMPLES + "7.3 Pydantic Models #2", PAGES)
def test_generic_models(space: ModuleType, client: ClientFactory) -> None:
    """Generic models are response models, and are in the document."""
    api = client(space.app)
    assert api.get("/pages").json() == {"items": [1, 2], "total": 2, "page": 1, "size": 10, "pages": 1}
    assert api.get("/success").json() == {"success": True, "message": "Operation successful", "data": {"a": 1}}
    schemas = api.get("/openapi.json").json()["components"]["schemas"]
    assert {"PaginatedResponse_int_", "SuccessResponse_dict_", "ErrorResponse"} <= set(schemas)


ACCOUNTS = """
from velithon import Velithon
app = Velithon()

@app.get("/me")
async def me(user: User = Depends(get_current_active_user)):
    return {"id": user.id}

@app.get("/admin")
async def admin(user: User = Depends(get_current_active_superuser)):
    return {"id": user.id}
"""
TOKEN = "from pydantic import BaseModel\nclass TokenPayload(BaseModel):\n    sub: int | None = None\n"


@PATTERNS.block(*DATABASE, EXAMPLES + "7.4 Dependency Injection", ACCOUNTS, prelude=ENVIRONMENT + TOKEN)
def test_dependencies(space: ModuleType, client: ClientFactory) -> None:
    """Dependencies of dependencies find the user of a bearer's token, or refuse."""
    api = client(space.app)

    def get(path: str, subject: str) -> httpx.Response:
        token = subject
        if subject.isdecimal():
            token = jwt.encode({"sub": subject}, space.settings.SECRET_KEY, algorithm=space.settings.ALGORITHM)
        response: Any = api.get(path, headers={"authorization": f"Bearer {token}"})
        return response  # type: ignore[no-any-return]

    assert get("/me", "2").json() == {"id": 2}
    assert get("/admin", "1").json() == {"id": 1}
    assert (get("/me", "3").status_code, get("/me", "3").json()) == (400, {"detail": "Inactive user"})
    assert get("/admin", "2").json() == {"detail": "The user doesn't have enough privileges"}
    for token in ("bad", "99"):
        refused = get("/me", token)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert refused.json() == {"detail": "Could not validate credentials"}
    missing = api.get("/me")
    assert (missing.status_code, missing.json()) == (401, {"detail": "Not authenticated"})
    flows = api.get("/openapi.json").json()["components"]["securitySchemes"]["OAuth2PasswordBearer"]["flows"]
    assert flows["password"]["tokenUrl"] == "/api/v1/auth/login"


MORE = """
from velithon import Velithon
app = Velithon()
with SessionLocal() as session:
    session.add_all([User() for _ in range(27)])
    session.commit()
"""


@PATTERNS.block(*DATABASE, MORE, EXAMPLES + "7.4 Dependency Injection #2", prelude=ENVIRONMENT)
def test_pagination(space: ModuleType, client: ClientFactory) -> None:
    """A dependency's query parameters are the endpoint's; what the database gave becomes JSON."""
    api = client(space.app)
    page = api.get("/users").json()
    assert ([item["id"] for item in page["items"]], page["total"]) == (list(range(1, 11)), 10)
    assert page["items"][0].keys() == {"id", "is_active", "is_superuser", "last_active"}
    assert [item["id"] for item in api.get("/users?skip=25&limit=50").json()["items"]] == [26, 27, 28, 29, 30]
    wrong = api.get("/users?skip=-1&limit=101").json()["detail"]
    assert [(error["loc"], error["type"]) for error in wrong] == [
        (["query", "skip"], "greater_than_equal"),
        (["query", "limit"], "less_than_equal"),
    ]
    parameters = api.get("/openapi.json").json()["paths"]["/users"]["get"]["parameters"]
    assert [parameter["description"] for parameter in parameters] == [
        "Number of records to skip",
        "Number of records per page",
    ]


def outside(request: httpx.Request) -> httpx.Response:
    """Answer for the service that the blocks call."""
    if request.url.path == "/data":
        return httpx.Response(200, json={"from": "outside"})
    if request.url.path == "/users/2":
        raise httpx.ConnectError("down")
    return httpx.Response(200, json={"path": request.url.path})


def connect(space: ModuleType, handler: Any) -> None:
    """Let the blocks' httpx speak to a function."""

    def make() -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(handler))

    space.__dict__["httpx"] = SimpleNamespace(
        AsyncClient=make, HTTPStatusError=httpx.HTTPStatusError, RequestError=httpx.RequestError
    )


APP = "from velithon import Velithon, Query, Depends\napp = Velithon()\n"


@PATTERNS.block(EXAMPLES + "7.5 Async Patterns #2", prelude=APP)
def test_calls_to_other_services(space: ModuleType, client: ClientFactory) -> None:
    """What another service refuses is passed on; when it cannot be reached the answer is 503."""
    api = client(space.app)
    connect(space, outside)
    assert api.get("/external-data").json() == {"from": "outside"}
    connect(space, lambda request: httpx.Response(418, text="short and stout"))
    refused = api.get("/external-data")
    assert (refused.status_code, refused.json()) == (418, {"detail": "External API error: short and stout"})

    def down(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("down")

    connect(space, down)
    unreachable = api.get("/external-data")
    assert (unreachable.status_code, unreachable.json()) == (503, {"detail": "External service unavailable: down"})


@PATTERNS.block(EXAMPLES + "7.5 Async Patterns #3", prelude=APP)
def test_concurrent_calls(space: ModuleType, client: ClientFactory) -> None:
    """Calls are gathered in the request's loop."""
    connect(space, outside)
    api = client(space.app)
    assert api.get("/users/batch?user_ids=1,2,3").json() == [{"path": "/users/1"}, {"path": "/users/3"}]
    assert api.get("/users/batch").status_code == 422


FAILING = """
@app.get("/missing")
async def missing():
    raise NotFoundException("no such thing")

@app.get("/conflict")
async def conflict():
    raise ConflictException

@app.get("/teapot")
async def teapot():
    raise HTTPException(418, "short and stout")

@app.get("/items/{item_id}")
async def item(item_id: int):
    return item_id
"""


@pytest.mark.filterwarnings("ignore:'HTTP_422_UNPROCESSABLE_ENTITY' is deprecated")
@PATTERNS.block(
    EXAMPLES + "7.6 Error Handling",
    EXAMPLES + "7.6 Error Handling #2",
    EXAMPLES + "7.6 Error Handling #3",
    FAILING,
    prelude="from velithon.exceptions import RequestValidationError\n",
)
def test_error_handling(space: ModuleType, client: ClientFactory) -> None:
    """Handlers of exception classes answer for their subclasses too, with the request at hand."""
    api = client(space.app)

    def answer(path: str) -> tuple[int, Any]:
        response = api.get(path)
        return response.status_code, response.json()

    url = "http://testserver"
    assert answer("/missing") == (404, {"success": False, "message": "no such thing", "path": f"{url}/missing"})
    assert answer("/conflict") == (409, {"success": False, "message": "Conflict", "path": f"{url}/conflict"})
    assert answer("/teapot") == (418, {"success": False, "message": "short and stout", "path": f"{url}/teapot"})
    status, wrong = answer("/items/x?q=1")
    assert (status, wrong["path"]) == (422, f"{url}/items/x?q=1")
    assert wrong["errors"] == [
        {
            "field": "path.item_id",
            "message": "Input should be a valid integer, unable to parse string as an integer",
            "type": "int_parsing",
        }
    ]


PING = """
from velithon import Velithon, Request
app = Velithon()

@app.get("/ping")
async def ping(request: Request):
    return {"id": getattr(request.state, "request_id", None)}
"""


@PATTERNS.block(
    EXAMPLES + "7.7 Middleware", prelude=PING + "\nimport logging\nlogger = logging.getLogger('patterns')\n"
)
def test_logging_middleware(space: ModuleType, client: ClientFactory, caplog: pytest.LogCaptureFixture) -> None:
    """Starlette's own BaseHTTPMiddleware is a layer on both protocols."""
    with caplog.at_level(logging.INFO, "patterns"):
        answer = client(space.app).get("/ping?q=1")
    assert float(answer.headers["x-process-time"]) >= 0
    assert isinstance(caplog.records[0].msg, dict)
    logged: dict[str, Any] = caplog.records[0].msg
    assert (logged["method"], logged["status_code"], logged["client"]) == ("GET", 200, "testclient")
    assert logged["url"] == "http://testserver/ping?q=1"


@PATTERNS.block(EXAMPLES + "7.7 Middleware #2", "\napp.add_middleware(RequestIDMiddleware)\n", prelude=PING)
def test_request_id_middleware(space: ModuleType, client: ClientFactory) -> None:
    """What a middleware puts into the request's state, the endpoint finds."""
    answer = client(space.app).get("/ping")
    assert answer.headers["x-request-id"] == answer.json()["id"]


@PATTERNS.block(EXAMPLES + "7.7 Middleware #3", "\napp.add_middleware(TimingMiddleware)\n", prelude=PING)
def test_timing_middleware(space: ModuleType, client: ClientFactory) -> None:
    """A middleware measures what it is around."""
    assert float(client(space.app).get("/ping").headers["x-response-time"]) >= 0


@PATTERNS.block(EXAMPLES + "7.8 Background Tasks", prelude="sent = []\ndef send_email(*args):\n    sent.append(args)\n")
def test_background_tasks(space: ModuleType, client: ClientFactory) -> None:
    """A parameter of type BackgroundTasks collects what runs after the response."""
    with client(space.app) as api:
        answer = api.post("/send-email?email=a@b.c")
        assert answer.json() == {"message": "Email will be sent in background"}
    assert space.sent == [("a@b.c", "Welcome!")]


# The document's own call, which Python 3.12 calls deprecated.
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
@PATTERNS.block(
    *DATABASE,
    EXAMPLES + "7.8 Background Tasks #2",
    prelude=ENVIRONMENT + "\nfrom datetime import datetime\n" + APP + "from velithon import BackgroundTasks\n",
)
def test_background_tasks_with_a_session(space: ModuleType, client: ClientFactory) -> None:
    """A task may hold a session of its own."""
    with client(space.app) as api:
        assert api.post("/users/2/ping").json() == {"message": "Ping recorded"}
    with space.SessionLocal() as session:
        seen = {user.id: user.last_active is not None for user in session.query(space.User)}
    assert seen == {1: False, 2: True, 3: False}


@PATTERNS.block(EXAMPLES + "7.8 Background Tasks #3", prelude=APP + "import uuid\n")
def test_long_background_tasks(space: ModuleType, client: ClientFactory, capsys: pytest.CaptureFixture[str]) -> None:
    """A coroutine function is a task too."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    space.__dict__["asyncio"] = SimpleNamespace(sleep=sleep)
    with client(space.app) as api:
        answer = api.post("/tasks/start").json()
    assert answer["status"] == "started"
    assert slept == [60]
    assert f"Task {answer['task_id']} completed" in capsys.readouterr().out


@PATTERNS.block(EXAMPLES + "7.9 WebSocket Support")
def test_websockets(space: ModuleType, client: ClientFactory) -> None:
    """A manager broadcasts; a WebSocket's path parameter is converted."""
    with client(space.app) as api:
        with api.websocket_connect("/ws/1") as first:
            with api.websocket_connect("/ws/2") as second:
                second.send_text("hi")
                assert first.receive_text() == second.receive_text() == "Client 2: hi"
            assert first.receive_text() == "Client 2 left"
        with pytest.raises(WebSocketDisconnect), api.websocket_connect("/ws/one"):
            pass


@PATTERNS.block(EXAMPLES + "7.9 WebSocket Support #2", prelude=APP + SETTINGS)
def test_protected_websockets(space: ModuleType, client: ClientFactory) -> None:
    """A dependency of a WebSocket lets it in or refuses it."""
    with client(space.app) as api:
        token = jwt.encode({"sub": "7"}, space.settings.SECRET_KEY, algorithm=space.settings.ALGORITHM)
        with api.websocket_connect(f"/ws/protected?token={token}") as session:
            assert session.receive_json() == {"message": "Authenticated", "user": {"sub": "7"}}
        with pytest.raises(WebSocketDisconnect), api.websocket_connect("/ws/protected"):
            pass
        # the block closes the WebSocket, and its exception would close it again: Starlette tells so, as under FastAPI
        with pytest.raises(RuntimeError, match="close message"), api.websocket_connect("/ws/protected?token=bad"):
            pass


@PATTERNS.block(EXAMPLES + "7.10 File Uploads", prelude="from velithon import HTTPException\n")
def test_uploads_and_downloads(space: ModuleType, client: ClientFactory) -> None:
    """A file that was uploaded can be downloaded."""
    api = client(space.app)
    answer = api.post("/upload", files={"file": ("a.txt", b"hello")})
    assert answer.json() == {"filename": "a.txt", "location": "uploads/a.txt"}
    downloaded = api.get("/download/a.txt")
    assert (downloaded.content, downloaded.headers["content-length"]) == (b"hello", "5")
    assert api.get("/download/b.txt").json() == {"detail": "File not found"}


@PATTERNS.block(
    EXAMPLES + "7.10 File Uploads", EXAMPLES + "7.10 File Uploads #2", prelude="from velithon import HTTPException\n"
)
def test_multiple_uploads(space: ModuleType, client: ClientFactory) -> None:
    """Several files come under one name."""
    Path("uploads").mkdir()
    files = [("files", ("a.txt", b"1")), ("files", ("b.txt", b"2"))]
    answer = client(space.app).post("/upload-multiple", files=files)
    assert answer.json() == {"filenames": ["a.txt", "b.txt"], "count": 2}
    assert Path("uploads/b.txt").read_bytes() == b"2"


@PATTERNS.block(
    EXAMPLES + "7.10 File Uploads",
    EXAMPLES + "7.10 File Uploads #3",
    prelude="from velithon import Depends, HTTPException\n",
)
def test_upload_validation(space: ModuleType, client: ClientFactory) -> None:
    """A dependency may take the file, in a thread, and give it on."""
    Path("uploads").mkdir()
    api = client(space.app)
    assert api.post("/upload-image", files={"file": ("a.PNG", b"1")}).json() == {"filename": "a.PNG"}
    wrong = api.post("/upload-image", files={"file": ("a.exe", b"1")})
    assert (wrong.status_code, wrong.json()) == (400, {"detail": "File extension .exe not allowed"})
    large = api.post("/upload-image", files={"file": ("a.png", b"1" * (5 * 1024 * 1024 + 1))})
    assert large.json() == {"detail": "File size exceeds 5242880 bytes"}


@PATTERNS.block(EXAMPLES + "7.12 Auto-documentation", prelude=SETTINGS)
def test_document_metadata(space: ModuleType, client: ClientFactory) -> None:
    """What describes the API is in the document."""
    document = client(space.app).get("/openapi.json").json()
    assert document["info"] == {
        "title": "My API",
        "version": "1.0.0",
        "description": "A comprehensive API documentation",
        "contact": {"name": "API Support", "email": "support@example.com"},
        "license": {"name": "MIT License"},
    }
    assert [tag["name"] for tag in document["tags"]] == ["users", "items", "auth"]


@PATTERNS.block(EXAMPLES + "7.12 Auto-documentation #2")
def test_document_responses(space: ModuleType, client: ClientFactory) -> None:
    """Responses and examples are in the document."""
    operation = client(space.app).get("/openapi.json").json()["paths"]["/users/{user_id}"]["get"]
    assert operation["responses"]["404"] == {
        "description": "User not found",
        "content": {"application/json": {"example": {"success": False, "message": "User not found"}}},
    }
    found = operation["responses"]["200"]
    assert found["description"] == "User found"
    assert found["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/UserResponse"}
    assert found["content"]["application/json"]["example"]["full_name"] == "John Doe"


SECURED = EXAMPLES + "7.12 Auto-documentation #3"


@PATTERNS.block(SECURED, replacing={'    security=[{"bearerAuth": []}],\n': ""})
def test_document_security(space: ModuleType, client: ClientFactory) -> None:
    """A bearer's token is asked for, and its scheme is in the document; FastAPI 0.165 refuses `security=` as we do."""
    with pytest.raises(TypeError, match="security"):
        PATTERNS.run([PATTERNS.blocks[SECURED]], "", {})
    api = client(space.app)
    assert api.get("/protected", headers={"authorization": "Bearer x"}).json() == {"message": "Access granted"}
    assert api.get("/protected").status_code == 401
    document = api.get("/openapi.json").json()
    assert document["paths"]["/protected"]["get"]["security"] == [{"HTTPBearer": []}]
    assert document["components"]["securitySchemes"] == {"HTTPBearer": {"type": "http", "scheme": "bearer"}}


ON_POSTGRESQL = """
from sqlalchemy import Column, Integer, select
get_async_db = None

class Unmade:
    pass
"""
ASYNCHRONOUS = """
class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)

async def begin():
    async with async_engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSessionLocal() as session:
        session.add_all([User(), User()])
        await session.commit()

app.add_event_handler("startup", begin)
app.add_event_handler("shutdown", async_engine.dispose)
"""


@PATTERNS.block(
    EXAMPLES + "7.5 Async Patterns",
    ASYNCHRONOUS,
    prelude=APP + ON_POSTGRESQL,
    given=["database_url"],
    # Its server is not there.
    replacing={'"postgresql+asyncpg://user:pass@localhost/db"': "database_url"},
)
def test_asynchronous_sessions(space: ModuleType, client: ClientFactory) -> None:
    """An endpoint reads from PostgreSQL by asyncpg; what it returns becomes JSON."""
    with client(space.app) as api:
        assert api.get("/users").json() == [{"id": 1}, {"id": 2}]
    assert space.async_engine.pool.checkedout() == 0


TESTED = """
from datetime import datetime
from sqlalchemy import Boolean, Column, DateTime, Integer, String, select
from velithon import APIRouter, Depends, HTTPException

UserSchema = UserResponse

class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
    email = Column(String)
    full_name = Column(String)
    hashed_password = Column(String)
    is_active = Column(Boolean, default=True)
    created_at = Column(DateTime, default=datetime(2026, 1, 2))
    updated_at = Column(DateTime, default=datetime(2026, 1, 2))
    password = None  # the document's test gives it, and the table has none

router = APIRouter(prefix="/api/v1/users")

@router.post("/", status_code=201, response_model=UserSchema)
def create(user: UserCreate, db=Depends(get_db)):
    row = User(email=user.email, full_name=user.full_name, hashed_password="hashed")
    db.add(row)
    db.commit()
    return row

@router.get("/", response_model=PaginatedResponse[UserSchema])
def read_all(db=Depends(get_db)):
    found = db.scalars(select(User)).all()
    return {"items": found, "total": len(found), "page": 1, "size": 10, "pages": 1}

@router.get("/{number}")
def read_one(number: int, db=Depends(get_db)):
    raise NotFoundException("User not found")

app.include_router(router)
"""
# The handlers' block takes two names for granted; httpx takes an application by its transport.
HANDLED = "from velithon import HTTPException\nfrom velithon.exceptions import RequestValidationError\n"
TRANSPORT = {
    "AsyncClient(app=app, ": "AsyncClient(transport=__import__('httpx').ASGITransport(app=app), ",
    # A model is no dictionary.
    '["items"][0]["email"] == user_data["email"]': '["items"][0]["email"] == user_data.email',
}


@pytest.mark.parametrize("name", ["test_create_user", "test_get_users", "test_get_user_not_found"])
@PATTERNS.block(
    *DATABASE[:2],
    EXAMPLES + "7.3 Pydantic Models",
    EXAMPLES + "7.3 Pydantic Models #2",
    EXAMPLES + "7.6 Error Handling",
    EXAMPLES + "7.6 Error Handling #2",
    EXAMPLES + "7.6 Error Handling #3",
    TESTED,
    EXAMPLES + "7.11 Testing with Pytest",
    EXAMPLES + "7.11 Testing with Pytest #2",
    EXAMPLES + "7.11 Testing with Pytest #3",
    prelude=ENVIRONMENT + HANDLED,
    replacing=TRANSPORT,
)
def test_the_documents_tests(space: ModuleType, name: str) -> None:
    """Its fixtures and its tests, as pytest would call them, on SQLite; and its asynchronous one."""
    sessions = space.db.__wrapped__()
    session = next(sessions)
    clients = space.client.__wrapped__(session)
    api = next(clients)
    given = [api, session] if name == "test_get_users" else [api]
    getattr(space, name)(*given)
    asyncio.run(space.test_async_endpoint())
    for generator in (clients, sessions):
        with pytest.raises(StopIteration):
            next(generator)
