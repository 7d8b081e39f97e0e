"""The user guide, from file uploads to the best practices."""

import logging
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import ClientFactory
from tests.spec.documents import BEST_PRACTICES, GUIDE

UPLOADS = "File Uploads and Form Handling / "
TASKS = "Background Tasks / "
MIDDLEWARE = "Middleware / "
DOCUMENTATION = "OpenAPI Documentation / "
PRACTICES = "Performance and Best Practices / "

TEXT = ("a.txt", b"hello", "text/plain")
IMAGE = ("../a.png", b"\x89PNG", "image/png")


@GUIDE.block(UPLOADS + "Basic File Upload")
def test_basic_upload(space: ModuleType, client: ClientFactory) -> None:
    """A file arrives with its name, size and content; a missing one is an error of the body."""
    Path("uploads").mkdir()
    api = client(space.app)
    assert api.post("/upload", files={"file": TEXT}).json() == {"filename": "a.txt", "size": 5}
    assert Path("uploads/a.txt").read_bytes() == b"hello"
    missing = api.post("/upload", data={"other": "x"})
    assert (missing.status_code, missing.json()["detail"][0]["loc"]) == (422, ["body", "file"])


@GUIDE.block(UPLOADS + "Multiple File Uploads")
def test_multiple_uploads(space: ModuleType, client: ClientFactory) -> None:
    """A list of files takes all parts of that name."""
    Path("uploads").mkdir()
    files = [("files", TEXT), ("files", ("b.bin", b"\0" * 70_000, "application/octet-stream"))]
    assert client(space.app).post("/upload-multiple", files=files).json() == {
        "uploaded_files": [
            {"filename": "a.txt", "size": 5, "content_type": "text/plain"},
            {"filename": "b.bin", "size": 70_000, "content_type": "application/octet-stream"},
        ]
    }
    assert Path("uploads/b.bin").stat().st_size == 70_000


@GUIDE.block(UPLOADS + "Form Data with Files")
def test_form_with_file(space: ModuleType, client: ClientFactory) -> None:
    """Fields and a file come in one form; Form(None) may be left out."""
    api = client(space.app)
    answer = api.post("/upload-with-data", data={"title": "T"}, files={"file": TEXT}).json()
    assert answer == {"title": "T", "description": None, "filename": "a.txt"}
    missing = api.post("/upload-with-data", files={"file": TEXT}).json()["detail"]
    assert [error["loc"] for error in missing] == [["body", "title"]]


@GUIDE.block(UPLOADS + "Advanced File Handling")
def test_advanced_upload(space: ModuleType, client: ClientFactory) -> None:
    """HTTPException takes its status and detail by position."""
    Path("uploads").mkdir()
    api = client(space.app)
    refused = api.post("/upload-advanced", files={"file": TEXT})
    assert (refused.status_code, refused.json()) == (400, {"detail": "Only image files allowed"})
    large = api.post("/upload-advanced", files={"file": ("l.png", b"x" * (5 * 1024 * 1024 + 1), "image/png")})
    assert (large.status_code, large.json()) == (400, {"detail": "File too large"})
    taken = api.post("/upload-advanced", files={"file": ("s.png", b"x" * 3000, "image/png")})
    assert taken.json() == {"message": "File uploaded successfully"}
    assert Path("uploads/s.png").stat().st_size == 3000


@GUIDE.block(
    UPLOADS + "Form Parsing Configuration",
    prelude="""
@app.post("/form")
async def form(request: Request):
    async with request.form() as form:
        return {"fields": len(form.multi_items())}
""",
)
def test_form_limits(space: ModuleType, client: ClientFactory) -> None:
    """A form has at most 1000 fields, 1000 files and 1 MB in each field."""
    api = client(space.app)
    fields = {f"f{i}": "x" for i in range(1000)}
    assert api.post("/form", files=dict.fromkeys(fields, (None, "x"))).json() == {"fields": 1000}
    assert api.post("/form", files=dict.fromkeys([*fields, "more"], (None, "x"))).status_code == 400
    assert api.post("/form", files=dict.fromkeys(fields, ("n", "x"))).json() == {"fields": 1000}
    assert api.post("/form", files=dict.fromkeys([*fields, "more"], ("n", "x"))).status_code == 400
    assert api.post("/form", files={"f": (None, "x" * 1024 * 1024)}).json() == {"fields": 1}
    assert api.post("/form", files={"f": (None, "x" * (1024 * 1024 + 1))}).status_code == 400


