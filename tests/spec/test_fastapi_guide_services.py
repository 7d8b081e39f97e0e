"""FastAPI's book, with its name read as ours: chapters 9 to 14, but for their databases."""

import json
import logging
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType

import httpx2 as httpx
import pytest
from PIL import Image
from trustme import CA

from tests.conftest import ClientFactory
from tests.effort import variants
from tests.servers import ServerName, serve
from tests.services.http import receiver
from tests.services.sentry import sentry
from tests.services.smtp import MailServer, mail_server
from tests.spec.conftest import Modules
from tests.spec.documents import FASTAPI_GUIDE, Block
from tests.waiting import until
from velithon.exceptions import RegistrationError

FILES = "Chapter 9: File Handling and Background Tasks / "
REALTIME = "Chapter 10: WebSocket and Real-time Communication / "
TESTING = "Chapter 11: Testing Velithon Applications / "
DOCUMENTING = "Chapter 12: Documentation and OpenAPI / "
PRODUCTION = "Chapter 13: Deployment and Production / "
PATTERNS = "Chapter 14: Advanced Features and Patterns / "


def as_file(request: pytest.FixtureRequest, **given: object) -> str:
    """Return the source of the test's blocks, for a process that imports it by a name of its own."""
    mark = request.node.get_closest_marker("block")
    assert mark is not None
    blocks: list[Block] = mark.args[1]
    code = [block.code for block in blocks]
    names = {
        name for text in code for name in re.findall(r"^ *from (app[.\w]*) import|'(app[.\w]*)'", text, re.MULTILINE)
    }
    modules = (
        f"import sys\nfor name in {sorted(filter(None, sum(names, ())))}: sys.modules[name] = sys.modules[__name__]\n"
    )
    values = [f"{name} = {value!r}" for name, value in given.items()]
    return "\n".join([modules, *values, mark.args[2], *code])


SIGNED_IN = """
from types import SimpleNamespace
import pydantic

class User(pydantic.BaseModel):
    id: int = 7
    username: str = "ada"

async def get_current_active_user():
    return User()

import io  # the block uses it and does not import it
"""
MAILED = (
    SIGNED_IN
    + """
settings = SimpleNamespace(smtp_user="shop", smtp_password="p@ss:word", smtp_server="127.0.0.1", smtp_port=smtp_port)
"""
)


@pytest.fixture(scope="module")
def mails() -> Iterator[MailServer]:
    """A mail server that asks for STARTTLS and a login."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA().issue_cert("127.0.0.1").configure_cert(context)
    with mail_server(context) as server:
        yield server


@pytest.fixture
def smtp_port(mails: MailServer) -> int:
    """Its port, for the document's settings."""
    return mails.port


INCLUDED = "\nfrom velithon import Velithon\napp = Velithon()\napp.include_router(router)\n"


@FASTAPI_GUIDE.block(
    FILES + "9.1 File Upload Handling",
    INCLUDED,
    prelude=SIGNED_IN,
    # A picture that Pillow resized has no format of its own.
    replacing={"format=image.format": 'format="PNG"'},
)
def test_file_handling(space: ModuleType, client: ClientFactory) -> None:
    """Files are uploaded one by one, several at once and as images, and downloaded."""
    api = client(space.app)
    answer = api.post("/files/upload", files={"file": ("a.txt", b"hello")}, data={"description": "d"}).json()
    unique = answer.pop("unique_filename")
    assert answer == {
        "filename": "a.txt",
        "content_type": "text/plain",
        "size": 5,
        "description": "d",
        "uploaded_by": "ada",
    }
    downloaded = api.get(f"/files/download/{unique}")
    assert downloaded.content == b"hello"
    assert downloaded.headers["content-type"] == "application/octet-stream"
    assert downloaded.headers["content-disposition"] == f'attachment; filename="{unique}"'
    assert api.get("/files/download/none").json() == {"detail": "File not found"}
    refused = api.post("/files/upload", files={"file": ("a.exe", b"x")})
    assert (refused.status_code, refused.json()["detail"].startswith("File type not allowed")) == (400, True)
    large = api.post("/files/upload", files={"file": ("a.txt", b"x" * (10 * 1024 * 1024 + 1))})
    assert large.json() == {"detail": "File too large. Max size: 10MB"}
    several = api.post("/files/upload-multiple", files=[("files", ("a.txt", b"1")), ("files", ("b.exe", b"2"))]).json()
    assert [result["status"] for result in several["uploaded_files"]] == ["success", "failed"]
    many = [("files", (f"{number}.txt", b"")) for number in range(11)]
    assert api.post("/files/upload-multiple", files=many).json() == {"detail": "Maximum 10 files allowed"}
    file = {"file": ("a.png", b"1", "image/png")}
    image = api.post("/files/upload-image", files=file, data={"resize": "false"}).json()
    assert (image["resized"], image["dimensions"]) == (False, None)
    picture = BytesIO()
    Image.new("RGB", (40, 30)).save(picture, "PNG")
    file = {"file": ("a.png", picture.getvalue(), "image/png")}
    resized = api.post("/files/upload-image", files=file, data={"resize": "true", "width": "8", "height": "6"}).json()
    assert (resized["resized"], resized["dimensions"]) == (True, {"width": 8, "height": 6})
    with Image.open(Path("uploads", resized["unique_filename"])) as small:
        assert small.size == (8, 6)
    wrong = api.post("/files/upload-image", files=file, data={"width": "x"})
    assert wrong.json()["detail"][0]["loc"] == ["body", "width"]


