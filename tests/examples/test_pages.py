"""The examples' pages in a real browser."""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Page, browser, executable
from tests.servers import serve

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(executable() is None, reason="there is no Chromium: apt-get install chromium"),
]

ROOM = "document.querySelector('ol').innerText"


@pytest.fixture(scope="module")
def page() -> Generator[Page, None, None]:
    """A window."""
    with browser() as window:
        yield window


def complaints(page: Page) -> list[str]:
    """Return what the console complained of."""
    page.run("0")  # what was said until now is read
    found = list(page.errors)
    page.errors.clear()
    return found


def test_two_windows_chat(page: Page) -> None:
    """Each sees what the other says, by the button or the enter key, and that the other leaves; markup stays text."""
    with serve("examples.chat:app") as server:
        page.open(f"{server.url}/?name=ada")
        page.until(f"{ROOM}.includes('ada joined')")
        with page.window() as other:
            other.open(f"{server.url}/?name=grace")
            assert other.run("document.title") == "Chat"
            for window in (page, other):
                window.until(f"{ROOM}.includes('grace joined')")
            page.type("input", "<img src=x onerror=alert(1)>")
            page.click("button", "Send")
            for window in (page, other):
                window.until(f"{ROOM}.includes('ada: <img src=x onerror=alert(1)>')")
                assert window.run("document.querySelector('img')") is None
            assert page.run("document.querySelector('input').value") == ""
            other.type("input", "grüße 👋")
            other.run("document.querySelector('input').focus()")
            other.press_enter()
            for window in (page, other):
                window.until(f"{ROOM}.includes('grace: grüße 👋')")
            assert complaints(other) == []
        page.until(f"{ROOM}.includes('grace left')")
        assert complaints(page) == []
        page.open("about:blank")


def test_the_upload_forms(page: Page, tmp_path: Path) -> None:
    """Both forms are filled in and sent with real files; what arrives is what was chosen."""
    photo, paper = tmp_path / "photo.png", tmp_path / "notes äö.pdf"
    photo.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 1000)
    paper.write_bytes("%PDF-1.7 grüße".encode())
    with serve("examples.uploads:app", cwd=tmp_path) as server:
        page.open(server.url)
        form = "form[action='/files']"
        page.click(f"{form} button", "Upload")
        assert page.run("location.pathname") == "/", "the browser sends no form that lacks required fields"
        page.choose(f"{form} input[type=file]", photo)
        page.type(f"{form} [name=note]", "a note")
        stored = submit(page, form)
        assert stored["name"] == "photo.png"
        assert (tmp_path / "uploads" / stored["id"]).read_bytes() == photo.read_bytes()

        page.open(server.url)
        form = "form[action='/files/batch']"
        page.choose(f"{form} input[type=file]", photo, paper)
        several = submit(page, form)
        assert [file["name"] for file in several] == ["photo.png", "notes äö.pdf"]
        for file, chosen in zip(several, (photo, paper), strict=True):
            assert (tmp_path / "uploads" / file["id"]).read_bytes() == chosen.read_bytes()
        # where it shows JSON, which names no icon, the browser asks for one
        assert [error for error in complaints(page) if "/favicon.ico" not in error] == []
        page.open("about:blank")


def submit(page: Page, form: str) -> Any:
    """Send a form and return the JSON that the browser shows."""
    page.click(f"{form} button")
    page.until("location.pathname !== '/' && document.readyState === 'complete'")
    return json.loads(page.run("document.querySelector('pre').innerText"))
