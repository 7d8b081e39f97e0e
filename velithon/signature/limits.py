"""How much a body and a form may hold."""

from __future__ import annotations

from collections.abc import Mapping

from velithon.exceptions import RegistrationError

DEFAULT_LIMITS: dict[str, int] = {"max_files": 1000, "max_fields": 1000, "max_part_size": 1024 * 1024}
"""Files, fields that are no files, and the bytes of one such field."""


class LimitError(RegistrationError, ValueError):
    """A limit that cannot be kept."""


def check_limits(limits: Mapping[str, int] | None) -> dict[str, int]:
    """Return the limits of forms with the defaults for what is not said.

    Raises:
        LimitError: A limit is unknown, or is no number of at least 0.
    """
    given = dict(limits or {})
    for name, value in given.items():
        if name not in DEFAULT_LIMITS:
            raise LimitError(f"form_limits has no {name!r}; it takes {', '.join(DEFAULT_LIMITS)}")
        _check_count(f"form_limits[{name!r}]", value)
    return {**DEFAULT_LIMITS, **given}


def check_size(size: object) -> int | None:
    """Return `max_body_size`.

    Raises:
        LimitError: It is neither `None` nor a number of at least 0.
    """
    return None if size is None else _check_count("max_body_size", size)


def _check_count(name: str, value: object) -> int:
    # `True` is an `int`, and one byte is not what it was meant for.
    if type(value) is not int or value < 0:
        raise LimitError(f"{name} must be a non-negative integer, not {value!r}")
    return value
