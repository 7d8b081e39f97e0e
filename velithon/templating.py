"""Starlette's templates with Jinja2, which the extra `templates` installs."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if find_spec("jinja2") is None:
    raise ImportError("velithon.templating needs Jinja2: pip install 'velithon[templates]'")

from starlette.templating import Jinja2Templates as StarletteJinja2Templates

from velithon.responses.base import HTMLResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from jinja2 import Template
    from starlette.background import BackgroundTask
    from starlette.requests import Request

    from velithon_adapters.rsgi import HTTPProtocol, HTTPScope

__all__ = ["Jinja2Templates", "TemplateResponse"]


class TemplateResponse(HTMLResponse):
    """A page made of a template.

    Args:
        template: The Jinja2 template.
        context: What it is given; `request` among it.
        status_code: 200 to 599.
        headers: Further headers.
        media_type: `text/html` by default.
        background: Runs once the response is on its way.
    """

    def __init__(
        self,
        template: Template,
        context: dict[str, Any],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        self.template = template
        self.context = context
        super().__init__(template.render(context), status_code, headers, media_type, background)

    async def __call__(self, scope: Any, receive: object, send: Any = None) -> None:
        """Send over either protocol; a test client is shown template and context."""
        if send is not None and "http.response.debug" in (scope.get("extensions") or ()):
            await send({"type": "http.response.debug", "info": {"template": self.template, "context": self.context}})
        await super().__call__(scope, receive, send)

    def send_rsgi(self, scope: HTTPScope, protocol: HTTPProtocol) -> Awaitable[None] | None:
        """Send over RSGI; the test client's protocol is shown template and context."""
        show = getattr(protocol, "show_debug", None)
        if show is not None:
            show({"template": self.template, "context": self.context})
        return super().send_rsgi(scope, protocol)


class Jinja2Templates(StarletteJinja2Templates):
    """Templates of a directory, or of a Jinja2 environment (`env=`).

    Names that end in HTML or XML are escaped.

    Takes Starlette's arguments: `directory` or `env`, and `context_processors`, functions of the request that add to
    the context. Templates have `url_for`.
    """

    def TemplateResponse(  # type: ignore[override]  # takes FastAPI's older order of arguments too
        self,
        request: Request[Any],
        name: str,
        context: dict[str, Any] | None = None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> TemplateResponse:
        """Return a page.

        Args:
            request: The request that is answered.
            name: The template's file.
            context: What the template is given, besides `request`.
            status_code: 200 to 599.
            headers: Further headers.
            media_type: `text/html` by default.
            background: Runs once the response is on its way.
        """
        given = {"request": request, **(context or {})}
        for processor in self.context_processors:
            given.update(processor(request))
        return TemplateResponse(self.get_template(name), given, status_code, headers, media_type, background)
