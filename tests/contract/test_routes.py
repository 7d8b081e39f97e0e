"""Applications, routers, class endpoints, parameters and the document, on both faces."""

from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from tests.conftest import ClientFactory
from velithon import (
    APIRouter,
    Body,
    Cookie,
    Header,
    HTTPEndpoint,
    HTTPException,
    Path,
    Query,
    Request,
    Response,
    Router,
    Velithon,
)
from velithon.datastructures import Headers
from velithon.openapi.utils import get_openapi
from velithon.responses import JSONResponse, PlainTextResponse


class Wheel(BaseModel):
    """What is sent."""

    inches: Annotated[int, Field(ge=10, le=36)]
    tags: list[str] = []


def test_methods_have_functions_of_their_own(client: ClientFactory) -> None:
    """A path answers each method by its function, and others with 405 and what it allows."""
    app = Velithon()
    for method in ("get", "post", "put", "patch", "delete"):

        async def endpoint(number: int, method: str = method) -> dict[str, Any]:
            return {"method": method, "number": number}

        getattr(app, method)("/{number}")(endpoint)
    api = client(app)
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        assert api.request(method, "/7").json() == {"method": method.lower(), "number": 7}
    refused = api.request("TRACE", "/7")
    assert refused.status_code == 405
    assert {"GET", "DELETE"} <= set(refused.headers["allow"].split(", "))


def test_an_application_of_a_routers_routes(client: ClientFactory) -> None:
    """`add_route` takes functions that get the request, and classes; `routes=` takes what a router has."""

    class Pedals(HTTPEndpoint):
        async def get(self, request: Request) -> PlainTextResponse:
            return PlainTextResponse(request.method)

        def delete(self, request: Request) -> JSONResponse:
            return JSONResponse({"gone": request.path_params["side"]})

    async def plain(request):  # type: ignore[no-untyped-def] # as users write them
        return JSONResponse({"path": request.url.path})

    router = Router()
    router.add_route("/plain", plain, methods=["GET"])
    router.add_route("/pedals/{side}", Pedals, methods=["GET", "DELETE"])
    api = client(Velithon(routes=router.routes))
    assert api.get("/plain").json() == {"path": "/plain"}
    assert api.get("/pedals/left").text == "GET"
    assert api.delete("/pedals/left").json() == {"gone": "left"}
    assert api.post("/pedals/left").status_code == 405


def test_routers_within_routers(client: ClientFactory) -> None:
    """Prefixes and tags add up, wherever they are given."""
    inner = APIRouter(prefix="/gears", tags=["gears"])

    @inner.get("/{gear}")
    async def show(gear: int) -> int:
        return gear

    outer = Router()
    outer.include_router(inner)
    app = Velithon()
    app.include_router(outer, prefix="/v1", tags=["v1"])
    api = client(app)
    assert api.get("/v1/gears/3").json() == 3
    assert set(api.get("/openapi.json").json()["paths"]["/v1/gears/{gear}"]["get"]["tags"]) == {"gears", "v1"}


def test_parameters_come_from_where_they_are_declared(client: ClientFactory) -> None:
    """Path, query, header and cookie; lists; names with underscores and aliases."""
    app = Velithon()

    @app.get("/bells/{bell}")
    async def show(
        bell: Annotated[int, Path(ge=1, le=9)],
        word: Annotated[str | None, Query(min_length=2, max_length=5, pattern="^[a-z]+$")] = None,
        of: Annotated[list[str] | None, Query(alias="from")] = None,
        x_ring: Annotated[str, Header()] = "none",
        mood: str | None = Cookie(None),
    ) -> list[Any]:
        return [bell, word, of, x_ring, mood]

    api = client(app)
    assert api.get("/bells/2").json() == [2, None, None, "none", None]
    headers = {"x-ring": "loud", "cookie": "mood=good"}
    assert api.get("/bells/2?word=ding&from=a&from=b", headers=headers).json() == [
        2,
        "ding",
        ["a", "b"],
        "loud",
        "good",
    ]
    wrong = api.get("/bells/10?word=X")
    assert wrong.status_code == 422
    assert [error["loc"] for error in wrong.json()["detail"]] == [["path", "bell"], ["query", "word"]]


