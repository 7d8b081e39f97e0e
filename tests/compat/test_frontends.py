"""Frontends beside FastAPI's: one description of an application, built with both, asked the same."""

from pathlib import Path
from typing import Any

import fastapi
import pytest
from fastapi.testclient import TestClient as TheirClient
from starlette.routing import NoMatchFound

import velithon
from tests.conftest import ClientFactory
from velithon.exceptions import RegistrationError
from velithon.middleware.base import BaseHTTPMiddleware

BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.fixture(autouse=True)
def served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is developing, unless a test says so."""
    for name in ("FASTAPI_ENV", "VELITHON_ENV"):
        monkeypatch.delenv(name, raising=False)
    # Where `fastapi` means Velithon, errors are no pages in browsers.
    monkeypatch.setenv("VELITHON_AS_FASTAPI", "1")


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A build without `404.html`."""
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "sub").mkdir()
    (dist / "empty").mkdir()
    (dist / "index.html").write_text("<p>index</p>")
    (dist / "assets" / "app.js").write_text("run()")
    (dist / "sub" / "index.html").write_text("<p>sub</p>")
    (tmp_path / "secret.txt").write_text("secret")
    return dist


@pytest.fixture
def missing_page(build: Path) -> Path:
    """A build with `404.html`."""
    (build / "404.html").write_text("<p>lost</p>")
    return build


PATHS = (
    "/ /index.html /assets/app.js /assets/none.js /assets /sub /sub/ /sub?a=1 /empty /deep/page /api/items /api/items/"
    " /api/none /..%2Fsecret.txt /%2e%2e/secret.txt //index.html /assets//app.js /%00 /app /app/ /app/deep /apps"
).split()
ASKED = [("GET", "*/*"), ("GET", BROWSER), ("HEAD", BROWSER), ("POST", BROWSER)]


def same(client: ClientFactory, make: Any, *, paths: list[str], headers: dict[str, str] | None = None) -> None:
    """Ask both applications everything; the answers are to be equal."""
    theirs = TheirClient(make(fastapi, fastapi.FastAPI()), follow_redirects=False, raise_server_exceptions=False)
    ours = client(make(velithon, velithon.Velithon()), follow_redirects=False, raise_server_exceptions=False)
    different = []
    for path in paths:
        for method, accept in ASKED:
            sent = {"accept": accept, **(headers or {})}
            expected, found = (seen(one.request(method, path, headers=sent)) for one in (theirs, ours))
            if found != expected:
                different.append((method, path, accept, expected, found))
    assert different == []


def seen(answer: Any) -> tuple[Any, ...]:
    """Return what has to be the same in two answers."""
    kept = ("content-type", "location", "etag", "content-range", "x-dependency", "set-cookie")
    return (answer.status_code, answer.content, *(answer.headers.get(name) for name in kept))


@pytest.mark.parametrize("fallback", ["auto", "index.html", None])
def test_fallbacks(client: ClientFactory, build: Path, fallback: Any) -> None:
    """Pages that are no files, with and without a fallback; routes come first, with their own 404 and 405."""

    def make(_: Any, app: Any) -> Any:
        app.frontend("/", directory=build, fallback=fallback)
        app.api_route("/api/items", methods=["GET", "HEAD"])(lambda: ["a"])
        return app

    same(client, make, paths=PATHS)


@pytest.mark.parametrize("fallback", ["auto", "404.html", "index.html", None])
def test_fallbacks_with_a_page_for_what_is_missing(client: ClientFactory, missing_page: Path, fallback: Any) -> None:
    """`404.html` is taken when it was asked for, and before `index.html` when nobody said."""

    def make(_: Any, app: Any) -> Any:
        app.frontend("/", directory=missing_page, fallback=fallback)
        return app

    same(client, make, paths=PATHS)


