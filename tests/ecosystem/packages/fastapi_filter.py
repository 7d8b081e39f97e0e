"""Filters, orders and searches of SQLAlchemy's queries, by models of query parameters."""
# /// script
# dependencies = ["fastapi-filter[sqlalchemy]"]
# ///

from fastapi import FastAPI
from fastapi_filter import FilterDepends, with_prefix
from fastapi_filter.contrib.sqlalchemy import Filter
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.pool import StaticPool

from tests.ecosystem.plugin import Clients


class Base(DeclarativeBase):
    pass


class City(Base):
    __tablename__ = "cities"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    age: Mapped[int]
    city_id: Mapped[int] = mapped_column(ForeignKey("cities.id"))
    city: Mapped[City] = relationship()


engine = create_engine("sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool)
Base.metadata.create_all(engine)
with Session(engine) as filling:
    rome, oslo = City(name="Rome"), City(name="Oslo")
    people = [("ada", 30, rome), ("bob", 40, oslo), ("cyd", 50, rome)]
    filling.add_all(User(name=name, age=age, city=city) for name, age, city in people)
    filling.commit()


class CityFilter(Filter):
    name: str | None = None

    class Constants(Filter.Constants):
        model = City


class UserFilter(Filter):
    name__in: list[str] | None = None
    age__gte: int | None = None
    city: CityFilter | None = FilterDepends(with_prefix("city", CityFilter))
    order_by: list[str] = ["name"]
    search: str | None = None

    class Constants(Filter.Constants):
        model = User
        search_model_fields = ["name"]


app = FastAPI()


@app.get("/users")
def users(wanted: UserFilter = FilterDepends(UserFilter)) -> list[str]:
    query = wanted.sort(wanted.filter(select(User).join(City)))
    with Session(engine) as session:
        return [user.name for user in session.scalars(query)]


def test_filters(client: Clients) -> None:
    http = client(app)
    assert http.get("/users").json() == ["ada", "bob", "cyd"]
    assert http.get("/users?age__gte=40&order_by=-age").json() == ["cyd", "bob"]
    assert http.get("/users?name__in=ada,bob").json() == ["ada", "bob"]
    assert http.get("/users?city__name=Rome").json() == ["ada", "cyd"]
    assert http.get("/users?search=y").json() == ["cyd"]


def test_mistakes_are_refused(client: Clients) -> None:
    http = client(app)
    assert http.get("/users?age__gte=old").status_code == 422
    wrong = http.get("/users?order_by=nothing")
    assert wrong.status_code == 422
    assert wrong.json()["detail"][0]["loc"] == ["order_by"]
