"""Logging in for a JWT, in a header or a cookie, with scopes and with the user on each request."""
# /// script
# dependencies = ["fastapi-login", "python-multipart"]
# ///

from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response, Security
from fastapi.security import OAuth2PasswordRequestForm
from fastapi_login import LoginManager
from fastapi_login.exceptions import InvalidCredentialsException

from tests.ecosystem.plugin import Clients

manager = LoginManager("s" * 32, token_url="/login", use_cookie=True, scopes={"write": "Change things"})
app = FastAPI()
manager.attach_middleware(app)


@manager.user_loader()
async def load(name: str):
    return {"name": name} if name in ("ada", "bob") else None


@app.post("/login")
async def login(form: Annotated[OAuth2PasswordRequestForm, Depends()], response: Response):
    if await load(form.username) is None or form.password != "right":
        raise InvalidCredentialsException
    token = manager.create_access_token(data={"sub": form.username}, scopes=form.scopes)
    manager.set_cookie(response, token)
    return {"access_token": token, "token_type": "bearer"}


@app.get("/me")
def me(user: Annotated[dict, Depends(manager)]):
    return user["name"]


@app.post("/items")
async def write(user: Annotated[dict, Security(manager, scopes=["write"])]):
    return user["name"]


@app.get("/guess")
async def guess(request: Request):
    return request.state.user


def test_a_token_is_in_a_header_or_a_cookie(client: Clients) -> None:
    http = client(app)
    assert http.get("/me").status_code == 401
    assert http.get("/guess").json() is None
    assert http.post("/login", data={"username": "ada", "password": "wrong"}).status_code == 401
    token = http.post("/login", data={"username": "ada", "password": "right"}).json()["access_token"]
    assert http.get("/me").json() == "ada"
    assert http.get("/guess").json() == {"name": "ada"}
    other = client(app)
    assert other.get("/me", headers={"authorization": f"Bearer {token}"}).json() == "ada"
    assert other.get("/me", headers={"authorization": f"Bearer {token}x"}).status_code == 401


def test_a_scope_is_demanded(client: Clients) -> None:
    http = client(app)
    login = {"username": "bob", "password": "right"}
    http.post("/login", data=login)
    assert http.post("/items").status_code == 400
    http.post("/login", data={**login, "scope": "write"})
    assert http.post("/items").json() == "bob"
    schemes = http.get("/openapi.json").json()["components"]["securitySchemes"]
    assert schemes["LoginManager"]["flows"]["password"]["tokenUrl"] == "/login"
