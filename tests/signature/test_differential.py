"""The same endpoints under FastAPI and Velithon answer the same requests the same way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.signature.sidebyside import Pair

PARAMETERS = """
from __future__ import annotations
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Optional, Union
from uuid import UUID, uuid4
from fastapi import FastAPI, Query, Path, Header, Cookie
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, Json, AfterValidator
app = FastAPI()

class Color(str, Enum):
    red = "red"
    blue = "blue"

class Level(int, Enum):
    low = 1
    high = 2

class Filters(BaseModel):
    model_config = ConfigDict(extra="forbid")
    limit: int = Field(100, gt=0, le=100)
    offset: int = Field(0, ge=0)
    order_by: Literal["created_at", "updated_at"] = "created_at"
    tags: list[str] = []
    renamed: int = Field(3, alias="ren")

class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int
    b_c: str | None = None

class Heads(BaseModel):
    x_token: str
    x_tags: list[str] = []
    if_modified: int | None = None

class Cooks(BaseModel):
    session: str
    level: int = 3

@app.get("/path/{item_id}")
async def path(item_id: int): return item_id
@app.get("/path/{a}/{b}")
async def path2(a: float, b: Annotated[str, Path(min_length=2, pattern="^[a-z]+$")]): return [a, b]
@app.get("/file/{name:path}")
async def path3(name: str): return name
@app.get("/color/{color}/{level}")
async def path4(color: Color, level: Level): return [color, level]
@app.get("/uuid/{u}")
async def path5(u: UUID): return u
@app.get("/conv/{n:int}")
async def path6(n: int): return n
@app.get("/alias/{item-id}")
async def path7(item_id: Annotated[int, Path(alias="item-id")]): return item_id
@app.get("/choices/{other}")
async def path8(mine: Annotated[int, Path(validation_alias=AliasChoices("one", "other"))]): return mine

@app.get("/query")
async def query(a: int, b: str = "x", c: float | None = None, d: bool = False, e: Optional[date] = None,
    f: Literal["u", "v"] = "u", g: Union[int, str] = 3, h: Decimal = Decimal("1.5")): return [a, b, c, d, e, f, g, h]
@app.get("/lists")
async def lists(a: Annotated[list[int], Query()], b: Annotated[set[str], Query()] = {"z"}, c: list[int] | None = Query(None),
    d: Annotated[tuple[int, str], Query()] = (1, "x"), e: Annotated[list[str] | None, Query(max_length=2)] = None):
    return [a, sorted(b), c, d, e]
@app.get("/constrained")
async def constrained(a: int = Query(gt=1, lt=10), b: str = Query("abc", min_length=2, max_length=5, pattern="^[a-z]*$"),
    c: float = Query(1.5, multiple_of=0.5), d: float = Query(1, allow_inf_nan=False), e: int = Query(3, strict=False)): return [a, b, c, d, e]
@app.get("/aliases")
async def aliases(a: int = Query(alias="item-query"), b: Annotated[str, Query(validation_alias="bee")] = "x",
    c: Annotated[int, Query(validation_alias=AliasChoices("cc", "ccc"))] = 1, d: Annotated[str | None, Query(serialization_alias="dd")] = None): return [a, b, c, d]
@app.get("/times")
async def times(a: datetime, b: time, c: timedelta, d: UUID | None = None): return [a, b, c, d]
@app.get("/factory")
async def factory(a: Annotated[list[int], Query(default_factory=lambda: [1, 2])], b: Annotated[str, Query(default_factory=lambda: "made")]):
    a.append(3)
    return [a, b]
@app.get("/mutable")
async def mutable(a: list[int] = Query([1])):
    a.append(2)
    return a
@app.get("/checked")
async def checked(a: int = Query("7", validate_default=True), b: int = Query("x")): return [a, b]
@app.get("/json")
async def json_(a: Annotated[Json[list[int]], Query()], b: Annotated[Json[list[int]] | None, Query()] = None): return [a, b]
@app.get("/validated")
async def validated(a: Annotated[str, AfterValidator(lambda v: v.upper())] = "x", b: Annotated[int, Field(gt=3)] = 4): return [a, b]
@app.get("/bytes")
async def bytes_(a: bytes = b"x", b: Any = None, c=5): return [a.decode(), b, c]
@app.get("/filters")
async def filters(f: Annotated[Filters, Query()]): return f
@app.get("/loose")
async def loose(f: Annotated[Loose, Query()]): return f
@app.get("/maybe")
async def maybe(f: Annotated[Loose | None, Query()] = None): return f
@app.get("/header")
async def header(user_agent: Annotated[str | None, Header()] = None, x_int: Annotated[int, Header()] = 3,
    x_list: Annotated[list[str] | None, Header()] = None, raw_name: Annotated[str | None, Header(convert_underscores=False)] = None,
    named: str = Header("d", alias="X-Named")): return [user_agent, x_int, x_list, raw_name, named]
