"""The user guide's complete examples."""

import json
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from websockets.sync.client import connect

from tests.conftest import ClientFactory
from tests.servers import SERVERS, ServerName, serve
from tests.spec.documents import GUIDE


@GUIDE.block("Examples / Complete REST API Example")
def test_rest_api(space: ModuleType, client: ClientFactory) -> None:
    """Users are created, read, listed, updated and deleted."""
    with client(space.app) as api:
        assert api.get("/health").json() == {"status": "healthy"}
        created = api.post("/users", json={"name": "Ada", "email": "ada@b.c"})
        assert (created.status_code, created.json()) == (201, {"id": 1, "name": "Ada", "email": "ada@b.c"})
        assert api.get("/users").json() == [{"id": 1, "name": "Ada", "email": "ada@b.c"}]
        assert api.get("/users/1").json()["name"] == "Ada"
        assert api.put("/users/1", json={"name": "Grace"}).json()["name"] == "Grace"
        assert api.delete("/users/1").json() == {"message": "User deleted"}
        for method in ("GET", "DELETE"):
            missing = api.request(method, "/users/1")
            assert (missing.status_code, missing.json()) == (404, {"error": "User not found"})
        assert api.put("/users/1", json={}).status_code == 404
        assert api.get("/health", headers={"origin": "https://a.b"}).headers["access-control-allow-origin"] == "*"
        assert api.get("/openapi.json").json()["info"]["title"] == "User API"


@GUIDE.block("Examples / WebSocket Chat Example")
def test_chat(space: ModuleType, client: ClientFactory) -> None:
    """Everybody in the chat hears who joins, what is said and who leaves."""
    with client(space.app) as api:
        assert "<title>Velithon Chat</title>" in api.get("/").text
        with api.websocket_connect("/ws/chat") as ada:
            assert json.loads(ada.receive_text())["type"] == "user_joined"
            with api.websocket_connect("/ws/chat") as grace:
                assert json.loads(ada.receive_text())["type"] == "user_joined"
                assert json.loads(grace.receive_text())["type"] == "user_joined"
                grace.send_text(json.dumps({"message": "hello"}))
                for member in (ada, grace):
                    heard = json.loads(member.receive_text())
                    assert (heard["type"], heard["message"]) == ("message", "hello")
            assert json.loads(ada.receive_text())["type"] == "user_left"
    assert space.manager.active_connections == []


@GUIDE.block("Examples / File Upload and Processing Service")
def test_upload_service(space: ModuleType, client: ClientFactory, capsys: pytest.CaptureFixture[str]) -> None:
    """Uploads are stored, processed by tasks, and their status can be asked for."""
    # the example's own simulation of work takes two seconds a file
    space.__dict__["process_image"] = lambda path, kind: print(f"Processing {path} with {kind}")
    form = {"user_email": "a@b.c", "user_id": "7"}
    with client(space.app) as api:
        assert "File Upload Service" in api.get("/").text
        answer = api.post("/upload", data=form, files={"file": ("a.png", b"12345", "image/png")}).json()
        assert (answer["original_name"], answer["size"], answer["processing_type"]) == ("a.png", 5, "resize")
        assert Path("uploads", answer["filename"]).read_bytes() == b"12345"
        status = api.get(f"/status/{answer['filename']}").json()
        assert status == {"filename": answer["filename"], "status": "completed", "size": 5}
        assert api.get("/status/none").status_code == 404
        files = [("files", ("a.png", b"1", "image/png")), ("files", ("b.png", b"22", "image/png"))]
        several = api.post("/upload-multiple", data=form, files=files).json()
        assert several["message"] == "Uploaded 2 files successfully"
        assert api.post("/upload", files={"file": ("a", b"")}).status_code == 422
    printed = capsys.readouterr().out
    assert "with resize" in printed
    assert "Logged upload: a.png (5 bytes) by user 7" in printed
    assert "Batch upload of 2 files" in printed


@pytest.mark.server
@pytest.mark.parametrize("server", SERVERS)
def test_rest_api_on_every_server(server: ServerName) -> None:
    """The REST example answers on real servers as in process."""
    with serve(GUIDE.blocks["Examples / Complete REST API Example"].code, server) as running:
        with httpx.Client(base_url=running.url) as api:
            assert api.post("/users", json={"name": "Ada", "email": "ada@b.c"}).status_code == 201
            assert api.get("/users").json() == [{"id": 1, "name": "Ada", "email": "ada@b.c"}]
            assert api.get("/users/2").status_code == 404
            assert api.delete("/users/1").json() == {"message": "User deleted"}


@pytest.mark.server
@pytest.mark.parametrize("server", SERVERS)
def test_chat_on_every_server(server: ServerName) -> None:
    """The chat works between two clients of a real server."""
    with serve(GUIDE.blocks["Examples / WebSocket Chat Example"].code, server) as running:
        url = f"ws://127.0.0.1:{running.port}/ws/chat"
        with connect(url, proxy=None) as ada:
            assert json.loads(ada.recv())["type"] == "user_joined"
            with connect(url, proxy=None) as grace:
                assert json.loads(ada.recv())["type"] == "user_joined"
                grace.send(json.dumps({"message": "hello"}))
                assert json.loads(ada.recv())["message"] == "hello"
            assert json.loads(ada.recv(timeout=30))["type"] == "user_left"
