"""Adds the document and its pages to an application, and keeps the document's bytes."""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from velithon._runtime.json_values import JSONObject
from velithon.requests.request import Request
from velithon.responses.base import Response
from velithon.responses.json import JSONResponse
from velithon.routing.routes import Route

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from velithon._runtime.owner import Owner
    from velithon.openapi.docs import Files
    from velithon.routing.router import Router

    class DocumentedApp(Owner, Protocol):
        """An application that has an OpenAPI document; the attributes are options of `Velithon`."""

        title: str
        summary: str | None
        description: str
        version: str
        terms_of_service: str | None
        contact: JSONObject | None
        license_info: JSONObject | None
        servers: list[JSONObject]
        openapi_tags: list[JSONObject] | None
        openapi_external_docs: JSONObject | None
        openapi_version: str
        openapi_schema: JSONObject | None
        openapi_url: str | None
        docs_url: str | None
        redoc_url: str | None
        docs_viewer: str
        swagger_ui_oauth2_redirect_url: str | None
        swagger_ui_init_oauth: JSONObject | None
        swagger_ui_parameters: JSONObject | None
        separate_input_output_schemas: bool
        root_path_in_servers: bool

        @property
        def router(self) -> Router:
            """The application's router."""

        @property
        def webhooks(self) -> Router:
            """The routes that the document shows as webhooks."""

        @property
        def routes(self) -> list[BaseRoute]:
            """The application's routes."""

        def openapi(self) -> JSONObject:
            """Return the document."""


_FOREVER = "public, max-age=31536000, immutable"
_OWN = ("page.js", "page.css", "redirect.js", "swagger.js", "swagger.css")
_FLOW_URLS = ("tokenUrl", "refreshUrl")

Endpoint = Callable[[Request], Awaitable[Response]]


def build_document(app: DocumentedApp) -> JSONObject:
    """Return an application's document: the one it was given, or one built of its routes.

    It is built again when routes were added since.

    Args:
        app: The application, with its metadata and routes.
    """
    routes = [*app.routes, *app.webhooks.routes]
    built = app.__dict__.get("_openapi_built")
    if app.openapi_schema and (
        built is None or built[0] is not app.openapi_schema or _is_same_routes(built[1], routes)
    ):
        return app.openapi_schema
    from velithon.openapi.schema import get_openapi

    schema = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version=app.openapi_version,
        summary=app.summary,
        description=app.description,
        terms_of_service=app.terms_of_service,
        contact=app.contact,
        license_info=app.license_info,
        routes=app.routes,
        webhooks=app.webhooks.routes,
        tags=app.openapi_tags,
        servers=app.servers,
        separate_input_output_schemas=app.separate_input_output_schemas,
        external_docs=app.openapi_external_docs,
    )
    app.openapi_schema = schema
    app.__dict__["_openapi_built"] = (schema, routes)
    return schema


def _is_same_routes(before: list[BaseRoute], now: list[BaseRoute]) -> bool:
    return len(before) == len(now) and all(map(operator.is_, before, now))


def setup(app: DocumentedApp) -> None:
    """Add the routes of the document and of its pages, where their URLs are set.

    Args:
        app: The application. Its `openapi` method is called when the document is first asked for.

    Raises:
        RegistrationError: There is no such viewer, no installed package carries it, or it cannot take the settings.
    """
    if not app.openapi_url:
        return
    if app.docs_viewer != "velithon":
        from velithon.openapi.viewers import check_viewer

        check_viewer(app.docs_viewer, app.swagger_ui_parameters or {})
    pages = _Pages(app)
    _add_page(app, app.openapi_url, pages.openapi, "openapi")
    if app.docs_url:
        _add_page(app, app.docs_url, pages.swagger_ui_html, "swagger_ui_html")
        _add_page(app, _build_files_path(app.docs_url), pages.file, "swagger_ui_file")
        if app.swagger_ui_oauth2_redirect_url:
            _add_page(app, app.swagger_ui_oauth2_redirect_url, pages.swagger_ui_redirect, "swagger_ui_redirect")
    if app.redoc_url:
        _add_page(app, app.redoc_url, pages.redoc_html, "redoc_html")
        _add_page(app, _build_files_path(app.redoc_url), pages.file, "redoc_file")


def _add_page(app: DocumentedApp, path: str, endpoint: Endpoint, name: str) -> None:
    # Added as it is: what an application's routes share, dependencies above all, is not for these.
    app.router.add_existing(Route(path, endpoint, methods=["GET"], name=name, include_in_schema=False))


def _build_files_path(page: str) -> str:
    return page.rstrip("/") + "/-/{file}"


