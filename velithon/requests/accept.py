"""Reading `Accept` and `Accept-Encoding`."""

from __future__ import annotations

from collections.abc import Collection

# The weights that mean "not acceptable" (RFC 9110 12.4.2).
_REFUSALS = ("q=0", "q=0.0", "q=0.00", "q=0.000")


def accepts(header: str | None, names: Collection[str]) -> bool:
    """Tell whether a header names one of `names`, in lower case, and does not refuse it with `q=0`."""
    for item in (header or "").split(","):
        name, *parameters = "".join(item.lower().split()).split(";")
        if name in names:
            return not any(parameter in _REFUSALS for parameter in parameters)
    return False
