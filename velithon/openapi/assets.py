"""The files behind the pages: our own, and those of other viewers from installed packages.

No third party's file lives in this repository. Packages are never imported, only looked up. `swagger-ui-py` is the
extra `docs`; the others ask for Django or Flask in their metadata: they are used where they are installed, and never
required.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

_STATIC = Path(__file__).parent / "static"
_PAGE = (
    *("elements.js", "schema.js", "request.js", "authorize.js", "samples.js"),
    *("operation.js", "navigation.js", "page.js"),
)
_BUNDLES = {"page.js": _PAGE, "page.css": ("page.css",), "redirect.js": ("redirect.js",)}
_BUNDLES |= {name: (name,) for name in ("swagger.js", "swagger.css")}
_TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}
_SIDECAR = "static/drf_spectacular_sidecar"
# Name -> the packages that carry the file, the preferred one first, and where.
_CARRIED: dict[str, tuple[tuple[str, str], ...]] = {
    "swagger-ui-bundle.js": (
        ("drf_spectacular_sidecar", f"{_SIDECAR}/swagger-ui-dist/swagger-ui-bundle.js"),
        ("swagger_ui", "static/swagger-ui-bundle.js"),
    ),
    "swagger-ui.css": (
        ("drf_spectacular_sidecar", f"{_SIDECAR}/swagger-ui-dist/swagger-ui.css"),
        ("swagger_ui", "static/swagger-ui.css"),
    ),
    "redoc.js": (
        ("drf_spectacular_sidecar", f"{_SIDECAR}/redoc/bundles/redoc.standalone.js"),
        ("flask_openapi3_redoc", "templates/redoc/js/redoc.standalone.js"),
    ),
    "scalar.js": (("flask_openapi3_scalar", "templates/scalar/js/scalar.standalone.js"),),
    "rapidoc.js": (("flask_openapi3_rapidoc", "templates/rapidoc/js/rapidoc-min.js"),),
    "elements-viewer.js": (("flask_openapi3_elements", "templates/elements/js/web-components.min.js"),),
    "elements-viewer.css": (("flask_openapi3_elements", "templates/elements/css/styles.min.css"),),
}


class Asset(NamedTuple):
    """A file as it is served."""

    content: bytes
    media_type: str
    etag: str

    @property
    def version(self) -> str:
        """A short name of this content, for URLs that may be cached for ever."""
        return self.etag.strip('"')


@cache
def find_asset(name: str) -> Asset | None:
    """Return a file by the name under which it is served, or none."""
    if name in _BUNDLES:
        content = b"\n".join((_STATIC / part).read_bytes() for part in _BUNDLES[name])
    else:
        path = _find_foreign(name)
        if path is None:
            return None
        content = path.read_bytes()
    etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    return Asset(content, _TYPES[Path(name).suffix], etag)


def read_source(name: str) -> str:
    """Return one of our own files as text, to be put into a page."""
    found = find_asset(name)
    if found is None:
        raise LookupError(f"velithon.openapi has no file {name!r}")
    return found.content.decode()


def is_carried(name: str) -> bool:
    """Tell whether an installed package carries another viewer's file."""
    return _find_foreign(name) is not None


def _find_foreign(name: str) -> Path | None:
    for package, place in _CARRIED.get(name, ()):
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            continue
        path = Path(spec.origin).parent / place
        if path.is_file():
            return path
    return None
