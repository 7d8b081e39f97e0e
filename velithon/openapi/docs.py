"""The documentation pages, under a Content-Security-Policy that allows nothing but what they consist of.

Every value of the application reaches a page as escaped HTML text or as an escaped attribute; no value is ever written
into a script. The functions have FastAPI's names and parameters. Without URLs of one's own they give a page of ours
that carries its script and style itself, allowed by their hashes: no file has to be served, no CDN is asked.
"""

from __future__ import annotations

import json
from html import escape
from typing import NamedTuple
from urllib.parse import urlsplit

from velithon._runtime.json_values import JSONObject
from velithon.encoders import jsonable_encoder
from velithon.openapi.assets import read_source
from velithon.pages.csp import hash_for_csp
from velithon.responses.base import HTMLResponse

__all__ = [
    "get_redoc_html",
    "get_swagger_ui_html",
    "get_swagger_ui_oauth2_redirect_html",
    "swagger_ui_default_parameters",
]

swagger_ui_default_parameters: JSONObject = {
    "dom_id": "#swagger-ui",
    "layout": "BaseLayout",
    "deepLinking": True,
    "showExtensions": True,
    "showCommonExtensions": True,
}
"""What Swagger UI is started with, below `swagger_ui_parameters`."""

_NO_ICON = "data:,"


class Files(NamedTuple):
    """Where the application serves the pages' own files.

    Attributes:
        base: The URL path below which they are, without a slash at its end.
        versions: File name -> a short name of its content.
    """

    base: str
    versions: dict[str, str]

    def url(self, name: str) -> str:
        """Return the URL of one file; it changes whenever the file does."""
        return f"{self.base}/{name}?v={self.versions[name]}"


def get_swagger_ui_html(
    *,
    openapi_url: str,
    title: str,
    swagger_js_url: str | None = None,
    swagger_css_url: str | None = None,
    swagger_favicon_url: str | None = None,
    oauth2_redirect_url: str | None = None,
    init_oauth: JSONObject | None = None,
    swagger_ui_parameters: JSONObject | None = None,
) -> HTMLResponse:
    """Return the page that `/docs` shows.

    Args:
        openapi_url: Where the document is.
        title: The page's title.
        swagger_js_url: Swagger UI's bundle. None means our own page, which needs no other file.
        swagger_css_url: Swagger UI's style sheet, along with its bundle.
        swagger_favicon_url: The icon of the browser's tab; none by default.
        oauth2_redirect_url: The path of the page that OAuth2 servers return to.
        init_oauth: Swagger UI's OAuth2 options (`clientId`, `scopes`, ...), which our page understands too.
        swagger_ui_parameters: Swagger UI's options. Ours understands `deepLinking`, `displayOperationId`,
            `displayRequestDuration`, `docExpansion`, `defaultModelsExpandDepth`, `filter`, `operationsSorter`,
            `persistAuthorization`, `supportedSubmitMethods`, `tagsSorter`, `tryItOutEnabled` and `withCredentials`.
    """
    config = build_console_config(openapi_url, oauth2_redirect_url, init_oauth, swagger_ui_parameters)
    if swagger_js_url is None:
        return render_page(title, config, icon=swagger_favicon_url)
    return render_swagger_page(
        title, config, js_url=swagger_js_url, css_url=swagger_css_url, icon=swagger_favicon_url, connect="*"
    )


def get_redoc_html(
    *,
    openapi_url: str,
    title: str,
    redoc_js_url: str | None = None,
    redoc_favicon_url: str | None = None,
    with_google_fonts: bool = False,
) -> HTMLResponse:
    """Return the page that `/redoc` shows.

    Args:
        openapi_url: Where the document is.
        title: The page's title.
        redoc_js_url: ReDoc's bundle. None means our own reader's view, which needs no other file.
        redoc_favicon_url: The icon of the browser's tab; none by default.
        with_google_fonts: Whether ReDoc's page loads its fonts from Google.
    """
    if redoc_js_url is None:
        return render_page(title, {"url": openapi_url, "reader": True}, icon=redoc_favicon_url)
    return render_redoc_page(title, openapi_url, js_url=redoc_js_url, icon=redoc_favicon_url, fonts=with_google_fonts)


def get_swagger_ui_oauth2_redirect_html() -> HTMLResponse:
    """Return the page that OAuth2 servers send the browser back to."""
    return build_redirect_page()


