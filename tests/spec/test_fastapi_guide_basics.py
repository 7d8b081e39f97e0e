"""FastAPI's book, with its name read as ours: chapters 2 to 6."""

from types import ModuleType
from typing import Any

import pytest

from tests.conftest import ClientFactory
from tests.spec.documents import FASTAPI_GUIDE

SETUP = "Chapter 2: Environment Setup and Installation / "
FUNDAMENTALS = "Chapter 3: Velithon Fundamentals / "
REQUESTS = "Chapter 4: Path Operations and Request Handling / "
MODELS = "Chapter 5: Data Validation and Pydantic Models / "
RESPONSES = "Chapter 6: Response Models and Data Serialization / "

APP = "from velithon import Velithon\nfrom typing import List, Optional\nfrom pydantic import Field\napp = Velithon()\n"


def locations(response: Any) -> list[list[str]]:
    """Return where the errors of a 422 are."""
    assert response.status_code == 422
    return [error["loc"] for error in response.json()["detail"]]


@FASTAPI_GUIDE.block(SETUP + "2.6 Basic Velithon Application")
def test_basic_application(space: ModuleType, client: ClientFactory) -> None:
    """The first application answers and documents itself."""
    api = client(space.app)
    assert api.get("/").json() == {"message": "Welcome to Velithon!"}
    assert api.get("/health").json() == {"status": "healthy"}
    operation = api.get("/openapi.json").json()["paths"]["/"]["get"]
    assert operation["summary"] == "Root"
    assert operation["description"] == "Root endpoint returning welcome message"
    assert operation["operationId"] == "root__get"


@FASTAPI_GUIDE.block(FUNDAMENTALS + "3.1 Velithon Instance")
def test_instance(space: ModuleType, client: ClientFactory) -> None:
    """Metadata, the document's address and CORS are the application's."""
    api = client(space.app)
    info = api.get("/api/v1/openapi.json").json()["info"]
    assert info["termsOfService"] == "http://example.com/terms/"
    assert info["license"] == {"name": "MIT", "url": "https://opensource.org/licenses/MIT"}
    assert "/api/v1/openapi.json" in api.get("/docs").text
    assert "/api/v1/openapi.json" in api.get("/redoc").text
    assert "access-control-allow-origin" in api.get("/docs", headers={"origin": "https://a.b"}).headers


@FASTAPI_GUIDE.block(FUNDAMENTALS + "3.2 Path Operations")
def test_path_operations(space: ModuleType, client: ClientFactory) -> None:
    """Each method has its function; path, query and body come together."""
    api = client(space.app)
    assert api.get("/items/5").json() == {"item_id": 5}
    assert api.get("/items/5?q=x").json() == {"item_id": 5, "q": "x"}
    assert (api.get("/items/0").status_code, api.get("/items/0").json()) == (
        400,
        {"detail": "Item ID must be positive"},
    )
    item = {"name": "n"}
    assert api.post("/items/", json=item).json() == {"message": "Item created", "item": item}
    assert api.put("/items/5", json=item).json() == {"item_id": 5, "item": item}
    assert api.patch("/items/5", json=item).json() == {"item_id": 5, "updated_fields": item}
    assert api.delete("/items/5").json() == {"message": "Item 5 deleted"}
    assert locations(api.post("/items/", json=[1])) == [["body"]]
    redirected = client(space.app, follow_redirects=False).post("/items", json=item)
    assert (redirected.status_code, redirected.headers["location"]) == (307, "http://testserver/items/")


@FASTAPI_GUIDE.block(FUNDAMENTALS + "3.3 Path Parameters")
def test_path_parameters(space: ModuleType, client: ClientFactory) -> None:
    """Path parameters are converted, bounded, and may be an enumeration's members."""
    api = client(space.app)
    assert api.get("/users/7").json() == {"user_id": 7}
    assert api.get("/items/1000").json() == {"item_id": 1000}
    assert locations(api.get("/items/1001")) == [["path", "item_id"]]
    assert api.get("/users/7/items/x").json() == {"user_id": 7, "item_id": "x"}
    assert api.get("/models/alexnet").json() == {"model_name": "alexnet", "message": "Deep Learning FTW!"}
    assert api.get("/models/lenet").json()["message"] == "LeCNN all the images"
    assert api.get("/models/resnet").json()["message"] == "Have some residuals"
    wrong = api.get("/models/other").json()["detail"][0]
    assert (wrong["type"], wrong["ctx"]) == ("enum", {"expected": "'alexnet', 'resnet' or 'lenet'"})
    parameter = api.get("/openapi.json").json()["paths"]["/items/{item_id}"]["get"]["parameters"][0]
    assert parameter["schema"] == {"type": "integer", "maximum": 1000, "minimum": 1, "title": "The ID of the item"}


