"""What a path template says of its parameters."""

from __future__ import annotations

import re


def list_path_names(path: str) -> set[str]:
    """Return the names of a path template's parameters, without their convertors."""
    return {name.partition(":")[0] for name in re.findall("{(.*?)}", path)}


def has_convertor(path: str, name: str) -> bool:
    """Tell whether a path parameter arrives as something else than a string."""
    found = re.search(rf"{{{re.escape(name)}:(.*?)}}", path)
    return found is not None and found.group(1) not in ("str", "path")
