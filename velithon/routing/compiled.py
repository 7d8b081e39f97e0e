"""Paths, compiled by Starlette."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.convertors import CONVERTOR_TYPES
from starlette.routing import PARAM_REGEX, compile_path

from velithon.exceptions import RegistrationError

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from starlette.convertors import Convertor

__all__ = ["read_compiled_path"]


def read_compiled_path(
    path: str, endpoint: Callable[..., object]
) -> tuple[re.Pattern[str], str, dict[str, Convertor[object]]]:
    """Return a path's pattern, its template and the convertors of its parameters by name.

    Raises:
        RegistrationError: A convertor is unknown.
    """
    for match in PARAM_REGEX.finditer(path):
        convertor = (match[2] or "str").lstrip(":")
        if convertor not in CONVERTOR_TYPES:
            raise RegistrationError(
                f"The path {path!r} has the unknown convertor {convertor!r}; "
                f"there are {', '.join(sorted(CONVERTOR_TYPES))}.",
                endpoint=endpoint,
            )
    return compile_path(path)
