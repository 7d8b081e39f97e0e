"""Static files on both faces."""

from pathlib import Path

import pytest

from tests.conftest import ClientFactory
from velithon import Middleware, Velithon
from velithon.middleware.base import BaseHTTPMiddleware
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