@app.get("/header-required")
async def header_required(x_token: Annotated[str, Header()], x_ints: Annotated[list[int], Header()]): return [x_token, x_ints]
@app.get("/heads")
async def heads(h: Annotated[Heads, Header()]): return h
@app.get("/cookie")
async def cookie(session: Annotated[str | None, Cookie()] = None, level: int = Cookie(1)): return [session, level]
@app.get("/cooks")
async def cooks(c: Annotated[Cooks, Cookie()]): return c
@app.get("/optional-path/{a}")
@app.get("/optional-path")
async def optional_path(a: str = "default"): return a
@app.get("/sync/{a}")
def sync(a: int, b: int = 2): return a + b
"""

GETS = [
    ("/path/3", {}), ("/path/x", {}), ("/path/3.0", {}), ("/path/1/ab", {}), ("/path/x/A", {}), ("/file/a/b%20c", {}),
    ("/color/red/1", {}), ("/color/green/3", {}), ("/uuid/00000000-0000-0000-0000-000000000001", {}), ("/uuid/x", {}),
    ("/conv/3", {}), ("/conv/x", {}), ("/alias/4", {}), ("/alias/x", {}), ("/choices/4", {}), ("/choices/x", {}),
    ("/query", {}), ("/query?a=1", {}), ("/query?a=x&c=y&d=maybe&e=2&f=w&g=z&h=q", {}), ("/query?a=1&b=&c=1.5&d=on&e=2020-01-01&f=v&g=12&h=2.50", {}),
    ("/query?a=1&a=2", {}), ("/query?a=", {}), ("/query?a=%31&b=a+b%26", {}), ("/query?a=1&b=%ff&&=&x", {}), ("/query?a=1&c=nan", {}), ("/query?a=1&c=inf", {}),
    ("/query?a", {}), ("/query?a=1;b=2", {}), ("/query?%61=5", {}),
    ("/lists", {}), ("/lists?a=1&a=2&b=x&b=y&b=x&c=4&d=1&d=q&e=1&e=2&e=3", {}), ("/lists?a=x&d=1&c=", {}), ("/lists?a=1", {}),
    ("/constrained", {}), ("/constrained?a=5&b=ABC&c=1.2&d=inf", {}), ("/constrained?a=1", {}), ("/constrained?a=11&b=a", {}), ("/constrained?a=5&b=abcdef&c=2", {}),
    ("/aliases?item-query=3&bee=q&cc=4", {}), ("/aliases?a=3", {}), ("/aliases?item-query=x&b=q&ccc=x&dd=3", {}), ("/aliases?item-query=1&cc=1&ccc=2&d=3", {}),
    ("/times?a=2020-01-01T00:00:00&b=10:11&c=P1D", {}), ("/times?a=1&b=2&c=3", {}), ("/times?a=x&b=x&c=x&d=x", {}),
    ("/factory", {}), ("/factory", {}), ("/factory?a=5&b=x", {}), ("/mutable", {}), ("/mutable", {}), ("/checked", {}), ("/checked?a=1&b=2", {}),
    ('/json?a=[1]', {}), ('/json?a=["y"]', {}), ("/json?a=x", {}), ("/json", {}), ('/json?a=[1]&b=[1]', {}), ('/json?a=[1]&b=[x', {}),
    ("/validated?a=abc", {}), ("/validated?b=1", {}), ("/bytes?a=xyz&b=1&c=2", {}), ("/bytes", {}),
    ("/filters", {}), ("/filters?limit=0&offset=-1&order_by=x&extra=1", {}), ("/filters?tags=a&tags=b&ren=4", {}), ("/filters?renamed=4", {}), ("/filters?x=1&x=2", {}),
    ("/loose", {}), ("/loose?a=1&b_c=2&z=3&z=4", {}), ("/loose?a=x", {}), ("/maybe", {}), ("/maybe?a=1", {}), ("/maybe?z=1", {}), ("/maybe?b_c=1", {}),
    ("/header", {}), ("/header", {"user-agent": "me", "x-int": "5", "raw_name": "r", "x-named": "n"}), ("/header", {"x-int": "q", "raw-name": "r"}),
    ("/header-required", {}), ("/header-required", {"x-token": "a", "x-ints": "1"}), ("/header-required", {"x-token": "", "x-ints": "z"}),
    ("/heads", {}), ("/heads", {"x-token": "a", "x-tags": "b", "if-modified": "3"}), ("/heads", {"x_token": "a", "if-modified": "z"}),
    ("/cookie", {}), ("/cookie", {"cookie": "session=abc; level=4"}), ("/cookie", {"cookie": "level=x"}), ("/cooks", {}), ("/cooks", {"cookie": "session=a; level=x"}),
    ("/optional-path", {}), ("/optional-path/q", {}), ("/optional-path?a=z", {}), ("/sync/1", {}), ("/sync/x?b=y", {}), ("/nowhere", {}),
]  # fmt: skip


@pytest.fixture(scope="module")
def parameters() -> Iterator[Pair]:
    yield Pair(PARAMETERS)


@pytest.mark.parametrize(("path", "headers"), GETS)
def test_parameters(parameters: Pair, path: str, headers: dict[str, str]) -> None:
    parameters.same("GET", path, headers=headers)


def test_repeated_headers(parameters: Pair) -> None:
    """A header sent several times becomes a list, and the last or first decides as it does for FastAPI."""
    repeated: Any = [("x-list", "a"), ("x-list", "b"), ("x-int", "1"), ("x-int", "2"), ("x-ints", "1"), ("x-ints", "2")]
    parameters.same("GET", "/header", headers=repeated)
    parameters.same("GET", "/header-required", headers=[("x-token", "t"), *repeated])
    parameters.same("GET", "/heads", headers=[("x-token", "t"), ("x-tags", "1"), ("x-tags", "2")])