def test_enumerations_and_booleans(client: ClientFactory) -> None:
    """A member is found by its value; words for true are true."""

    class Kind(StrEnum):
        road = "road"
        city = "city"

    app = Velithon()

    @app.get("/{kind}")
    async def show(kind: Kind, lit: bool = False) -> dict[str, Any]:
        return {"city": kind is Kind.city, "lit": lit}

    api = client(app)
    assert api.get("/city?lit=yes").json() == {"city": True, "lit": True}
    assert api.get("/boat").json()["detail"][0]["type"] == "enum"


def test_bodies(client: ClientFactory) -> None:
    """One model is the body, two are keys of it, and a single value is a key where it says so."""
    app = Velithon()

    @app.post("/one")
    async def one(wheel: Wheel, copies: int = 1) -> dict[str, Any]:
        return {**wheel.model_dump(), "copies": copies}

    @app.post("/two")
    async def two(front: Wheel, rear: Wheel, note: Annotated[str, Body()] = "") -> list[Any]:
        return [front.inches, rear.inches, note]

    @app.post("/loose")
    async def loose(data: dict[str, Any]) -> dict[str, Any]:
        return data

    api = client(app)
    assert api.post("/one?copies=2", json={"inches": 28}).json() == {"inches": 28, "tags": [], "copies": 2}
    assert api.post("/two", json={"front": {"inches": 26}, "rear": {"inches": 24}, "note": "n"}).json() == [26, 24, "n"]
    assert api.post("/loose", json={"a": [1]}).json() == {"a": [1]}
    assert api.post("/one", json={"inches": 99}).json()["detail"][0]["loc"] == ["body", "inches"]
    broken = api.post("/one", content=b"{", headers={"content-type": "application/json"})
    assert (broken.status_code, broken.json()["detail"][0]["type"]) == (422, "json_invalid")


def test_class_endpoints_take_parameters(client: ClientFactory) -> None:
    """As functions do, headers as a whole too."""

    class Spokes(HTTPEndpoint):
        async def get(self, spoke: Annotated[int, Path()], headers: Headers, page: Annotated[int, Query()] = 1) -> Any:
            return JSONResponse([spoke, page, headers.get("x-mark")])

        async def post(self, spoke: int, wheel: Annotated[Wheel, Body()]) -> Any:
            return JSONResponse(wheel.model_dump())

    app = Velithon()
    app.add_route("/spokes/{spoke}", Spokes, methods=["GET", "POST"])
    api = client(app)
    assert api.get("/spokes/4?page=2", headers={"x-mark": "m"}).json() == [4, 2, "m"]
    assert api.post("/spokes/4", json={"inches": 20}).json() == {"inches": 20, "tags": []}
    assert api.get("/spokes/x").status_code == 422


def test_the_request(client: ClientFactory) -> None:
    """It has body, query, path, headers, cookies, address and state."""
    app = Velithon()

    @app.post("/things/{thing}")
    async def show(request: Request) -> list[Any]:
        request.state.seen = True
        return [
            await request.json(),
            request.query_params.get("page", "1"),
            request.path_params["thing"],
            request.headers["x-a"],
            request.cookies.get("c"),
            request.url.path,
            request.client is not None,
        ]

    answer = client(app).post("/things/t?page=3", json=[1], headers={"x-a": "h", "cookie": "c=d"})
    assert answer.json() == [[1], "3", "t", "h", "d", "/things/t", True]


