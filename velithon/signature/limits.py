"""How much a form may hold."""

from __future__ import annotations

from collections.abc import Mapping

from velithon.exceptions import RegistrationError

DEFAULT_LIMITS: dict[str, int] = {"max_files": 1000, "max_fields": 1000, "max_part_size": 1024 * 1024}
"""Files, fields that are no files, and the bytes of one such field."""


def check_limits(limits: Mapping[str, int] | None) -> dict[str, int]:
    """Return the limits of forms with the defaults for what is not said.

    Raises:
        RegistrationError: A limit is unknown, or is no number of at least 0.
    """
    given = dict(limits or {})
    for name, value in given.items():
        if name not in DEFAULT_LIMITS:
            raise RegistrationError(f"form_limits has no {name!r}; it takes {', '.join(DEFAULT_LIMITS)}")
        if type(value) is not int or value < 0:
            raise RegistrationError(f"form_limits[{name!r}] must be a number of at least 0, not {value!r}")
    return {**DEFAULT_LIMITS, **given}