def build_console_config(
    openapi_url: str,
    oauth2_redirect_url: str | None,
    init_oauth: JSONObject | None,
    swagger_ui_parameters: JSONObject | None,
) -> JSONObject:
    """Return the options of a page that can send requests."""
    config = {**swagger_ui_default_parameters, **(swagger_ui_parameters or {}), "url": openapi_url}
    if oauth2_redirect_url:
        config["oauth2RedirectUrl"] = oauth2_redirect_url
    if init_oauth:
        config["initOAuth"] = init_oauth
    return config


def render_page(
    title: str, config: JSONObject, *, icon: str | None = None, files: Files | None = None, connect: str = "*"
) -> HTMLResponse:
    """Return our page.

    Args:
        title: The page's title.
        config: The options; `reader` makes it the reader's view.
        icon: The URL of the tab's icon.
        files: Where its files are served; none puts them into the page.
        connect: The sources that requests may be sent to, as `connect-src` takes them.
    """
    body = f'<div id="velithon-docs" aria-busy="true" data-config="{format_config_attribute(config)}">Loading…</div>'
    return HTMLResponse(*_build_document_page(title, body, "page.js", "page.css", icon, files, connect))


def render_document_page(title: str, document: JSONObject) -> str:
    """Return the reader's view of a document as one HTML file that needs no server."""
    config = {"reader": True, "offline": True}
    data = json.dumps(document).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    body = (
        f'<div id="velithon-docs" data-config="{format_config_attribute(config)}"></div>'
        f'<script type="application/json" id="velithon-document">{data}</script>'
    )
    script, style = read_source("page.js"), read_source("page.css")
    policy = f"default-src 'none'; script-src {hash_for_csp(script)}; style-src {hash_for_csp(style)}; img-src data:"
    meta = f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">'
    return _write_html(title, f"{meta}<style>{style}</style>", f"{body}<script>{script}</script>", None)


def render_swagger_page(
    title: str,
    config: JSONObject,
    *,
    js_url: str,
    css_url: str | None,
    icon: str | None = None,
    files: Files | None = None,
    connect: str = "'self'",
) -> HTMLResponse:
    """Return Swagger UI's page.

    Args:
        title: The page's title.
        config: What Swagger UI is started with.
        js_url: Its bundle.
        css_url: Its style sheet.
        icon: The URL of the tab's icon.
        files: Where our starting script is served; none puts it into the page.
        connect: The sources that requests may be sent to, as `connect-src` takes them.
    """
    starter = read_source("swagger.js")
    script = (
        f"<script>{starter}</script>" if files is None else f'<script src="{escape(files.url("swagger.js"))}"></script>'
    )
    bundle = f'<script src="{escape(js_url)}"></script>'
    box = f'<div id="swagger-ui" data-config="{format_config_attribute(config)}"></div>'
    style = f'<link rel="stylesheet" href="{escape(css_url)}">' if css_url else ""
    if files is not None:
        # What Swagger UI leaves out for screen readers, and colours with more contrast.
        box = f'<main><h1 class="page-title">{escape(title)}</h1>{box}</main>'
        style += f'<link rel="stylesheet" href="{escape(files.url("swagger.css"))}">'
    body = f"{box}{bundle}{script}"
    # Swagger UI writes style attributes; styles run no code.
    policy = _build_policy(
        script=list_sources(js_url) if files is not None else f"{list_sources(js_url)} {hash_for_csp(starter)}",
        style=f"{list_sources(css_url)} 'unsafe-inline'",
        image=_list_image_sources(icon) if files is not None else f"{_list_image_sources(icon)} https:",
        connect=connect,
    )
    return HTMLResponse(_write_html(title, style, body, icon), headers=_build_headers(policy))


