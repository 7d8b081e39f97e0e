"""The document and its pages as they are served, on both faces."""

import json
import re
from base64 import b64encode
from collections.abc import Generator
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ClientFactory
from velithon import Depends, HTTPException, Velithon
from velithon.exceptions import RegistrationError
from velithon.openapi import assets
from velithon.openapi.docs import get_redoc_html, get_swagger_ui_html, get_swagger_ui_oauth2_redirect_html
from velithon.openapi.viewers import VIEWERS

EVIL = "</script></title><script>alert(1)</script>\"'&<!--"


def policy(response: Any) -> dict[str, list[str]]:
    directives = response.headers["content-security-policy"].split(";")
    return {name: sources for name, *sources in (directive.split() for directive in directives)}


def config(html: str) -> Any:
    found = re.search(r'data-config="([^"]*)"', html)
    assert found is not None
    return json.loads(unescape(found[1]))


def scripts(html: str) -> list[str]:
    return re.findall(r"<script(?![^>]*(?:src=|application/json))[^>]*>(.*?)</script>", html, re.DOTALL)


def test_the_document_has_an_etag(client: ClientFactory) -> None:
    """The same bytes are not sent twice to who has them; new routes change the tag."""
    app = Velithon(title="Tagged")
    http = client(app)
    first = http.get("/openapi.json")
    assert first.headers["content-type"] == "application/json"
    assert first.json()["info"]["title"] == "Tagged"
    etag = first.headers["etag"]
    for known in (etag, f'"other", W/{etag}', "*"):
        again = http.get("/openapi.json", headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    assert http.get("/openapi.json", headers={"If-None-Match": '"other"'}).status_code == 200

    @app.get("/new")
    def new() -> None:
        """Be new."""

    changed = http.get("/openapi.json", headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert "/new" in changed.json()["paths"]


def test_an_overridden_document_is_served(client: ClientFactory) -> None:
    """`app.openapi` may be replaced, also by one that makes a new document each time."""
    app = Velithon()
    count = iter(range(10))
    app.openapi = lambda: {"openapi": "3.1.0", "x-count": next(count)}  # type: ignore[method-assign]
    http = client(app)
    assert [http.get("/openapi.json").json()["x-count"] for _ in range(2)] == [0, 1]


def test_the_root_path_is_the_first_server(client: ClientFactory) -> None:
    """Unless it is among the servers, or was asked not to be."""
    http = client(Velithon(root_path="/api", servers=[{"url": "https://x.example"}]))
    assert http.get("/openapi.json").json()["servers"] == [{"url": "/api"}, {"url": "https://x.example"}]
    http = client(Velithon(root_path="/api", servers=[{"url": "/api"}]))
    assert http.get("/openapi.json").json()["servers"] == [{"url": "/api"}]
    http = client(Velithon(root_path="/api", root_path_in_servers=False))
    assert "servers" not in http.get("/openapi.json").json()


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, {"/openapi.json", "/docs", "/redoc", "/docs/oauth2-redirect"}),
        ({"openapi_url": None}, set()),
        ({"docs_url": None}, {"/openapi.json", "/redoc"}),
        ({"redoc_url": None}, {"/openapi.json", "/docs", "/docs/oauth2-redirect"}),
        ({"swagger_ui_oauth2_redirect_url": None}, {"/openapi.json", "/docs", "/redoc"}),
    ],
)
def test_urls_can_be_left_out(client: ClientFactory, options: dict[str, Any], found: set[str]) -> None:
    """None serves nothing there."""
    http = client(Velithon(**options))
    paths = ["/openapi.json", "/docs", "/redoc", "/docs/oauth2-redirect"]
    assert {path for path in paths if http.get(path).status_code == 200} == found


def test_pages_and_document_may_be_anywhere(client: ClientFactory) -> None:
    """At the root too; files stay below their page, and behind a proxy's prefix."""
    app = Velithon(openapi_url="/api/v1/openapi.json", docs_url="/", redoc_url="/read/", root_path="/p")
    http = client(app)
    for path, prefix in (("/", "/p/-/"), ("/read/", "/p/read/-/")):
        html = http.get(path).text
        assert config(html)["url"] == "/p/api/v1/openapi.json" if "data-config" in html else "redoc" in html
        for url in re.findall(r'(?:src|href)="(/[^"]*)"', html):
            assert url.startswith(prefix)
            assert http.get(url.removeprefix("/p")).status_code == 200


