"""What the document says beyond FastAPI's: declared exceptions, class endpoints, and when it is built."""

import inspect
import re
import warnings
from typing import Annotated, Any, Literal

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, WithJsonSchema
from starlette.routing import Route as StarletteRoute

from velithon import (
    Body,
    Cookie,
    Depends,
    Form,
    Header,
    HTTPException,
    Path,
    Query,
    Request,
    Security,
    UploadFile,
    Velithon,
)
from velithon.endpoint import HTTPEndpoint
from velithon.exceptions import RegistrationError
from velithon.openapi.models import OpenAPI
from velithon.openapi.utils import get_openapi
from velithon.responses import HTMLResponse, JSONResponse, Response
from velithon.routing import Route, Router
from velithon.security import APIKeyHeader, OAuth2PasswordBearer
from velithon.testclient import TestClient


class NotFoundError(HTTPException):
    """There is no such thing."""

    def __init__(self) -> None:
        super().__init__(404, "No such thing")


class GoneError(HTTPException):
    """It was there once."""

    def __init__(self, when: str) -> None:
        super().__init__(404, f"Gone since {when}")

    status_code = 404
    detail = "Gone since 2020"


def operation(app: Velithon, path: str, method: str = "get") -> Any:
    document = app.openapi()
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    return document["paths"][path][method]


def test_what_a_route_raises_is_a_response() -> None:
    """Classes and instances both; those with one status share a response with an example each."""
    app = Velithon()

    @app.get("/", raises=[NotFoundError, GoneError, HTTPException(403, "Keep out")])
    def read() -> None:
        """Read."""

    responses = operation(app, "/")["responses"]
    assert responses["404"]["description"] == "There is no such thing.\n\nIt was there once."
    media = responses["404"]["content"]["application/json"]
    assert media["examples"]["NotFoundError"] == {"value": {"detail": "No such thing"}}
    assert media["examples"]["GoneError"] == {"value": {"detail": "Gone since 2020"}}
    assert media["schema"]["required"] == ["detail"]
    assert responses["403"]["content"]["application/json"]["examples"]["HTTPException"]["value"] == {
        "detail": "Keep out"
    }


def test_what_dependencies_and_routers_raise_is_a_response() -> None:
    """Declared once, it appears wherever the dependency or the router is used; a declared response stays as it is."""

    def inner() -> None:
        """Do nothing."""

    def outer(value: Annotated[None, Depends(inner, raises=[NotFoundError])]) -> None:
        """Do nothing."""

    router = Router(raises=[HTTPException(409, "Conflict of minds")])

    @router.get("/a")
    def a(value: Annotated[None, Depends(outer)]) -> None:
        """Do nothing."""

    @router.get(
        "/b", responses={404: {"description": "Own words"}}, dependencies=[Depends(inner, raises=[NotFoundError])]
    )
    def b() -> None:
        """Do nothing."""

    app = Velithon()
    app.include_router(router)
    assert set(operation(app, "/a")["responses"]) == {"200", "404", "409"}
    assert operation(app, "/b")["responses"]["404"] == {"description": "Own words"}


def test_a_raised_status_without_a_body_has_no_content() -> None:
    """304 carries nothing."""
    app = Velithon()

    @app.get("/", raises=[HTTPException(304, "Same as before")])
    def read() -> None:
        """Read."""

    assert "content" not in operation(app, "/")["responses"]["304"]


def test_an_exception_without_a_status_is_refused() -> None:
    """The message names the endpoint and the ways out."""

    class Unknown(HTTPException):
        def __init__(self, status: int) -> None:
            super().__init__(status)

    app = Velithon()

    @app.get("/", raises=[Unknown])
    def read() -> None:
        """Read."""

    with pytest.raises(RegistrationError, match=r"read: raises=.*status_code"):
        app.openapi()


class Thing(HTTPEndpoint):
    """Things, all of them."""

    async def get(self, thing_id: int, q: str | None = None) -> dict[str, int]:
        """Get a thing

        It is found by its number.
        """
        return {"thing": thing_id}

    async def delete(self, thing_id: int) -> Response:
        return Response(status_code=204)


Thing.get.__doc__ = f"{Thing.get.__doc__}\f\n        Not told."


