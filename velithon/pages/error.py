"""The page that a browser shows for an error that has none of its own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from html import escape
from http import HTTPStatus
from pathlib import Path

from velithon.pages.csp import hash_for_csp
from velithon.responses.base import HTMLResponse

__all__ = ["read_style", "render_error_page"]

_EXPLAINED = {
    404: "There is nothing at this address.",
    405: "This address does not answer requests of this kind.",
    500: "Something went wrong on the server.",
}


@cache
def read_style(name: str) -> str:
    """Return one of the style sheets or scripts beside this module."""
    return (Path(__file__).parent / "static" / name).read_text(encoding="utf-8")


def render_error_page(status_code: int, detail: str = "", headers: Mapping[str, str] | None = None) -> HTMLResponse:
    """Return the page of an error.

    Args:
        status_code: 400 to 599.
        detail: What `HTTPException` says; its default, the status's phrase, is not said twice.
        headers: Sent along.
    """
    try:
        phrase = HTTPStatus(status_code).phrase
    except ValueError:
        phrase = "Error"
    said = detail if detail != phrase else ""
    text = said or _EXPLAINED.get(status_code, "")
    sheet = read_style("error.css")
    body = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{status_code} {escape(phrase)}</title>\n"
        f'<meta name="description" content="{escape(phrase)}">\n'
        f'<link rel="icon" href="data:,">\n<style>{sheet}</style>\n</head>\n'
        f"<body>\n<main>\n<p class=code>{status_code}</p>\n<h1>{escape(phrase)}</h1>\n"
        f"{f'<p>{escape(text)}</p>' if text else ''}\n</main>\n</body>\n</html>\n"
    )
    policy = (
        f"default-src 'none'; style-src {hash_for_csp(sheet)}; img-src data:; base-uri 'none'; frame-ancestors 'self'"
    )
    given = {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Vary": "Accept"}
    return HTMLResponse(body, status_code, {**given, **(headers or {})})