def render_redoc_page(
    title: str, openapi_url: str, *, js_url: str, icon: str | None = None, fonts: bool = False
) -> HTMLResponse:
    """Return ReDoc's page.

    Args:
        title: The page's title.
        openapi_url: Where the document is.
        js_url: ReDoc's bundle.
        icon: The URL of the tab's icon.
        fonts: Whether to load ReDoc's fonts from Google.
    """
    google = "https://fonts.googleapis.com"
    style = (
        f'<link rel="stylesheet" href="{google}/css?family=Montserrat:300,400,700|Roboto:300,400,700">' if fonts else ""
    )
    body = f'<redoc spec-url="{escape(openapi_url)}"></redoc><script src="{escape(js_url)}"></script>'
    # ReDoc writes style elements, and searches in a worker that it makes of a blob.
    policy = _build_policy(
        script=list_sources(js_url),
        style=f"'self' 'unsafe-inline' {google if fonts else ''}",
        image=f"{_list_image_sources(icon)} https:",
        connect=f"'self' {list_sources(openapi_url)}",
        extra="worker-src blob:; font-src https://fonts.gstatic.com" if fonts else "worker-src blob:",
    )
    return HTMLResponse(_write_html(title, style, body, icon), headers=_build_headers(policy))


def build_viewer_page(title: str, body: str, *, js_url: str, css_url: str | None = None, connect: str) -> HTMLResponse:
    """Return the page of another viewer whose files the application serves.

    Args:
        title: The page's title.
        body: What stands before the viewer's script, as HTML.
        js_url: The script.
        css_url: The style sheet.
        connect: The sources that requests may be sent to, as `connect-src` takes them.
    """
    head = f'<link rel="stylesheet" href="{escape(css_url)}">' if css_url else ""
    # Viewers write style elements, and search in workers that they make of blobs.
    policy = _build_policy(
        script="'self'",
        style="'self' 'unsafe-inline'",
        image="'self' data: https:",
        connect=connect,
        extra="worker-src blob:; font-src 'self' data:",
    )
    html = _write_html(title, head, f'{body}<script src="{escape(js_url)}"></script>', None)
    return HTMLResponse(html, headers=_build_headers(policy))


def build_redirect_page(files: Files | None = None) -> HTMLResponse:
    """Return the page that OAuth2 servers send the browser back to; `files` as for `render_page`."""
    body = '<p id="message"></p>'
    return HTMLResponse(*_build_document_page("OAuth2 redirect", body, "redirect.js", None, None, files, "'none'"))


def _build_document_page(
    title: str, body: str, script: str, style: str | None, icon: str | None, files: Files | None, connect: str
) -> tuple[str, int, dict[str, str]]:
    if files is None:
        code = read_source(script)
        sheet = read_source(style) if style else ""
        policy = _build_policy(
            script=hash_for_csp(code),
            style=hash_for_csp(sheet) if sheet else "'none'",
            image=_list_image_sources(icon),
            connect=connect,
        )
        head = f"<style>{sheet}</style>" if sheet else ""
        body += f"<script>{code}</script>"
    else:
        policy = _build_policy(
            script="'self'", style="'self'" if style else "'none'", image=_list_image_sources(icon), connect=connect
        )
        head = f'<link rel="stylesheet" href="{escape(files.url(style))}">' if style else ""
        body += f'<script src="{escape(files.url(script))}"></script>'
    return _write_html(title, head, body, icon), 200, _build_headers(policy)


def _write_html(title: str, head: str, body: str, icon: str | None) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n"
        f'<link rel="icon" href="{escape(icon or _NO_ICON)}">\n'
        f"{head}\n</head>\n<body>\n<noscript>This page needs JavaScript.</noscript>\n{body}\n</body>\n</html>\n"
    )


def format_config_attribute(value: JSONObject) -> str:
    """Return options as the value of an HTML attribute."""
    return escape(json.dumps(jsonable_encoder(value)))


def list_sources(url: str | None) -> str:
    """Return what allows a URL: its origin, or the page's own."""
    parts = urlsplit(url or "")
    if not parts.netloc:
        return "'self'"
    # A quote, a comma or a semicolon would end the directive, and none of them is part of an origin.
    origin = "".join(letter for letter in parts.netloc if letter.isalnum() or letter in ".:-[]")
    return f"{parts.scheme}://{origin}" if parts.scheme in {"http", "https"} else origin


def _list_image_sources(icon: str | None) -> str:
    return f"'self' data: {list_sources(icon)}" if icon else "'self' data:"


def _build_policy(*, script: str, style: str, image: str, connect: str, extra: str = "") -> str:
    directives = [
        "default-src 'none'",
        f"script-src {script}",
        f"style-src {style}",
        f"img-src {image}",
        f"connect-src {connect}",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'self'",
    ]
    return "; ".join([*directives, extra] if extra else directives)


def _build_headers(policy: str) -> dict[str, str]:
    return {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
