"""Registering, logging in with a JWT, who is asking, and who may not, on SQLAlchemy."""
# /// script
# dependencies = ["fastapi-users[sqlalchemy]", "aiosqlite"]
# ///

import uuid
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, CookieTransport, JWTStrategy
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from tests.ecosystem.plugin import Clients

SECRET = "a secret that is long enough for HS256"
engine = create_async_engine("sqlite+aiosqlite:///users.db")
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTableUUID, Base):
    pass


async def get_session():
    async with sessions() as session:
        yield session


async def get_user_db(session: AsyncSession = Depends(get_session)):
    yield SQLAlchemyUserDatabase(session, User)


class UserManager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    reset_password_token_secret = SECRET
    verification_token_secret = SECRET


async def get_user_manager(user_db: SQLAlchemyUserDatabase = Depends(get_user_db)):
    yield UserManager(user_db)


def get_strategy() -> JWTStrategy:
    return JWTStrategy(secret=SECRET, lifetime_seconds=3600)


bearer = AuthenticationBackend("jwt", BearerTransport(tokenUrl="auth/jwt/login"), get_strategy)
cookie = AuthenticationBackend("cookie", CookieTransport(cookie_secure=False), get_strategy)
users = FastAPIUsers[User, uuid.UUID](get_user_manager, [bearer, cookie])


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)
app.include_router(users.get_auth_router(bearer), prefix="/auth/jwt", tags=["auth"])
app.include_router(users.get_auth_router(cookie), prefix="/auth/cookie", tags=["auth"])
app.include_router(
    users.get_register_router(schemas.BaseUser[uuid.UUID], schemas.BaseUserCreate), prefix="/auth", tags=["auth"]
)
app.include_router(users.get_users_router(schemas.BaseUser[uuid.UUID], schemas.BaseUserUpdate), prefix="/users")


@app.get("/mine")
async def mine(user: User = Depends(users.current_user(active=True))):
    return {"email": user.email}


@app.get("/boss")
async def boss(user: User = Depends(users.current_user(active=True, superuser=True))):
    return {"email": user.email}


def register(http, email: str) -> None:
    answer = http.post("/auth/register", json={"email": email, "password": "secret"})
    assert answer.status_code == 201, answer.text


def test_nobody_is_let_in_without_a_token(client: Clients) -> None:
    with client(app) as http:
        assert http.get("/mine").status_code == 401
        assert http.get("/mine?user=somebody", headers={"authorization": "Bearer nonsense"}).status_code == 401


def test_a_registered_user_logs_in(client: Clients) -> None:
    with client(app) as http:
        register(http, "ada@example.com")
        again = http.post("/auth/register", json={"email": "ada@example.com", "password": "secret"})
        assert (again.status_code, again.json()) == (400, {"detail": "REGISTER_USER_ALREADY_EXISTS"})
        wrong = http.post("/auth/jwt/login", data={"username": "ada@example.com", "password": "guess"})
        assert (wrong.status_code, wrong.json()) == (400, {"detail": "LOGIN_BAD_CREDENTIALS"})
        token = http.post("/auth/jwt/login", data={"username": "ada@example.com", "password": "secret"}).json()
        headers = {"authorization": f"Bearer {token['access_token']}"}
        assert http.get("/mine", headers=headers).json() == {"email": "ada@example.com"}
        assert http.get("/boss", headers=headers).status_code == 403
        assert http.patch("/users/me", headers=headers, json={"email": "eve@example.com"}).status_code == 200
        assert http.get("/users/me", headers=headers).json()["email"] == "eve@example.com"


def test_a_cookie_logs_in_and_out(client: Clients) -> None:
    with client(app) as http:
        register(http, "bob@example.com")
        entered = http.post("/auth/cookie/login", data={"username": "bob@example.com", "password": "secret"})
        assert entered.status_code == 204
        assert http.get("/mine").json() == {"email": "bob@example.com"}
        assert http.post("/auth/cookie/logout").status_code == 204
        assert http.get("/mine").status_code == 401


def test_the_document_names_the_schemes(client: Clients) -> None:
    with client(app) as http:
        document = http.get("/openapi.json").json()
        assert set(document["components"]["securitySchemes"]) == {"OAuth2PasswordBearer", "APIKeyCookie"}
        assert document["paths"]["/mine"]["get"]["security"]
        assert "UserCreate" in str(document["components"]["schemas"].keys())
