"""The upload service on real servers: what is stored, what is refused, what runs in the background."""

import re
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httpx
import pytest

from tests.cli.processes import until
from tests.servers import Server, ServerName, serve

pytestmark = pytest.mark.server

MIB = 1024 * 1024
FORM = {"user_email": "ada@example.com", "user_id": "7"}


@dataclass(frozen=True, slots=True)
class Service:
    """The service on a server.

    Attributes:
        server: The server.
        directory: Where uploads are stored.
        api: A client of another origin.
    """

    server: Server
    directory: Path
    api: httpx.Client

    def stored(self) -> set[str]:
        """Return the names of the stored files."""
        return {file.name for file in self.directory.iterdir()}

    def printed(self, *lines: str) -> None:
        """Wait for lines in the server's output."""
        for line in lines:
            until(lambda line=line: line in self.server.log, f"{line!r} in {self.server.log}")  # type: ignore[misc]


@pytest.fixture(scope="module", params=["granian-rsgi", "uvicorn"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Service, None, None]:
    """The service, in a working directory of its own."""
    directory = tmp_path_factory.mktemp("service")
    with (
        serve("examples.uploads:app", cast("ServerName", request.param), cwd=directory) as server,
        httpx.Client(base_url=server.url, headers={"origin": "https://a.b"}, trust_env=False, timeout=30) as api,
    ):
        yield Service(server, directory / "uploads", api)


def test_one_file(service: Service) -> None:
    """Stored under a name of its own, processed, announced and logged; its status can be asked for."""
    file = ("photo äö.png", bytes(range(256)) * 40, "image/png")
    answer = service.api.post("/upload", data={**FORM, "processing_type": "thumbnail"}, files={"file": file})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    told = answer.json()
    name = told.pop("filename")
    assert re.fullmatch(r"[0-9a-f-]{36}\.png", name)
    assert told == {
        "message": "File uploaded successfully",
        "original_name": "photo äö.png",
        "size": 10_240,
        "processing_type": "thumbnail",
        "status": "processing_started",
    }
    assert (service.directory / name).read_bytes() == file[1]
    status = service.api.get(f"/status/{name}")
    assert status.json() == {"filename": name, "status": "completed", "size": 10_240}
    service.printed(
        f"Processing uploads/{name} with thumbnail",
        f"Finished processing uploads/{name}",
        "Sending notification to ada@example.com about photo äö.png",
        "Logged upload: photo äö.png (10240 bytes) by user 7",
    )


def test_several_files(service: Service) -> None:
    """All are stored but the one that is too large; the work on them is done at the same time, one notice is sent."""
    sizes = {"a.txt": 1, "b": 2 * MIB, "huge.bin": 10 * MIB + 1, "empty.txt": 0}
    files = [("files", (name, b"x" * size, "application/octet-stream")) for name, size in sizes.items()]
    before = service.stored()
    answer = service.api.post("/upload-multiple", data=FORM, files=files).json()
    assert answer["message"] == "Uploaded 3 files successfully"
    assert answer["status"] == "batch_processing_started"
    assert {file["original_name"]: file["size"] for file in answer["files"]} == {
        "a.txt": 1,
        "b": 2 * MIB,
        "empty.txt": 0,
    }
    names = {file["filename"] for file in answer["files"]}
    assert service.stored() - before == names
    for file in answer["files"]:
        assert service.api.get(f"/status/{file['filename']}").json()["size"] == file["size"]
    service.printed(
        *(f"Finished processing uploads/{name}" for name in names),
        "Logged upload: b (2097152 bytes) by user 7",
        "Sending notification to ada@example.com about Batch upload of 3 files",
    )
    started = [service.server.log.index(f"Processing uploads/{name} with batch_resize") for name in names]
    finished = [service.server.log.index(f"Finished processing uploads/{name}") for name in names]
    assert max(started) < min(finished)


def test_a_file_that_is_too_large_is_refused(service: Service) -> None:
    """Ten megabytes are the most: one byte more is refused, and nothing of it is stored or processed."""
    before = service.stored()
    answer = service.api.post("/upload", data=FORM, files={"file": ("large.bin", b"x" * (10 * MIB + 1))})
    assert (answer.status_code, answer.json()) == (400, {"error": "File too large (max 10MB)"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert service.stored() == before
    assert "large.bin" not in service.server.log


def test_what_is_incomplete_is_refused(service: Service) -> None:
    """The answer says what is missing; nothing is stored."""
    before = service.stored()
    for path, field in (("/upload", "file"), ("/upload-multiple", "files")):
        answer = service.api.post(path, files={field: ("a.txt", b"1")})
        assert answer.status_code == 422
        assert [error["loc"] for error in answer.json()["detail"]] == [["body", "user_email"], ["body", "user_id"]]
        answer = service.api.post(path, data=FORM)
        assert answer.status_code == 422
        assert [error["loc"] for error in answer.json()["detail"]] == [["body", field]]
    assert service.stored() == before


def test_what_was_never_uploaded_has_no_status(service: Service) -> None:
    """Nor can the status of files outside the directory be asked for."""
    answer = service.api.get("/status/none.png")
    assert (answer.status_code, answer.json()) == (404, {"filename": "none.png", "status": "not_found"})
    (service.directory.parent / "secret").write_text("1")
    assert service.api.get("/status/..%2Fsecret").status_code == 404
