"""Misuse is told when a route is registered: the endpoint, the parameter, and what would be right."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from velithon import Velithon, params
from velithon.exceptions import RegistrationError
from velithon.params import Body, Depends, Form, Header, Path, Query
from velithon.signature import check_limits, compile_http, explain, read_endpoint
from velithon.signature.bodies import JSONBody


class Unknown:
    """A class that pydantic knows nothing of."""


def refused(call: Callable[..., Any], path: str = "/", kind: Any = "http") -> str:
    with pytest.raises(RegistrationError) as caught:
        read_endpoint(call, path=path, kind=kind)
    return str(caught.value)


def test_the_message_names_endpoint_parameter_and_cure() -> None:
    def endpoint(thing: Unknown) -> None: ...

    message = refused(endpoint)
    assert "test_the_message_names_endpoint_parameter_and_cure.<locals>.endpoint" in message
    assert "parameter 'thing'" in message
    assert "Depends(" in message


def test_places_that_cannot_be() -> None:
    def query_in_path(item_id: Annotated[int, Query()]) -> None: ...
    def default_in_path(item_id: Annotated[int, Path()] = 3) -> None: ...
    def list_in_path(item_id: list[int]) -> None: ...
    def model_list_in_query(items: Annotated[list[dict[str, int]], Query()]) -> None: ...
    def plain_field(a: int = Field(gt=3)) -> None: ...

    assert "use Path()" in refused(query_in_path, "/{item_id}")
    assert "no default value" in refused(default_in_path, "/{item_id}")
    assert "one value" in refused(list_in_path, "/{item_id}")
    assert "query string cannot carry" in refused(model_list_in_query)
    assert "use Query()" in refused(plain_field)


def test_declarations_that_contradict() -> None:
    def twice(a: Annotated[int, Query()] = Query(3)) -> None: ...
    def default_inside(a: Annotated[int, Query(3)]) -> None: ...
    def depends_twice(a: Annotated[int, Depends(len)] = Depends(len)) -> None: ...  # type: ignore[assignment]
    def no_callable(a: Any = Depends("x")) -> None: ...  # type: ignore[arg-type]
    def variadic(*args: int) -> None: ...
    def keywords(**kwargs: int) -> None: ...

    assert "twice" in refused(twice)
    assert "after `=`" in refused(default_inside)
    assert "twice" in refused(depends_twice)
    assert "takes a callable" in refused(no_callable)
    assert "functools.wraps" in refused(variadic)
    assert "functools.wraps" in refused(keywords)


def test_what_belongs_to_a_database() -> None:
    """The cure fits: a table's class is no model, a session comes of a dependency, which stands without Depends()."""

    class Base(DeclarativeBase): ...

    class Account(Base):
        __tablename__ = "accounts"
        id: Mapped[int] = mapped_column(primary_key=True)
        password_hash: Mapped[str]

    def without(session: AsyncSession) -> None: ...
    def doubled(session: Any = Depends(Depends(len))) -> None: ...  # type: ignore[arg-type]
    def sends(): ...  # type: ignore[no-untyped-def]

    sends.__annotations__["return"] = list[Account]
    assert "write Annotated[AsyncSession, database.session]" in refused(without)
    assert "arbitrary_types_allowed" not in refused(without)
    assert "write Annotated[AsyncSession, database.session]" in refused(doubled)
    with pytest.raises(RegistrationError) as caught:
        Velithon().get("/")(sends)
    message = str(caught.value)
    assert "Account is the class of a table" in message
    assert "from_attributes=True" in message
    assert "response_model=None" not in message


def test_constraints_that_do_not_fit_the_type() -> None:
    def endpoint(a: Annotated[int, Body(min_length=3)]) -> None: ...
    def unknown_name(a: Nowhere) -> None: ...  # type: ignore[name-defined] # noqa: F821

    def numeric(a: Annotated[str, Query(gt=3)]) -> None: ...
    def pattern(a: Annotated[int, Query(pattern="x")]) -> None: ...
    def regex(a: Annotated[str, Query(pattern="(")]) -> None: ...
    def discriminated(a: Annotated[int, Body(discriminator="kind")]) -> None: ...

    assert "min_length means nothing for <class 'int'>" in refused(endpoint)
    assert "gt means nothing" in refused(numeric)
    assert "pattern means nothing" in refused(pattern)
    assert "parameter 'a'" in refused(regex)
    assert "parameter 'a'" in refused(discriminated)
    assert "unknown where" in refused(unknown_name)


