"""The application whose pages `scripts/pages.py` looks at: its documentation, and errors of each kind."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field

from velithon import Depends, Form, HTTPException, Path, Query, Router, UploadFile, Velithon
from velithon.responses import HTMLResponse
from velithon.security import HTTPBearer, OAuth2PasswordBearer

app = Velithon(
    title="Library",
    version="2.4.0",
    summary="Books, members and loans.",
    description="Every **book** has copies; a *member* borrows one of them for three weeks.",
    contact={"name": "The library", "email": "library@example.org"},
    openapi_tags=[
        {"name": "books", "description": "What can be borrowed."},
        {"name": "members", "description": "Who borrows."},
        {"name": "loans", "description": "What is borrowed, by whom, until when."},
    ],
    debug=os.environ.get("PAGES_DEBUG") == "1",
)
books, members, loans = Router(tags=["books"]), Router(tags=["members"]), Router(tags=["loans"])
login = OAuth2PasswordBearer(tokenUrl="/token", scopes={"books": "Change books."})
bearer = HTTPBearer(description="A token of the reading room.")


class Language(StrEnum):
    """A language of books."""

    ENGLISH = "en"
    GERMAN = "de"


class Author(BaseModel):
    """Who wrote a book."""

    name: str = Field(examples=["Ursula K. Le Guin"])
    born: int | None = Field(default=None, ge=0, le=2030)


class Book(BaseModel):
    """A book as it is kept."""

    title: str = Field(min_length=1, max_length=200, examples=["The Dispossessed"])
    isbn: str = Field(pattern=r"^\d{13}$", examples=["9780061054884"])
    language: Language = Language.ENGLISH
    authors: list[Author] = []
    price: float = Field(default=9.5, gt=0)


class Problem(BaseModel):
    """What went wrong."""

    detail: str


@books.get("/books")
async def list_books(
    q: Annotated[str | None, Query(description="Words of the title.")] = None,
    language: Language | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> list[Book]:
    """Find books by their title and language."""
    return [Book(title=q or "The Dispossessed", isbn="9780061054884", language=language or Language.ENGLISH)][:limit]


@books.post("/books", status_code=201, dependencies=[Depends(login)], responses={409: {"model": Problem}})
async def add_book(book: Book) -> Book:
    """Add a book."""
    return book


@books.get("/books/{isbn}", responses={404: {"model": Problem, "description": "There is no such book."}})
async def read_book(isbn: Annotated[str, Path(description="Thirteen digits.")]) -> Book:
    """Read one book."""
    if not isbn.isdigit():
        raise HTTPException(404, "There is no such book.")
    return Book(title="The Dispossessed", isbn=isbn)


@books.delete("/books/{isbn}", status_code=204, deprecated=True)
async def remove_book(isbn: str) -> None:
    """Remove a book."""


@books.put("/books/{isbn}/cover")
async def upload_cover(isbn: str, cover: UploadFile, caption: Annotated[str, Form()] = "") -> dict[str, int]:
    """Upload the picture of a book's cover."""
    return {"size": cover.size or 0}


@members.get("/members/me", dependencies=[Depends(bearer)])
async def read_me() -> Author:
    """Read who is logged in."""
    return Author(name="Ada")


@members.post("/token")
async def token(username: Annotated[str, Form()], password: Annotated[str, Form()]) -> dict[str, str]:
    """Log in."""
    return {"access_token": username, "token_type": "bearer"}


@loans.patch("/loans/{loan_id}")
async def extend_loan(loan_id: int, weeks: Annotated[int, Query(ge=1, le=3)] = 1) -> dict[str, int]:
    """Keep a book for longer."""
    return {"loan_id": loan_id, "weeks": weeks}


def price_of(book: dict[str, float], discount: float) -> float:
    """Fail, as a page of errors is to be seen."""
    password, database_url = "correct horse battery staple", "postgresql://library:battery@127.0.0.1/books"
    assert password
    assert database_url
    return book["price"] / (1 - discount)


def found_discount(discount: float = 0.25) -> float:
    """Depend on the query."""
    return discount


@loans.get("/broken/{isbn}")
async def broken(isbn: str, discount: Annotated[float, Depends(found_discount)]) -> float:
    """Fail."""
    try:
        return price_of({"cost": 9.5}, discount)
    except KeyError as error:
        raise RuntimeError(f"The price of {isbn} is not known.") from error


@app.get("/home", include_in_schema=False)
async def home() -> HTMLResponse:
    """Show that there is a page."""
    return HTMLResponse("<p>Hello</p>")


for router in (books, members, loans):
    app.include_router(router)
