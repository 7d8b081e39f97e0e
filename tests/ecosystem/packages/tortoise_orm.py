"""Models in a database for the time of the lifespan, with schemas made of them and errors as answers."""
# /// script
# dependencies = ["tortoise-orm"]
# ///

from contextlib import asynccontextmanager

from fastapi import FastAPI
from tortoise import fields, models
from tortoise.contrib.fastapi import RegisterTortoise, tortoise_exception_handlers
from tortoise.contrib.pydantic import pydantic_model_creator

from tests.ecosystem.plugin import Clients


class User(models.Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=20, unique=True)
    secret = fields.CharField(max_length=20, default="x")

    class PydanticMeta:
        exclude = ("secret",)


UserOut = pydantic_model_creator(User, name="User")
UserIn = pydantic_model_creator(User, name="UserIn", exclude_readonly=True)


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with RegisterTortoise(app, db_url="sqlite://:memory:", modules={"models": [__name__]}, generate_schemas=True):
        yield


app = FastAPI(lifespan=lifespan, exception_handlers=tortoise_exception_handlers())


@app.post("/users", response_model=UserOut, status_code=201)
async def create(user: UserIn):
    return await UserOut.from_tortoise_orm(await User.create(**user.model_dump()))


@app.get("/users", response_model=list[UserOut])
async def users():
    return await UserOut.from_queryset(User.all().order_by("id"))


@app.get("/users/{user_id}", response_model=UserOut)
async def read(user_id: int):
    return await UserOut.from_queryset_single(User.get(id=user_id))


def test_models_are_kept_and_answered(client: Clients) -> None:
    with client(app) as http:
        answer = http.post("/users", json={"name": "ada"})
        assert (answer.status_code, answer.json()) == (201, {"id": 1, "name": "ada"})
        assert http.post("/users", json={"name": "bob"}).json()["id"] == 2
        assert [user["name"] for user in http.get("/users").json()] == ["ada", "bob"]
        assert http.get("/users/2").json() == {"id": 2, "name": "bob"}
        assert http.post("/users", json={"name": "x" * 21}).status_code == 422


def test_errors_are_answers(client: Clients) -> None:
    with client(app) as http:
        assert http.get("/users/9").status_code == 404
        http.post("/users", json={"name": "ada"})
        answer = http.post("/users", json={"name": "ada"})
        assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "IntegrityError")
