"""What is private of pydantic, and used here.

Its `__pydantic_*__` attributes are documented, and not listed.
"""

from __future__ import annotations

__all__ = ["PRIVATE"]

PRIVATE = {
    "pydantic.fields:FieldInfo._attributes_set": "is what `Annotated` metadata is merged into",
    "pydantic.json_schema:GenerateJsonSchema._config": "tells how a model writes and reads bytes",
}
"""Module and name -> what it is used for."""
