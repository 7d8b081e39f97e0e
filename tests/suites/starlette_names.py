"""A pytest plugin: `as_starlette.x` has the names of `starlette.x`, each of them ours where we have it.

Starlette's tests import from there: the runner changes their `from starlette` when it unpacks them. `Starlette` is our
application without what Velithon has by default and Starlette has not: no document, and errors in plain text instead of
JSON; the list of layers is turned round, for Velithon's last one is the outermost. Of exceptions and uploaded files the
names are Starlette's: ours are subclasses, and `velithon.Request`, which is Starlette's class, makes its own.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware

from velithon import Velithon


class Starlette(Velithon):
    """The application as Starlette's tests make it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options["middleware"] = options.get("middleware") and options["middleware"][::-1]
        super().__init__(*args, openapi_url=None, **options)
        text = ExceptionMiddleware(_nothing)
        for error, handler in self.exception_handlers.items():
            if error is HTTPException and handler.__module__ == "velithon.exception_handlers":
                self.exception_handlers[error] = text.http_exception


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """Stand in for the application of a layer whose handler is wanted."""


_BASES = {(".exceptions", "HTTPException"), (".exceptions", "WebSocketException"), (".datastructures", "UploadFile")}


class _Importer(MetaPathFinder, Loader):
    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if name.partition(".")[0] == "as_starlette" else None

    def exec_module(self, module: ModuleType) -> None:
        below = module.__name__.removeprefix("as_starlette")
        theirs = importlib.import_module(f"starlette{below}")
        names = {name: value for name, value in vars(theirs).items() if not name.startswith("__")}
        ours = importlib.import_module(f"velithon{below}") if below and _exists(f"velithon{below}") else None
        for name in names:
            if not name.startswith("_") and hasattr(ours, name) and (below, name) not in _BASES:
                names[name] = getattr(ours, name)
        if below == ".applications":
            names["Starlette"] = Starlette
        vars(module).update(names)


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


sys.meta_path.insert(0, _Importer())