@pytest.mark.filterwarnings("ignore:`regex` has been deprecated")
@FASTAPI_GUIDE.block(FUNDAMENTALS + "3.4 Query Parameters")
def test_query_parameters(space: ModuleType, client: ClientFactory) -> None:
    """Query parameters have defaults, bounds and lists; of two routes that match the first one answers."""
    api = client(space.app)
    assert api.get("/items/").json() == {"skip": 0, "limit": 10}
    assert api.get("/items/?skip=5").json() == {"skip": 5, "limit": 10}
    assert api.get("/items/search?q=x").json() == {"item_id": "search", "q": "x"}
    other = space.Velithon()
    other.get("/search")(space.search_items)
    other.get("/list")(space.read_items)
    other.get("/required")(space.read_items_required)
    api = client(other)
    assert api.get("/search").json() == {"items": [{"item_id": "Foo"}, {"item_id": "Bar"}]}
    assert api.get("/search?q=abc d").json()["q"] == "abc d"
    for query in ("ab", "a" * 51, "a-b"):
        assert locations(api.get("/search", params={"q": query})) == [["query", "q"]]
    assert api.get("/list?q=a&q=b").json() == {"q": ["a", "b"]}
    assert api.get("/list").json() == {"q": None}
    assert locations(api.get("/required")) == [["query", "q"]]
    assert api.get("/required?q=abc").json()["q"] == "abc"


@FASTAPI_GUIDE.block(REQUESTS + "4.1 Request Body")
def test_request_body(space: ModuleType, client: ClientFactory) -> None:
    """One model is the body; several are its keys."""
    api = client(space.app)
    item: dict[str, Any] = {"name": "n", "price": 10.5, "tax": 1.5}
    whole: dict[str, Any] = {"name": "n", "description": None, "price": 10.5, "tax": 1.5, "tags": []}
    assert api.post("/items/", json=item).json() == {**whole, "price_with_tax": 12.0}
    assert api.put("/items/3?q=x", json=item).json() == {"item_id": 3, **whole, "q": "x"}
    user = {"username": "u", "email": "e"}
    answer = api.post("/users/7/items/", json={"item": item, "user": user}).json()
    assert answer == {"user_id": 7, "item": whole, "user": {**user, "full_name": None}}
    assert locations(api.post("/items/", json={"price": "x"})) == [["body", "name"], ["body", "price"]]
    assert locations(api.post("/users/7/items/", json={"item": item})) == [["body", "user"]]
    broken = api.post("/items/", content=b"{", headers={"content-type": "application/json"})
    assert (broken.status_code, broken.json()["detail"][0]["type"]) == (422, "json_invalid")


@FASTAPI_GUIDE.block(REQUESTS + "4.2 Form Data")
def test_form_data(space: ModuleType, client: ClientFactory) -> None:
    """Forms come urlencoded, and with files as multipart."""
    api = client(space.app)
    assert api.post("/login/", data={"username": "u", "password": "p"}).json() == {"username": "u"}
    assert locations(api.post("/login/", data={"username": "u"})) == [["body", "password"]]
    form = {"name": "n", "email": "e", "message": "m"}
    answer = api.post("/submit-form/", data=form, files={"file": ("a.txt", b"1", "text/plain")})
    assert answer.json() == {**form, "filename": "a.txt", "content_type": "text/plain"}
    content = api.get("/openapi.json").json()["paths"]["/submit-form/"]["post"]["requestBody"]["content"]
    assert list(content) == ["multipart/form-data"]


@FASTAPI_GUIDE.block(REQUESTS + "4.3 Headers and Cookies")
def test_headers_and_cookies(space: ModuleType, client: ClientFactory) -> None:
    """Names of headers are written with underscores; cookies are read and set."""
    api = client(space.app)
    headers = {"user-agent": "me", "accept-language": "de", "authorization": "x"}
    expected = {"User-Agent": "me", "Accept-Language": "de", "Authorization": "x"}
    assert api.get("/headers/", headers=headers).json() == expected
    api.cookies.set("tracking_id", "t")
    assert api.get("/cookies/").json() == {"session_id": None, "tracking_id": "t"}
    answer = api.post("/set-cookie/")
    assert answer.json() == {"message": "Cookie set"}
    assert answer.headers["set-cookie"] == "session_id=abc123; HttpOnly; Max-Age=3600; Path=/; SameSite=lax"
    assert api.get("/cookies/").json() == {"session_id": "abc123", "tracking_id": "t"}


@FASTAPI_GUIDE.block(REQUESTS + "4.4 Response Models", prelude="from typing import Optional\n")
def test_response_models(space: ModuleType, client: ClientFactory) -> None:
    """Response models and status codes are the answer's, and the document's."""
    api = client(space.app)
    created = api.post("/items/", json={"name": "n", "price": 1})
    assert (created.status_code, created.json()) == (201, {"id": 1, "name": "n", "description": None, "price": 1.0})
    assert [item["price"] for item in api.get("/items/").json()] == [10.5, 20.5]
    deleted = api.delete("/items/1")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert "content-length" not in deleted.headers
    paths = api.get("/openapi.json").json()["paths"]
    assert "content" not in paths["/items/{item_id}"]["delete"]["responses"]["204"]
    assert set(paths["/items/"]["post"]["responses"]) == {"201", "422"}


