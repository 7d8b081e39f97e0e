"""The user guide, from the quick start to the response types."""

from pathlib import Path
from types import ModuleType

import httpx
import pytest

from tests.conftest import ClientFactory
from tests.servers import SERVERS, ServerName, serve
from tests.spec.documents import GUIDE
from velithon.testclient import TestClient


@GUIDE.block("Quick Start / Basic Application")
def test_basic_application(space: ModuleType, client: ClientFactory) -> None:
    """The quick start answers, and converts its path parameter."""
    with client(space.app) as api:
        assert api.get("/").json() == {"message": "Hello, World!"}
        assert api.get("/items/5").json() == {"item_id": 5}
        assert api.get("/items/five").status_code == 422
        assert api.get("/nowhere").status_code == 404


@pytest.mark.server
@pytest.mark.parametrize("server", SERVERS)
def test_basic_application_on_every_server(server: ServerName) -> None:
    """The quick start answers on real servers as in process."""
    with serve(GUIDE.blocks["Quick Start / Basic Application"].code + "\n", server) as running:
        assert httpx.get(f"{running.url}/").json() == {"message": "Hello, World!"}
        assert httpx.get(f"{running.url}/items/5").json() == {"item_id": 5}


@GUIDE.block("Core Concepts / Application Instance")
def test_application_instance(space: ModuleType, client: ClientFactory) -> None:
    """What describes the application is in its document."""
    info = client(space.app).get("/openapi.json").json()["info"]
    assert info == {"title": "My API", "description": "A sample API built with Velithon", "version": "1.0.0"}


@GUIDE.block("HTTP Endpoints / Class-Based Endpoints", "Core Concepts / Router")
def test_router(space: ModuleType, client: ClientFactory) -> None:
    """An application made of a router's routes serves these routes."""
    api = client(space.app)
    assert api.get("/users").json() == {"users": []}
    assert api.post("/users", json={"a": 1}).json() == {"message": "User created", "data": {"a": 1}}
    assert api.delete("/users").status_code == 405


@GUIDE.block("Routing / Route Decorators")
def test_route_decorators(space: ModuleType, client: ClientFactory) -> None:
    """One path takes a function for each method."""
    api = client(space.app)
    assert api.get("/users").json() == {"users": []}
    assert api.post("/users").json() == {"message": "User created"}
    assert api.put("/users/3").json() == {"user_id": 3, "message": "Updated"}
    assert api.delete("/users/3").json() == {"message": "User deleted"}
    refused = api.patch("/users/3")
    assert refused.status_code == 405


@GUIDE.block("Routing / Path Parameters")
def test_path_parameters(space: ModuleType, client: ClientFactory) -> None:
    """Path parameters have the types of their annotations."""
    api = client(space.app)
    assert api.get("/users/7").json() == {"user_id": 7}
    assert api.get("/users/7/posts/8").json() == {"user_id": 7, "post_id": "8"}
    error = api.get("/users/x/posts/8").json()["detail"][0]
    assert error["loc"] == ["path", "user_id"]


@GUIDE.block("Routing / Adding Routes Programmatically")
def test_adding_routes(space: ModuleType, client: ClientFactory) -> None:
    """A function with a bare `request` parameter can be added as a route."""
    assert client(space.app).get("/users").json() == {"message": "User handler"}


@GUIDE.block("HTTP Endpoints / Class-Based Endpoints")
def test_class_based_endpoints(space: ModuleType, client: ClientFactory) -> None:
    """A class answers each method by its function of that name."""
    api = client(space.app)
    assert api.get("/users").json() == {"users": []}
    assert api.post("/users", json=[1]).json() == {"message": "User created", "data": [1]}
    assert api.put("/users").json() == {"message": "User updated"}
    assert api.delete("/users").text == "User deleted"
    assert api.patch("/users").status_code == 405


@GUIDE.block("HTTP Endpoints / Method-Specific Endpoints")
def test_method_specific_endpoints(space: ModuleType, client: ClientFactory) -> None:
    """Path parameters are in the request too, as text."""
    api = client(space.app)
    assert api.get("/products/p1").json() == {"product_id": "p1"}
    assert api.post("/products/p1").status_code == 405


