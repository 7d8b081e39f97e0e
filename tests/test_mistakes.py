"""Common mistakes get an error that names the place and the cure."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from velithon import Velithon, WebSocket
from velithon.exceptions import RegistrationError


class Opaque:
    __slots__ = ()


async def fetch() -> int:
    return 1


@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: {"a": value}], ids=["returned", "inside"])
def test_a_missing_await_is_named(client: Any, wrap: Callable[[Any], Any]) -> None:
    """A coroutine in an answer is an error that names the function and says `await`."""
    app = Velithon()

    @app.get("/", response_model=None)
    async def read() -> Any:
        value = fetch()
        # Closed, so that Python does not warn of it as well; it is a coroutine as before.
        value.close()
        return wrap(value)

    text = "JSON cannot carry fetch(), a coroutine that nobody awaited: write `await` before the call."
    with client(app) as http, pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        http.get("/")


def test_an_object_that_json_cannot_carry_is_named(client: Any) -> None:
    """The error names the class of the object, and what can be returned in its place."""
    app = Velithon()

    @app.get("/", response_model=None)
    async def read() -> Any:
        return {"a": Opaque()}

    text = (
        f"JSON cannot carry an object of {__name__}.Opaque: "
        "return a dict, a dataclass or a pydantic model made from it."
    )
    with client(app) as http, pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        http.get("/")


@pytest.mark.parametrize("verb", ["get", "post", "api_route"])
def test_a_decorator_without_a_call_is_refused(verb: str) -> None:
    """`@app.get` without a path raises where it is written, and says how to write it."""
    text = f'{__name__}.fetch: The decorator needs a path: write @app.{verb}("/...").'
    with pytest.raises(RegistrationError, match=f"^{re.escape(text)}$"):
        getattr(Velithon(), verb)(fetch)


def test_an_unknown_convertor_lists_the_known_ones() -> None:
    """A path with a convertor that there is none of names it, the path and those that there are."""
    app = Velithon()
    text = "The path '/{a:integer}' has the unknown convertor 'integer'; there are float, int, path, str, uuid."

    async def listen(websocket: WebSocket) -> None:
        await websocket.close()

    with pytest.raises(RegistrationError, match=re.escape(text)):
        app.get("/{a:integer}")(fetch)
    with pytest.raises(RegistrationError, match=re.escape(text)):
        app.websocket("/{a:integer}")(listen)