def test_files_are_served_with_their_type_and_for_ever(client: ClientFactory) -> None:
    """Their URLs change with their content; a name that is none is 404."""
    http = client(Velithon())
    html = http.get("/docs").text
    urls = re.findall(r'(?:src|href)="(/docs/-/[^"]*)"', html)
    assert {url.split("?")[0] for url in urls} == {"/docs/-/page.js", "/docs/-/page.css"}
    for url in urls:
        response = http.get(url)
        kind = "text/javascript" if ".js" in url else "text/css"
        assert response.headers["content-type"].startswith(kind)
        assert "immutable" in response.headers["cache-control"]
        assert http.get(url, headers={"If-None-Match": response.headers["etag"]}).status_code == 304
    assert http.get("/docs/-/passwd").status_code == 404
    assert http.get("/docs/-/schema.js").status_code == 404


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/oauth2-redirect"])
def test_our_pages_allow_only_what_they_consist_of(client: ClientFactory, path: str) -> None:
    """No inline script, no inline style, no source but the application."""
    response = client(Velithon()).get(path)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    allowed = policy(response)
    assert allowed["default-src"] == ["'none'"]
    assert allowed["script-src"] == ["'self'"]
    assert "'unsafe-inline'" not in str(allowed)
    assert scripts(response.text) == []
    assert not re.search(r"<style|style=|\son\w+=|https?://", response.text)


def test_swagger_ui_comes_from_an_installed_package(client: ClientFactory) -> None:
    """Its files are served by the application, and only scripts of its own run."""
    if not assets.is_carried("swagger-ui-bundle.js"):
        pytest.skip("no installed package carries Swagger UI")
    http = client(Velithon(docs_viewer="swagger"))
    response = http.get("/docs")
    assert policy(response)["script-src"] == ["'self'"]
    assert scripts(response.text) == []
    bundle = http.get(re.findall(r'src="([^"]*swagger-ui-bundle[^"]*)"', response.text)[0])
    assert b"SwaggerUIBundle" in bundle.content


def test_try_it_out_may_reach_the_documents_servers(client: ClientFactory) -> None:
    """And the token URLs; a server whose host is a variable opens its scheme."""
    from velithon.security import OAuth2PasswordBearer

    scheme = OAuth2PasswordBearer(tokenUrl="https://login.example/token")
    servers = [{"url": "https://a.example:8443/x"}, {"url": "/y"}, {"url": "http://{host}.example/"}]
    app = Velithon(servers=servers)

    @app.get("/")
    def read(token: str = Depends(scheme)) -> None:
        """Read."""

    sources = policy(client(app).get("/docs"))["connect-src"]
    assert sources == ["'self'", "http:", "https://a.example:8443", "https://login.example"]


def test_options_reach_the_page(client: ClientFactory) -> None:
    """`swagger_ui_parameters`, `swagger_ui_init_oauth` and the redirect's path."""
    app = Velithon(
        swagger_ui_parameters={"docExpansion": "none", "deepLinking": False},
        swagger_ui_init_oauth={"clientId": "me", "scopes": "a b"},
    )
    found = config(client(app).get("/docs").text)
    assert found["docExpansion"] == "none"
    assert found["deepLinking"] is False
    assert found["dom_id"] == "#swagger-ui"
    assert found["initOAuth"] == {"clientId": "me", "scopes": "a b"}
    assert found["oauth2RedirectUrl"] == "/docs/oauth2-redirect"


def test_values_stay_values(client: ClientFactory) -> None:
    """Nothing that an application says becomes markup."""
    app = Velithon(
        title=EVIL,
        description=EVIL,
        swagger_ui_parameters={EVIL: EVIL},
        swagger_ui_init_oauth={"clientId": EVIL},
    )
    http = client(app)
    for path in ("/docs", "/redoc"):
        assert "<script>alert" not in http.get(path).text
    for page in (
        get_swagger_ui_html(openapi_url=EVIL, title=EVIL, oauth2_redirect_url=EVIL, init_oauth={EVIL: EVIL}),
        get_swagger_ui_html(
            openapi_url=EVIL, title=EVIL, swagger_js_url=EVIL, swagger_css_url=EVIL, swagger_favicon_url=EVIL
        ),
        get_redoc_html(openapi_url=EVIL, title=EVIL),
        get_redoc_html(openapi_url=EVIL, title=EVIL, redoc_js_url=EVIL, redoc_favicon_url=EVIL),
    ):
        html = bytes(page.body).decode()
        assert "<script>alert" not in html
        assert "alert" not in page.headers["content-security-policy"]


def test_a_url_cannot_end_its_directive() -> None:
    """Hosts with characters that no host has are cut down to what one may have."""
    page = get_swagger_ui_html(openapi_url="/o", title="T", swagger_js_url="https://cdn.example;default-src *,x/a.js")
    assert "default-src *" not in page.headers["content-security-policy"].replace("'none'", "")


