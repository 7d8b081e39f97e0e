"""The files behind the pages: our own, and Swagger UI's where an installed package carries it.

No third party's file lives in this repository. Two packages on PyPI hold Swagger UI 5, and neither is imported, only
looked up: `swagger-ui-py` (the extra `docs`) and `drf-spectacular-sidecar`, which is the newer and smaller one but asks
for Django: it is used where it is installed and never required. The latter's ReDoc is left alone: it shows a picture
from a CDN.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

_STATIC = Path(__file__).parent / "static"
_PAGE = ("elements.js", "schema.js", "request.js", "authorize.js", "operation.js", "page.js")
_BUNDLES = {"page.js": _PAGE, "page.css": ("page.css",), "redirect.js": ("redirect.js",), "swagger.js": ("swagger.js",)}
_TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}
_SWAGGER: tuple[tuple[str, str], ...] = (
    ("drf_spectacular_sidecar", "static/drf_spectacular_sidecar/swagger-ui-dist"),
    ("swagger_ui", "static"),
)


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
def asset(name: str) -> Asset | None:
    """Return a file by the name it is served under, or none if there is no such file."""
    if name in _BUNDLES:
        content = b"\n".join((_STATIC / part).read_bytes() for part in _BUNDLES[name])
    else:
        path = _foreign(name)
        if path is None:
            return None
        content = path.read_bytes()
    etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    return Asset(content, _TYPES[Path(name).suffix], etag)


def source(name: str) -> str:
    """Return one of our own files as text, to be put into a page."""
    found = asset(name)
    if found is None:
        raise LookupError(f"velithon.openapi has no file {name!r}")
    return found.content.decode()


def has_swagger_ui() -> bool:
    """Tell whether an installed package carries Swagger UI 5."""
    return _foreign("swagger-ui-bundle.js") is not None and _foreign("swagger-ui.css") is not None


def _foreign(name: str) -> Path | None:
    if name not in {"swagger-ui-bundle.js", "swagger-ui.css"}:
        return None
    for package, directory in _SWAGGER:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            continue
        path = Path(spec.origin).parent / directory / name
        if path.is_file():
            return path
    return None