@GUIDE.block("WebSocket Support / Function-Based WebSocket Handlers")
def test_websocket_functions(space: ModuleType, client: ClientFactory, capsys: pytest.CaptureFixture[str]) -> None:
    """A function echoes until the client leaves."""
    with client(space.app) as api:
        with api.websocket_connect("/echo") as session:
            for text in ("one", "zwei", "três"):
                session.send_text(text)
                assert session.receive_text() == f"Echo: {text}"
    assert "Client disconnected" in capsys.readouterr().out


@GUIDE.block(
    "WebSocket Support / Function-Based WebSocket Handlers",
    "WebSocket Support / Class-Based WebSocket Endpoints",
)
def test_websocket_classes(space: ModuleType, client: ClientFactory, capsys: pytest.CaptureFixture[str]) -> None:
    """A class is told of the connection, each message and the end."""
    with client(space.app) as api:
        with api.websocket_connect("/chat") as session:
            session.send_text("hi")
            assert session.receive_text() == "You said: hi"
    printed = capsys.readouterr().out
    assert "Client connected: " in printed
    assert "Client disconnected: " in printed


@GUIDE.block("WebSocket Support / WebSocket with Path Parameters")
def test_websocket_path_parameters(space: ModuleType, client: ClientFactory) -> None:
    """A WebSocket's path parameters are in it."""
    with client(space.app).websocket_connect("/chat/blue") as session:
        session.send_text("hi")
        assert session.receive_text() == "[Room blue] hi"


CONTAINER = "Dependency Injection / Setting Up a Container"


@GUIDE.block(CONTAINER, "Dependency Injection / Using Dependency Injection")
def test_dependency_injection(space: ModuleType, client: ClientFactory) -> None:
    """Provide[...] gives an endpoint what the container makes, in functions and in classes."""
    space.app.add_route("/me", space.UserEndpoint, methods=["GET"])
    with client(space.app) as api:
        assert api.get("/me").json() == {"result": "Data for: SELECT * FROM users WHERE id = 123"}
        assert api.get("/users/7").json() == {"result": "Data for: SELECT * FROM users WHERE id = 7"}


@GUIDE.block(CONTAINER, "Dependency Injection / Provider Types", prelude="from velithon.di import inject, Provide")
def test_provider_types(space: ModuleType, client: ClientFactory) -> None:
    """A singleton is made once; a factory's product is new for each request."""
    container = space.Container()
    app = space.Velithon()
    app.register_container(container)
    made: list[tuple[object, object, str]] = []

    @app.get("/")  # type: ignore[untyped-decorator]
    async def show(
        db: object = space.Provide[container.db],
        repository: object = space.Provide[container.user_repo],
        service: object = space.Provide[container.user_service],
    ) -> dict[str, bool]:
        made.append((db, repository, service.api_key))  # type: ignore[attr-defined]
        return {}

    with client(app) as api:
        api.get("/")
        api.get("/")
    (db, repository, key), (other_db, other_repository, _) = made
    assert db is other_db
    assert repository is not other_repository
    assert key == "default-key"


@GUIDE.block("Request Handling / Request Object")
def test_request_object(space: ModuleType, client: ClientFactory) -> None:
    """A request gives its body, form, query, path, headers and cookies."""
    response = client(space.app).post("/users?page=2", json={"a": 1}, headers={"authorization": "x"})
    assert (response.status_code, response.json()) == (200, {"message": "User created"})


@GUIDE.block("Request Handling / Parameter Injection")
def test_parameter_injection(space: ModuleType, client: ClientFactory) -> None:
    """Annotated parameters are converted, validated and given to methods of a class."""
    api = client(space.app)
    assert api.get("/users/7").json() == {"user_id": 7, "page": 1}
    assert api.get("/users/7?page=3").json() == {"user_id": 7, "page": 3}
    assert api.get("/users/7?page=x").json()["detail"][0]["loc"] == ["query", "page"]
    user = {"name": "Ada", "email": "ada@example.com", "age": 36}
    assert api.post("/users/7", json=user).json() == {"message": "User created", "user": user}
    errors = api.post("/users/7", json={"name": "Ada"}).json()["detail"]
    assert [error["loc"] for error in errors] == [["body", "email"], ["body", "age"]]