@pytest.mark.parametrize(
    "accept", ["application/json", "text/html;q=0", "text/html;q=0.0", "TEXT/HTML;q=x", "a, text/html"]
)
def test_who_gets_the_page(client: ClientFactory, build: Path, accept: str) -> None:
    def make(_: Any, app: Any) -> Any:
        app.frontend("/", directory=build)
        return app

    same(client, make, paths=["/deep/page", "/x"], headers={"accept": accept})


def test_prefixes_and_specificity(client: ClientFactory, build: Path) -> None:
    """The longest path serves; prefixes of routers stand before it, those of routers in routers too."""

    def make(module: Any, app: Any) -> Any:
        inner, outer = module.APIRouter(prefix="/inner"), module.APIRouter(prefix="/outer")
        app.frontend("/", directory=build / "sub")
        app.frontend("/app/", directory=build)
        inner.frontend("/", directory=build / "assets", fallback=None)
        inner.api_route("/app.js", methods=["GET", "HEAD"])(lambda: "a route")
        outer.include_router(inner, prefix="/p")
        app.include_router(outer, prefix="/v1")
        late = module.APIRouter()
        app.include_router(late, prefix="/late")
        late.frontend("/x", directory=build)
        mounted = type(app)()
        mounted.frontend("/", directory=build)
        app.mount("/mounted", mounted)
        return app

    below = ("/app", "/v1/outer/p/inner", "/late/x", "/mounted", "/late", "/nowhere")
    files = ("", "/", "/app.js", "/assets/app.js", "/index.html", "/sub", "/deep")
    same(client, make, paths=[prefix + file for prefix in below for file in files])


@pytest.mark.parametrize("allowed", [True, False])
def test_dependencies(client: ClientFactory, build: Path, allowed: bool) -> None:
    """Of the application, the router and the including: run around files, not where the method is refused."""

    def make(module: Any, app: Any) -> Any:
        ran: list[str] = []

        def header(response: module.Response, tasks: module.BackgroundTasks) -> Any:
            response.headers["x-dependency"] = "header"
            response.set_cookie("a", "b")
            tasks.add_task(ran.append, "task")
            yield
            ran.append("exit")

        def guard(key: str = module.Header()) -> None:
            if key != "right":
                raise module.HTTPException(401, "wrong key")

        router = module.APIRouter(dependencies=[module.Depends(header)])
        router.frontend("/", directory=build)
        app.include_router(router, prefix="/app", dependencies=[module.Depends(guard)])
        app.api_route("/ran", methods=["GET", "HEAD"])(lambda: ran)
        return app

    key = {"key": "right" if allowed else "wrong"}
    same(client, make, paths=["/app/assets/app.js", "/app/none", "/app/sub", "/ran"], headers=key)
    same(client, make, paths=["/app/assets/app.js"])


def test_dependencies_can_be_overridden(client: ClientFactory, build: Path) -> None:
    def make(module: Any, app: Any) -> Any:
        def guard() -> None:
            raise module.HTTPException(401)

        router = module.APIRouter(dependencies=[module.Depends(guard)])
        router.frontend("/", directory=build)
        app.include_router(router)
        app.dependency_overrides[guard] = lambda: None
        return app

    same(client, make, paths=["/", "/assets/app.js"])


def test_ranges_and_validators(client: ClientFactory, build: Path) -> None:
    def make(_: Any, app: Any) -> Any:
        app.frontend("/", directory=build)
        return app

    same(client, make, paths=["/assets/app.js", "/deep/page"], headers={"range": "bytes=1-2"})
    etag = client(make(None, velithon.Velithon())).get("/assets/app.js").headers["etag"]
    same(client, make, paths=["/assets/app.js"], headers={"if-none-match": etag})


def test_slashes_are_redirected_first(client: ClientFactory, build: Path) -> None:
    def make(_: Any, app: Any) -> Any:
        app.frontend("/", directory=build)
        app.api_route("/items/", methods=["GET", "HEAD"])(lambda: 1)
        return app

    same(client, make, paths=["/items", "/items/", "/sub"])


