"""What options of parameters mean beside each other, and what is said of those that have a better spelling."""

from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import Field

from tests.conftest import ClientFactory
from velithon import Body, Header, Query, Velithon
from velithon.exceptions import PydanticV1NotSupportedError, RegistrationError, VelithonDeprecationWarning

Count = Annotated[int, Field(alias="first", title="Many", description="How many.")]


def test_none_takes_away_what_the_type_says(client: ClientFactory) -> None:
    """`alias=None` means the parameter's own name, for the request and in the document."""
    app = Velithon()

    @app.post("/")
    def read(
        kept: Annotated[Count, Query()],
        own: Annotated[Count, Query(alias=None, title=None, description=None)],
        body: Annotated[Count, Body(alias=None, embed=True)],
    ) -> list[int]:
        return [kept, own, body]

    with client(app) as c:
        assert c.post("/?first=1&own=2", json={"body": 3}).json() == [1, 2, 3]
        document = c.get("/openapi.json").json()
    kept, own = document["paths"]["/"]["post"]["parameters"]
    assert (kept["name"], kept["description"]) == ("first", "How many.")
    assert own == {"name": "own", "in": "query", "required": True, "schema": {"type": "integer", "title": "Own"}}


@pytest.mark.parametrize(("option", "better"), [({"regex": "^a"}, "`pattern`"), ({"example": "a"}, "`examples=")])
def test_an_option_with_a_better_spelling_warns_where_it_is_written(option: Any, better: str) -> None:
    with pytest.warns(VelithonDeprecationWarning, match=better) as told:
        Query(**option)
    assert told[0].filename == __file__


def v1_model() -> Any:
    from pydantic.v1 import BaseModel

    return type("Old", (BaseModel,), {})


@pytest.mark.filterwarnings("ignore:Core Pydantic V1:UserWarning")
@pytest.mark.parametrize("wrap", [lambda old: old, list.__class_getitem__])
@pytest.mark.parametrize("place", ["body", "return", "responses"])
def test_a_model_of_pydantic_v1_is_refused(place: str, wrap: Any) -> None:
    kind = wrap(v1_model())

    def endpoint(item: Any) -> Any: ...

    if place == "body":
        endpoint.__annotations__["item"] = kind
    elif place == "return":
        endpoint.__annotations__["return"] = kind
    responses: Any = {404: {"model": kind}} if place == "responses" else None
    with pytest.raises(PydanticV1NotSupportedError, match=r"endpoint.*Old is a model of pydantic\.v1"):
        Velithon().post("/", responses=responses)(endpoint)


def test_a_model_of_responses_that_is_none_is_refused() -> None:
    class Nothing: ...

    def endpoint() -> None: ...

    with pytest.raises(RegistrationError, match=r"endpoint.*the model of responses\[404\]"):
        Velithon().get("/", responses={404: {"model": list[Nothing]}})(endpoint)


def test_a_key_of_responses_that_is_no_status_is_refused() -> None:
    """The document would be none that tools can read."""
    app = Velithon()

    @app.get("/", responses={"hello": {"description": "Not a status"}})
    def endpoint() -> None: ...

    with pytest.raises(ValueError, match=r"endpoint: responses=\{'hello'"):
        app.openapi()


class Names(StrEnum):
    """Names that a team keeps in one place."""

    LIMIT = "max"
    KEY = "key"


def test_a_name_may_be_a_member_of_an_enumeration(client: ClientFactory) -> None:
    """A string is a string, whatever its `repr`."""
    app = Velithon()

    @app.get("/")
    def endpoint(
        limit: Annotated[int, Query(alias=Names.LIMIT)],
        text: Annotated[str, Query(alias=Names.KEY)] = "",
        agent: Annotated[str, Header(alias=Names.KEY)] = "",
    ) -> list[object]:
        return [limit, text, agent]

    with client(app) as caller:
        assert caller.get("/?max=3&key=b", headers={"key": "c"}).json() == [3, "b", "c"]