@GUIDE.block(UPLOADS + "File Upload Best Practices")
def test_secure_upload(space: ModuleType, client: ClientFactory) -> None:
    """The file is stored under a name of our own, whatever name the client gave it."""
    api = client(space.app)
    answer = api.post("/secure-upload", files={"file": IMAGE}).json()
    assert (answer["size"], Path(answer["filename"]).suffix) == (4, ".png")
    assert [path.name for path in Path("uploads").iterdir()] == [answer["filename"]]
    refused = api.post("/secure-upload", files={"file": TEXT})
    assert refused.json() == {"detail": "File type not allowed"}


@GUIDE.block(TASKS + "Basic Background Task")
def test_basic_task(space: ModuleType, client: ClientFactory) -> None:
    """Scalars of a POST are query parameters; a task that nobody runs is warned of."""
    with pytest.warns(RuntimeWarning, match="background task send_email never ran"):
        answer = client(space.app).post("/send-notification", params={"email": "a@b.c", "message": "hi"})
    assert answer.json() == {"message": "Notification queued"}


@GUIDE.block(TASKS + "Multiple Background Tasks")
def test_multiple_tasks(space: ModuleType, client: ClientFactory, capsys: pytest.CaptureFixture[str]) -> None:
    """A collection runs all of its tasks when it is called."""
    answer = client(space.app).post("/user-action", params={"action": "login", "user_id": 7})
    assert answer.json() == {"message": "Action completed"}
    printed = capsys.readouterr().out
    assert "User 7 performed: login" in printed
    assert "Analytics updated for: login" in printed


@GUIDE.block(TASKS + "Basic Background Task", TASKS + "Async Background Tasks")
def test_async_tasks(space: ModuleType, client: ClientFactory) -> None:
    """A dict parameter is the JSON body."""
    with pytest.warns(RuntimeWarning, match="background task async_process_data never ran"):
        answer = client(space.app).post("/process", json={"a": 1})
    assert answer.json() == {"message": "Processing started"}


@GUIDE.block(
    TASKS + "Background Tasks with Response",
    prelude="""
from velithon.background import BackgroundTasks
done = []
def send_order_confirmation(email, order_id):
    done.append((email, order_id))
async def update_inventory(items):
    done.append(items)
""",
)
def test_tasks_of_a_response(space: ModuleType, client: ClientFactory) -> None:
    """The tasks of a response run after it was sent."""
    with client(space.app) as api:
        answer = api.post("/order", json={"email": "a@b.c", "items": ["x"]})
        assert answer.json() == {"order_id": "12345", "status": "created"}
    assert ("a@b.c", "12345") in space.done
    assert ["x"] in space.done


@GUIDE.block(
    TASKS + "Concurrent Background Tasks",
    prelude="""
import asyncio
from velithon.background import BackgroundTasks
running, most, done = 0, 0, []
async def process_item(item):
    global running, most
    running += 1
    most = max(most, running)
    await asyncio.sleep(0.001)
    running -= 1
    done.append(item)
""",
)
def test_concurrent_tasks(space: ModuleType, client: ClientFactory) -> None:
    """No more than max_concurrent tasks run at once."""
    answer = client(space.app).post("/batch-process", json=list(range(20)))
    assert answer.json() == {"message": "Processing 20 items"}
    assert sorted(space.done) == list(range(20))
    assert space.most == 5


@GUIDE.block(TASKS + "Error Handling in Background Tasks", prelude="from velithon.background import BackgroundTasks")
def test_failing_tasks(space: ModuleType, client: ClientFactory) -> None:
    """With continue_on_error=False the first error is a RuntimeError of the caller."""
    api = client(space.app)
    assert api.post("/risky-operation?data=x").json() == {"message": "Operation completed"}
    assert api.post("/risky-operation?data=").json() == {"error": "Background task failed"}