def test_response_models(client: ClientFactory) -> None:
    """They choose what is sent, give the document its schema, and take their statuses with them."""

    class Secretive(Wheel):
        key: str = "secret"

    app = Velithon()

    @app.post("/wheels", response_model=Wheel, status_code=201)
    async def make(response: Response) -> Any:
        response.headers["x-made"] = "1"
        return Secretive(inches=20)

    @app.get("/wheels", response_model_exclude_unset=True)
    async def show() -> list[Wheel]:
        return [Wheel(inches=20)]

    @app.delete("/wheels", status_code=204)
    async def remove() -> None: ...

    api = client(app)
    made = api.post("/wheels")
    assert (made.status_code, made.json(), made.headers["x-made"]) == (201, {"inches": 20, "tags": []}, "1")
    assert api.get("/wheels").json() == [{"inches": 20}]
    removed = api.delete("/wheels")
    assert (removed.status_code, removed.content) == (204, b"")
    operation = api.get("/openapi.json").json()["paths"]["/wheels"]["post"]
    assert operation["responses"]["201"]["content"]["application/json"]["schema"]["$ref"].endswith("/Wheel")


def test_the_document_and_its_pages(client: ClientFactory) -> None:
    """They are where they are asked to be, say what was said of routes, and can be replaced."""
    app = Velithon(title="T", description="D", version="9", openapi_url="/api.json", docs_url="/help")

    @app.get("/{a}", summary="S", description="Long.", tags=["t"], responses={404: {"description": "None."}})
    async def show(a: int) -> int:
        return a

    class Shown(HTTPEndpoint):
        async def get(self) -> JSONResponse:
            """First line.

            The rest.
            """
            return JSONResponse({})

    app.add_route("/class", Shown, methods=["GET"], tags=["c"])
    api = client(app)
    document = api.get("/api.json").json()
    assert document["openapi"].startswith("3.1")
    assert document["info"] == {"title": "T", "description": "D", "version": "9"}
    operation = document["paths"]["/{a}"]["get"]
    assert [operation[key] for key in ("summary", "description", "tags")] == ["S", "Long.", ["t"]]
    assert operation["responses"]["404"]["description"] == "None."
    assert operation["parameters"][0]["schema"]["type"] == "integer"
    shown = document["paths"]["/class"]["get"]
    assert (shown["summary"], shown["description"], shown["tags"]) == ("First line.", "The rest.", ["c"])
    assert "/api.json" in api.get("/help").text
    assert api.get("/docs").status_code == 422  # the route `/{a}` has it
    assert api.get("/redoc").status_code == 200

    own = Velithon(openapi_url="/o.json")
    own.openapi = lambda: get_openapi(title="Own", version="1", routes=own.routes)  # type: ignore[method-assign]
    assert client(own).get("/o.json").json()["info"]["title"] == "Own"


@pytest.mark.parametrize("status", [400, 403, 404, 409, 418])
def test_exceptions_are_answers(client: ClientFactory, status: int) -> None:
    """Status, detail and headers are the client's."""
    app = Velithon()

    @app.get("/")
    async def fail() -> None:
        raise HTTPException(status_code=status, detail={"why": "so"}, headers={"x-why": "so"})

    answer = client(app).get("/")
    assert (answer.status_code, answer.json(), answer.headers["x-why"]) == (status, {"detail": {"why": "so"}}, "so")


def test_exception_handlers(client: ClientFactory) -> None:
    """By status, by class with its subclasses, by decorator; one for everything answers a 500 and lets it be seen."""

    class WornError(Exception): ...

    class TornError(WornError): ...

    app = Velithon()

    async def handle(request: Request, exc: Exception) -> JSONResponse:
        return JSONResponse([type(exc).__name__, request.url.path], status_code=getattr(exc, "status_code", 500))

    app.add_exception_handler(404, handle)
    app.exception_handler(WornError)(handle)
    app.add_exception_handler(Exception, handle)

    @app.get("/torn")
    async def torn() -> None:
        raise TornError

    @app.get("/broken")
    async def broken() -> None:
        raise KeyError

    api = client(app, raise_server_exceptions=False)
    assert api.get("/none").json() == ["HTTPException", "/none"]
    assert api.get("/torn").json() == ["TornError", "/torn"]
    assert api.get("/broken").json() == ["KeyError", "/broken"]
    with pytest.raises(KeyError):
        client(app).get("/broken")
