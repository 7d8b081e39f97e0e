"""Static files on both faces."""

import os
from pathlib import Path

import anyio
import pytest
from anyio import fail_after, move_on_after
from anyio.to_thread import current_default_thread_limiter
from starlette.types import Receive, Scope, Send

from tests.conftest import ClientFactory
from velithon import Middleware, Velithon
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.routing.frontend import FrontendFiles
from velithon.staticfiles import StaticFiles

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("0123456789")
    (tmp_path / "index.html").write_text("<p>index</p>")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "index.html").write_text("<p>sub</p>")
    return tmp_path


class Passes(BaseHTTPMiddleware):
    """A dispatch layer, so that the answer of the mounted application is captured."""

    async def dispatch(self, request, call_next):  # type: ignore[no-untyped-def]
        response = await call_next(request)
        response.headers["x-layer"] = "1"
        return response


@pytest.fixture(params=[False, True], ids=["bare", "layer"])
def layers(request: pytest.FixtureRequest) -> list[Middleware]:
    return [Middleware(Passes)] if request.param else []


def served(directory: Path, layers: list[Middleware], **options: object) -> Velithon:
    app = Velithon(middleware=layers)
    app.mount("/static", StaticFiles(directory=directory, **options), name="static")  # type: ignore[arg-type]
    return app


