"""The documentation site: it holds every page and every public name, and it needs no internet."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import pytest

import velithon
from tests.browser import browser, executable
from tests.test_docs import DOCS, PAGES, ROOT

CONFIG = ROOT / "zensical.toml"
# packages whose modules are public each by itself
ROOMS = ("velithon.middleware", "velithon.openapi", "velithon.security")
# modules that no user imports from, although they have no underscore
INTERNAL = {
    "velithon.cli",
    "velithon.faces",
    "velithon.middleware.errors",
    "velithon.middleware.scope",
    "velithon.middleware.stack",
    "velithon.openapi",  # what the application calls; its modules are public
    "velithon.openapi.fragments",
    "velithon.openapi.schema",
    "velithon.openapi.viewers",
    "velithon.signature",
}


def pages_in(nav: list[Any]) -> Iterator[str]:
    """Yield the pages of a navigation, whatever sections they stand in."""
    for entry in nav:
        for value in [entry] if isinstance(entry, str) else entry.values():
            if isinstance(value, str):
                yield value
            else:
                yield from pages_in(value)


def test_every_page_is_in_the_navigation() -> None:
    """A page that nothing leads to is not read; one that is not there cannot be."""
    named = list(pages_in(tomllib.loads(CONFIG.read_text())["project"]["nav"]))
    there = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert there - set(named) == set(), "name these pages in `nav` of zensical.toml"
    assert set(named) - there == set()
    assert len(named) == len(set(named))


def public_modules() -> Iterator[ModuleType]:
    """Yield the modules that users import from."""
    yield velithon
    packages = [velithon, *map(import_module, ROOMS)]
    for package in packages:
        for module in iter_modules(package.__path__, f"{package.__name__}."):
            name = module.name.rpartition(".")[2]
            if not name.startswith("_") and module.name not in INTERNAL:
                yield import_module(module.name)


def resolve(path: str) -> object:
    """Return what a dotted path names: a module's attribute rather than its submodule of the same name."""
    first, *names = path.split(".")
    found: object = import_module(first)
    for position, name in enumerate(names, 1):
        try:
            found = getattr(found, name)
        except AttributeError:
            found = import_module(".".join([first, *names[:position]]))
    return found


def test_every_public_name_is_in_the_reference() -> None:
    """What a public module exports and Velithon defines has an entry, under one of its names."""
    directives = re.findall(r"^::: (\S+)$", "\n".join(page.read_text() for page in PAGES), re.MULTILINE)
    assert len(directives) == len(set(directives))
    documented = {id(resolve(path)) for path in directives}
    missing = []
    for module in public_modules():
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            own = str(getattr(value, "__module__", "")).startswith("velithon")
            if own and id(value) not in documented and not isinstance(value, ModuleType):
                missing.append(f"::: {module.__name__}.{name}")
                documented.add(id(value))
    assert missing == [], "add these lines to a page below docs/reference"


class Resources(HTMLParser):
    """Collects what a page loads or links to."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Take the attributes that hold addresses."""
        found = {name: value for name, value in attributes if value is not None}
        self.ids |= {found["id"]} if "id" in found else set()
        if tag in ("script", "img", "iframe", "source") and "src" in found:
            self.loaded.append(found["src"])
        elif tag == "link" and found.get("rel") in ("stylesheet", "icon", "preload", "preconnect") and "href" in found:
            self.loaded.append(found["href"])
        elif tag == "a" and "href" in found:
            self.links.append(found["href"])


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    directory = tmp_path_factory.mktemp("site")
    shutil.copy(CONFIG, directory)
    shutil.copytree(DOCS, directory / "docs")
    for name in ("docs_theme", "examples", "velithon", "adapters", "CHANGELOG.md"):
        (directory / name).symlink_to(ROOT / name)
    command = [str(Path(sys.executable).parent / "zensical"), "build", "--strict", "--clean"]
    built = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=180, env={**os.environ, "NO_COLOR": "1"}
    )
    assert (built.returncode, "No issues found" in built.stdout + built.stderr) == (0, True), (
        built.stdout + built.stderr
    )
    return directory / "site"


@pytest.mark.skipif(
    shutil.which("zensical", path=str(Path(sys.executable).parent)) is None,
    reason="zensical is not installed: pip install --group docs",
)
def test_the_site_needs_no_internet_and_has_no_dead_link(site: Path) -> None:
    """All that it loads comes with it, and each link leads to an element of a page."""
    pages: dict[Path, Resources] = {}
    for file in site.rglob("*.html"):
        pages[file] = parser = Resources()
        parser.feed(file.read_text(encoding="utf-8"))
    assert len(pages) >= len(list(DOCS.rglob("*.md")))
    for file, parser in pages.items():
        assert [address for address in parser.loaded if "://" in address or address.startswith("//")] == [], file.name
        if file.name == "404.html":  # its links begin at the root of a server
            continue
        for link in parser.links:
            path, _, anchor = link.partition("#")
            if "://" in path or path.startswith(("mailto:", "javascript:")):
                continue
            target = (file.parent / path).resolve() if path else file
            assert target.exists(), f"{file.name}: {link}"
            if anchor and target in pages and not anchor.startswith("__"):
                assert anchor in pages[target].ids, f"{file.name}: {link}"


@pytest.mark.server
@pytest.mark.skipif(executable() is None, reason="there is no Chromium: apt-get install chromium")
def test_the_search_works_from_a_disk(site: Path) -> None:
    """Without a server a hidden frame takes the place of the worker, which browsers start on servers only."""
    dialog = "[...document.querySelectorAll('*')].find((element) => element.shadowRoot)?.shadowRoot"
    with browser() as page:
        page.open((site / "index.html").as_uri())
        page.run("document.querySelector('.md-search__button').click()")
        page.until(f"{dialog}?.querySelector('input') !== undefined")
        page.run(f"window.box = {dialog}.querySelector('input')")
        page.run("box.value = 'allowed_origins'")
        page.run("box.dispatchEvent(new Event('input', { bubbles: true }))")
        page.until(f"{dialog}.querySelector('a[href*=\"websockets.html\"]') !== null")
        assert page.errors == []


COMMAND = re.compile(r"^(?:\$ )?(?:\S*/)?velithon ([a-z-]+)(.*)$", re.MULTILINE)


def commands() -> dict[str, set[str]]:
    """Return the commands that the pages call, each with the options that it is given anywhere."""
    found: dict[str, set[str]] = {}
    for page in PAGES:
        for block in re.findall(
            r"^```(?:bash|shell|text|console|dockerfile)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE
        ):
            for name, rest in COMMAND.findall(block.replace("\\\n", " ")):
                words = rest.split("#")[0].split()
                found.setdefault(name, set()).update(word.split("=")[0] for word in words if word.startswith("--"))
    return found


@pytest.mark.parametrize(("name", "options"), sorted(commands().items()))
def test_the_pages_call_commands_that_exist(name: str, options: set[str]) -> None:
    """Each `velithon NAME --option` on a page is one that `--help` knows."""
    shown = subprocess.run(
        [sys.executable, "-m", "velithon", name, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "COLUMNS": "250", "NO_COLOR": "1", "TERM": "dumb"},
    )
    assert shown.returncode == 0, f"there is no command {name}: {shown.stderr}"
    assert {option for option in options if option not in shown.stdout} == set()
