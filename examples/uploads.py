"""An upload service: pictures and documents are checked, stored under names of our own, and worked on afterwards.

Start it with `make run APP=examples/uploads.py:app`; files go to `./uploads`, or to the directory in `UPLOADS`.
"""

import hashlib
import os
import uuid
from contextlib import ExitStack
from pathlib import Path as FilePath
from typing import Annotated, Literal

from pydantic import BaseModel
from velithon import BackgroundTasks, Form, HTTPException, Path, UploadFile, Velithon
from velithon.responses import FileResponse, HTMLResponse

MEGABYTE = 1024 * 1024
MAX_FILE_SIZE = 10 * MEGABYTE
MAX_FILES = 5
PIECE = 256 * 1024
# what a file of each kind begins with: neither its name nor its type, which the client writes, says what is inside
KINDS = {".png": b"\x89PNG\r\n\x1a\n", ".jpg": b"\xff\xd8\xff", ".pdf": b"%PDF-", ".gif": b"GIF8"}

UPLOADS = FilePath(os.environ.get("UPLOADS", "uploads"))
# what an upload may be refused for, which the document tells
REFUSALS = [
    HTTPException(400, "The form cannot be read, or has too many files."),
    HTTPException(413, f"A file may have {MAX_FILE_SIZE // MEGABYTE} MiB."),
    HTTPException(415, f"Send one of {', '.join(sorted(KINDS))}."),
]
NO_SUCH_FILE = HTTPException(404, "There is no such file.")
# the only names that files have here: no name with a slash or a dot too many gets through
FileId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}\.(gif|jpg|pdf|png)$")]

app = Velithon(title="Uploads", form_limits={"max_files": MAX_FILES, "max_fields": 10})


class Stored(BaseModel):
    """A file that was stored.

    Attributes:
        id: The name that it has here.
        name: The name that the client gave it; never part of a path.
        size: In bytes.
    """

    id: str
    name: str
    size: int


class Report(BaseModel):
    """What is known of a stored file.

    Attributes:
        size: In bytes.
        state: `working` until the checksum is there.
        checksum: SHA-256, in hexadecimal digits.
    """

    id: str
    size: int
    state: Literal["working", "done"]
    checksum: str | None = None


def store(file: UploadFile) -> Stored:
    """Copy an upload to the disk in pieces, under a new name.

    Raises:
        HTTPException: 413 when it is too large, 415 when it is none of the kinds that are taken.
    """
    start = file.file.read(8)
    suffix = next((suffix for suffix, magic in KINDS.items() if start.startswith(magic)), None)
    if suffix is None:
        raise HTTPException(415, f"Send one of {', '.join(sorted(KINDS))}.")
    UPLOADS.mkdir(parents=True, exist_ok=True)
    path = UPLOADS / f"{uuid.uuid4().hex}{suffix}"
    size = len(start)
    try:
        with path.open("xb") as target:
            target.write(start)
            while piece := file.file.read(PIECE):
                size += len(piece)
                if size > MAX_FILE_SIZE:
                    raise HTTPException(413, f"A file may have {MAX_FILE_SIZE // MEGABYTE} MiB.")
                target.write(piece)
    except BaseException:
        path.unlink(missing_ok=True)  # half a file is no file
        raise
    return Stored(id=path.name, name=file.filename or "", size=size)


def find(file_id: str) -> FilePath:
    """Return the path of a stored file.

    Raises:
        HTTPException: 404 when there is none.
    """
    path = UPLOADS / file_id
    if not path.is_file():
        raise HTTPException(404, "There is no such file.")
    return path


def checksum(file_id: str) -> None:
    """Write the checksum of a stored file beside it: the work that the client does not wait for."""
    with (UPLOADS / file_id).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    (UPLOADS / f"{file_id}.sha256").write_text(digest)


# `def`, not `async def`: reading and writing files blocks, so these endpoints run in threads.


@app.post("/files", status_code=201, max_body_size=MAX_FILE_SIZE + MEGABYTE, raises=REFUSALS)
def upload(file: UploadFile, tasks: BackgroundTasks, note: Annotated[str, Form(max_length=200)] = "") -> Stored:
    """Store one file; its checksum follows."""
    stored = store(file)
    tasks.add_task(checksum, stored.id)
    return stored


@app.post("/files/batch", status_code=201, max_body_size=MAX_FILES * MAX_FILE_SIZE + MEGABYTE, raises=REFUSALS)
def upload_several(files: list[UploadFile], tasks: BackgroundTasks) -> list[Stored]:
    """Store up to five files: all of them, or none."""
    done: list[Stored] = []
    with ExitStack() as undo:
        for file in files:
            done.append(store(file))
            undo.callback((UPLOADS / done[-1].id).unlink)
        undo.pop_all()
    tasks.max_concurrent = 3
    for stored in done:
        tasks.add_task(checksum, stored.id)
    return done


@app.get("/files/{file_id}", raises=[NO_SUCH_FILE])
def report(file_id: FileId) -> Report:
    """Tell how far the work on a file is."""
    path = find(file_id)
    known = path.with_name(f"{path.name}.sha256")
    if known.exists():
        return Report(id=path.name, size=path.stat().st_size, state="done", checksum=known.read_text())
    return Report(id=path.name, size=path.stat().st_size, state="working")


@app.get("/files/{file_id}/content", raises=[NO_SUCH_FILE])
def download(file_id: FileId) -> FileResponse:
    """Send a file back: to be saved, and never to be taken for a page of ours."""
    path = find(file_id)
    return FileResponse(path, filename=path.name, headers={"x-content-type-options": "nosniff"})


@app.get("/", include_in_schema=False)
async def page() -> HTMLResponse:
    """Show the forms."""
    return HTMLResponse(PAGE)


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Uploads</title>
<link rel="icon" href="data:,">
<style>body { font: 1rem/1.5 system-ui; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }</style>
<h1>Uploads</h1>
<form action="/files" method="post" enctype="multipart/form-data">
  <h2>One file</h2>
  <p><label>File <input type="file" name="file" required></label></p>
  <p><label>Note <input name="note" maxlength="200"></label></p>
  <button>Upload</button>
</form>
<form action="/files/batch" method="post" enctype="multipart/form-data">
  <h2>Up to five files</h2>
  <p><label>Files <input type="file" name="files" multiple required></label></p>
  <button>Upload all</button>
</form>
"""