def test_files_have_types_ranges_and_validators(
    client: ClientFactory, directory: Path, layers: list[Middleware]
) -> None:
    c = client(served(directory, layers))
    whole = c.get("/static/a.txt")
    assert (whole.status_code, whole.text) == (200, "0123456789")
    assert whole.headers["content-type"] == "text/plain; charset=utf-8"
    part = c.get("/static/a.txt", headers={"range": "bytes=2-4"})
    assert (part.status_code, part.text, part.headers["content-range"]) == (206, "234", "bytes 2-4/10")
    same = c.get("/static/a.txt", headers={"if-none-match": whole.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == whole.headers["etag"]
    assert c.get("/static/a.txt", headers={"if-modified-since": whole.headers["last-modified"]}).status_code == 304
    head = c.head("/static/a.txt")
    assert (head.content, head.headers["content-length"]) == (b"", "10")
    assert c.get("/static/a.txt", headers={"range": "bytes=20-"}).status_code == 416


def test_what_is_missing_or_outside_is_404(client: ClientFactory, directory: Path, layers: list[Middleware]) -> None:
    c = client(served(directory / "sub", layers))
    for path in ("/static/no.txt", "/static/..%2Fa.txt", "/static/%00", "/static/" + "x" * 300):
        answer = c.get(path)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    posted = c.post("/static/index.html")
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")


def test_a_fallback_answers_pages_that_are_no_files(
    client: ClientFactory, directory: Path, layers: list[Middleware]
) -> None:
    """Browsers that go to a page get the fallback; scripts that ask for a missing file get their 404."""
    c = client(served(directory, layers, fallback="index.html"))
    page = c.get("/static/deep/page", headers=BROWSER)
    assert (page.status_code, page.text) == (200, "<p>index</p>")
    assert c.get("/static/deep/page", headers={"accept": "application/json"}).status_code == 404
    assert c.get("/static/missing.js").status_code == 404
    assert c.get("/static/x", headers={"accept": "text/html;q=0"}).status_code == 404
    assert c.get("/static/a.txt", headers=BROWSER).text == "0123456789"
    assert c.post("/static/deep", headers=BROWSER).status_code == 405


def test_a_fallback_stands_in_for_the_404_page(client: ClientFactory, directory: Path) -> None:
    (directory / "404.html").write_text("missing")
    c = client(served(directory, [], html=True, fallback="index.html"))
    assert c.get("/static/no", headers=BROWSER).text == "<p>index</p>"
    missing = c.get("/static/no.js", headers={"accept": "*/*"})
    assert (missing.status_code, missing.text) == (404, "missing")
    assert c.get("/static/sub/").text == "<p>sub</p>"


def test_a_fallback_that_was_removed_leaves_the_404(client: ClientFactory, directory: Path) -> None:
    app = served(directory, [], fallback="index.html")
    (directory / "index.html").unlink()
    assert client(app).get("/static/no", headers=BROWSER).status_code == 404


def test_missing_directories_and_fallbacks_are_told_at_once(directory: Path) -> None:
    with pytest.raises(RuntimeError, match="does not exist"):
        StaticFiles(directory=directory / "no")
    with pytest.raises(RuntimeError, match="fallback file 'app.html'"):
        StaticFiles(directory=directory, fallback="app.html")
    with pytest.raises(RuntimeError, match="fallback file"):
        StaticFiles(directory=directory, fallback="\0")
    with pytest.raises(RuntimeError, match="fallback file"):
        StaticFiles(directory=directory, fallback="x" * 300)


def test_a_file_that_changes_is_served_as_it_is(
    client: ClientFactory, directory: Path, layers: list[Middleware]
) -> None:
    """What was found a moment ago is looked at again: no length, no validator and no file of before is sent."""
    c = client(served(directory, layers, fallback="index.html"))
    file = directory / "sub" / "b.txt"
    for text in ("one", "three", "3"):
        file.write_text(text)
        answer = c.get("/static/sub/b.txt")
        assert (answer.text, answer.headers["content-length"]) == (text, str(len(text)))
    part = {"range": "bytes=0-0", "if-range": answer.headers["etag"]}
    assert c.get("/static/sub/b.txt", headers=part).status_code == 206
    file.write_text("longer")
    assert c.get("/static/sub/b.txt", headers=part).text == "longer"
    file.unlink()
    assert c.get("/static/sub/b.txt").status_code == 404
    file.mkdir()
    assert c.get("/static/sub/b.txt").status_code == 404


@pytest.mark.parametrize("place", ["file", "directory"])
def test_a_link_that_takes_a_files_place_leads_nowhere(client: ClientFactory, directory: Path, place: str) -> None:
    """A link out of the directory is refused, though the file that it replaces was served a moment ago."""
    root = directory / "root"
    (root / "sub").mkdir(parents=True)
    (directory / "secret").mkdir()
    (directory / "secret" / "b.txt").write_text("secret")
    file = root / "sub" / "b.txt"
    file.write_text("public")
    c = client(served(root, []))
    assert [c.get("/static/sub/b.txt").text for _ in range(2)] == ["public"] * 2
    file.unlink()
    if place == "file":
        file.symlink_to(directory / "secret" / "b.txt")
    else:
        file.parent.rmdir()
        file.parent.symlink_to(directory / "secret")
    assert c.get("/static/sub/b.txt").status_code == 404
    inside = client(served(directory, []))
    assert [inside.get("/static/root/sub/b.txt").text for _ in range(2)] == ["secret"] * 2


def test_a_subclass_decides_what_is_found(client: ClientFactory, directory: Path) -> None:
    """Its `lookup_path` and its `__call__` are asked for each request."""

    class Hidden(StaticFiles):
        hidden = ""

        def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
            return ("", None) if path == self.hidden else super().lookup_path(path)

    class Counted(StaticFiles):
        calls = 0

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            self.calls += 1
            await super().__call__(scope, receive, send)

    app, hidden, counted = Velithon(), Hidden(directory=directory), Counted(directory=directory)
    app.mount("/hidden", hidden)
    app.mount("/counted", counted)
    c = client(app)
    assert [c.get("/hidden/a.txt").status_code, c.get("/counted/a.txt").status_code] == [200, 200]
    hidden.hidden = "a.txt"
    assert [c.get("/hidden/a.txt").status_code, c.get("/counted/a.txt").status_code] == [404, 200]
    assert counted.calls == 2


def test_a_file_that_was_just_found_needs_no_thread(directory: Path) -> None:
    """A busy file is answered while every thread is taken; one that nobody asked for yet waits for one."""

    async def ask() -> None:
        scope: Scope = {"type": "http", "method": "GET", "path": "/a.txt", "root_path": "", "headers": []}
        for files in (StaticFiles(directory=directory), FrontendFiles(directory=directory)):
            assert (await files.respond(scope)).status_code == 200
            limiter = current_default_thread_limiter()
            taken = [object() for _ in range(int(limiter.available_tokens))]
            for borrower in taken:
                limiter.acquire_on_behalf_of_nowait(borrower)
            with fail_after(5):
                assert (await files.respond(scope)).headers["content-length"] == "10"
            with move_on_after(0.05) as waits:
                await files.respond({**scope, "path": "/index.html"})
            assert waits.cancelled_caught
            for borrower in taken:
                limiter.release_on_behalf_of(borrower)

    anyio.run(ask)
