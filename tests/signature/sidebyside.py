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
    """Two applications made of one text, and a client for each.

    Args:
        name: The name of a text in `apps`.
    """

    def __init__(self, name: str) -> None:
        source = (Path(__file__).parent / "apps" / f"{name}.txt").read_text()
        theirs, ours = namespaces(source)
        self.theirs = StarletteTestClient(theirs["app"], raise_server_exceptions=False)
        self.ours = StarletteTestClient(ours["app"], raise_server_exceptions=False)
        self.logs = (theirs.get("log"), ours.get("log"))

    def same(self, method: str, path: str, **options: Any) -> Any:
        """Send one request to both and compare status, body and headers."""
        expected = self.theirs.request(method, path, **options)
        found = self.ours.request(method, path, **options)
        self.theirs.cookies.clear()
        self.ours.cookies.clear()
        assert described(found) == described(expected), f"{method} {path} {options}"
        if self.logs[0] is not None:
            assert self.logs[0] == self.logs[1], f"{method} {path} {options}"
        return found


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
