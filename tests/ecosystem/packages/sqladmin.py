"""An administration of SQLAlchemy's models, with a login, lists, forms and a search."""
# /// script
# dependencies = ["sqladmin", "sqlalchemy[asyncio]", "itsdangerous"]
# ///

from fastapi import FastAPI, Request
from sqladmin import Admin, ModelView
from sqladmin.authentication import AuthenticationBackend
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.ecosystem.plugin import Clients


class Base(DeclarativeBase):
    pass


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


class Login(AuthenticationBackend):
    async def login(self, request: Request) -> bool:
        form = await request.form()
        if form["password"] != "secret":
            return False
        request.session["user"] = form["username"]
        return True

    async def logout(self, request: Request) -> bool:
        request.session.clear()
        return True

    async def authenticate(self, request: Request) -> bool:
        return "user" in request.session


class BookAdmin(ModelView, model=Book):
    column_list = ("id", "title")
    column_searchable_list = ("title",)


engine = create_engine("sqlite:///books.db", connect_args={"check_same_thread": False})
Base.metadata.create_all(engine)
app = FastAPI()
admin = Admin(app, engine, authentication_backend=Login(secret_key="secret"))
admin.add_view(BookAdmin)


@app.get("/")
def home():
    return "shop"


def test_the_door_is_closed(client: Clients) -> None:
    http = client(app)
    assert http.get("/admin/book/list", follow_redirects=False).status_code == 302
    refused = http.post("/admin/login", data={"username": "me", "password": "guess"})
    assert refused.status_code == 400


def test_books_are_made_found_changed_and_deleted(client: Clients) -> None:
    http = client(app)
    assert http.get("/").json() == "shop"
    assert http.post("/admin/login", data={"username": "me", "password": "secret"}).url.path == "/admin/"
    made = http.post("/admin/book/create", data={"title": "Emma", "save": "Save"})
    assert made.status_code == 200
    assert made.url.path == "/admin/book/list"
    assert "Emma" in http.get("/admin/book/list?search=emm").text
    assert "Emma" not in http.get("/admin/book/list?search=other").text
    with Session(engine) as session:
        book = session.scalars(select(Book)).one()
    assert "Emma" in http.get(f"/admin/book/details/{book.id}").text
    http.post(f"/admin/book/edit/{book.id}", data={"title": "Persuasion", "save": "Save"})
    assert "Persuasion" in http.get("/admin/book/export/csv").text
    assert http.delete(f"/admin/book/delete?pks={book.id}").status_code == 200
    with Session(engine) as session:
        assert session.scalars(select(Book)).all() == []


def test_its_files_are_served(client: Clients) -> None:
    answer = client(app).get("/admin/statics/css/main.css")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/css")
