"""The upload service on real servers: what is stored, what is refused, what runs in the background."""

import hashlib
import re
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from tests.servers import ServerName, serve
from tests.waiting import until

pytestmark = pytest.mark.server

MIB = 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Service:
    """The service on a server.

    Attributes:
        directory: Where uploads are stored.
        api: A client.
    """

    directory: Path
    api: httpx.Client

    def stored(self) -> set[str]:
        """Return the names of what is stored, checksums left out."""
        return {file.name for file in self.directory.glob("*") if file.suffix != ".sha256"}

    def report(self, file_id: str) -> dict[str, Any]:
        """Return what is known of a file once the work on it is done."""
        until(lambda: self.api.get(f"/files/{file_id}").json()["state"] == "done", f"{file_id} is worked on")
        report: dict[str, Any] = self.api.get(f"/files/{file_id}").json()
        return report


@pytest.fixture(scope="module", params=["granian-rsgi", "uvicorn"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Service, None, None]:
    """The service, in a working directory of its own."""
    directory = tmp_path_factory.mktemp("service")
    with (
        serve("examples.uploads:app", cast("ServerName", request.param), cwd=directory) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=30) as api,
    ):
        yield Service(directory / "uploads", api)


@pytest.mark.parametrize("name", ["photo äö.png", "../../evil.png", "/etc/passwd", "..\\evil.exe", "a.PNG"])
def test_one_file(service: Service, name: str) -> None:
    """Stored under a name of ours, whatever the client calls it; worked on; sent back as it came."""
    content = PNG + bytes(range(256)) * 40
    answer = service.api.post("/files", data={"note": "n"}, files={"file": (name, content, "text/html")})
    assert answer.status_code == 201
    stored = answer.json()
    assert re.fullmatch(r"[0-9a-f]{32}\.png", stored["id"])
    assert (stored["name"], stored["size"]) == (name, len(content))
    assert (service.directory / stored["id"]).read_bytes() == content
    assert service.report(stored["id"]) == {
        "id": stored["id"],
        "size": len(content),
        "state": "done",
        "checksum": hashlib.sha256(content).hexdigest(),
    }
    sent = service.api.get(f"/files/{stored['id']}/content")
    assert sent.content == content
    assert sent.headers["content-type"] == "image/png"
    assert sent.headers["content-disposition"].startswith("attachment")
    assert sent.headers["x-content-type-options"] == "nosniff"
    assert {path.name for path in service.directory.parent.iterdir()} == {"uploads"}


def test_several_files(service: Service) -> None:
    """All are stored, in their order, and worked on."""
    files = [("files", (f"{size}.pdf", b"%PDF-" + b"x" * size)) for size in (0, 1, 2 * MIB)]
    before = service.stored()
    answer = service.api.post("/files/batch", files=files)
    assert [file["size"] for file in answer.json()] == [5, 6, 2 * MIB + 5]
    assert service.stored() - before == {file["id"] for file in answer.json()}
    for file in answer.json():
        assert service.report(file["id"])["state"] == "done"


LARGE = ("large.png", PNG + b"x" * (10 * MIB - 7))


@pytest.mark.parametrize(
    ("path", "files", "status"),
    [
        ("/files", [("file", LARGE)], 413),
        ("/files", [("file", ("page.png", b"<script>"))], 415),
        ("/files", [("file", ("empty.png", b""))], 415),
        ("/files", [], 422),
        ("/files/batch", [], 422),
        ("/files/batch", [("files", ("a.png", PNG)), ("files", ("b.png", b"no picture"))], 415),
        ("/files/batch", [("files", ("a.png", PNG)), ("files", LARGE)], 413),
        ("/files/batch", [("files", (f"{number}.png", PNG)) for number in range(6)], 400),
    ],
)
def test_what_is_refused_leaves_nothing(service: Service, path: str, files: list[Any], status: int) -> None:
    """Neither the file nor the others of its batch; the answer says why."""
    before = service.stored()
    answer = service.api.post(path, files=files, data={"note": "n"})
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert service.stored() == before


@pytest.mark.parametrize("name", ["none.png", "..%2Fsecret.png", "%2Fetc%2Fpasswd", "0" * 32 + ".sha256"])
def test_other_files_cannot_be_asked_for(service: Service, name: str) -> None:
    """Neither what is outside of the directory nor what the service itself keeps in it."""
    (service.directory.parent / "secret.png").write_bytes(PNG)
    assert service.api.get(f"/files/{name}").status_code in (404, 422)
    assert service.api.get(f"/files/{name}/content").status_code in (404, 422)
    (service.directory.parent / "secret.png").unlink()


def test_a_file_that_was_never_uploaded(service: Service) -> None:
    """There is none."""
    assert service.api.get(f"/files/{'0' * 32}.png").status_code == 404