def test_each_method_of_a_class_is_an_operation() -> None:
    """The docstring's first line is the summary, the rest the description; ids end in the method."""
    app = Velithon()
    app.add_route("/things/{thing_id}", Thing, tags=["things"])
    get = operation(app, "/things/{thing_id}")
    assert get["summary"] == "Get a thing"
    assert get["description"] == "It is found by its number."
    assert get["operationId"] == "Thing_things__thing_id__get"
    assert get["tags"] == ["things"]
    assert [parameter["name"] for parameter in get["parameters"]] == ["thing_id", "q"]
    assert get["responses"]["200"]["content"]["application/json"]["schema"]["type"] == "object"
    delete = operation(app, "/things/{thing_id}", "delete")
    assert delete["summary"] == "Thing"
    assert delete["description"] == "Things, all of them."
    assert delete["operationId"] == "Thing_things__thing_id__delete"
    assert "_request" not in str(app.openapi())


def test_a_class_need_not_declare_what_its_path_holds() -> None:
    """A method may read `request.path_params`: OpenAPI asks that every parameter of a path is declared."""

    class Shelf(HTTPEndpoint):
        async def get(self, request: Request) -> str:
            return str(request.path_params["shelf_id"])

        async def put(self, shelf_id: int, hidden: Annotated[str, Path(alias="key")]) -> str:
            return f"{shelf_id}{hidden}"

    app = Velithon()
    app.add_route("/shelves/{shelf_id}/{key}", Shelf)
    app.add_route("/more/{a:int}/{b:uuid}/{c:float}/{d:path}", Shelf, methods=["GET"])

    get = operation(app, "/shelves/{shelf_id}/{key}")
    assert get["parameters"] == [
        {"name": "shelf_id", "in": "path", "required": True, "schema": {"type": "string", "title": "Shelf Id"}},
        {"name": "key", "in": "path", "required": True, "schema": {"type": "string", "title": "Key"}},
    ]
    assert list(get["responses"]) == ["200"]
    put = operation(app, "/shelves/{shelf_id}/{key}", "put")
    assert [(one["name"], one["schema"]["type"]) for one in put["parameters"]] == [
        ("shelf_id", "integer"),
        ("key", "string"),
    ]
    path = next(path for path in app.openapi()["paths"] if path.startswith("/more"))
    assert [one["schema"]["type"] for one in operation(app, path)["parameters"]] == [
        "integer",
        "string",
        "number",
        "string",
    ]


def test_metadata_of_add_route_stands_above_docstrings() -> None:
    """The guide's `summary`, `description` and `tags` for classes; one id for many methods gets the method's name."""
    app = Velithon()
    app.add_route(
        "/things/{thing_id}", Thing, summary="Said", description="Said at length", tags=["x"], operation_id="thing"
    )
    app.add_route("/one/{thing_id}", Thing, methods=["GET"], operation_id="one", summary="One")
    get = operation(app, "/things/{thing_id}")
    assert (get["summary"], get["description"], get["operationId"]) == ("Said", "Said at length", "thing_get")
    assert list(app.openapi()["paths"]["/one/{thing_id}"]) == ["get"]
    assert operation(app, "/one/{thing_id}")["operationId"] == "one"
    assert operation(app, "/one/{thing_id}")["description"] == "It is found by its number."


def test_ids_of_classes_come_from_the_applications_function() -> None:
    """The function sees one method at a time."""

    def unique(route: Route) -> str:
        return f"{route.name}-{next(iter(route.methods))}"

    app = Velithon(generate_unique_id_function=unique)
    app.add_route("/things/{thing_id}", Thing)
    assert operation(app, "/things/{thing_id}", "delete")["operationId"] == "Thing-DELETE"


def test_what_has_no_signature_is_left_out() -> None:
    """ASGI applications and Starlette's own routes."""

    class Asgi:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            """Do nothing."""

    async def plain(request: Any) -> JSONResponse:
        return JSONResponse({})

    app = Velithon(routes=[StarletteRoute("/starlette", plain)])
    app.router.add_existing(Route("/asgi", Asgi()))
    app.mount("/mounted", Velithon())
    assert app.openapi()["paths"] == {}


def test_the_document_is_built_once_until_routes_are_added() -> None:
    """A route that comes later is in the next document; a document that was put there stays."""
    app = Velithon()
    first = app.openapi()
    assert app.openapi() is first

    @app.get("/late")
    def late() -> None:
        """Come late."""

    assert "/late" in app.openapi()["paths"]
    mine = {"openapi": "3.1.0"}
    app.openapi_schema = mine
    assert app.openapi() is mine


def test_a_duplicate_operation_id_is_told() -> None:
    """Once, with the function and its file."""
    app = Velithon()

    def read() -> None:
        """Read."""

    app.get("/a", operation_id="same")(read)
    app.get("/b", operation_id="same")(read)
    with pytest.warns(UserWarning, match=r"Duplicate Operation ID same for function read at .*test_document\.py"):
        app.openapi()


