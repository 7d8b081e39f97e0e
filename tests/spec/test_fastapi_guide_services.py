"""FastAPI's book, with its name read as ours: chapters 7 to 14."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests.conftest import AsyncClientFactory, ClientFactory
from tests.spec import stubs
from tests.spec.conftest import Modules
from tests.spec.documents import FASTAPI_GUIDE
from velithon.exceptions import RegistrationError
from velithon.testclient import AsyncTestClient

DATABASE = "Chapter 7: Database Integration and Async Operations / "
SECURITY = "Chapter 8: Authentication and Security / "
FILES = "Chapter 9: File Handling and Background Tasks / "
REALTIME = "Chapter 10: WebSocket and Real-time Communication / "
TESTING = "Chapter 11: Testing Velithon Applications / "
DOCUMENTING = "Chapter 12: Documentation and OpenAPI / "
PRODUCTION = "Chapter 13: Deployment and Production / "
PATTERNS = "Chapter 14: Advanced Features and Patterns / "

FASTAPI_GUIDE.excepted.update(
    {
        DATABASE + "7.1 Database Setup": "PostgreSQL, SQLAlchemy and databases only, nothing of the framework",
        DATABASE + "7.2 Database Models": "SQLAlchemy only, nothing of the framework",
        DATABASE + "7.3 Database Operations": "SQLAlchemy only, nothing of the framework",
        SECURITY + "8.4 OAuth2 and Third-party Authentication": "Google and GitHub, by authlib",
        FILES + "9.3 Celery Integration": "a Celery worker and its broker",
        TESTING + "11.1 Basic Testing Setup": "SQLAlchemy, and httpx no longer has AsyncClient(app=...)",
        PRODUCTION + "13.1 Production Configuration": "pydantic's own BaseSettings, which pydantic 2 has moved away",
        PATTERNS + "14.3 Event System and Webhooks": "its own EventManager.on is called without the handler: it raises",
    }
)

# the document's users, in memory: what its SQLAlchemy chapter would store
USERS = """
from datetime import datetime
from types import SimpleNamespace
from typing import Dict, List, Optional
from pydantic import ConfigDict, BaseModel
from velithon import Velithon, APIRouter

settings = SimpleNamespace(secret_key="s", algorithm="HS256", access_token_expire_minutes=30)

class UserUpdate(BaseModel):
    full_name: str | None = None

class UserCreate(BaseModel):
    username: str
    email: str
    password: str
    full_name: str | None = None