@GUIDE.block("Request Handling / Headers and Request Context")
def test_headers(space: ModuleType, client: ClientFactory) -> None:
    """A parameter annotated with Headers is the request's headers."""
    space.app.add_route("/agent", space.UserEndpoint, methods=["GET"])
    assert client(space.app).get("/agent", headers={"user-agent": "me"}).json() == {"user_agent": "me"}


@GUIDE.block("Response Types / Built-in Response Types")
def test_response_types(space: ModuleType, client: ClientFactory) -> None:
    """Each class of response sends its media type."""
    Path("path/to").mkdir(parents=True)
    Path("path/to/file.pdf").write_bytes(b"%PDF-" + b"x" * 100)
    api = client(space.app, follow_redirects=False)
    assert api.get("/json").json() == {"message": "Hello JSON"}
    assert (api.get("/text").text, api.get("/text").headers["content-type"]) == (
        "Hello Text",
        "text/plain; charset=utf-8",
    )
    assert api.get("/html").headers["content-type"] == "text/html; charset=utf-8"
    redirect = api.get("/redirect")
    assert (redirect.status_code, redirect.headers["location"]) == (307, "/json")
    file = api.get("/file")
    assert (file.headers["content-type"], len(file.content)) == ("application/pdf", 105)
    assert api.get("/file", headers={"range": "bytes=0-4"}).content == b"%PDF-"
    streamed = api.get("/stream")
    assert streamed.text.splitlines() == [f"data chunk {i}" for i in range(100)]
    assert streamed.headers["content-type"] == "text/plain; charset=utf-8"


@GUIDE.block("Response Types / Custom Response Status and Headers")
def test_custom_responses(space: ModuleType, client: ClientFactory) -> None:
    """Status and headers are the response's arguments."""
    response = client(space.app).get("/custom")
    assert (response.status_code, response.headers["x-custom-header"]) == (201, "value")
    assert response.json() == {"message": "Created"}


@GUIDE.block("Error Handling / HTTP Exceptions")
def test_http_exceptions(space: ModuleType, client: ClientFactory) -> None:
    """An HTTPException is its status and its detail."""
    api = client(space.app)
    assert api.get("/users/5").json() == {"user_id": 5}
    bad, missing = api.get("/users/0"), api.get("/users/999")
    assert (bad.status_code, bad.json()) == (400, {"detail": "Invalid user ID"})
    assert (missing.status_code, missing.json()) == (404, {"detail": "User not found"})


@GUIDE.block("Error Handling / HTTP Exceptions", "Error Handling / Custom Exception Handlers")
def test_custom_exception_handlers(space: ModuleType, client: ClientFactory) -> None:
    """A handler of 404 answers unknown paths and exceptions of that status."""
    api = client(space.app)
    for path in ("/nowhere", "/users/999"):
        response = api.get(path)
        assert (response.status_code, response.json()) == (404, {"error": "Resource not found", "path": path})
    assert api.get("/users/0").json() == {"detail": "Invalid user ID"}


@GUIDE.block("Error Handling / Global Exception Handling")
def test_global_exception_handling(space: ModuleType, client: ClientFactory) -> None:
    """A handler of Exception answers what nobody else handles; the exception still reaches the server."""

    @space.app.get("/fails")  # type: ignore[untyped-decorator]
    async def fails() -> None:
        raise KeyError("x")

    response = client(space.app, raise_server_exceptions=False).get("/fails")
    assert (response.status_code, response.json()) == (500, {"error": "Internal server error", "type": "KeyError"})
    with pytest.raises(KeyError):
        client(space.app).get("/fails")


def test_prelude_is_complete() -> None:
    """The prelude of the guide supplies an application that answers."""
    space = GUIDE.run([], "", {})
    assert TestClient(space.app).get("/").status_code == 404
