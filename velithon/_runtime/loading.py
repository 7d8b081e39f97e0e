"""Find the application that `module:attribute` names, for every command that needs one."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from dataclasses import dataclass, field
from inspect import isfunction, signature
from pathlib import Path
from types import TracebackType
from typing import Any

from velithon.compat.alias import install, is_asked_for
from velithon.logging import log_warnings
from velithon_adapters.servers.config import ServerError
from velithon_adapters.servers.interface import find_protocols

__all__ = ["AppTarget", "LoadError"]


class LoadError(ServerError):
    """The application cannot be found or made.

    The message is one line, or the traceback of the user's own code.
    """


@dataclass
class AppTarget:
    """An application's address, which another process can be given to load it.

    Args:
        target: `module:attribute`, where the attribute may have dots and is `app` when left out, and the module may be
            the path of a Python file.
        factory: The attribute is a function without parameters that returns the application.
        directory: Where modules are looked for first; the working directory when it is `None`.
        debug: Whether the application's tasks are named by endpoint, for asyncio's debug mode.
        log_warnings: Whether the process that loads it logs what Python warns of, from the import on.
    """

    target: str
    factory: bool = False
    directory: Path | None = None
    debug: bool = False
    log_warnings: bool = False
    _loaded: Any = field(default=None, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, object]:
        """Leave the application behind: another process loads its own."""
        return {**self.__dict__, "_loaded": None}

    def __call__(self) -> Any:
        """Return the application, loading it the first time.

        Raises:
            LoadError: There is no such module or attribute, it is no application, or the user's code raised.
        """
        if self._loaded is None:
            self._loaded = self._load()
            if self.debug:
                from velithon.checks.task_names import name_tasks

                name_tasks(self._loaded)
            if os.environ.get("VELITHON_DEBUG_PAGES") == "1" and hasattr(self._loaded, "debug"):
                # `velithon dev`
                self._loaded.debug = True
        return self._loaded

    def prepare(self) -> None:
        """Import what every application imports in time, by its first request.

        Nothing of the application itself.
        """
        names = [
            "signature",
            "faces.serve",
            "checks.startup",
            "responses",
            *(["checks.task_names"] if self.debug else ()),
        ]
        for name in names:
            importlib.import_module(f"velithon.{name}")

    def _load(self) -> object:
        if self.log_warnings:
            log_warnings()
        module_name, _, path = self.target.partition(":")
        path = path or "app"
        module = self._import(module_name)
        found: object = module
        for name in path.split("."):
            try:
                found = getattr(found, name)
            except AttributeError as exc:
                missing = f"module {module_name!r} has no attribute {path!r}"
                raise LoadError(f"Cannot load {self.target!r}: {missing}{_suggest_names(module)}") from exc
        return self._check(self._call_factory(found) if self.factory else found)

    def _import(self, name: str) -> object:
        directory = self.directory or Path.cwd()
        if name.endswith(".py") or os.sep in name:
            directory, name = _find_module(directory / name, self.target)
        if not name or not all(part.isidentifier() for part in name.split(".")):
            raise LoadError(f"Cannot load {self.target!r}: write it as module:attribute, such as main:app.")
        if str(directory) not in sys.path:
            sys.path.insert(0, str(directory))
        importlib.invalidate_caches()
        if is_asked_for():
            install()
        try:
            return importlib.import_module(name)
        except (Exception, SystemExit) as exc:
            if (
                isinstance(exc, ModuleNotFoundError)
                and exc.name
                and (name == exc.name or name.startswith(f"{exc.name}."))
            ):
                looked = f"looked in {directory} and in sys.path"
                raise LoadError(f"Cannot load {self.target!r}: there is no module {exc.name!r} ({looked}).") from exc
            raise LoadError(_format_users_traceback(exc, f"importing {name!r} failed")) from exc

    def _call_factory(self, factory: object) -> object:
        if not callable(factory):
            raise LoadError(f"Cannot load {self.target!r}: --factory was given, and {factory!r} cannot be called.")
        try:
            return factory()
        except (Exception, SystemExit) as exc:
            raise LoadError(_format_users_traceback(exc, f"the factory {self.target!r} failed")) from exc

    def _check(self, app: object) -> object:
        if find_protocols(app):
            return app
        hint = "neither ASGI nor RSGI"
        if self.factory:
            hint = f"the factory returned {app!r}"
        elif isinstance(app, type):
            hint = "it is a class, not an instance"
        elif callable(app):
            hint = (
                "its arguments are neither ASGI's nor RSGI's; for a function that makes the application add --factory"
            )
        raise LoadError(f"Cannot load {self.target!r}: {_describe_kind(app)} is no application ({hint}).")


def _describe_kind(value: object) -> str:
    return f"{type(value).__name__} {value!r}"[:120]


def _suggest_names(module: object) -> str:
    names = (
        name
        for name, value in vars(module).items()
        # An endpoint may have as many parameters as an application written as a function.
        if not name.startswith("_")
        and find_protocols(value)
        and (not isfunction(value) or "scope" in signature(value).parameters)
    )
    applications = ", ".join(sorted(names))
    if applications:
        return f"; applications there: {applications}"
    return _suggest_submodule(module)


def _suggest_submodule(module: object) -> str:
    """Name the module of a package that probably has the application, without importing it."""
    package = getattr(module, "__name__", "")
    for directory in getattr(module, "__path__", ()):
        for name in ("main", "app", "application", "asgi"):
            if (Path(directory) / f"{name}.py").is_file():
                return f"; it is a package, and has {name}.py: write {package}.{name}:app"
    return ""


def _find_module(file: Path, target: str) -> tuple[Path, str]:
    """The directory to import from and the module's name for the path of a Python file."""
    file = (file if file.suffix == ".py" else file.with_suffix(".py")).resolve()
    if not file.is_file():
        raise LoadError(f"Cannot load {target!r}: there is no file {file}")
    parts, directory = [file.stem], file.parent
    while (directory / "__init__.py").is_file():
        parts.insert(0, directory.name)
        directory = directory.parent
    return directory, ".".join(parts)


def _format_users_traceback(exc: BaseException, what: str) -> str:
    """The traceback from the first line of the user's code on; how the import got there is nobody's interest."""
    frame: TracebackType | None = exc.__traceback__
    while frame is not None and _is_ours(frame):
        frame = frame.tb_next
    lines = traceback.format_exception(type(exc), exc, frame)
    return f"{what}:\n{''.join(lines).rstrip()}"


def _is_ours(frame: TracebackType) -> bool:
    file = frame.tb_frame.f_code.co_filename
    return file == __file__ or file.startswith("<frozen importlib") or file == importlib.__file__
