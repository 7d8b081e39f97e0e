"""Class endpoints as the guide promises them: only HTTP methods dispatch, and what is missing answers 405."""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from tests.conftest import ClientFactory
from velithon import Depends, Velithon
from velithon.endpoint import HTTPEndpoint
from velithon.responses import PlainTextResponse, Response


class Item(BaseModel):
    name: str


async def user() -> str:
    return "ann"


class Base(HTTPEndpoint):
    kept = "an attribute"

    async def get(self, item_id: int, who: Annotated[str, Depends(user)], page: int = 1) -> Any:
        return {"item": item_id, "who": who, "page": page}

    async def put(self, item_id: int) -> Any:
        return item_id

    def helper(self) -> str:
        return "never over HTTP"

    async def render(self) -> str:
        return "never over HTTP"


class Items(Base):
    def post(self, item_id: int, item: Item) -> Any:
        return {"name": item.name, "path": self.request.url.path}

    async def head(self) -> Response:
        return Response(headers={"x-head": "own"})

    async def options(self) -> Response:
        return PlainTextResponse("options")

    put = None  # type: ignore[assignment] # taken back


def application() -> Velithon:
    app = Velithon()
    app.add_route("/items/{item_id}", Items)
    app.add_route("/declared/{item_id}", Items, methods=["GET", "POST", "PUT", "DELETE"])
    app.add_route("/narrow/{item_id}", Items, methods=["POST"])
    return app


def test_methods_are_typed_inherited_and_sync(client: ClientFactory) -> None:
    c = client(application())
    assert c.get("/items/3?page=2").json() == {"item": 3, "who": "ann", "page": 2}
    assert c.get("/items/x").status_code == 422
    assert c.post("/items/3", json={"name": "pen"}).json() == {"name": "pen", "path": "/items/3"}
    assert c.post("/items/3", json={}).status_code == 422
    assert c.head("/items/3").headers["x-head"] == "own"
    assert c.options("/items/3").text == "options"


@pytest.mark.parametrize(
    "method", ["PUT", "TRACE", "CONNECT", "HELPER", "RENDER", "KEPT", "DISPATCH", "REQUEST", "__INIT__"]
)
def test_only_http_methods_that_are_defined_dispatch(client: ClientFactory, method: str) -> None:
    answer = client(application()).request(method, "/items/3")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_allow_names_what_the_class_has_not_what_the_route_declares(client: ClientFactory, method: str) -> None:
    answer = client(application()).request(method, "/declared/3")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")


def test_a_route_may_offer_less_than_the_class(client: ClientFactory) -> None:
    answer = client(application()).get("/narrow/3")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
