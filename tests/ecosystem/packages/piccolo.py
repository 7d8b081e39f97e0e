"""Tables, schemas made of them, and endpoints that create, read, change and delete rows."""
# /// script
# dependencies = ["piccolo[sqlite]", "piccolo_api"]
# ///

from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from piccolo.columns import Boolean, Varchar
from piccolo.engine.sqlite import SQLiteEngine
from piccolo.table import Table, create_db_tables, drop_db_tables
from piccolo.utils.pydantic import create_pydantic_model
from piccolo_api.crud.endpoints import PiccoloCRUD
from piccolo_api.fastapi.endpoints import FastAPIWrapper

from tests.ecosystem.plugin import Clients

DB = SQLiteEngine(path="tasks.sqlite")


class Task(Table, db=DB):
    name = Varchar(length=20)
    done = Boolean(default=False)


TaskIn = create_pydantic_model(Task, model_name="TaskIn")
TaskOut = create_pydantic_model(Task, include_default_columns=True, model_name="TaskOut")


@asynccontextmanager
async def lifespan(app: FastAPI):
    await drop_db_tables(Task)
    await create_db_tables(Task)
    yield


app = FastAPI(lifespan=lifespan)
FastAPIWrapper("/crud/", fastapi_app=app, piccolo_crud=PiccoloCRUD(Task, read_only=False))


@app.post("/tasks", response_model=TaskOut)
async def create(task: TaskIn):
    row = Task(**task.model_dump())
    await row.save()
    return row.to_dict()


@app.get("/tasks/{number}", response_model=TaskOut)
async def read(number: int):
    row = await Task.select().where(Task.id == number).first()
    if row is None:
        raise HTTPException(404)
    return row


def test_rows_come_and_go(client: Clients) -> None:
    with client(app) as http:
        made = http.post("/tasks", json={"name": "write", "done": True}).json()
        assert made == {"id": made["id"], "name": "write", "done": True}
        assert http.get(f"/tasks/{made['id']}").json() == made
        assert http.get("/tasks/99").status_code == 404
        assert http.post("/tasks", json={"name": "n" * 21}).status_code == 422


def test_endpoints_that_it_makes(client: Clients) -> None:
    with client(app) as http:
        made = http.post("/crud/", json={"name": "read", "done": False}).json()[0]["id"]
        assert [row["name"] for row in http.get("/crud/?done=false").json()["rows"]] == ["read"]
        assert http.get("/crud/?name=nothing").json() == {"rows": []}
        assert http.patch(f"/crud/{made}/", json={"done": True}).json()["done"] is True
        assert http.delete(f"/crud/{made}/").status_code == 204
        assert http.get("/crud/count/").json()["count"] == 0
        paths = http.get("/openapi.json").json()["paths"]
        assert {"/crud/", "/crud/{row_id}/"} <= set(paths)
