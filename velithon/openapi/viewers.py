"""Viewers that `/docs` can show besides our own page.

An installed package carries their files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from velithon._runtime.json_values import JSONObject
from velithon.exceptions import RegistrationError
from velithon.openapi import assets, docs

if TYPE_CHECKING:
    from velithon.openapi.docs import Files
    from velithon.responses.base import HTMLResponse

__all__ = ["OURS", "VIEWERS", "Viewer", "build_viewer_html", "check_viewer"]

OURS = "velithon"
"""The name of our own page."""


class Viewer(NamedTuple):
    """A viewer of other people's.

    Attributes:
        title: Its name, for titles.
        install: The command that installs what carries it.
        script: The name of its script among the assets.
        style: The name of its style sheet, if it has one.
        body: Makes its HTML of the document's URL and the settings.
    """

    title: str
    install: str
    script: str
    style: str | None
    body: Callable[[str, JSONObject], str]


def _build_element(tag: str, url_attribute: str, **defaults: str) -> Callable[[str, JSONObject], str]:
    """Return what makes a custom element whose attributes are the settings."""

    def body(url: str, settings: JSONObject) -> str:
        attributes = "".join(
            f' {_format_attribute_name(name)}="{escape(str(value).lower() if isinstance(value, bool) else str(value))}"'
            for name, value in {url_attribute: url, **defaults, **settings}.items()
        )
        return f"<{tag}{attributes}></{tag}>"

    return body


def _format_attribute_name(name: str) -> str:
    if re.fullmatch(r"[A-Za-z][A-Za-z-]*", name) is None:
        raise RegistrationError(
            f"swagger_ui_parameters has {name!r}: the viewer takes its settings as HTML attributes."
        )
    return name


def _build_scalar(url: str, settings: JSONObject) -> str:
    # Nothing that asks its makers' servers: fonts, an assistant, usage figures. The page's policy refuses them anyway.
    local = {"withDefaultFonts": False, "telemetry": False, "agent": {"disabled": True}, "mcp": {"disabled": True}}
    config = docs.format_config_attribute({**local, **settings})
    return f'<script id="api-reference" data-url="{escape(url)}" data-configuration="{config}"></script>'


def _write_pip_command(package: str) -> str:
    return f"pip install --no-deps {package}"


# `--no-deps`: the packages were made for Flask, and of all that they ask for only their files are used.
VIEWERS = {
    "swagger": Viewer(
        "Swagger UI", 'pip install "velithon[docs]"', "swagger-ui-bundle.js", "swagger-ui.css", lambda url, settings: ""
    ),
    "redoc": Viewer(
        "Redoc", _write_pip_command("flask-openapi3-redoc"), "redoc.js", None, _build_element("redoc", "spec-url")
    ),
    "scalar": Viewer("Scalar", _write_pip_command("flask-openapi3-scalar"), "scalar.js", None, _build_scalar),
    "rapidoc": Viewer(
        *("RapiDoc", _write_pip_command("flask-openapi3-rapidoc"), "rapidoc.js", None),
        _build_element("rapi-doc", "spec-url", **{"load-fonts": "false"}),
    ),
    "elements": Viewer(
        *("Elements", _write_pip_command("flask-openapi3-elements"), "elements-viewer.js", "elements-viewer.css"),
        _build_element("elements-api", "apiDescriptionUrl", router="hash"),
    ),
}
"""Name -> the viewer, as `docs_viewer` takes it."""


def check_viewer(name: str, settings: JSONObject) -> None:
    """Check that a viewer exists, is installed and can be given its settings.

    Raises:
        RegistrationError: It does not, is not or cannot.
    """
    if name == OURS:
        return
    viewer = VIEWERS.get(name)
    if viewer is None:
        raise RegistrationError(f"docs_viewer is {name!r}; there are {', '.join([OURS, *VIEWERS])}.")
    if not all(assets.is_carried(file) for file in (viewer.script, viewer.style) if file):
        raise RegistrationError(f"docs_viewer={name!r} needs a package that carries {viewer.title}: {viewer.install}")
    viewer.body("", settings)


def build_viewer_html(
    name: str, title: str, config: JSONObject, settings: JSONObject, files: Files, connect: str
) -> HTMLResponse:
    """Return the page of a viewer.

    Args:
        name: Which one.
        title: The application's.
        config: What Swagger UI is started with, with the document's URL.
        settings: `swagger_ui_parameters`, which are the viewer's own settings.
        files: Where its files are served.
        connect: The sources that requests may be sent to, as `connect-src` takes them.
    """
    viewer = VIEWERS[name]
    urls = {"js_url": files.url(viewer.script), "css_url": files.url(viewer.style) if viewer.style else None}
    title = f"{title} - {viewer.title}"
    if name == "swagger":
        return docs.render_swagger_page(title, config, files=files, connect=connect, **urls)  # type: ignore[arg-type]  # the script has a URL
    return docs.build_viewer_page(title, viewer.body(config["url"], settings), connect=connect, **urls)  # type: ignore[arg-type]  # likewise
