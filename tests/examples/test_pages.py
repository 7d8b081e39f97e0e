"""The examples' pages in a real browser."""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browser import Page, browser, executable
from tests.servers import serve

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(executable() is None, reason="there is no Chromium: apt-get install chromium"),
]

ROOM = "document.getElementById('messages').innerText"


@pytest.fixture(scope="module")
def page() -> Generator[Page, None, None]:
    """A window."""
    with browser() as window:
        yield window


def complaints(page: Page) -> list[str]:
    """Return what the console complained of; that a page names no icon is the guide's affair."""
    page.run("0")  # what was said until now is read
    found = [error for error in page.errors if "/favicon.ico" not in error]
    page.errors.clear()
    return found


def test_two_windows_chat(page: Page) -> None:
    """Each sees what the other says, by the button or the enter key, and that the other leaves."""
    with serve("examples.chat:app") as server:
        page.open(server.url)
        page.until(f"{ROOM}.includes('joined the chat')")
        with page.window() as other:
            other.open(server.url)
            assert other.run("document.title") == "Velithon Chat"
            other.until(f"{ROOM}.includes('joined the chat')")
            page.until(f"{ROOM}.match(/joined the chat/g).length === 2")
            page.type("#messageInput", "hello from one")
            page.click("button", "Send")
            for window in (page, other):
                window.until(f"{ROOM}.includes('message: hello from one')")
            assert page.run("document.getElementById('messageInput').value") == ""
            other.type("#messageInput", "grüße from two 👋")
            other.run("document.getElementById('messageInput').focus()")
            other.press_enter()
            for window in (page, other):
                window.until(f"{ROOM}.includes('message: grüße from two 👋')")
            spoken = [line for line in other.run(ROOM).splitlines() if line.startswith("message:")]
            assert spoken == ["message: hello from one", "message: grüße from two 👋"]
            assert complaints(other) == []
        page.until(f"{ROOM}.includes('left the chat')")
        assert complaints(page) == []
        page.open("about:blank")


def test_the_upload_form(page: Page, tmp_path: Path) -> None:
    """Both forms are filled in and sent with real files; what arrives is what was chosen."""
    service = tmp_path / "service"
    service.mkdir()
    photo, text = tmp_path / "photo.png", tmp_path / "notes äö.txt"
    photo.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 1000)
    text.write_text("grüße", encoding="utf-8")
    with serve("examples.uploads:app", cwd=service) as server:
        page.open(server.url)
        form = "form[action='/upload']"
        page.click(f"{form} button", "Upload File")
        assert page.run("location.pathname") == "/", "the browser sends no form that lacks required fields"
        fill(page, form, [photo])
        page.run(f"document.querySelector(\"{form} select\").value = 'compress'")
        answer = submit(page, form)
        assert (answer["original_name"], answer["processing_type"]) == ("photo.png", "compress")
        assert (service / "uploads" / answer["filename"]).read_bytes() == photo.read_bytes()
        status = httpx.get(f"{server.url}/status/{answer['filename']}", trust_env=False).json()
        assert status == {"filename": answer["filename"], "status": "completed", "size": photo.stat().st_size}

        page.open(server.url)
        form = "form[action='/upload-multiple']"
        fill(page, form, [photo, text])
        answer = submit(page, form)
        assert [file["original_name"] for file in answer["files"]] == ["photo.png", "notes äö.txt"]
        for file, chosen in zip(answer["files"], (photo, text), strict=True):
            assert (service / "uploads" / file["filename"]).read_bytes() == chosen.read_bytes()
        assert complaints(page) == []
        page.open("about:blank")


def fill(page: Page, form: str, files: list[Path]) -> None:
    """Fill in a form."""
    page.type(f"{form} [name=user_email]", "ada@example.com")
    page.type(f"{form} [name=user_id]", "7")
    page.choose(f"{form} input[type=file]", *files)


def submit(page: Page, form: str) -> dict[str, Any]:
    """Send a form and return the JSON that the browser shows."""
    page.click(f"{form} button")
    page.until("location.pathname !== '/' && document.readyState === 'complete'")
    answer: dict[str, Any] = json.loads(page.run("document.querySelector('pre').innerText"))
    return answer
