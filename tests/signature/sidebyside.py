"""Runs the same source text under FastAPI and under Velithon and compares what they answer."""

from __future__ import annotations

import itertools
import json
import re
import sys
import types
import warnings
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient as StarletteTestClient

from velithon.testclient import TestClient

_numbers = itertools.count()


def namespaces(source: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Execute a module's text for FastAPI, and with its imports mapped for Velithon."""
    theirs, ours = _module("fastapi_side"), _module("velithon_side")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(source, "<theirs>", "exec", dont_inherit=True), theirs)
        mapped = re.sub(r"\bfastapi\b", "velithon", source).replace("FastAPI", "Velithon")
        exec(compile(mapped, "<ours>", "exec", dont_inherit=True), ours)
    return theirs, ours


def _module(name: str) -> dict[str, Any]:
    # Dataclasses and forward references look their module up by its name.
    name = f"{name}_{next(_numbers)}"
    module = sys.modules[name] = types.ModuleType(name)
    return module.__dict__


class Pair:
    """Two applications made of one text, ours on both protocols, and a client for each.

    Args:
        text: A text, or the name of one in `apps`.
    """

    def __init__(self, text: str | Path) -> None:
        if isinstance(text, str):
            text = Path(__file__).parent / "apps" / f"{text}.txt"
        source = text.read_text()
        theirs, ours = namespaces(source)
        # Of its own, because applications remember what they were asked.
        _, over_rsgi = namespaces(source)
        self.theirs = StarletteTestClient(theirs["app"], raise_server_exceptions=False)
        self.ours = StarletteTestClient(ours["app"], raise_server_exceptions=False)
        self.over_rsgi = TestClient(over_rsgi["app"], raise_server_exceptions=False, protocol="rsgi")
        self.logs = (theirs.get("log"), ours.get("log"), over_rsgi.get("log"))
        self.requests: list[Any] = theirs.get("REQUESTS", [])

    def same(self, method: str, path: str, **options: Any) -> Any:
        """Send one request to all and compare status, body and headers; return the answer over ASGI."""
        expected = self.theirs.request(method, path, **options)
        answers = {"asgi": self.ours.request(method, path, **options)}
        if not _has_headers_that_rsgi_hides(options):
            answers["rsgi"] = self.over_rsgi.request(method, path, **options)
        for client in (self.theirs, self.ours, self.over_rsgi):
            client.cookies.clear()
        for protocol, found in answers.items():
            assert described(found) == described(expected), f"{method} {path} {options} over {protocol}"
        if self.logs[0] is not None:
            assert self.logs[0] == self.logs[1] == self.logs[2], f"{method} {path} {options}"
        return answers["asgi"]


def _has_headers_that_rsgi_hides(options: dict[str, Any]) -> bool:
    sent = options.get("headers") or ()
    values = [value for _, value in sent] if isinstance(sent, list) else dict(sent).values()
    texts = [value.decode("latin-1") if isinstance(value, bytes) else value for value in values]
    return any(not re.fullmatch(r"[\t\x20-\x7e]*", text) for text in texts)


def described(response: Any) -> tuple[Any, ...]:
    """Return what a client sees; JSON is compared as data, because spaces are not."""
    headers = sorted((name, value) for name, value in response.headers.multi_items() if name != "content-length")
    try:
        body = json.loads(response.content, object_hook=_without_internals)
    except ValueError:
        body = response.content
    return response.status_code, body, headers


def _without_internals(item: dict[str, Any]) -> dict[str, Any]:
    """An upload that is the input of an error shows its file object's attributes, which change as it is read."""
    return {name: value for name, value in item.items() if not (name == "file" and "_max_mem_size" in item)}