@GUIDE.block(MIDDLEWARE + "Logging Middleware")
def test_logging_middleware(space: ModuleType, client: ClientFactory, caplog: pytest.LogCaptureFixture) -> None:
    """Requests and their responses are logged."""

    @space.app.get("/logged")  # type: ignore[untyped-decorator]
    async def logged() -> dict[str, str]:
        return {}

    with caplog.at_level(logging.INFO):
        client(space.app).get("/logged")
    assert any("/logged" in record.getMessage() for record in caplog.records)


@GUIDE.block(MIDDLEWARE + "Logging Middleware", MIDDLEWARE + "CORS Middleware")
def test_cors_middleware(space: ModuleType, client: ClientFactory) -> None:
    """Preflights are answered, and responses may be read by the origin that asked."""
    api = client(space.app)
    headers = {"origin": "https://a.b", "access-control-request-method": "PUT", "access-control-request-headers": "X-A"}
    preflight = api.options("/x", headers=headers)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] in ("*", "https://a.b")
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-headers"].lower() in ("x-a", "*")
    assert preflight.headers["access-control-allow-credentials"] == "true"
    assert "access-control-allow-origin" in api.get("/x", headers={"origin": "https://a.b"}).headers
    refused = api.options("/x", headers={**headers, "access-control-request-method": "PATCH"})
    assert refused.status_code == 400


AUTHORIZED = """
def protect(app):
    @app.get("/api/x")
    async def x():
        return {"open": False}

    @app.get("/x")
    async def y():
        return {"open": True}
"""


@GUIDE.block(MIDDLEWARE + "Logging Middleware", MIDDLEWARE + "Custom Middleware", prelude=AUTHORIZED)
def test_custom_middleware(space: ModuleType, client: ClientFactory) -> None:
    """A class with `__call__(scope, protocol)` is a layer on both protocols."""
    space.protect(space.app)
    api = client(space.app)
    refused = api.get("/api/x")
    assert (refused.status_code, refused.json()) == (401, {"error": "Unauthorized"})
    assert api.get("/api/x", headers={"authorization": "x"}).json() == {"open": False}
    assert api.get("/x").json() == {"open": True}


@GUIDE.block(
    MIDDLEWARE + "Logging Middleware",
    MIDDLEWARE + "Custom Middleware",
    MIDDLEWARE + "Middleware Order",
    prelude=AUTHORIZED,
)
def test_middleware_order(space: ModuleType, client: ClientFactory, caplog: pytest.LogCaptureFixture) -> None:
    """The last middleware of the list runs first: what it refuses, the first one does not log."""
    space.protect(space.app)
    with caplog.at_level(logging.INFO):
        assert client(space.app).get("/api/x").status_code == 401
    assert not any("/api/x" in record.getMessage() for record in caplog.records if record.name.startswith("velithon"))


@GUIDE.block(DOCUMENTATION + "Automatic Documentation")
def test_automatic_documentation(space: ModuleType, client: ClientFactory) -> None:
    """The document and its page are where they were asked to be."""
    api = client(space.app)
    document = api.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert document["info"]["description"] == "A comprehensive API built with Velithon"
    page = api.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "/openapi.json" in page.text


@GUIDE.block(DOCUMENTATION + "Adding Metadata to Routes")
def test_route_metadata(space: ModuleType, client: ClientFactory) -> None:
    """Summary, description and tags are in the document, of functions and of classes."""
    api = client(space.app)
    operation = api.get("/openapi.json").json()["paths"]["/users/{user_id}"]["get"]
    assert operation["summary"] == "Get user by ID"
    assert operation["description"] == "Retrieve a specific user by their unique identifier"
    assert operation["tags"] == ["users"]
    assert operation["parameters"][0]["schema"]["type"] == "integer"
    other = space.Velithon()
    other.add_route("/users/{user_id}", space.UserEndpoint, methods=["GET"], summary="S", description="D", tags=["t"])
    operation = client(other).get("/openapi.json").json()["paths"]["/users/{user_id}"]["get"]
    assert (operation["summary"], operation["description"], operation["tags"]) == ("S", "D", ["t"])