class _Pages:
    """The endpoints; the answers that stay the same are kept."""

    def __init__(self, app: DocumentedApp) -> None:
        self.app = app
        # The document last served, and below it root path -> its bytes with their ETag.
        self.served: JSONObject | None = None
        self.answers: dict[str, tuple[bytes, str]] = {}

    async def openapi(self, request: Request) -> Response:
        schema = self.app.openapi()
        root_path = _read_root_path(request) if self.app.root_path_in_servers else ""
        if schema is not self.served:
            self.served, self.answers = schema, {}
        answer = self.answers.get(root_path)
        if answer is None:
            content = JSONResponse(_add_server(schema, root_path)).body
            answer = bytes(content), _build_etag(bytes(content))
            # The root path may come from outside, by a proxy's header: what it can be must not fill the memory.
            if len(self.answers) < 16:
                self.answers[root_path] = answer
        return _respond_conditionally(request, answer[0], "application/json", answer[1], "no-cache")

    async def swagger_ui_html(self, request: Request) -> Response:
        from velithon.openapi import docs, viewers

        app, root_path = self.app, _read_root_path(request)
        redirect = app.swagger_ui_oauth2_redirect_url
        config = docs.build_console_config(
            root_path + str(app.openapi_url),
            root_path + redirect if redirect else None,
            app.swagger_ui_init_oauth,
            app.swagger_ui_parameters,
        )
        connect = " ".join(["'self'", *sorted(set(_iterate_origins(app.openapi())))])
        base = root_path + str(app.docs_url).rstrip("/") + "/-"
        if app.docs_viewer == viewers.OURS:
            return docs.render_page(f"{app.title} - API", config, files=_build_files(base, *_OWN), connect=connect)
        viewer = viewers.VIEWERS[app.docs_viewer]
        files = _build_files(base, *_OWN, viewer.script, *([viewer.style] if viewer.style else []))
        return viewers.build_viewer_html(
            app.docs_viewer, app.title, config, app.swagger_ui_parameters or {}, files, connect
        )

    async def redoc_html(self, request: Request) -> Response:
        from velithon.openapi import docs

        root_path = _read_root_path(request)
        openapi_url = root_path + str(self.app.openapi_url)
        title = f"{self.app.title} - API"
        base = root_path + str(self.app.redoc_url).rstrip("/") + "/-"
        config = {"url": openapi_url, "reader": True}
        return docs.render_page(title, config, files=_build_files(base, *_OWN), connect="'self'")

    async def swagger_ui_redirect(self, request: Request) -> Response:
        from velithon.openapi import docs

        base = _read_root_path(request) + str(self.app.docs_url).rstrip("/") + "/-"
        return docs.build_redirect_page(_build_files(base, *_OWN))

    async def file(self, request: Request) -> Response:
        from velithon.openapi.assets import find_asset

        found = find_asset(request.path_params["file"])
        if found is None:
            return JSONResponse({"detail": "Not Found"}, 404)
        return _respond_conditionally(request, found.content, found.media_type, found.etag, _FOREVER)


def _build_files(base: str, *names: str) -> Files:
    from velithon.openapi.assets import find_asset
    from velithon.openapi.docs import Files

    found = ((name, find_asset(name)) for name in names)
    return Files(base, {name: item.version for name, item in found if item is not None})


def _read_root_path(request: Request) -> str:
    path: str = request.scope.get("root_path", "")
    return path.rstrip("/")


def _add_server(schema: JSONObject, root_path: str) -> JSONObject:
    """Return the document with the path that a proxy strips as its first server."""
    servers = schema.get("servers", [])
    if not root_path or any(server.get("url") == root_path for server in servers):
        return schema
    return {**schema, "servers": [{"url": root_path}, *servers]}


def _iterate_origins(schema: JSONObject) -> Iterator[str]:
    """Yield the CSP sources that "Try it out" and the logins must reach."""
    from velithon.openapi.docs import list_sources

    urls = [server.get("url", "") for server in schema.get("servers", [])]
    for scheme in schema.get("components", {}).get("securitySchemes", {}).values():
        for flow in (scheme.get("flows") or {}).values():
            urls += [flow.get(name, "") for name in _FLOW_URLS]
    for url in urls:
        parts = urlsplit(url)
        if parts.netloc and parts.scheme in {"http", "https"}:
            # A server variable in the host can be anything that its values allow.
            yield f"{parts.scheme}:" if "{" in parts.netloc else list_sources(url)


def _build_etag(content: bytes) -> str:
    import hashlib

    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _respond_conditionally(
    request: Request, content: bytes, media_type: str, etag: str, cache_control: str
) -> Response:
    """Return the content, or 304 when the client has it (RFC 9110, section 13.1.2)."""
    headers = {"ETag": etag, "Cache-Control": cache_control}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