@FASTAPI_GUIDE.block(
    FILES + "9.1 File Upload Handling",
    FILES + "9.2 Background Tasks",
    INCLUDED,
    prelude=MAILED,
    given=["smtp_port"],
    replacing={"asyncio.sleep(2)": "asyncio.sleep(0)", "time.sleep(5)": "time.sleep(0)"},
)
def test_background_tasks(
    space: ModuleType, client: ClientFactory, mails: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Tasks are added by parameters with and without a default; mails go over STARTTLS, after a login."""
    mails.messages.clear()
    with caplog.at_level(logging.INFO), client(space.app) as api:
        parameters = {"subject": "s", "message": "m"}
        answer = api.post("/files/send-notification", json=["a@b.c", "d@e.f"], params=parameters)
        assert answer.json() == {"message": "Notification will be sent to 2 recipients"}
        processed = api.post("/files/process-file", files={"file": ("a.txt", b"hello")}).json()
    logged = [record.getMessage() for record in caplog.records]
    assert "Email sent to a@b.c" in logged
    assert "Email sent to d@e.f" in logged
    assert [(message["to"], message["subject"]) for message in mails.messages] == [("a@b.c", "s"), ("d@e.f", "s")]
    assert f"File uploads/{processed['filename']} processed for user 7" in logged
    assert Path("uploads", processed["filename"]).read_bytes() == b"hello"


QUEUED = """
from types import SimpleNamespace
from velithon import APIRouter, Velithon
router = APIRouter()
settings = SimpleNamespace(celery_broker_url=redis_url, celery_result_backend=redis_url)
"""


@pytest.mark.server
@FASTAPI_GUIDE.block(FILES + "9.3 Celery Integration", INCLUDED, prelude=QUEUED, given=["redis_url"])
def test_celery(
    request: pytest.FixtureRequest, space: ModuleType, client: ClientFactory, redis_url: str, tmp_path: Path
) -> None:
    """An endpoint starts a task that a worker of Celery does; another tells how far it is."""
    # The application of the test is no part of the worker's.
    (tmp_path / "main.py").write_text(as_file(request, redis_url=redis_url))
    command = [
        sys.executable,
        "-m",
        "celery",
        "--app",
        "main:celery_app",
        "worker",
        "--pool",
        "solo",
        "--without-gossip",
    ]
    path = os.pathsep.join(filter(None, [str(tmp_path), *map(os.path.abspath, sys.path)]))
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, stdout=log, stderr=log)
    try:
        with client(space.app) as api:
            started = api.post("/start-long-task?duration=1").json()
            assert started["status"] == "started"
            state = f"/task-status/{started['task_id']}"
            assert api.get(state).json()["state"] in ("PENDING", "STARTED")
            until(lambda: api.get(state).json()["state"] == "SUCCESS")
            assert "completed in 1 seconds" in api.get(state).json()["status"]
    except BaseException as error:
        error.add_note((tmp_path / "worker.log").read_text())
        raise
    finally:
        worker.kill()
        worker.wait()
        space.celery_app.close()


CHAT = [REALTIME + "10.1 Basic WebSocket Implementation", REALTIME + "10.2 Real-time Chat Application", INCLUDED]
CHAT_PRELUDE = """
from datetime import datetime
from sqlalchemy.orm import declarative_base
from sqlalchemy import Column, Integer
Base = declarative_base()

class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
"""
CHAT_TABLES = """
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
tables = create_engine("sqlite://")
Base.metadata.create_all(tables)
"""


@FASTAPI_GUIDE.block(*CHAT, CHAT_TABLES, prelude=CHAT_PRELUDE)
def test_chat_models(space: ModuleType) -> None:
    """Rooms and their messages are related, in a database."""
    with space.Session(space.tables) as session:
        room = space.ChatRoom(name="r", creator=space.User(), messages=[space.ChatMessage(content="m")])
        session.add(room)
        session.commit()
        assert (room.created_by, room.messages[0].room_id, room.created_at is None) == (1, 1, False)
    space.tables.dispose()


@FASTAPI_GUIDE.block(*CHAT, prelude=CHAT_PRELUDE)
def test_realtime(space: ModuleType, client: ClientFactory) -> None:
    """Messages reach one user, some users, a room, or everybody."""
    with client(space.app) as api:
        with api.websocket_connect("/ws/ada") as ada, api.websocket_connect("/ws/grace") as grace:
            ada.send_text(json.dumps({"type": "chat", "message": "all"}))
            assert json.loads(ada.receive_text())["message"] == json.loads(grace.receive_text())["message"] == "all"
            ada.send_text(json.dumps({"type": "chat", "message": "one", "target_user": "grace"}))
            assert json.loads(grace.receive_text())["message"] == "one"
            ada.send_text(json.dumps({"type": "notification", "message": "n", "target_users": ["grace", "nobody"]}))
            assert json.loads(grace.receive_text())["from_user"] == "ada"
        with api.websocket_connect("/ws/chat/1/ada") as ada:
            assert json.loads(ada.receive_text())["type"] == "user_joined"
            with api.websocket_connect("/ws/chat/1/grace") as grace:
                assert json.loads(ada.receive_text())["user_id"] == "grace"
                assert json.loads(grace.receive_text())["user_id"] == "grace"
            assert json.loads(ada.receive_text())["type"] == "user_left"


@pytest.mark.parametrize("test", ["test_websocket_connection", "test_websocket_disconnect", "test_chat_room_websocket"])
@FASTAPI_GUIDE.block(*CHAT, TESTING + "11.4 Testing WebSockets", prelude=CHAT_PRELUDE)
def test_the_documents_tests_of_websockets(space: ModuleType, client: ClientFactory, test: str) -> None:
    """The document's own tests pass; its last one awaits a session of the synchronous client, which none can be."""
    with client(space.app) as api:
        getattr(space.TestWebSockets(), test)(api)


DOCUMENTED = """
from velithon import Velithon
app = Velithon(title="T", docs_url=None, redoc_url=None)

@app.get("/items/{item_id}")
async def item(item_id: int):
    return item_id
"""


@FASTAPI_GUIDE.block(DOCUMENTING + "12.1 Advanced OpenAPI Configuration", prelude=DOCUMENTED)
def test_custom_document(space: ModuleType, client: ClientFactory) -> None:
    """The document and its pages can be replaced by one's own."""
    api = client(space.app)
    document = api.get("/openapi.json").json()
    assert document["info"]["title"] == "Velithon Comprehensive API"
    assert document["info"]["x-logo"]["url"].endswith("logo-teal.png")
    assert [server["description"] for server in document["servers"]][0] == "Production server"
    assert document["components"]["securitySchemes"]["HTTPBearer"]["bearerFormat"] == "JWT"
    assert set(document["paths"]) == {"/items/{item_id}"}
    page = api.get("/docs").text
    assert "/static/swagger-ui-bundle.js" in page
    assert "T - Swagger UI" in page
    assert "/static/redoc.standalone.js" in api.get("/redoc").text


DESCRIBED = """
from typing import Dict, List, Optional
from pydantic import BaseModel
from velithon import APIRouter, Body, Velithon

class UserCreate(BaseModel):
    username: str
    email: str

class UserUpdate(BaseModel):
    username: str | None = None

class User(UserCreate):
    id: int

app = Velithon()

async def get_current_active_user(): ...
async def get_db(): ...
"""


@pytest.mark.filterwarnings("ignore:`example` has been deprecated")
@FASTAPI_GUIDE.block(
    DOCUMENTING + "12.2 Detailed Endpoint Documentation",
    INCLUDED,
    prelude=DESCRIBED,
)
def test_detailed_documentation(space: ModuleType, client: ClientFactory) -> None:
    """Summaries, descriptions, examples and further responses are in the document."""
    paths = client(space.app).get("/openapi.json").json()["paths"]
    created = paths["/users/"]["post"]
    assert created["summary"] == "Create a new user"
    assert set(created["responses"]) == {"201", "400", "422"}
    assert created["responses"]["201"]["description"] == "User created successfully"
    assert created["responses"]["400"]["content"]["application/json"]["example"] == {
        "detail": "Email already registered"
    }
    body = created["requestBody"]["content"]["application/json"]
    assert body["example"]["username"] == "johndoe"
    path = paths["/users/{user_id}"]["get"]["parameters"][0]
    assert (path["example"], path["description"]) == (1, "The ID of the user to retrieve")
    query = {parameter["name"]: parameter for parameter in paths["/users/"]["get"]["parameters"]}
    assert query["limit"]["schema"] == {
        "type": "integer",
        "maximum": 1000,
        "minimum": 1,
        "title": "Limit",
        "description": "Maximum number of users to return",
        "default": 100,
    }
    assert (query["search"]["example"], query["search"]["required"]) == ("john", False)


MONITORED = """
import os
from types import SimpleNamespace
from prometheus_client import REGISTRY
for collector in list(REGISTRY._collector_to_names):  # those of the test before
    REGISTRY.unregister(collector)
from sqlalchemy.ext.asyncio import create_async_engine
settings = SimpleNamespace(sentry_dsn=os.environ.get("SENTRY_DSN"), enable_metrics=True, app_version="1",
                           redis_url=redis_url, log_level="INFO")
engine = create_async_engine("sqlite+aiosqlite://")
"""
MONITORING = """
from velithon import Velithon
app = Velithon()
app.add_middleware(MonitoringMiddleware)
app.get("/health")(health_check)
app.get("/metrics")(get_metrics)
app.add_event_handler("shutdown", engine.dispose)

@app.get("/fails/{number}")
async def fails(number: int):
    raise LookupError("it failed")
"""
MONITORING_BLOCK = PRODUCTION + "13.4 Monitoring and Logging"
# SQLAlchemy 2 takes no plain text, aioredis is a part of redis-py, and the integration for Sentry is FastAPI's by name
# and has no such option.
TODAY = {
    'conn.execute("SELECT 1")': 'conn.exec_driver_sql("SELECT 1")',
    "import aioredis": "import redis.asyncio as aioredis",
    "await redis.close()": "await redis.aclose()",
    "sentry_sdk.integrations.velithon": "sentry_sdk.integrations.fastapi",
    "FastApiIntegration(auto_enabling_integrations=True)": "FastApiIntegration()",
}


@FASTAPI_GUIDE.block(MONITORING_BLOCK, MONITORING, prelude=MONITORED, given=["redis_url"], replacing=TODAY)
def test_monitoring(space: ModuleType, client: ClientFactory) -> None:
    """Requests are counted by a middleware; health asks a database and a Redis; metrics are Prometheus's."""
    with client(space.app) as api:
        health = api.get("/health")
        assert health.json()["status"] == "healthy"
        assert health.json()["checks"] == {"database": "healthy", "redis": "healthy"}
        assert float(health.headers["x-process-time"]) >= 0
        metrics = api.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=")
    assert 'fastapi_requests_total{endpoint="/health",method="GET",status_code="200"} 1.0' in metrics.text
    assert 'fastapi_request_duration_seconds_count{endpoint="/health",method="GET"} 1.0' in metrics.text


@pytest.mark.server
@FASTAPI_GUIDE.block(MONITORING_BLOCK, MONITORING, prelude=MONITORED, given=["redis_url"], replacing=TODAY)
@pytest.mark.parametrize("name", variants(["granian-rsgi"], ["granian-rsgi", "uvicorn"]))
def test_sentry(request: pytest.FixtureRequest, redis_url: str, name: ServerName) -> None:
    """Its SDK, set up as the document does, tells of an exception with the template of its route, on real servers."""
    source = as_file(request, redis_url=redis_url)
    with sentry() as (dsn, events), serve(source, name, env={"SENTRY_DSN": dsn}) as server:
        assert httpx.get(f"{server.url}/fails/1", timeout=20).status_code == 500
        until(lambda: bool(events))
    # Granian writes a line of its own, which the SDK sends too: docs/production/errors.md tells how it is ignored.
    (event,) = [event for event in events if "exception" in event]
    assert [value["type"] for value in event["exception"]["values"]] == ["LookupError"]
    assert event["transaction"] == "/fails/{number}"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@FASTAPI_GUIDE.block(
    "\nimport velithon\n",
    PRODUCTION + "13.1 Production Configuration",
    # Settings are a package of their own since pydantic 2.
    replacing={
        "from pydantic import BaseSettings, validator": (
            "from pydantic_settings import BaseSettings\nfrom pydantic import validator"
        ),
    },
    prelude="import os\nos.environ['database_url'] = 'sqlite://'\nos.environ['backend_cors_origins'] = '[\"https://a.b\"]'\n",
)
def test_settings(space: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come from the environment and have defaults; each process makes a secret of its own where none is given."""
    assert (space.settings.database_url, space.settings.backend_cors_origins) == ("sqlite://", ["https://a.b"])
    assert space.Settings().secret_key == space.settings.secret_key
    monkeypatch.setenv("secret_key", "given")
    assert space.Settings().secret_key == "given"


CUSTOM = """
from types import SimpleNamespace
from velithon import Middleware, Velithon

# The layer never closes its connections: here they end with the application.
clients = []
module = redis

def from_url(url):
    clients.append(module.from_url(url))
    return clients[-1]

redis = SimpleNamespace(from_url=from_url)

async def close():
    for client in clients:
        await client.aclose()

def make(*layers):
    app = Velithon(middleware=list(layers))
    app.add_event_handler("shutdown", close)

    @app.get("/")
    async def root(request: Request):
        return {"id": getattr(request.state, "request_id", None)}

    return app
"""


@FASTAPI_GUIDE.block(
    PATTERNS + "14.1 Middleware and Request Processing",
    CUSTOM,
    prelude=(
        "from types import SimpleNamespace\nsettings = SimpleNamespace(redis_url=redis_url, rate_limit_enabled=True)\n"
    ),
    given=["redis_url"],
)
@pytest.mark.filterwarnings("ignore:Call to deprecated setex")
def test_custom_middleware(space: ModuleType, client: ClientFactory) -> None:
    """Middleware takes options, answers by itself, and passes what it cannot check."""
    limited = space.make(space.Middleware(space.RateLimitMiddleware, calls=2, period=60))
    with client(limited) as api:
        assert [api.get("/").status_code for _ in range(4)] == [200, 200, 429, 429]
        assert api.get("/").json() == {"detail": "Rate limit exceeded"}
        assert api.get("/", headers={"x-forwarded-for": "1.2.3.4, 5.6.7.8"}).status_code == 200
    space.settings.redis_url = "redis://127.0.0.1:1"  # nobody listens there
    assert client(space.make(space.Middleware(space.RateLimitMiddleware, calls=0))).get("/").status_code == 200
    answer = client(space.make(space.Middleware(space.RequestIDMiddleware))).get("/")
    assert answer.headers["x-request-id"] == answer.json()["id"]
    shared = client(space.make(space.Middleware(space.CORSMiddleware, allow_methods=["GET", "PUT"])))
    assert shared.options("/").headers["access-control-allow-methods"] == "GET, PUT"
    answer = shared.get("/", headers={"origin": "https://a.b"})
    assert answer.headers["access-control-allow-origin"] == "https://a.b"


ADVANCED = """
from types import SimpleNamespace
from velithon import APIRouter
router = APIRouter()
settings = SimpleNamespace(redis_url=redis_url)
AsyncSession = get_db = None
permissions = {"admin"}
async def get_current_user():
    return SimpleNamespace(permissions=permissions)
"""
DEPENDENCIES = PATTERNS + "14.2 Advanced Dependency Injection"


@FASTAPI_GUIDE.block(
    DEPENDENCIES,
    INCLUDED,
    prelude=ADVANCED,
    given=["redis_url"],
    replacing={
        "filters: Dict[str, Any] = Query({})": "filters: Optional[str] = Query(None)",
        "Depends(cache_5min)": "Depends(lambda: cache_5min)",
    },
)
@pytest.mark.filterwarnings("ignore:`regex` has been deprecated")
def test_advanced_dependencies(space: ModuleType, client: ClientFactory) -> None:
    """Classes and their instances are dependencies; `Depends()` takes the annotation's class."""
    api = client(space.app)
    assert api.get("/admin-only").json() == {"message": "Admin access granted"}
    space.permissions.clear()
    refused = api.get("/admin-only")
    assert (refused.status_code, refused.json()) == (403, {"detail": "Insufficient permissions"})
    assert api.get("/users/cached?skip=5&search=x").json() == {"users": [], "total": 0}
    wrong = api.get("/users/cached?limit=101&sort_order=up").json()["detail"]
    assert [error["loc"] for error in wrong] == [["query", "limit"], ["query", "sort_order"]]


@pytest.mark.filterwarnings("ignore:`regex` has been deprecated")
@FASTAPI_GUIDE.block("\nimport velithon\n")
def test_what_fastapi_refuses_is_refused(space: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query parameter that is a dictionary, which FastAPI refuses at registration, is refused with its name."""
    with pytest.raises(RegistrationError, match="filters"):
        FASTAPI_GUIDE.run(
            [FASTAPI_GUIDE.blocks[DEPENDENCIES]],
            ADVANCED,
            Modules(monkeypatch, {}),
            {"redis_url": "redis://127.0.0.1:1"},
        )


EVENTS = """
from contextlib import asynccontextmanager
from pydantic import BaseModel
from sqlalchemy import JSON, Column, DateTime, Integer, String, create_engine
from sqlalchemy.orm import declarative_base
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from velithon import APIRouter

Base = declarative_base()

class Event(Base):
    __tablename__ = "events"
    id = Column(Integer, primary_key=True)
    type = Column(String)
    data = Column(JSON)
    timestamp = Column(DateTime)

engine = create_engine("sqlite:///events.db")
Base.metadata.create_all(engine)
async_engine = create_async_engine("sqlite+aiosqlite:///events.db")

@asynccontextmanager
async def get_db():
    async with AsyncSession(async_engine, expire_on_commit=False) as session:
        yield session

class UserCreate(BaseModel):
    id: int = 7
    username: str
    email: str

async def create_user_in_db(user):
    return user

router = APIRouter()
"""
CLOSED = "\napp.add_event_handler('shutdown', async_engine.dispose)\n"


@FASTAPI_GUIDE.block(
    PATTERNS + "14.3 Event System and Webhooks",
    INCLUDED,
    CLOSED,
    prelude=EVENTS,
    # It is written as a method of two arguments and called as a decorator, with one.
    replacing={
        "def on(self, event_type: str, handler: Callable):": (
            "def on(self, event_type: str, handler: Callable = None):\n"
            "        if handler is None:\n"
            "            return lambda handler: self.on(event_type, handler) or handler"
        )
    },
)
@pytest.mark.filterwarnings(r"ignore:datetime.datetime.utcnow\(\) is deprecated")
@pytest.mark.filterwarnings("ignore:'asyncio.iscoroutinefunction' is deprecated")
def test_events_and_webhooks(
    space: ModuleType, client: ClientFactory, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """An event is kept in a database, given to its handler, and posted to a server that asked for it."""
    with receiver() as (url, received), client(space.app) as api:
        space.events.webhook("user.created", url)
        space.events.webhook("user.created", "http://127.0.0.1:1")  # nobody listens there
        assert api.post("/users/", json={"username": "ada", "email": "a@b.c"}).json()["id"] == 7
    (body,) = received
    assert json.loads(body)["data"] == {"user_id": 7, "email": "a@b.c", "username": "ada"}
    printed = capsys.readouterr().out
    assert "Sending welcome email to a@b.c" in printed
    assert "Webhook error" in printed
    with space.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT type FROM events").scalars().all() == ["user.created"]
    space.engine.dispose()
