"""Reading `Accept` and `Accept-Encoding`."""

from __future__ import annotations

from collections.abc import Collection

# The weights that mean "not acceptable" (RFC 9110 12.4.2).
_REFUSALS = ("q=0", "q=0.0", "q=0.00", "q=0.000")


def accepts(header: str | None, names: Collection[str]) -> bool:
    """Tell whether a header accepts one of `names`, in lower case.

    One with `q=0` is refused (RFC 9110 12.4.2).
    """
    for item in (header or "").split(","):
        name, *parameters = "".join(item.lower().split()).split(";")
        if name in names:
            return not any(parameter in _REFUSALS for parameter in parameters)
    return False


def prefers_html(header: str | None) -> bool:
    """Tell whether a header asks for HTML rather than for JSON, as browsers do.

    `*/*` alone asks for neither.
    """
    if not header or "text/html" not in header.lower():
        return False
    weights: dict[str, float] = {}
    for item in header.lower().split(","):
        name, *parameters = "".join(item.split()).split(";")
        weights[name] = next((_read_weight(text[2:]) for text in parameters if text.startswith("q=")), 1.0)
    json = next((weights[name] for name in ("application/json", "application/*", "*/*") if name in weights), 0.0)
    return weights.get("text/html", 0.0) > json


def _read_weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
