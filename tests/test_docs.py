"""The Python in `docs/` and in the README runs, and what it says of itself holds."""

import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from markdown.extensions.toc import slugify

from tests.conftest import ClientFactory
from velithon import Velithon

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    """Return a page's path below the repository, for the names of tests."""
    return page.relative_to(ROOT).as_posix()


def run(page: Path) -> ModuleType:
    """Run the Python blocks of a page, one after the other, as one module."""
    module = ModuleType(f"page_{page.stem.replace('-', '_')}")
    sys.modules[module.__name__] = module  # where generic models look for their names
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


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_runs(page: Path) -> None:
    run(page)


FENCE = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)


def links() -> list[tuple[str, str]]:
    """Return the relative links of all pages: a page's path and the link."""
    return [
        (name_of(page), link)
        for page in PAGES
        for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text(encoding="utf-8")))
        if "://" not in link
    ]


def anchors(page: Path) -> set[str]:
    """Return what can be linked to within a page: its headings, as the site names them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {slugify(re.sub(r"\[([^]]*)\]\([^)]*\)|`", r"\1", heading), "-") for heading in headings}


@pytest.mark.parametrize(("page", "link"), links())
def test_links_lead_somewhere(page: str, link: str) -> None:
    """To a file of the repository, and to a heading that is on it."""
    path, _, anchor = link.partition("#")
    target = (ROOT / page).parent / path if path else ROOT / page
    assert target.exists(), f"{page} links to {path}, which is not there"
    if anchor:
        assert anchor in anchors(target), f"{page} links to {link}, where there is no such heading"


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
