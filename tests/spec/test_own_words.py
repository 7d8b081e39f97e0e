"""The specification is no part of this repository: what stands here is our own."""

import subprocess
from pathlib import Path

from tests.spec.documents import DOCUMENTS, FOLDER

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("*.py", "*.md", "*.html", "*.txt", "*.toml")
SHORTEST = 30
# imports and idioms (`response = await call_next(request)`) that everybody writes alike
MOST = 15


def test_no_file_holds_lines_of_the_documents() -> None:
    """Of lines that are long enough to be somebody's, no tracked file shares more than a few with a document."""
    assert FOLDER is not None
    texts = [(FOLDER / document.name).read_text(encoding="utf-8") for document in DOCUMENTS]
    theirs = {line.strip() for text in texts for line in text.splitlines() if len(line.strip()) >= SHORTEST}
    # FastAPI's name is read as ours in two of them
    theirs |= {line.replace("fastapi", "velithon").replace("FastAPI", "Velithon") for line in theirs}
    listed = subprocess.run(["git", "ls-files", *KINDS], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    shared = {}
    for name in filter(None, listed.splitlines()):
        if (ROOT / name).is_file():
            lines = {line.strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()}
            if len(lines & theirs) > MOST:
                shared[name] = sorted(lines & theirs)
    assert shared == {}
