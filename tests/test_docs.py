"""The Python in `docs/` and in the README runs, and what it says of itself holds."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import ClientFactory
from velithon import Velithon

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs/production").glob("*.md"))]


def run(page: Path) -> ModuleType:
    """Run the Python blocks of a page, one after the other, as one module."""
    module = ModuleType(page.stem)
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        line = text[: found.start(1)].count("\n")
        exec(compile("\n" * line + found[1], str(page), "exec", dont_inherit=True), module.__dict__)
    return module


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the pages write goes to a directory of its own."""
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:], root.level = handlers, level


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_runs(page: Path) -> None:
    run(page)


def links() -> list[tuple[Path, str]]:
    """Return the relative links of all pages."""
    return [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())]


@pytest.mark.parametrize(("page", "link"), links(), ids=lambda value: str(getattr(value, "stem", value)))
def test_links_lead_somewhere(page: Path, link: str) -> None:
    assert (page.parent / link).exists()


@pytest.fixture
def files(client: ClientFactory) -> Velithon:
    app: Velithon = run(ROOT / "docs" / "files.md").app
    return app


@pytest.mark.parametrize("name", ["../evil.png", "/tmp/evil.png", "..\\evil.png", "x.PNG"])
def test_uploads_stay_where_they_belong(client: ClientFactory, files: Velithon, tmp_path: Path, name: str) -> None:
    """Whatever the client calls its file."""
    before = {path for path in tmp_path.rglob("*") if path.parent != tmp_path / "uploads"}
    answer = client(files).post("/upload", files={"file": (name, b"image")})
    assert answer.status_code == 200
    assert (tmp_path / "uploads" / answer.json()["stored"]).read_bytes() == b"image"
    after = {path for path in tmp_path.rglob("*") if path.parent != tmp_path / "uploads"}
    assert after - before == {tmp_path / "uploads"}


def test_uploads_of_other_kinds_and_sizes(client: ClientFactory, files: Velithon) -> None:
    caller = client(files)
    assert caller.post("/upload", files={"file": ("a.html", b"x")}).status_code == 415
    assert caller.post("/upload", files={"file": ("a.png", b"x" * 11_000_000)}).status_code == 413
    assert caller.post("/nowhere", content=b"x" * 21_000_000).status_code == 413


def test_the_frontend(client: ClientFactory, files: Velithon) -> None:
    caller = client(files)
    assert caller.get("/api/items").json() == ["a", "b"]
    assert caller.get("/some/page", headers={"accept": "text/html"}).text == "<p>Hello</p>"
    assert caller.get("/some/page", headers={"accept": "application/json"}).status_code == 404