def test_websockets_have_no_body() -> None:
    async def endpoint(a: Annotated[int, Body()]) -> None: ...
    async def form(a: Annotated[int, Form()]) -> None: ...
    async def model(a: Model) -> None: ...

    for call in (endpoint, form, model):
        assert "no body" in refused(call, kind="websocket")


class Model(BaseModel):
    """A body."""

    a: int


def test_framework_objects_take_no_place() -> None:
    from velithon import Request, WebSocket

    def request(request: Annotated[Request, Query()]) -> None: ...
    def websocket(websocket: WebSocket) -> None: ...

    assert "leave Query() out" in refused(request)
    assert "HTTPConnection" in refused(websocket)


def test_dependency_lists_take_dependencies() -> None:
    def endpoint() -> None: ...

    wrong: Any = [endpoint]
    with pytest.raises(RegistrationError, match="takes Depends"):
        read_endpoint(endpoint, path="/", dependencies=wrong)
    with pytest.raises(RegistrationError, match="needs its callable"):
        read_endpoint(endpoint, path="/", dependencies=[Depends()])


def test_parameters_refuse_unknown_options() -> None:
    unknown: Any = {"minimum": 3}
    with pytest.raises(TypeError, match=r"Query\(\) has no option minimum"):
        Query(**unknown)
    with pytest.raises(TypeError, match=r"Path\(\) takes no default"):
        Path(3)


def test_form_limits() -> None:
    assert check_limits(None) == {"max_files": 1000, "max_fields": 1000, "max_part_size": 1024 * 1024}
    assert check_limits({"max_files": 0})["max_files"] == 0
    with pytest.raises(RegistrationError, match="has no 'files'"):
        check_limits({"files": 3})
    with pytest.raises(RegistrationError, match="non-negative integer"):
        check_limits({"max_files": -1})


def test_an_endpoint_without_parameters_compiles_to_its_call() -> None:
    """The plan does only what the endpoint needs."""

    async def endpoint() -> dict[str, str]:
        return {}

    plan = compile_http(read_endpoint(endpoint, path="/"))
    assert explain(plan).splitlines() == [
        "async def plan(request):",
        "    return to_response(await call_endpoint(), request, None, None)",
    ]


def test_wrappers_get_keywords() -> None:
    """A decorator that looks for its argument by name finds it, as under FastAPI."""

    def decorator(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            assert set(kwargs) == {"a", "token"}
            return await function(*args, **kwargs)

        return wrapper

    @decorator
    async def endpoint(a: int = 1, token: Annotated[str, Header()] = "x") -> None: ...

    source = explain(compile_http(read_endpoint(endpoint, path="/")))
    assert "call_endpoint(a=a, token=token)" in source


def test_the_model_names_everything() -> None:
    def dependency(q: int = 1) -> int:
        return q

    async def endpoint(
        item_id: int, body: Model, d: Annotated[int, Depends(dependency)], token: Annotated[str, Header()] = "x"
    ) -> list[int]:
        return [item_id]

    model = read_endpoint(endpoint, path="/{item_id:int}", name="items")
    assert [field.name for field in model.path_params] == ["item_id"]
    assert [field.place for field in model.fields] == ["path", "header", "body"]
    assert model.returns == list[int]
    assert model.is_coroutine
    assert isinstance(model.body, JSONBody)
    assert not model.body.embed
    described = model.body.describe("items")
    assert isinstance(described.info, params.Body)
    assert (described.name, described.info.media_type) == ("body", "application/json")
    assert [child.name for child in model.dependencies] == ["d"]
    assert model.dependencies[0].query_params[0].default == 1
    assert isinstance(model.dependencies[0].query_params[0].info, params.Query)