def test_one_route_for_several_methods_has_one_id() -> None:
    """FastAPI's rule; the first method that was declared names it."""
    app = Velithon()

    @app.api_route("/", methods=["PUT", "GET"])
    def both() -> None:
        """Do both."""

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        document = app.openapi()
    assert {item["operationId"] for item in document["paths"]["/"].values()} == {"both__put"}


def test_a_callbacks_validation_error_and_scheme_are_defined() -> None:
    """FastAPI leaves these references dangling when no other operation has them."""
    callbacks = Router()

    @callbacks.get("{$request.query.url}")
    def called(q: int) -> None:
        """Be called."""

    app = Velithon()

    @app.get("/", callbacks=callbacks.routes)
    def read() -> None:
        """Read."""

    assert "HTTPValidationError" in app.openapi()["components"]["schemas"]
    assert operation(app, "/")["callbacks"]["called"]


def test_a_document_is_the_models_document() -> None:
    """`OpenAPI(**document)` reads it and gives it back."""

    class Item(BaseModel):
        name: str
        size: Annotated[int, Query(ge=1)] = 1

    app = Velithon(contact={"name": "A", "url": "https://example.com"})

    @app.post("/")
    def create(item: Item) -> Item:
        return item

    document = app.openapi()
    assert OpenAPI(**document).model_dump(mode="json", by_alias=True, exclude_none=True) == document


def test_get_openapi_takes_any_list_of_routes() -> None:
    """A router's routes have a document without an application."""
    router = Router(prefix="/x")

    @router.get("/y")
    def read() -> None:
        """Read."""

    document = get_openapi(
        title="T", version="1", routes=router.routes, summary="S", terms_of_service="https://x.example"
    )
    assert list(document["paths"]) == ["/x/y"]
    assert document["info"]["termsOfService"] == "https://x.example"


def test_schemas_that_cannot_be_compared_stay_apart() -> None:
    """Metadata without a hash, or that only an address tells apart."""
    app = Velithon()

    @app.get("/")
    def read(
        a: Annotated[list[Annotated[int, WithJsonSchema({"type": "integer", "x-a": [1]})]], Query()],
        b: Annotated[int, AfterValidator(abs), Query(default_factory=int)],
        c: Annotated[list[Annotated[int, {"unit": "m"}]], Query()],
    ) -> None:
        """Read."""

    a, b, c = operation(app, "/")["parameters"]
    assert a["schema"]["items"] == {"type": "integer", "x-a": [1]}
    assert b["schema"]["type"] == "integer"
    assert c["schema"]["items"] == {"type": "integer"}


def test_a_method_of_a_class_is_documented_like_a_function() -> None:
    """Bodies, forms, files, security, examples, responses: the same source text means the same in a class."""

    class Thing(BaseModel):
        name: Annotated[str, Field(max_length=5)]
        secret: Annotated[str, Field(exclude=True)] = ""

    key = APIKeyHeader(name="x-key")
    oauth2 = OAuth2PasswordBearer(tokenUrl="token", scopes={"write": "Change things."})

    def page(
        limit: Annotated[int, Query(le=9, examples=[3])] = 5, trace: Annotated[str | None, Header()] = None
    ) -> int:
        return limit

    async def get(
        thing_id: Annotated[int, Path(gt=0)], size: Annotated[int, Depends(page)], session: Annotated[str, Cookie()]
    ) -> list[Thing]:
        """Read things"""
        return []

    async def post(
        thing_id: int,
        first: Thing,
        second: Annotated[Thing | None, Body(openapi_examples={"none": {"value": None}})],
        _key: Annotated[str, Security(key)],
    ) -> Thing:
        """Make a thing"""
        return first

    async def put(
        thing_id: int,
        note: Annotated[str, Form()],
        file: UploadFile,
        _token: Annotated[str, Security(oauth2, scopes=["write"])],
    ) -> HTMLResponse:
        """Change a thing"""
        return HTMLResponse(note)

    def method(function: Any) -> Any:
        async def bound(self: Any, **given: Any) -> Any:
            return await function(**given)

        signature = inspect.signature(function)
        me = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        bound.__signature__ = signature.replace(parameters=[me, *signature.parameters.values()])  # type: ignore[attr-defined]
        bound.__doc__ = function.__doc__
        return bound

    functions: dict[str, Any] = {"get": get, "post": post, "put": put}
    endpoint = type("Things", (HTTPEndpoint,), {name: method(function) for name, function in functions.items()})
    of_class = Velithon(generate_unique_id_function=lambda route: next(iter(route.methods)).lower())
    of_class.add_route("/things/{thing_id}", endpoint, tags=["t"], responses={409: {"model": Thing}}, deprecated=True)
    of_functions = Velithon(generate_unique_id_function=lambda route: next(iter(route.methods)).lower())
    for name, function in functions.items():
        of_functions.add_api_route(
            "/things/{thing_id}",
            function,
            methods=[name.upper()],
            summary=function.__doc__,
            description="",
            tags=["t"],
            responses={409: {"model": Thing}},
            deprecated=True,
        )
    expected = of_functions.openapi()
    for each in expected["paths"]["/things/{thing_id}"].values():
        each.pop("description", None)
    assert of_class.openapi() == expected


