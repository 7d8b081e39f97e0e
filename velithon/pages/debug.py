"""The debug page: an exception as a person reads it, in a browser.

As JSON or as text for other clients.

It shows code and values, so an application answers with it under `debug=True` alone.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any

from velithon._runtime.json_values import JSONObject
from velithon._runtime.version import __version__
from velithon.checks.steps import describe_outcome, describe_steps
from velithon.pages.csp import hash_for_csp
from velithon.pages.error import read_style
from velithon.pages.frames import Frame, iterate_links, read_frames
from velithon.pages.secrets import MASK, is_secret, mask_secrets
from velithon.requests.accept import accepts, prefers_html
from velithon.responses.base import HTMLResponse, PlainTextResponse, Response
from velithon.responses.json import JSONResponse

if TYPE_CHECKING:
    from velithon.requests.request import Request

__all__ = ["build_debug_response"]

_FOOTER = (
    f"<footer><p>Velithon {__version__}, Python {sys.version.split()[0]}."
    " This page is shown because debug is on; it is not for production.</p></footer>"
)
_MOST_FRAMES = 60  # at each end, of an exception such as RecursionError


def build_debug_response(request: Request, exc: Exception) -> Response:
    """Return the debug page, in the form that the client asks for.

    Args:
        request: What was asked.
        exc: What was raised.
    """
    accept = request.headers.get("accept")
    if prefers_html(accept):
        return _render_page(request, exc)
    if accepts(accept, ("application/json",)):
        return JSONResponse({"detail": "Internal Server Error", **_build_data(request, exc)}, status_code=500)
    return PlainTextResponse(_format_traceback(exc), status_code=500)


def _format_traceback(exc: BaseException) -> str:
    return mask_secrets("".join(traceback.format_exception(exc)))


def _build_data(request: Request, exc: Exception) -> JSONObject:
    return {
        "errors": [
            {
                "type": _format_type(link),
                "message": mask_secrets(_read_message(link)),
                "relation": relation,
                "frames": [
                    {
                        "kind": frame.kind,
                        "file": frame.place,
                        "line": frame.line,
                        "function": frame.function,
                        "code": dict(frame.code).get(frame.line, "").strip(),
                        "locals": frame.values,
                    }
                    for frame in _shorten(read_frames(link))
                ],
            }
            for link, relation in iterate_links(exc)
        ],
        "request": dict(_iterate_request(request)),
        "plan": _list_steps(request),
    }


def _format_type(exc: BaseException) -> str:
    cls = type(exc)
    return cls.__qualname__ if cls.__module__ in ("builtins", "__main__") else f"{cls.__module__}.{cls.__qualname__}"


def _read_message(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception as error:  # noqa: BLE001 - an exception of the application's own
        return f"its text cannot be told: {type(error).__name__}"


def _shorten(frames: list[Frame]) -> list[Frame]:
    return frames if len(frames) <= 2 * _MOST_FRAMES else frames[:_MOST_FRAMES] + frames[-_MOST_FRAMES:]


def _iterate_request(request: Request) -> Iterator[tuple[str, str]]:
    """Yield what the page says of the request, secrets masked; not the body, which may be anything."""
    yield "Method", request.method
    yield "Path", request.url.path
    for name, value in request.path_params.items():
        yield f"Path parameter {name}", MASK if is_secret(name) else mask_secrets(str(value))
    for name, value in request.query_params.multi_items():
        yield f"Query {name}", MASK if is_secret(name) else value
    client = request.client
    yield "Client", "unknown" if client is None else client.host
    for name, value in request.headers.items():
        yield f"Header {name}", MASK if is_secret(name) else mask_secrets(value)


def _list_steps(request: Request) -> list[str]:
    """Return the steps of the route that answered; none where no route of ours did."""
    route: Any = getattr(request, "_route", None) or request.scope.get("route")
    model = getattr(route, "model", None) or getattr(route, "models", {}).get(request.method)
    if model is None:
        return []
    methods = ",".join(sorted(route.methods or ()))
    try:
        return [
            f"route     {methods} {route.path}",
            *describe_steps(model),
            f"response  {describe_outcome(model, route)}",
        ]
    except Exception as error:  # noqa: BLE001 - what is wrong with the route may be why there is a page
        return [f"route     {methods} {route.path}", f"its plan cannot be told: {error}"]


# -- the page -----------------------------------------------------------------------------------------------------


def _render_page(request: Request, exc: Exception) -> HTMLResponse:
    sheet, script = read_style("debug.css"), read_style("debug.js")
    name, message = _format_type(exc), mask_secrets(_read_message(exc))
    body = "\n".join([*_render_head(request, name, message), *_render_sections(request, exc), "</main>", _FOOTER])
    html = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<meta name="description" content="An unhandled exception">\n<title>{escape(name)}: {escape(message[:80])}'
        f'</title>\n<link rel="icon" href="data:,">\n<style>{sheet}</style>\n</head>\n<body>\n{body}\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )
    policy = (
        f"default-src 'none'; style-src {hash_for_csp(sheet)}; script-src {hash_for_csp(script)}; img-src data:;"
        " base-uri 'none'; frame-ancestors 'self'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Vary": "Accept",
    }
    return HTMLResponse(html, 500, headers)


def _render_head(request: Request, name: str, message: str) -> Iterator[str]:
    yield f'<header>\n<p class="asked">{escape(request.method)} {escape(request.url.path)}</p>'
    yield f'<h1>{escape(name)}</h1>\n<p class="message">{escape(message)}</p>'
    yield '<p class="actions"><button type="button" id="copy">Copy as text</button>'
    yield '<span id="copied" role="status"></span></p>\n</header>\n<main>'


def _render_sections(request: Request, exc: Exception) -> Iterator[str]:
    yield from _render_own_frame(read_frames(exc))
    yield from (_render_link(link, relation) for link, relation in iterate_links(exc))
    yield _render_request(request)
    yield _render_steps(request)
    text = (
        f'<pre id="text" tabindex="0" role="region" aria-label="The traceback">{escape(_format_traceback(exc))}</pre>'
    )
    yield f'<details class="section"><summary><h2>As text</h2></summary>{text}</details>'


def _render_own_frame(frames: Sequence[Frame]) -> Iterator[str]:
    """Yield the frame that its reader wrote, nearest to where the exception was raised."""
    frame = next((frame for frame in frames if frame.kind == "yours"), None)
    if frame is not None:
        yield (
            f'<section class="section own"><h2>In your code</h2><p class="place">{_render_place(frame)}</p>'
            f"{_render_code(frame)}{_render_values(frame.values)}</section>"
        )


def _render_link(exc: BaseException, relation: str) -> str:
    title = "All frames" if not relation else relation
    named = (
        f'<p class="message"><strong>{escape(_format_type(exc))}</strong> {escape(mask_secrets(str(exc)))}</p>'
        if relation
        else ""
    )
    frames = _shorten(read_frames(exc))
    groups = "".join(_render_group(kind, list(found)) for kind, found in groupby(frames, lambda frame: frame.kind))
    empty = "" if frames else "<p>It has no frames.</p>"
    return f'<section class="section"><h2>{title}</h2>{named}{empty}{groups}</section>'


def _render_group(kind: str, frames: list[Frame]) -> str:
    inner = "".join(_render_frame(frame) for frame in frames)
    if kind != "package":
        return inner
    names = dict.fromkeys(frame.place.partition("/")[0].removesuffix(".py") for frame in frames)
    count = f"{len(frames)} frame{'s' * (len(frames) > 1)}"
    return f'<details class="packages"><summary>{count} in {escape(", ".join(names))}</summary>{inner}</details>'


def _render_frame(frame: Frame) -> str:
    note = ' <span class="note">generated for this route</span>' if frame.kind == "generated" else ""
    return (
        f'<details class="frame {frame.kind}"><summary>{_render_place(frame)}{note}</summary>'
        f"{_render_code(frame)}{_render_values(frame.values)}</details>"
    )


def _render_place(frame: Frame) -> str:
    return f"<code>{escape(frame.function)}</code> <span>{escape(frame.place)}:{frame.line}</span>"


def _render_code(frame: Frame) -> str:
    lines = "".join(_render_line(number, text, frame) for number, text in frame.code)
    label = escape(f"Code of {frame.place} around line {frame.line}")
    return f'<pre class="lines" tabindex="0" aria-label="{label}" role="region">{lines}</pre>' if lines else ""


def _render_line(number: int, text: str, frame: Frame) -> str:
    start, end = frame.span
    if number != frame.line:
        code = escape(mask_secrets(text))
    elif end > start and mask_secrets(text) == text:
        code = f"{escape(text[:start])}<mark>{escape(text[start:end])}</mark>{escape(text[end:])}"
    else:
        code = escape(mask_secrets(text))
    current = ' class="current"' if number == frame.line else ""
    return f"<span{current}><i>{number:>5}</i> {code}\n</span>"


def _render_values(values: dict[str, str]) -> str:
    return _render_table("Local variables", values.items()) if values else ""


def _render_table(caption: str, rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in rows)
    return f"<table><caption>{caption}</caption><tbody>{body}</tbody></table>"


def _render_request(request: Request) -> str:
    table = _render_table("What was asked", _iterate_request(request))
    return f'<section class="section"><h2>Request</h2>{table}</section>'


def _render_steps(request: Request) -> str:
    lines = _list_steps(request)
    if not lines:
        return ""
    text = escape("\n".join(lines))
    return (
        f'<section class="section"><h2>Plan of the route</h2><pre class="plan" tabindex="0" role="region"'
        f' aria-label="Plan of the route">{text}</pre></section>'
    )
