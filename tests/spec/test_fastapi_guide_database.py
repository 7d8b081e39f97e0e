"""FastAPI's book, with its name read as ours: databases, logins and their tests, on PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from authlib.integrations.base_client import OAuthError

from tests.conftest import AsyncClientFactory, ClientFactory
from tests.services.openid import CLIENT_ID, CLIENT_SECRET, openid_provider
from tests.spec.documents import FASTAPI_GUIDE
from velithon.testclient import AsyncTestClient

DATABASE = "Chapter 7: Database Integration and Async Operations / "
SECURITY = "Chapter 8: Authentication and Security / "
TESTING = "Chapter 11: Testing Velithon Applications / "

# What the document leaves to the reader: settings and schemas. Its modules are one here, so the names that two of them
# share are given back to the model of the database after each block that imports the schema.
SCHEMAS = """
import sys
from types import ModuleType, SimpleNamespace
from pydantic import BaseModel, ConfigDict
from velithon import Velithon

settings = SimpleNamespace(
    database_url=database_url, secret_key="only for tests, 32 bytes or more", algorithm="HS256",
    access_token_expire_minutes=30, google_client_id="shop", google_client_secret="secret of the shop",
    github_client_id="shop", github_client_secret="secret of the shop",
)

class UserUpdate(BaseModel):
    full_name: str | None = None

class UserCreate(BaseModel):
    username: str
    email: str
    password: str
    full_name: str | None = None

class UserOut(BaseModel):
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
schemas = sys.modules["app.schemas.user"] = ModuleType("app.schemas.user")
schemas.__dict__.update(User=UserOut, UserCreate=UserCreate, UserUpdate=UserUpdate)
app = Velithon()
"""
# The operations lack this one, which the logins ask for.
BY_NAME = """
from sqlalchemy import select as _select

async def by_name(self, db, username):
    return (await db.execute(_select(Model).where(Model.username == username))).scalar_one_or_none()

UserCRUD.get_user_by_username = by_name
Base.metadata.create_all(engine)
pwd_context.update(bcrypt__rounds=4)  # the fewest that bcrypt knows
hashed = get_password_hash("testpassword")
app.add_event_handler("shutdown", async_engine.dispose)

def add(username, **columns):
    with SessionLocal(expire_on_commit=False) as session:
        user = Model(username=username, email=f"{username}@example.com", hashed_password=hashed)
        for name, value in columns.items():
            setattr(user, name, value)
        session.add(user)
        session.commit()
        session.refresh(user)
        return user
"""
MODEL = "\nModel = User\n"
USER = "\nUser = Model\n"
INCLUDED = "\napp.include_router(router)\n"
API = [
    DATABASE + "7.1 Database Setup",
    DATABASE + "7.2 Database Models",
    MODEL,
    SECURITY + "8.1 Password Security",
    DATABASE + "7.3 Database Operations",
    USER,
    BY_NAME,
    SECURITY + "8.2 Authentication Dependencies",
    SECURITY + "8.3 Authentication Endpoints",
    INCLUDED,
    DATABASE + "7.4 API Endpoints with Database",
    USER,
    INCLUDED,
]
# SQLAlchemy knows no URL that begins as the document's does: its drivers stand behind a plus.
DRIVERS = {'"asyncpg://", "postgresql://"': '"+asyncpg", "+psycopg"'}
pytestmark = [
    # `utcnow()` is the document's, and jose's; Python 3.12 deprecates it
    pytest.mark.filterwarnings(r"ignore:datetime.datetime.utcnow\(\) is deprecated"),
    pytest.mark.filterwarnings("ignore:The ``declarative_base"),
    pytest.mark.filterwarnings("ignore:'crypt' is deprecated"),
]


def spec(*parts: str, replacing: dict[str, str] | None = None) -> Callable[[Any], Any]:
    """Run these blocks after those of the whole API, on an empty database."""
    return FASTAPI_GUIDE.block(
        *API, *parts, prelude=SCHEMAS, given=["database_url"], replacing={**DRIVERS, **(replacing or {})}
    )


@pytest.fixture
def space(space: ModuleType) -> Iterator[ModuleType]:
    """The module, whose connections end with the test."""
    yield space
    assert space.async_engine.pool.checkedout() == 0, "a request kept its session"
    space.engine.dispose()


@spec()
def test_database_endpoints(space: ModuleType, client: ClientFactory) -> None:
    """Users are created, read, updated and deleted in PostgreSQL; each request has a session that is closed."""
    space.add("root", is_superuser=True)
    with client(space.app) as api:
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
        # the newest first
        assert [user["id"] for user in api.get("/users/").json()] == [2, 1]
        assert [user["id"] for user in api.get("/users/?skip=1&limit=1").json()] == [1]
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


SHARED = """
from velithon import Depends

@app.get("/count")
async def count(db=Depends(get_database)):
    return await db.fetch_val("SELECT count(*) FROM users")