@FASTAPI_GUIDE.block(MODELS + "5.1 Basic Pydantic Models", prelude=APP, replacing={"regex=": "pattern="})
def test_pydantic_models(space: ModuleType, client: ClientFactory) -> None:
    """What comes in is one model, what goes out another: nested values and enumerations included."""
    api = client(space.app)
    user = {"username": "ada", "email": "ada@example.com", "age": 36}
    answer = api.post(
        "/users/", json={**user, "address": {"street": "s", "city": "c", "country": "x", "postal_code": "12345"}}
    )
    assert answer.json()["role"] == "user"
    assert "address" not in answer.json()
    assert answer.json()["created_at"] is not None
    wrong = {
        "username": "a",
        "email": "x",
        "age": 121,
        "address": {"street": "s", "city": "c", "country": "x", "postal_code": "1"},
    }
    assert locations(api.post("/users/", json=wrong)) == [
        ["body", "username"],
        ["body", "email"],
        ["body", "age"],
        ["body", "address", "postal_code"],
    ]


REGISTER = """
@app.post("/register")
async def register(user: UserRegistration):
    return user
"""


@FASTAPI_GUIDE.block(
    MODELS + "5.2 Advanced Validation",
    REGISTER,
    prelude=APP,
    replacing={"@root_validator": "@root_validator(skip_on_failure=True)"},
)
def test_validators(space: ModuleType, client: ClientFactory) -> None:
    """Validators change values, or refuse them with their message."""
    api = client(space.app)
    user = {"username": "ada_1", "email": "ADA@B.C", "password": "Secret123", "password_confirm": "Secret123"}
    answer = api.post("/register", json={**user, "tags": [" A ", "b"]}).json()
    assert (answer["email"], answer["tags"]) == ("ada@b.c", ["a", "b"])
    wrong = api.post(
        "/register", json={**user, "username": "a b", "email": "x", "password": "short", "tags": ["x"] * 6}
    )
    assert [error["msg"].removeprefix("Value error, ") for error in wrong.json()["detail"]] == [
        "Username must be alphanumeric",
        "Invalid email format",
        "Password must be at least 8 characters",
        "Maximum 5 tags allowed",
    ]
    differs = api.post("/register", json={**user, "password_confirm": "other"}).json()["detail"][0]
    assert (differs["loc"], differs["msg"]) == (["body"], "Value error, Passwords do not match")


CONFIGURED = """
@app.post("/configured")
async def configured(model: ConfiguredModel):
    return model

@app.post("/items", response_model=Item)
async def items(item: ItemUpdate):
    return {"name": "n", "price": 1, "category_id": 2, **item.dict(exclude_unset=True)}
"""


@pytest.mark.filterwarnings("ignore:Valid config keys have changed in V2")
@FASTAPI_GUIDE.block(MODELS + "5.3 Model Configuration", CONFIGURED, prelude=APP)
def test_model_configuration(space: ModuleType, client: ClientFactory) -> None:
    """A model's own configuration holds for what comes and what goes."""
    api = client(space.app)
    at = "2024-01-01T12:00:00"
    model = {"name": "n", "value": 42.0, "created_at": at}
    assert api.post("/configured", json=model).json() == model
    assert api.post("/items", json={"price": 5}).json() == {
        "name": "n",
        "description": None,
        "price": 5.0,
        "category_id": 2,
    }


@FASTAPI_GUIDE.block(
    RESPONSES + "6.1 Response Models", RESPONSES + "6.2 Response Model Features", prelude="from pydantic import Field\n"
)
def test_response_model_features(space: ModuleType, client: ClientFactory) -> None:
    """A union answers with the model that was returned; what is not in a response model is not sent."""
    api = client(space.app)
    assert api.get("/users/7").json()["username"] == "user7"
    error = api.get("/users/0").json()
    assert (error["success"], error["error_code"], error["details"]) == (False, "INVALID_ID", {"provided_id": 0})
    assert api.get("/users/7/public").json() == {"id": 7, "username": "user7", "is_active": True}
    assert "email" not in api.get("/users/7/profile").json()
    assert api.get("/users/7/profile?include_email=true").json()["email"] == "user7@example.com"
    responses = api.get("/openapi.json").json()["paths"]["/users/{user_id}"]["get"]["responses"]
    schema = responses["200"]["content"]["application/json"]["schema"]
    assert schema["anyOf"] == [
        {"$ref": "#/components/schemas/UserResponse"},
        {"$ref": "#/components/schemas/ErrorResponse"},
    ]


@pytest.mark.filterwarnings("ignore:Support for class-based `config`")
@FASTAPI_GUIDE.block(
    SETUP + "2.8 Configuration Management",
    prelude="from pathlib import Path\nPath('.env').write_text('app_name=Shop')\n",
    # Settings are a package of their own since pydantic 2.
    replacing={"from pydantic import BaseSettings": "from pydantic_settings import BaseSettings"},
)
def test_settings(space: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment goes before the file, and the file before the defaults."""
    assert (space.settings.app_name, space.settings.port) == ("Shop", 8000)
    monkeypatch.setenv("app_name", "Market")
    assert space.Settings().app_name == "Market"
