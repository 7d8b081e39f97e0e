"""A result that JSON cannot carry: the error names the endpoint, the place in the result, and what is there."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from tests.conftest import ClientFactory
from velithon import Velithon
from velithon.exceptions import ResponseValidationError, ResultEncodingError
from velithon.responses import JSONResponse

# Of a forgotten `await`, which is what these are about.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Let the coroutines that nobody awaits be warned of here."""
    yield
    gc.collect()


class Session:
    """What a database hands out."""

    __slots__ = ()


class User(BaseModel):
    name: str
    extra: Any = None


@dataclasses.dataclass
class Order:
    user: Any


async def load() -> dict[str, int]:
    return {"a": 1}


async def of_dict() -> Any:
    return {"user": [1, Session()]}


async def annotated() -> dict[str, Any]:
    return {"user": {"session": Session()}}


async def of_model() -> User:
    return User(name="a", extra=[Session()])


async def of_unannotated_model():  # type: ignore[no-untyped-def] # without an annotation on purpose
    return User(name="a", extra={"k": Session()})


async def of_dataclass():  # type: ignore[no-untyped-def] # likewise
    return Order(Session())


async def of_coroutine() -> Any:
    return {"user": load()}


async def of_annotated_coroutine() -> dict[str, Any]:
    return {"user": load()}


async def of_number():  # type: ignore[no-untyped-def] # likewise
    return {"a": [float("nan")]}


async def of_keys():  # type: ignore[no-untyped-def] # likewise
    return {"a": {(1, 2): 3}}


async def of_cycle() -> Any:
    items: list[Any] = []
    items.append(items)
    return {"a": items}


_SESSION = "an object of tests.signature.test_unencodable.Session. Return a dict"
_AWAIT = "load(), a coroutine that nobody awaited: write `await` before the call."


@pytest.mark.parametrize("options", [{}, {"response_class": JSONResponse}], ids=["", "JSONResponse"])
@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        (of_dict, f", at ['user'][1]: {_SESSION}"),
        (annotated, f", at ['user']['session']: {_SESSION}"),
        (of_model, f", at .extra[0]: {_SESSION}"),
        (of_unannotated_model, f", at .extra['k']: {_SESSION}"),
        (of_dataclass, f", at .user: {_SESSION}"),
        (of_coroutine, f", at ['user']: {_AWAIT}"),
        (of_annotated_coroutine, f", at ['user']: {_AWAIT}"),
        (load, ""),
        (of_number, ", at ['a'][0]: the number nan, which JSON does not have."),
        (of_keys, ", at ['a']: a dict with keys that are no text."),
        (of_cycle, "what is nested too deeply, or holds itself."),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_endpoint_the_place_and_the_type_are_named(
    client: ClientFactory, endpoint: Any, said: str, options: dict[str, Any]
) -> None:
    app = Velithon()
    app.get("/", **options)(endpoint)
    if not said:
        assert client(app).get("/").json() == {"a": 1}
        return
    with pytest.raises(ResultEncodingError) as caught:
        client(app).get("/")
    text = str(caught.value)
    assert text.startswith(f"tests.signature.test_unencodable.{endpoint.__name__} returned what JSON cannot carry")
    assert said in text


def test_a_forgotten_await_is_named_where_a_model_refuses_it(client: ClientFactory) -> None:
    app = Velithon()

    @app.get("/model", response_model=User)
    async def model() -> Any:
        return load()

    @app.get("/dict")
    async def of_dict() -> dict[str, int]:
        return {"user": load()}  # type: ignore[dict-item] # the mistake

    for path in ("/model", "/dict"):
        with pytest.raises(ResponseValidationError, match=r"This is load\(\), a coroutine that nobody awaited"):
            client(app).get(path)


def test_an_item_of_a_stream_is_named(client: ClientFactory) -> None:
    app = Velithon()

    @app.get("/")
    async def lines() -> AsyncIterator[Any]:
        yield {"a": Session()}

    with pytest.raises(ResultEncodingError, match=r"lines returned what JSON cannot carry, at \['a'\]: an object of"):
        client(app).get("/")
