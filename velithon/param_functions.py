"""`Query()`, `Depends()` and so on as functions.

They return `Any`, so that type checkers accept them as defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from typing_extensions import Unpack

from velithon import params
from velithon.params import ParamOptions, Scope, Undefined

__all__ = ["Body", "Cookie", "Depends", "File", "Form", "Header", "Path", "Query", "Security"]


def Path(default: object = ..., **options: Unpack[ParamOptions]) -> Any:
    """Read the parameter from the path. See `velithon.params.Path`."""
    return params.Path(default, **options)


def Query(default: object = Undefined, **options: Unpack[ParamOptions]) -> Any:
    """Read the parameter from the query string. See `velithon.params.Query`."""
    return params.Query(default, **options)


def Header(default: object = Undefined, *, convert_underscores: bool = True, **options: Unpack[ParamOptions]) -> Any:
    """Read the parameter from the headers. See `velithon.params.Header`."""
    return params.Header(default, convert_underscores=convert_underscores, **options)


def Cookie(default: object = Undefined, **options: Unpack[ParamOptions]) -> Any:
    """Read the parameter from the cookies. See `velithon.params.Cookie`."""
    return params.Cookie(default, **options)


def Body(
    default: object = Undefined,
    *,
    embed: bool | None = None,
    media_type: str = "application/json",
    **options: Unpack[ParamOptions],
) -> Any:
    """Read the parameter from the body. See `velithon.params.Body`."""
    return params.Body(default, embed=embed, media_type=media_type, **options)


def Form(
    default: object = Undefined,
    *,
    media_type: str = "application/x-www-form-urlencoded",
    **options: Unpack[ParamOptions],
) -> Any:
    """Read the parameter from a form. See `velithon.params.Form`."""
    return params.Form(default, media_type=media_type, **options)


def File(
    default: object = Undefined, *, media_type: str = "multipart/form-data", **options: Unpack[ParamOptions]
) -> Any:
    """Read the parameter from an uploaded file. See `velithon.params.File`."""
    return params.File(default, media_type=media_type, **options)


def Depends(
    dependency: Callable[..., object] | None = None,
    *,
    use_cache: bool = True,
    scope: Scope | None = None,
    max_concurrency: int | None = None,
    raises: Sequence[object] = (),
) -> Any:
    """Make the parameter by a call. See `velithon.params.Depends`."""
    return params.Depends(dependency, use_cache, scope, max_concurrency=max_concurrency, raises=raises)


def Security(
    dependency: Callable[..., object] | None = None,
    *,
    scopes: Sequence[str] | None = None,
    use_cache: bool = True,
    raises: Sequence[object] = (),
) -> Any:
    """Make the parameter by a call that asks for OAuth2 scopes. See `velithon.params.Security`."""
    return params.Security(dependency, use_cache, scopes=scopes, raises=raises)