@GUIDE.block(DOCUMENTATION + "Response Models")
def test_response_models(space: ModuleType, client: ClientFactory) -> None:
    """A response model is the schema of the answer; a Response is sent as it is."""
    api = client(space.app)
    assert api.get("/users/7").json()["user"] == {"id": 7, "name": "John", "email": "john@example.com"}
    document = api.get("/openapi.json").json()
    answer = document["paths"]["/users/{user_id}"]["get"]["responses"]["200"]["content"]["application/json"]
    assert answer["schema"] == {"$ref": "#/components/schemas/UserResponse"}
    assert set(document["components"]["schemas"]["UserResponse"]["properties"]) == {"user", "message"}


USERS = """
from types import SimpleNamespace
async def get_all_users():
    for number in range(3):
        yield SimpleNamespace(id=number, name=f"n{number}", email=f"{number}@b.c")
"""


@GUIDE.block(PRACTICES + "Performance Tips", prelude=USERS)
def test_performance_tips(space: ModuleType, client: ClientFactory) -> None:
    """A generator of rows is streamed as a file to download."""
    answer = client(space.app).get("/export/users")
    assert answer.text == "id,name,email\n0,n0,0@b.c\n1,n1,1@b.c\n2,n2,2@b.c\n"
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == "attachment; filename=users.csv"


@GUIDE.block(PRACTICES + "Security Best Practices")
def test_input_validation(space: ModuleType, client: ClientFactory) -> None:
    """What a model's validators refuse is a 422 with their messages."""
    api = client(space.app)
    user = {"name": "Ada", "email": "ada@example.com", "password": "long enough"}
    assert api.post("/users", json=user).json() == {"message": "User created", "email": "ada@example.com"}
    wrong = api.post("/users", json={"name": "Ada", "email": "ada", "password": "short"})
    assert wrong.status_code == 422
    assert [(error["loc"], error["msg"]) for error in wrong.json()["detail"]] == [
        (["body", "email"], "Value error, Invalid email format"),
        (["body", "password"], "Value error, Password must be at least 8 characters"),
    ]


@GUIDE.block(PRACTICES + "File Upload Best Practices")
def test_upload_validation(space: ModuleType, client: ClientFactory) -> None:
    """A function that validates uploads may raise, and read and rewind the file."""

    @space.app.post("/check")  # type: ignore[untyped-decorator]
    async def check(file: Any = space.File(...)) -> dict[str, Any]:
        return {"valid": await space.validate_upload(file), "left": len(await file.read())}

    check.__annotations__["file"] = space.UploadFile
    space.app.post("/upload")(check)
    api = client(space.app)
    assert api.post("/upload", files={"file": ("a.PDF", b"x" * 2000, "application/pdf")}).json() == {
        "valid": True,
        "left": 2000,
    }
    assert api.post("/upload", files={"file": TEXT}).json() == {"detail": "File type not allowed"}


ORDERS = """
done = []
def send_email(email): done.append(email)
def update_inventory(items): raise ValueError("no stock")
def log_order(order): done.append(order)
"""


@GUIDE.block(PRACTICES + "Background Task Best Practices", prelude=ORDERS)
def test_safe_tasks(space: ModuleType, client: ClientFactory) -> None:
    """Keyword and positional arguments reach a task; one that fails does not stop the others."""
    order = {"email": "a@b.c", "items": []}
    assert client(space.app).post("/process-order", json=order).json() == {"message": "Order processed"}
    assert "a@b.c" in space.done
    assert order in space.done


REPEATED = [name for name, block in BEST_PRACTICES.blocks.items() if block.language == "python"]
BEST_PRACTICES.tested.update(REPEATED)


@pytest.mark.parametrize("name", REPEATED)
def test_best_practices_are_the_guides(name: str) -> None:
    """The best practices' code is the guide's, whose tests run it."""
    guide = {block.code: block.name for block in GUIDE.blocks.values()}
    assert guide[BEST_PRACTICES.blocks[name].code] in GUIDE.tested
