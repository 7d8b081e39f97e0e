"""A REST API: books in a catalogue that a container provides, class endpoints, CORS and access lines.

Start it with `make run APP=examples/rest_api.py:app`; http://127.0.0.1:8000/docs shows it.
"""

import os
from itertools import count
from typing import Annotated

from pydantic import BaseModel, Field
from velithon import HTTPEndpoint, HTTPException, Middleware, Path, Query, Response, Velithon
from velithon.di import Provide, ServiceContainer, SingletonProvider
from velithon.middleware.cors import CORSMiddleware
from velithon.middleware.logging import LoggingMiddleware
from velithon.responses import JSONResponse


class NewBook(BaseModel):
    """What a client says of a book."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    author: Annotated[str, Field(min_length=1, max_length=100)]
    year: Annotated[int, Field(ge=1450, le=2100)]


class BookChanges(BaseModel):
    """What a client changes of a book; what is left out stays."""

    title: Annotated[str, Field(min_length=1, max_length=200)] = ""
    author: Annotated[str, Field(min_length=1, max_length=100)] = ""
    year: Annotated[int, Field(ge=1450, le=2100)] = 0


class Book(NewBook):
    """A book in the catalogue."""

    id: int


class NoSuchBookError(HTTPException):
    """There is no book of that number."""

    def __init__(self) -> None:
        super().__init__(404, "There is no such book.")


class Catalogue:
    """The books, in memory: another process has others, and a restart forgets them."""

    def __init__(self) -> None:
        self._books: dict[int, Book] = {}
        self._numbers = count(1)

    def add(self, new: NewBook) -> Book:
        """Add a book under the next number."""
        book = Book(id=next(self._numbers), **new.model_dump())
        self._books[book.id] = book
        return book

    def find(self, book_id: int) -> Book:
        """Return a book.

        Raises:
            NoSuchBookError: There is none of that number.
        """
        try:
            return self._books[book_id]
        except KeyError:
            raise NoSuchBookError from None

    def page(self, offset: int, limit: int) -> list[Book]:
        """Return some of the books, in the order in which they came."""
        return list(self._books.values())[offset : offset + limit]

    def change(self, book_id: int, changes: BookChanges) -> Book:
        """Change what the client set, and return the book."""
        changed = self.find(book_id).model_copy(update=changes.model_dump(exclude_unset=True))
        self._books[book_id] = changed
        return changed

    def remove(self, book_id: int) -> None:
        """Remove a book."""
        self.find(book_id)
        del self._books[book_id]


class Services(ServiceContainer):
    """What endpoints may ask for."""

    catalogue = SingletonProvider(Catalogue)


services = Services()
CatalogueService = Annotated[Catalogue, Provide[services.catalogue]]
BookId = Annotated[int, Path(ge=1)]

app = Velithon(
    title="Books",
    description="A small catalogue.",
    version="1.0.0",
    middleware=[
        Middleware(
            CORSMiddleware,
            allow_origins=os.environ.get("BOOKS_ORIGINS", "http://localhost:5173").split(","),
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
        ),
        Middleware(LoggingMiddleware),
    ],
)
app.register_container(services)


class Books(HTTPEndpoint):
    """All books."""

    async def get(
        self,
        catalogue: CatalogueService,
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> list[Book]:
        """List books."""
        return catalogue.page(offset, limit)

    async def post(self, new: NewBook, catalogue: CatalogueService) -> JSONResponse:
        """Add a book."""
        book = catalogue.add(new)
        return JSONResponse(book.model_dump(), status_code=201, headers={"location": f"/books/{book.id}"})


class OneBook(HTTPEndpoint):
    """One book."""

    async def get(self, book_id: BookId, catalogue: CatalogueService) -> Book:
        """Show a book."""
        return catalogue.find(book_id)

    async def patch(self, book_id: BookId, changes: BookChanges, catalogue: CatalogueService) -> Book:
        """Change a book."""
        return catalogue.change(book_id, changes)

    async def delete(self, book_id: BookId, catalogue: CatalogueService) -> Response:
        """Remove a book."""
        catalogue.remove(book_id)
        return Response(status_code=204)


# What the methods' annotations cannot say, the routes do: the document tells all that is answered.
UNREADABLE = HTTPException(400, "The body is not text.")
app.add_route(
    "/books",
    Books,
    methods=["GET", "POST"],
    tags=["books"],
    raises=[UNREADABLE],
    responses={201: {"model": Book, "description": "Added"}},
)
app.add_route(
    "/books/{book_id}",
    OneBook,
    methods=["GET", "PATCH", "DELETE"],
    tags=["books"],
    raises=[UNREADABLE, NoSuchBookError],
    responses={204: {"description": "Removed"}},
)


@app.get("/health")
async def health() -> dict[str, str]:
    """Tell that the process answers."""
    return {"status": "up"}
