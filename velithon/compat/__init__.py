"""Code written for FastAPI, taken as it is.

`install()` has `import fastapi` mean Velithon in this process, so that an application and its tests can be tried before
a line of them is changed. Call it before anything imports fastapi.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from velithon._runtime.lazy import lazy_attributes

if TYPE_CHECKING:
    from velithon.compat.alias import install

__all__ = ["install"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_attributes(__name__, {"install": "velithon.compat.alias"})
