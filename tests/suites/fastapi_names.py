"""A pytest plugin: `fastapi` means Velithon, with stand-ins for private names that test modules import in passing.

One private name at the top of a module would otherwise keep all of its tests from running. A test that does use a
stand-in fails, and stands in the list as private.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import pydantic
from pydantic_core import PydanticUndefined

from velithon import compat

_PACKAGES: dict[str, dict[str, Any]] = {
    "fastapi._compat": {
        # Tests choose by it what pydantic is expected to say.
        "PYDANTIC_VERSION_MINOR_TUPLE": tuple(int(part) for part in pydantic.VERSION.split(".")[:2]),
        "Undefined": PydanticUndefined,
    },
    "fastapi._form_limits": {"_FormLimits": dict},
}
_NAMES = {
    "fastapi.dependencies.utils": ("_read_file_bytes",),
    "fastapi.routing": ("_IncludedRouter", "_iter_included_route_candidates", "_restore_fastapi_scope_key"),
}


def _install() -> None:
    compat.install()
    for name, values in _PACKAGES.items():
        module = ModuleType(name)
        vars(module).update(values)
        sys.modules[name] = module
    for name, absent in _NAMES.items():
        module = importlib.import_module(name)
        for item in absent:
            setattr(module, item, _stand_in(f"{name}.{item}"))


def _stand_in(name: str) -> Any:
    def use(cls: type, *args: Any, **options: Any) -> Any:
        raise NotImplementedError(f"{name} is private to FastAPI.")

    return type(name.rpartition(".")[2], (), {"__new__": use})


_install()