class User(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: int
    username: str
    email: str
    full_name: str | None = None
    is_active: bool = True
    is_superuser: bool = False

UserRegister = UserCreate
UserLogin = type("UserLogin", (BaseModel,), {"__annotations__": {"email": str, "password": str}})
Token = type("Token", (BaseModel,), {"__annotations__": {"access_token": str, "token_type": str}})
Row = SimpleNamespace
opened, closed = [], []

async def get_db():
    opened.append(1)
    try:
        yield rows
    finally:
        closed.append(1)

def add(username, **options):
    row = Row(id=len(rows) + 1, username=username, email=f"{username}@example.com", full_name=None,
              hashed_password="hashed testpassword", is_active=True, is_superuser=False)
    row.__dict__.update(options)
    rows.append(row)
    return row

rows = []

class Users:
    async def find(self, db, name, value):
        return next((row for row in db if getattr(row, name) == value), None)
    async def get_user(self, db, user_id):
        return await self.find(db, "id", user_id)
    async def get_user_by_email(self, db, email):
        return await self.find(db, "email", email)
    async def get_user_by_username(self, db, username):
        return await self.find(db, "username", username)
    async def get_users(self, db, skip, limit):
        return db[skip:skip + limit]
    async def create_user(self, db, user):
        return add(user.username, email=user.email, full_name=user.full_name)
    async def update_user(self, db, user_id, user_update):
        row = await self.get_user(db, user_id)
        if row is not None:
            row.__dict__.update(user_update.dict(exclude_unset=True))
        return row
    async def delete_user(self, db, user_id):
        row = await self.get_user(db, user_id)
        if row is None:
            return False
        rows.remove(row)
        return True

user_crud = Users()
app = Velithon()
"""

LIBRARIES = {**stubs.JOSE, **stubs.PASSLIB, **stubs.SQLALCHEMY_SESSION}
ACCOUNTS = [SECURITY + "8.1 Password Security", SECURITY + "8.2 Authentication Dependencies"]
API = [
    *ACCOUNTS,
    SECURITY + "8.3 Authentication Endpoints",
    "\napp.include_router(router)\n",
    DATABASE + "7.4 API Endpoints with Database",
    "\napp.include_router(router)\n",
]
# `utcnow()` is the document's; Python 3.12 deprecates it
UTCNOW = pytest.mark.filterwarnings(r"ignore:datetime.datetime.utcnow\(\) is deprecated")


@UTCNOW
@FASTAPI_GUIDE.block(*API, prelude=USERS, stubs=LIBRARIES)
def test_database_endpoints(space: ModuleType, client: ClientFactory) -> None:
    """Users are created, read, updated and deleted; each request has a session that is closed."""
    space.add("root", is_superuser=True)
    api = client(space.app)
    created = api.post("/users/", json={"username": "ada", "email": "ada@example.com", "password": "p"})
    assert created.status_code == 201
    assert created.json() == {
        "id": 2,
        "username": "ada",
        "email": "ada@example.com",
        "full_name": None,
        "is_active": True,
        "is_superuser": False,
    }
    again = api.post("/users/", json={"username": "x", "email": "ada@example.com", "password": "p"})
    assert (again.status_code, again.json()) == (400, {"detail": "Email already registered"})
    assert [user["id"] for user in api.get("/users/").json()] == [1, 2]
    assert [user["id"] for user in api.get("/users/?skip=1&limit=1").json()] == [2]
    assert (api.get("/users/9").status_code, api.get("/users/9").json()) == (404, {"detail": "User not found"})

    def headers(name: str) -> dict[str, str]:
        return {"authorization": f"Bearer {space.create_access_token({'sub': name})}"}

    assert api.put("/users/2", json={"full_name": "Ada"}, headers=headers("ada")).json()["full_name"] == "Ada"
    assert api.put("/users/1", json={}, headers=headers("ada")).status_code == 403
    assert api.delete("/users/1", headers=headers("ada")).status_code == 403
    assert api.delete("/users/2").status_code == 401
    deleted = api.delete("/users/2", headers=headers("root"))
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert api.delete("/users/2", headers=headers("root")).status_code == 404
    assert len(space.opened) == len(space.closed)


@UTCNOW
@FASTAPI_GUIDE.block(*API, prelude=USERS, stubs=LIBRARIES)
def test_authentication(space: ModuleType, client: ClientFactory) -> None:
    """A form or JSON logs in; the token finds its user, or is refused."""
    space.add("ada")
    space.add("gone", is_active=False)
    api = client(space.app)
    token = api.post("/auth/login", data={"username": "ada", "password": "testpassword"}).json()
    assert token["token_type"] == "bearer"
    me = api.get("/auth/me", headers={"authorization": f"Bearer {token['access_token']}"})
    assert me.json()["username"] == "ada"
    refused = api.post("/auth/login", data={"username": "ada", "password": "wrong"})
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert api.post("/auth/login", data={"username": "ada"}).status_code == 422
    login = {"email": "ada@example.com", "password": "testpassword"}
    assert "access_token" in api.post("/auth/login/json", json=login).json()
    gone = space.create_access_token({"sub": "gone"})
    inactive = api.get("/auth/me", headers={"authorization": f"Bearer {gone}"})
    assert (inactive.status_code, inactive.json()) == (400, {"detail": "Inactive user"})
    user = {"username": "ada", "email": "new@example.com", "password": "p"}
    assert api.post("/auth/register", json=user).json() == {"detail": "Username already taken"}
    document = api.get("/openapi.json").json()
    form = document["paths"]["/auth/login"]["post"]["requestBody"]["content"]
    assert list(form) == ["application/x-www-form-urlencoded"]
    assert document["paths"]["/auth/me"]["get"]["security"] == [{"HTTPBearer": []}]
    assert document["paths"]["/auth/me"]["get"]["tags"] == ["authentication"]


def run(client: AsyncTestClient, test: Callable[..., Awaitable[None]], *fixtures: object) -> None:
    """Run one of the document's own tests."""

    async def main() -> None:
        async with client:
            await test(client, *fixtures)

    asyncio.run(main())


@UTCNOW
@pytest.mark.parametrize(
    ("test", "needs_user"),
    [
        ("test_create_user", False),
        ("test_create_user_duplicate_email", True),
        ("test_get_user", True),
        ("test_get_user_not_found", False),
        ("test_get_users_list", True),
        ("test_update_user_authorized", True),
        ("test_update_user_unauthorized", True),
        ("test_delete_user_forbidden", True),
    ],
)
@FASTAPI_GUIDE.block(*API, TESTING + "11.2 Testing API Endpoints", prelude=USERS, stubs=LIBRARIES)
def test_the_documents_tests_of_users(
    space: ModuleType, async_client: AsyncClientFactory, test: str, needs_user: bool
) -> None:
    """The document's own asynchronous tests pass."""
    fixtures = [space.add("testuser", email="test@example.com")] if needs_user else []
    run(async_client(space.app), getattr(space.TestUsers(), test), *fixtures)


@UTCNOW
@pytest.mark.parametrize(
    ("test", "needs_user"),
    [
        # test_register_user expects a 201 that the document's endpoint does not give
        ("test_login_success", True),
        ("test_login_invalid_credentials", True),
        ("test_get_current_user", True),
        ("test_invalid_token", False),
    ],
)
@FASTAPI_GUIDE.block(*API, TESTING + "11.3 Testing Authentication", prelude=USERS, stubs=LIBRARIES)
def test_the_documents_tests_of_authentication(
    space: ModuleType, async_client: AsyncClientFactory, test: str, needs_user: bool
) -> None:
    """The document's own tests of logins and tokens pass."""
    user = space.add("testuser", email="test@example.com")
    run(async_client(space.app), getattr(space.TestAuth(), test), *([user] if needs_user else []))
    security = space.TestSecurity()
    security.test_create_and_verify_token(user)
    security.test_verify_invalid_token()
    security.test_expired_token(user)


SIGNED_IN = """
from types import SimpleNamespace
import pydantic

class User(pydantic.BaseModel):
    id: int = 7
    username: str = "ada"

async def get_current_active_user():
    return User()

settings = SimpleNamespace(smtp_user="u", smtp_password="p", smtp_server="localhost", smtp_port=25)
"""
INCLUDED = "\nfrom velithon import Velithon\napp = Velithon()\napp.include_router(router)\n"


@FASTAPI_GUIDE.block(FILES + "9.1 File Upload Handling", INCLUDED, prelude=SIGNED_IN, stubs=stubs.FILES)
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
    wrong = api.post("/files/upload-image", files=file, data={"width": "x"})
    assert wrong.json()["detail"][0]["loc"] == ["body", "width"]


@FASTAPI_GUIDE.block(
    FILES + "9.1 File Upload Handling",
    FILES + "9.2 Background Tasks",
    INCLUDED,
    prelude=SIGNED_IN,
    stubs=stubs.FILES,
    replacing={"asyncio.sleep(2)": "asyncio.sleep(0)", "time.sleep(5)": "time.sleep(0)"},
)
def test_background_tasks(space: ModuleType, client: ClientFactory, caplog: pytest.LogCaptureFixture) -> None:
    """Tasks are added by parameters with and without a default, and run after the response."""
    space.__dict__["smtplib"] = SimpleNamespace(SMTP=Mail)
    with caplog.at_level(logging.INFO), client(space.app) as api:
        parameters = {"subject": "s", "message": "m"}
        answer = api.post("/files/send-notification", json=["a@b.c", "d@e.f"], params=parameters)
        assert answer.json() == {"message": "Notification will be sent to 2 recipients"}
        processed = api.post("/files/process-file", files={"file": ("a.txt", b"hello")}).json()
    logged = [record.getMessage() for record in caplog.records]
    assert "Email sent to a@b.c" in logged
    assert "Email sent to d@e.f" in logged
    assert f"File uploads/{processed['filename']} processed for user 7" in logged
    assert Path("uploads", processed["filename"]).read_bytes() == b"hello"


class Mail:
    """A mail server that takes everything."""

    def __init__(self, host: str, port: int) -> None:
        self.starttls = self.quit = lambda: None
        self.login = self.sendmail = stubs.nothing


CHAT = [REALTIME + "10.1 Basic WebSocket Implementation", REALTIME + "10.2 Real-time Chat Application", INCLUDED]
CHAT_PRELUDE = "from datetime import datetime\nBase = object\n"


@FASTAPI_GUIDE.block(*CHAT, prelude=CHAT_PRELUDE, stubs=stubs.SQLALCHEMY_MODELS)
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
@FASTAPI_GUIDE.block(*CHAT, TESTING + "11.4 Testing WebSockets", prelude=CHAT_PRELUDE, stubs=stubs.SQLALCHEMY_MODELS)
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


@pytest.mark.filterwarnings("ignore:`example` has been deprecated")
@FASTAPI_GUIDE.block(
    DOCUMENTING + "12.2 Detailed Endpoint Documentation",
    INCLUDED,
    prelude=USERS + "\nfrom velithon import Body\nasync def get_current_active_user(): ...\n",
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
from types import SimpleNamespace
settings = SimpleNamespace(sentry_dsn=None, enable_metrics=True, app_version="1", redis_url="x")
engine = None
"""
MONITORING = """
from velithon import Velithon
app = Velithon()
app.add_middleware(MonitoringMiddleware)
app.get("/health")(health_check)
app.get("/metrics")(get_metrics)
"""


@FASTAPI_GUIDE.block(PRODUCTION + "13.4 Monitoring and Logging", MONITORING, prelude=MONITORED, stubs=stubs.MONITORING)
def test_monitoring(space: ModuleType, client: ClientFactory) -> None:
    """Requests are counted by a middleware; health and metrics are functions added as routes."""
    api = client(space.app)
    health = api.get("/health")
    assert health.json()["status"] == "unhealthy"
    assert health.json()["checks"].keys() == {"database", "redis"}
    assert float(health.headers["x-process-time"]) >= 0
    metrics = api.get("/metrics")
    assert (metrics.text, metrics.headers["content-type"]) == ("metrics", "text/plain; version=0.0.4; charset=utf-8")
    assert space.REQUEST_COUNT.seen[0] == {"method": "GET", "endpoint": "/health", "status_code": 200}


CUSTOM = """
from velithon import Middleware, Velithon

def make(*layers):
    app = Velithon(middleware=list(layers))

    @app.get("/")
    async def root(request: Request):
        return {"id": getattr(request.state, "request_id", None)}

    return app
"""


@FASTAPI_GUIDE.block(
    PATTERNS + "14.1 Middleware and Request Processing",
    CUSTOM,
    prelude="from types import SimpleNamespace\nsettings = SimpleNamespace(redis_url='x', rate_limit_enabled=True)\n",
    stubs=stubs.REDIS,
)
def test_custom_middleware(space: ModuleType, client: ClientFactory) -> None:
    """Middleware takes options, answers by itself, and passes what it cannot check."""
    limited = space.make(space.Middleware(space.RateLimitMiddleware, calls=2, period=60))
    api = client(limited)
    assert [api.get("/").status_code for _ in range(4)] == [200, 200, 429, 429]
    assert api.get("/").json() == {"detail": "Rate limit exceeded"}
    assert api.get("/", headers={"x-forwarded-for": "1.2.3.4, 5.6.7.8"}).status_code == 200
    space.settings.redis_url = ""
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
settings = SimpleNamespace(redis_url="x")
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
    stubs=stubs.REDIS,
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
@FASTAPI_GUIDE.block("\nimport velithon\n", stubs=stubs.REDIS)
def test_what_fastapi_refuses_is_refused(space: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query parameter that is a dictionary, which FastAPI refuses at registration, is refused with its name."""
    with pytest.raises(RegistrationError, match="filters"):
        FASTAPI_GUIDE.run([FASTAPI_GUIDE.blocks[DEPENDENCIES]], ADVANCED, Modules(monkeypatch, {}))