def test_no_names_and_no_document(build: Path) -> None:
    """A frontend is no operation, and has no name to build a URL of."""
    for app in (fastapi.FastAPI(), velithon.Velithon()):
        before = len(app.routes)
        app.frontend("/", directory=build)
        assert len(app.routes) == before
        assert app.openapi()["paths"] == {}
        with pytest.raises(NoMatchFound):
            app.url_path_for("frontend", path="x")


@pytest.mark.parametrize("path", ["", "app", "/{tenant}"])
def test_wrong_paths(build: Path, path: str) -> None:
    with pytest.raises(RegistrationError, match="The path of a frontend starts with '/'"):
        velithon.Velithon().frontend(path, directory=build)


def test_wrong_fallbacks(build: Path) -> None:
    with pytest.raises(RegistrationError, match=r"not 'app\.html'"):
        velithon.Velithon().frontend("/", directory=build, fallback="app.html")  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [fastapi.FastAPI, velithon.Velithon])
def test_what_is_missing_is_told_at_once(build: Path, make: Any) -> None:
    with pytest.raises(RuntimeError, match="does not exist"):
        make().frontend("/", directory=build / "none")
    with pytest.raises(RuntimeError, match=r"404\.html.* does not exist"):
        make().frontend("/", directory=build, fallback="404.html")


def test_what_is_missing_is_told_at_the_request(client: ClientFactory, build: Path) -> None:
    def make(_: Any, app: Any) -> Any:
        app.frontend("/", directory=build, fallback="404.html", check_dir=False)
        app.frontend("/none", directory=build / "none", check_dir=False)
        app.frontend("/assets", directory=build / "assets", check_dir=False, fallback="index.html")
        app.frontend("/bare", directory=build / "assets")
        return app

    same(client, make, paths=["/deep", "/assets/app.js", "/assets/none", "/none/x", "/bare/x", "/bare/app.js"])


@pytest.mark.parametrize(("make", "name"), [(fastapi.FastAPI, "FASTAPI_ENV"), (velithon.Velithon, "VELITHON_ENV")])
def test_while_developing_a_missing_build_is_a_warning(
    build: Path, monkeypatch: pytest.MonkeyPatch, make: Any, name: str
) -> None:
    """It may not be built yet."""
    monkeypatch.setenv(name, "development")
    with pytest.warns(UserWarning, match="does not exist") as caught:
        make().frontend("/", directory=build / "none")
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="does not exist") as caught:
        make().router.frontend("/", directory=build / "none")
    assert caught[0].filename == __file__
    make().frontend("/", directory=build, fallback="404.html")
    with pytest.raises(RuntimeError, match="does not exist"):
        make().frontend("/", directory=build / "none", check_dir=True)


def test_layers_of_the_router_and_limits_count(client: ClientFactory, build: Path) -> None:
    class Marks(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):  # type: ignore[no-untyped-def]
            response = await call_next(request)
            response.headers["x-layer"] = "1"
            return response

    app = velithon.Velithon()
    router = velithon.APIRouter(middleware=[velithon.Middleware(Marks)])
    router.frontend("/app", directory=build)
    app.include_router(router)
    answer = client(app).get("/app/assets/app.js")
    assert (answer.text, answer.headers["x-layer"]) == ("run()", "1")


@pytest.mark.filterwarnings("ignore:The `root_path` parameter")
@pytest.mark.parametrize("root_path", ["", "/behind"])
def test_behind_a_proxy(client: ClientFactory, build: Path, root_path: str) -> None:
    def make(module: Any, _: Any) -> Any:
        app = (module.FastAPI if module is fastapi else module.Velithon)(root_path=root_path)
        app.frontend("/", directory=build)
        return app

    same(client, make, paths=["/sub/", "/assets/app.js", "/deep/page"])