"""


@spec(SHARED)
def test_a_transaction_as_a_dependency(space: ModuleType, client: ClientFactory) -> None:
    """The other way to the database: `databases`, connected by the application, in a transaction for each request."""
    space.add("ada")
    space.app.add_event_handler("startup", space.database.connect)
    space.app.add_event_handler("shutdown", space.database.disconnect)
    with client(space.app) as api:
        assert [api.get("/count").json() for _ in range(2)] == [1, 1]


@spec()
def test_authentication(space: ModuleType, client: ClientFactory) -> None:
    """A form or JSON logs in, with bcrypt and jose; the token finds its user, or is refused."""
    space.add("ada")
    space.add("gone", is_active=False)
    with client(space.app) as api:
        token = api.post("/auth/login", data={"username": "ada", "password": "testpassword"}).json()
        assert token["token_type"] == "bearer"
        me = api.get("/auth/me", headers={"authorization": f"Bearer {token['access_token']}"})
        assert me.json()["username"] == "ada"
        forged = token["access_token"][:-4] + "AAAA"
        assert api.get("/auth/me", headers={"authorization": f"Bearer {forged}"}).status_code == 401
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
@spec(TESTING + "11.2 Testing API Endpoints")
def test_the_documents_tests_of_users(
    space: ModuleType, async_client: AsyncClientFactory, test: str, needs_user: bool
) -> None:
    """The document's own asynchronous tests pass."""
    fixtures = [space.add("testuser", email="test@example.com")] if needs_user else []
    run(async_client(space.app), getattr(space.TestUsers(), test), *fixtures)


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
@spec(TESTING + "11.3 Testing Authentication")
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


@pytest.mark.filterwarnings("ignore:.*event_loop.*:pytest.PytestWarning")
@spec("\nengine.dispose()\n", TESTING + "11.1 Basic Testing Setup")
def test_the_documents_fixtures(space: ModuleType, client: ClientFactory, tmp_path: Any) -> None:
    """Its fixtures, as pytest would call them: tables in SQLite, a user in them, and a client of the application."""
    generator = space.db.__wrapped__()
    session = next(generator)
    user = space.test_user.__wrapped__(session)
    assert (user.id, user.username, user.is_superuser) == (1, "testuser", False)
    assert (tmp_path / "test.db").exists()
    assert space.app.dependency_overrides == {space.get_db: space.override_get_db}
    with pytest.raises(StopIteration):
        next(generator)


@pytest.fixture(scope="module")
def provider_url() -> Iterator[str]:
    """A provider of identities for both names that the document knows."""
    backs = [f"http://testserver/oauth/{name}/callback" for name in ("google", "github")]
    with openid_provider(backs) as url:
        yield url


THIRD_PARTY = """
from velithon import APIRouter
from velithon.middleware.sessions import SessionMiddleware
router = APIRouter()
app = Velithon()
app.add_event_handler("shutdown", async_engine.dispose)
app.add_middleware(SessionMiddleware, secret_key="only for tests, 32 bytes or more")
"""


@FASTAPI_GUIDE.block(
    *API,
    THIRD_PARTY,
    SECURITY + "8.4 OAuth2 and Third-party Authentication",
    INCLUDED,
    prelude=SCHEMAS,
    given=["database_url", "provider_url"],
    replacing={
        **DRIVERS,
        # Google and GitHub are not there: one provider of our own answers for both.
        "'https://accounts.google.com/.well-known/openid_configuration'": (
            "provider_url + '/.well-known/openid-configuration'"
        ),
        "'https://github.com/login/oauth/access_token'": "provider_url + '/token'",
        "'https://github.com/login/oauth/authorize'": "provider_url + '/authorize'",
        "'https://api.github.com/'": "provider_url + '/'",
    },
)
@pytest.mark.parametrize("name", ["google", "github"])
def test_logins_at_third_parties(space: ModuleType, client: ClientFactory, name: str) -> None:
    """From the redirect over the provider and back: the user is in the database, and has a token of ours."""
    assert (CLIENT_ID, CLIENT_SECRET) == (space.settings.google_client_id, space.settings.google_client_secret)
    with client(space.app) as browser:
        sent = browser.get(f"/oauth/{name}", follow_redirects=False)
        assert sent.status_code == 302
        agreed = httpx.get(sent.headers["location"], trust_env=False)
        back = urlsplit(agreed.headers["location"])
        answer = browser.get(f"{back.path}?{back.query}")
        assert answer.status_code == 200, answer.text
        assert space.verify_token(answer.json()["access_token"]) == {"username": "ann"}
        with pytest.raises(OAuthError, match="mismatching_state"):
            browser.get(f"{back.path}?state=forged&code=1")
        assert browser.get("/oauth/myspace").json() == {"detail": "Unsupported OAuth provider"}
    with space.SessionLocal() as session:
        assert [user.email for user in session.query(space.Model)] == ["ann@example.com"]
