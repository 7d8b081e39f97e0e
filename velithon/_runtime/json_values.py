"""The types of JSON values, for annotations."""

from __future__ import annotations

from typing import Any, TypeAlias

__all__ = ["JSONObject"]

JSONObject: TypeAlias = dict[str, Any]
"""An object of JSON, such as the document or a schema in it: its values are whatever JSON has."""
