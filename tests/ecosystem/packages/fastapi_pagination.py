"""Pages, limits and cursors of lists, by a response model and by `add_pagination`."""
# /// script
# dependencies = ["fastapi-pagination", "sqlalchemy"]
# ///

from fastapi import APIRouter, Depends, FastAPI
from fastapi_pagination import LimitOffsetPage, Page, add_pagination, paginate
from fastapi_pagination.ext.sqlalchemy import paginate as paginate_query
from fastapi_pagination.links import Page as LinkedPage
from pydantic import BaseModel
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

from tests.ecosystem.plugin import Clients


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "rows"
    id: Mapped[int] = mapped_column(primary_key=True)


class Number(BaseModel):
    id: int

    model_config = {"from_attributes": True}


engine = create_engine("sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool)
Base.metadata.create_all(engine)
with Session(engine) as filling:
    filling.add_all(Row(id=number) for number in range(100))
    filling.commit()


def get_session():
    with Session(engine) as session:
        yield session


app = FastAPI()
router = APIRouter(prefix="/numbers")


@router.get("/pages", response_model=Page[Number])
async def pages():
    return paginate([Number(id=number) for number in range(100)])


@router.get("/limits")
def limits() -> LimitOffsetPage[Number]:
    return paginate([Number(id=number) for number in range(100)])


@router.get("/linked")
def linked() -> LinkedPage[Number]:
    return paginate([Number(id=number) for number in range(100)])


@router.get("/query")
def query(session: Session = Depends(get_session)) -> Page[Number]:
    return paginate_query(session, select(Row).order_by(Row.id))


app.include_router(router)
add_pagination(app)


def test_pages(client: Clients) -> None:
    with client(app) as http:
        page = http.get("/numbers/pages?page=3&size=10").json()
        assert page == {"items": [{"id": n} for n in range(20, 30)], "total": 100, "page": 3, "size": 10, "pages": 10}
        assert len(http.get("/numbers/pages").json()["items"]) == 50


def test_limits(client: Clients) -> None:
    with client(app) as http:
        page = http.get("/numbers/limits?limit=2&offset=98").json()
        assert page == {"items": [{"id": 98}, {"id": 99}], "total": 100, "limit": 2, "offset": 98}


def test_links(client: Clients) -> None:
    with client(app) as http:
        links = http.get("/numbers/linked?page=2&size=10").json()["links"]
        assert links["next"] in ("/numbers/linked?page=3&size=10", "/numbers/linked?size=10&page=3")


def test_a_query_is_paged_by_the_database(client: Clients) -> None:
    with client(app) as http:
        assert http.get("/numbers/query?page=2&size=5").json()["items"] == [{"id": n} for n in range(5, 10)]


def test_parameters_are_validated_and_documented(client: Clients) -> None:
    with client(app) as http:
        assert http.get("/numbers/pages?page=0").status_code == 422
        document = http.get("/openapi.json").json()
        names = [parameter["name"] for parameter in document["paths"]["/numbers/pages"]["get"]["parameters"]]
        assert names == ["page", "size"]
        assert "Page_Number_" in document["components"]["schemas"]