def test_a_mounted_application_documents_itself() -> None:
    """It is left out of the outer document; its own is below its path, and so are its pages and their files."""
    inner = Velithon(title="Inner")

    @inner.get("/x")
    def read() -> None:
        """Read."""

    outer = Velithon(title="Outer")
    outer.mount("/inner", inner)
    with TestClient(outer) as http:
        assert http.get("/openapi.json").json()["paths"] == {}
        document = http.get("/inner/openapi.json").json()
        assert (list(document["paths"]), document["servers"]) == (["/x"], [{"url": "/inner"}])
        for path in ("/inner/docs", "/inner/redoc"):
            html = http.get(path).text
            assert "/inner/openapi.json" in html
            files = re.findall(r'(?:src|href)="(/[^"]+)"', html)
            assert files
            assert {http.get(file).status_code for file in files} == {200}


def test_constraints_beside_a_default_object_are_kept() -> None:
    """FastAPI drops what `Annotated` says next to `= Query(...)`; here it is checked, so it is told."""

    class Cat(BaseModel):
        kind: Literal["cat"]

    class Dog(BaseModel):
        kind: Literal["dog"]

    app = Velithon()

    @app.post("/")
    def read(
        pet: Annotated[Cat | Dog, Field(discriminator="kind")] = Body(), a: Annotated[int, Field(gt=1)] = Query(3)
    ) -> None:
        """Read."""

    told = operation(app, "/", "post")
    assert told["parameters"][0]["schema"] == {"type": "integer", "exclusiveMinimum": 1, "default": 3, "title": "A"}
    body = told["requestBody"]["content"]["application/json"]["schema"]
    assert body["discriminator"]["propertyName"] == "kind"
    with TestClient(app) as http:
        assert http.post("/?a=1", json={"kind": "cat"}).status_code == 422
        assert http.post("/?a=2", json={"kind": "cat"}).status_code == 200


def test_a_document_leaves_the_routes_as_they_are() -> None:
    """The combined body's schema is named by the operation; the route goes on under its own name."""
    app = Velithon(generate_unique_id_function=lambda route: f"operation_{route.name}")

    @app.post("/pair")
    async def pair(first: Annotated[str, Body()], second: Annotated[str, Body()]) -> None: ...

    (route,) = [route for route in app.routes if isinstance(route, Route) and route.path == "/pair"]
    assert route.model is not None
    before = dict(vars(route.model))
    assert "Body_operation_pair" in app.openapi()["components"]["schemas"]
    assert vars(route.model) == before


def test_a_form_of_several_models_has_every_name_of_a_required_field() -> None:
    """One of them must come; a model alone is documented by its aliases, as it is in JSON."""

    class Person(BaseModel):
        model_config = ConfigDict(populate_by_name=True)
        name: str = Field(alias="display_name")
        city: str = Field(validation_alias=AliasChoices("city", "town"))
        age: int

    class Account(BaseModel):
        login: str

    app = Velithon()

    @app.post("/both")
    def both(person: Annotated[Person, Form()], account: Annotated[Account | None, Form()] = None) -> None: ...

    @app.post("/alone")
    def alone(person: Annotated[Person, Form()]) -> None: ...

    def shown(path: str) -> Any:
        (media_type,) = app.openapi()["paths"][path]["post"]["requestBody"]["content"].values()
        schema = media_type["schema"]
        return schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema

    schemas = app.openapi()["components"]["schemas"]
    person, account = shown("/both")["allOf"]
    assert (person["required"], person["properties"]) == (["age"], schemas["Person"]["properties"])
    assert person["allOf"] == [
        {"anyOf": [{"required": ["display_name"]}, {"required": ["name"]}]},
        {"anyOf": [{"required": ["city"]}, {"required": ["town"]}]},
    ]
    assert account["anyOf"][1]["anyOf"] == [{"$ref": "#/components/schemas/Account"}]
    assert shown("/alone") == schemas["Person"]
    assert schemas["Person"]["required"] == ["display_name", "city", "age"]