@pytest.mark.parametrize(
    "page",
    [
        get_swagger_ui_html(openapi_url="/openapi.json", title="T"),
        get_redoc_html(openapi_url="/openapi.json", title="T"),
        get_swagger_ui_oauth2_redirect_html(),
        get_swagger_ui_html(openapi_url="/openapi.json", title="T", swagger_js_url="/static/ui.js"),
    ],
)
def test_pages_made_by_hand_carry_hashed_scripts(page: Any) -> None:
    """Without files of the application; each inline script is allowed by its hash and nothing else inline is."""
    found = scripts(bytes(page.body).decode())
    assert len(found) == 1
    digest = b64encode(sha256(found[0].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy(page)["script-src"]
    assert "'unsafe-inline'" not in policy(page)["script-src"]


def test_pages_made_by_hand_take_urls() -> None:
    """A CDN is asked where one is set."""
    page = get_swagger_ui_html(
        openapi_url="/o.json",
        title="T",
        swagger_js_url="https://cdn.example/ui.js",
        swagger_css_url="https://cdn.example/ui.css",
    )
    html = bytes(page.body).decode()
    assert 'src="https://cdn.example/ui.js"' in html
    assert 'href="https://cdn.example/ui.css"' in html
    assert policy(page)["script-src"][0] == "https://cdn.example"
    redoc = get_redoc_html(
        openapi_url="/o.json", title="T", redoc_js_url="https://cdn.example/r.js", with_google_fonts=True
    )
    assert "https://fonts.gstatic.com" in policy(redoc)["font-src"]
    assert policy(redoc)["script-src"] == ["https://cdn.example"]


def test_what_routes_share_does_not_guard_the_pages(client: ClientFactory) -> None:
    """An application's dependencies are for its routes, as FastAPI has it; `include_in_schema` hides the pages."""

    def refuse() -> None:
        raise HTTPException(401)

    app = Velithon(dependencies=[Depends(refuse)])

    @app.get("/guarded")
    def guarded() -> None:
        """Be guarded."""

    http = client(app)
    assert http.get("/guarded").status_code == 401
    assert http.get("/docs").status_code == http.get("/openapi.json").status_code == 200
    assert list(http.get("/openapi.json").json()["paths"]) == ["/guarded"]


@pytest.fixture
def fresh_assets() -> Generator[None, None, None]:
    """What was looked up before is looked up again, and so it is afterwards."""
    assets.find_asset.cache_clear()
    yield
    assets.find_asset.cache_clear()


def test_files_are_looked_for_in_packages(monkeypatch: pytest.MonkeyPatch, fresh_assets: None) -> None:
    """One that is not installed, or does not have the file, is passed over."""
    monkeypatch.setitem(assets._CARRIED, "swagger-ui.css", (("no_such_package", "x"), ("velithon", "no-such-file")))
    assert not assets.is_carried("swagger-ui.css")
    assert assets.find_asset("swagger-ui.css") is None
    with pytest.raises(LookupError, match=r"no file 'nothing\.js'"):
        assets.read_source("nothing.js")
    with pytest.raises(RegistrationError, match=r'needs a package that carries Swagger UI: pip install "velithon'):
        Velithon(docs_viewer="swagger")


@pytest.fixture
def viewers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_assets: None) -> None:
    """Packages that carry a file for each viewer."""
    for name in VIEWERS:
        package = tmp_path / f"carries_{name}"
        package.mkdir()
        (package / "__init__.py").touch()
        viewer = VIEWERS[name]
        for file in filter(None, (viewer.script, viewer.style)):
            (package / file).write_text(f"/* {name} */")
            monkeypatch.setitem(assets._CARRIED, file, ((package.name, file),))
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(
    ("name", "markup"),
    [
        ("swagger", '<div id="swagger-ui" data-config='),
        ("redoc", '<redoc spec-url="/p/openapi.json" hide-download-button="true"></redoc>'),
        ("scalar", 'data-url="/p/openapi.json" data-configuration='),
        ("rapidoc", '<rapi-doc spec-url="/p/openapi.json" load-fonts="false" hide-download-button="true">'),
        ("elements", '<elements-api apiDescriptionUrl="/p/openapi.json" router="hash" hide-download-button="true">'),
    ],
)
def test_the_viewer_is_chosen(client: ClientFactory, viewers: None, name: str, markup: str) -> None:
    """Its files come from the application, and its settings reach it."""
    app = Velithon(docs_viewer=name, root_path="/p", swagger_ui_parameters={"hide-download-button": True})
    http = client(app)
    response = http.get("/docs")
    assert markup in response.text
    assert "hide-download-button" in response.text
    assert policy(response)["script-src"] == ["'self'"]
    assert scripts(response.text.replace("<script id=", "<script src=")) == []
    urls = re.findall(r'(?:src|href)="(/p/docs/-/[^"]*)"', response.text)
    assert urls
    assert any(f"/* {name} */" in http.get(url.removeprefix("/p")).text for url in urls)


def test_a_viewers_settings_are_attributes(viewers: None) -> None:
    """A name that could not be one is refused, not written."""
    with pytest.raises(RegistrationError, match="the viewer takes its settings as HTML attributes"):
        Velithon(docs_viewer="rapidoc", swagger_ui_parameters={'x="><script>': 1})


def test_an_unknown_viewer_is_refused() -> None:
    """With the names of those that there are."""
    with pytest.raises(RegistrationError, match="docs_viewer is 'stoplight'; there are velithon, swagger, redoc,"):
        Velithon(docs_viewer="stoplight")
    assert Velithon(docs_viewer="stoplight", openapi_url=None).docs_url == "/docs"


def test_many_root_paths_do_not_fill_the_memory(client: ClientFactory) -> None:
    """A proxy may send whatever it likes; each is answered."""
    app = Velithon()
    for number in range(20):
        app.root_path = f"/p{number}"
        assert client(app).get("/openapi.json").json()["servers"] == [{"url": f"/p{number}"}]
