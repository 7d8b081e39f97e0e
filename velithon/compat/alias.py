"""The name `fastapi` for Velithon: an importer that finds Velithon's module for each of FastAPI's."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import Distribution, DistributionFinder
from pathlib import Path
from types import ModuleType

from velithon.compat.asked import VARIABLE, is_asked_for

__all__ = ["install", "is_asked_for", "is_installed"]

# The version of FastAPI whose names and behaviour are taken.
VERSION = "0.165.0"
_ELSEWHERE = {
    "fastapi.cli": "velithon.cli",
    "fastapi.dependencies.models": "velithon.compat.dependant",
    "fastapi.dependencies.utils": "velithon.compat.dependencies",
}
_PACKAGES = ("fastapi.dependencies",)


class _Distribution(Distribution):
    """What packages look for that ask which FastAPI is installed before they work with it."""

    def read_text(self, filename: str) -> str | None:
        if filename != "METADATA":
            return None
        summary = "Velithon, which this process takes for FastAPI"
        return f"Metadata-Version: 2.1\nName: fastapi\nVersion: {VERSION}\nSummary: {summary}\n"

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        return Path(__file__).parent / path


class _Importer(MetaPathFinder, Loader):
    """Finds `fastapi.x` as `velithon.x`; the very same module, so that what is patched is patched."""

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] != "fastapi":
            return None
        private = "._" in name
        if name != "fastapi" and name not in _PACKAGES and (private or not _has_module(_translate_module_name(name))):
            raise ModuleNotFoundError(
                f"{name} is internal to FastAPI and Velithon has nothing of the kind: use the public names of fastapi.",
                name=name,
            )
        return ModuleSpec(name, self, is_package=True)

    def find_distributions(self, context: DistributionFinder.Context) -> list[Distribution]:
        """Return a distribution for `importlib.metadata.version("fastapi")`, where FastAPI's own is not installed."""
        is_asked = context.name is not None and context.name.lower() == "fastapi"
        return [] if not is_asked or any(PathFinder.find_distributions(context)) else [_Distribution()]

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        if spec.name == "fastapi":
            return _build_top_module()
        if spec.name in _PACKAGES:
            return None
        module = importlib.import_module(_translate_module_name(spec.name))
        self._kept = (module.__spec__, getattr(module, "__path__", None))
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has written its own spec on a module that has one.
        if module.__name__.partition(".")[0] == "velithon":
            spec, path = self._kept
            module.__spec__ = spec
            if path is None:
                vars(module).pop("__path__", None)
            else:
                module.__path__ = path


def _translate_module_name(name: str) -> str:
    return _ELSEWHERE.get(name, "velithon" + name.removeprefix("fastapi"))


def _has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _build_top_module() -> ModuleType:
    import velithon

    module = ModuleType("fastapi", "FastAPI's public names, which Velithon answers to in this process.")
    names: dict[str, object] = {name: getattr(velithon, name) for name in velithon.__all__}
    vars(module).update(names, FastAPI=velithon.Velithon, __version__=VERSION, __getattr__=_import_submodule)
    return module


def _import_submodule(name: str) -> ModuleType:
    """Import `fastapi.routing` for whoever asks for it after `import fastapi` alone, which imports it there."""
    if name.startswith("_") or not _has_module(f"velithon.{name}"):
        raise AttributeError(f"module 'fastapi' has no attribute {name!r}")
    return importlib.import_module(f"fastapi.{name}")


def install() -> None:
    """Make `fastapi` mean Velithon, in this process and in those that it starts.

    Raises:
        RuntimeError: Somebody has imported FastAPI's own already, and may hold its classes.
    """
    if is_installed():
        return
    if "fastapi" in sys.modules:
        raise RuntimeError("fastapi is imported already: call velithon.compat.install() before anything imports it.")
    from velithon import Velithon

    options = Velithon.__init__.__kwdefaults__
    assert options is not None
    options["title"] = "FastAPI"
    sys.meta_path.insert(0, _Importer())
    os.environ[VARIABLE] = "1"


def is_installed() -> bool:
    """Tell whether `fastapi` means Velithon in this process."""
    return any(isinstance(finder, _Importer) for finder in sys.meta_path)
