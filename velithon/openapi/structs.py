"""The schemas of Structs and attrs classes in a document.

msgspec makes them; they stand among the components that pydantic made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from velithon._runtime.json_values import JSONObject
from velithon.openapi.constants import REF_PREFIX
from velithon.signature.structs import MARK

__all__ = ["resolve_structs"]

_MSGSPEC_PREFIX = "#/msgspec/"


def resolve_structs(schemas: Iterable[object], components: JSONObject) -> None:
    """Put msgspec's schemas where pydantic left marks, and what they refer to among the components.

    Args:
        schemas: Every schema that may hold a mark; they are changed in place.
        components: What the document has under `components/schemas`; a name taken there gets `Struct` appended.
    """
    marked = list(_find_marked(list(schemas)))
    found, named = msgspec.json.schema_components(
        [schema[MARK].kind for schema in marked], ref_template=_MSGSPEC_PREFIX + "{name}"
    )
    names = {name: name if name not in components else f"{name}Struct" for name in named}
    for schema, given in zip(marked, found, strict=True):
        del schema[MARK]
        schema.update(_rename_references(given, names))
    for name, given in named.items():
        components[names[name]] = _rename_references(given, names)


def _find_marked(schema: object) -> Iterator[JSONObject]:
    """Yield every schema with a mark, once."""
    seen: set[int] = set()
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, dict):
            if MARK in part:
                yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _rename_references(schema: object, names: dict[str, str]) -> Any:
    if isinstance(schema, list):
        return [_rename_references(item, names) for item in schema]
    if not isinstance(schema, dict):
        return schema
    renamed = {key: _rename_references(value, names) for key, value in schema.items()}
    reference = renamed.get("$ref")
    if isinstance(reference, str) and reference.startswith(_MSGSPEC_PREFIX):
        renamed["$ref"] = REF_PREFIX + names[reference.removeprefix(_MSGSPEC_PREFIX)]
    return renamed
