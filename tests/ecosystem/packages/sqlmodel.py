"""One class for a table, a body and an answer: create, read, update, list and relations."""
# /// script
# dependencies = ["sqlmodel"]
# ///

from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, HTTPException, Query
from sqlalchemy.pool import StaticPool
from sqlmodel import Field, Relationship, Session, SQLModel, create_engine, select

from tests.ecosystem.plugin import Clients

engine = create_engine("sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool)
app = FastAPI()


class Team(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str
    heroes: list["Hero"] = Relationship(back_populates="team")


class HeroBase(SQLModel):
    name: str = Field(index=True)
    age: int | None = Field(default=None, ge=0)
    team_id: int | None = Field(default=None, foreign_key="team.id")


class Hero(HeroBase, table=True):
    id: int | None = Field(default=None, primary_key=True)
    secret: str
    team: Team | None = Relationship(back_populates="heroes")


class HeroCreate(HeroBase):
    secret: str


class HeroPublic(HeroBase):
    id: int


class HeroUpdate(SQLModel):
    name: str | None = None
    age: int | None = None


class TeamPublic(SQLModel):
    name: str
    heroes: list[HeroPublic] = []


def session():
    with Session(engine) as opened:
        yield opened


Database = Annotated[Session, Depends(session)]


@app.post("/heroes", response_model=HeroPublic, status_code=201)
def create(hero: HeroCreate, db: Database):
    made = Hero.model_validate(hero)
    db.add(made)
    db.commit()
    db.refresh(made)
    return made


@app.get("/heroes", response_model=list[HeroPublic])
def heroes(db: Database, offset: int = 0, limit: Annotated[int, Query(le=100)] = 100):
    return db.exec(select(Hero).order_by(Hero.id).offset(offset).limit(limit)).all()


@app.patch("/heroes/{hero_id}", response_model=HeroPublic)
def update(hero_id: int, changes: HeroUpdate, db: Database):
    hero = db.get(Hero, hero_id)
    if hero is None:
        raise HTTPException(404, "There is no such hero.")
    hero.sqlmodel_update(changes.model_dump(exclude_unset=True))
    db.add(hero)
    db.commit()
    db.refresh(hero)
    return hero


@app.post("/teams")
async def create_team(team: Team, db: Database) -> Team:
    db.add(team)
    db.commit()
    db.refresh(team)
    return team


@app.get("/teams/{team_id}")
def team(team_id: int, db: Database) -> TeamPublic:
    return db.get(Team, team_id)


@pytest.fixture(autouse=True)
def _tables():
    SQLModel.metadata.create_all(engine)
    yield
    SQLModel.metadata.drop_all(engine)


def test_rows_are_bodies_and_answers(client: Clients) -> None:
    http = client(app)
    assert http.post("/teams", json={"name": "blue"}).json() == {"id": 1, "name": "blue"}
    for number in range(3):
        answer = http.post("/heroes", json={"name": f"hero {number}", "secret": "x", "team_id": 1})
        assert answer.status_code == 201
        assert answer.json() == {"name": f"hero {number}", "age": None, "team_id": 1, "id": number + 1}
    assert [hero["id"] for hero in http.get("/heroes?offset=1&limit=1").json()] == [2]
    assert http.patch("/heroes/2", json={"age": 30}).json()["age"] == 30
    assert http.patch("/heroes/9", json={}).status_code == 404
    assert [hero["name"] for hero in http.get("/teams/1").json()["heroes"]] == ["hero 0", "hero 1", "hero 2"]


def test_bodies_are_validated_and_described(client: Clients) -> None:
    http = client(app)
    answer = http.post("/heroes", json={"name": "x", "age": -1, "secret": "x"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "age"]
    schemas = http.get("/openapi.json").json()["components"]["schemas"]
    assert "secret" not in schemas["HeroPublic"]["properties"]
    assert schemas["HeroCreate"]["required"] == ["name", "secret"]
