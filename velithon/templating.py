"""Starlette's templates with Jinja2, which the extra ``templates`` installs."""

from __future__ import annotations

from importlib.util import find_spec

from starlette.templating import Jinja2Templates

__all__ = ["Jinja2Templates"]

if find_spec("jinja2") is None:
    raise ImportError("velithon.templating needs Jinja2: pip install 'velithon[templates]'")
