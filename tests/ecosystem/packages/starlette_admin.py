"""An administration with forms, an API of its own, and uploads."""
# /// script
# dependencies = ["starlette-admin", "sqlalchemy[asyncio]", "itsdangerous"]
# ///

from fastapi import FastAPI
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from starlette_admin.contrib.sqla import Admin, ModelView

from tests.ecosystem.plugin import Clients


class Base(DeclarativeBase):
    pass


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


engine = create_engine("sqlite:///books.db", connect_args={"check_same_thread": False})
Base.metadata.create_all(engine)
app = FastAPI()
admin = Admin(engine, title="Shop", secret_key="secret")
admin.add_view(ModelView(Book))
admin.mount_to(app)


def test_books_are_made_listed_and_changed(client: Clients) -> None:
    http = client(app)
    assert "Shop" in http.get("/admin/").text
    assert http.post("/admin/book/create", data={"title": "Emma"}).status_code == 403
    token = {"csrftoken": http.cookies["starlette_admin_csrftoken"]}
    made = http.post("/admin/book/create", data={"title": "Emma", **token}, follow_redirects=False)
    assert made.status_code == 303
    assert "Emma" in http.get("/admin/book/list").text
    with Session(engine) as session:
        key = session.scalars(select(Book.id)).one()
    http.post(f"/admin/book/edit?pk={key}", data={"title": "Persuasion", **token})
    with Session(engine) as session:
        assert session.scalars(select(Book.title)).all() == ["Persuasion"]
    assert "Persuasion" in http.get(f"/admin/book/detail?pk={key}").text


def test_a_wrong_page_is_its_own_error(client: Clients) -> None:
    answer = client(app).get("/admin/nowhere/list")
    assert answer.status_code == 404
    assert "<html" in answer.text


def test_its_files_are_served(client: Clients) -> None:
    http = client(app)
    page = http.get("/admin/book/list").text
    found = page.split('href="http://testserver/admin/static/')[1].split('"')[0]
    assert http.get(f"/admin/static/{found}").status_code == 200
