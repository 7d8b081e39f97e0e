"""The document as Markdown, and parts of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from velithon._runtime.json_values import JSONObject

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
Operation = tuple[str, str, JSONObject]


def select_operations(document: JSONObject, *, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> JSONObject:
    """Return a copy of a document with the operations whose tags were asked for.

    Args:
        document: An OpenAPI document.
        include: Keep only operations with one of these tags; none keeps all.
        exclude: Leave out operations with one of these.
    """

    def keeps(operation: JSONObject) -> bool:
        tags = set(operation.get("tags", ()))
        return (not include or bool(tags & set(include))) and not tags & set(exclude)

    paths: JSONObject = {}
    for path, item in document.get("paths", {}).items():
        kept = {key: value for key, value in item.items() if key not in _METHODS or keeps(value)}
        if any(key in _METHODS for key in kept):
            paths[path] = kept
    return {**document, "paths": paths}


def as_markdown(document: JSONObject) -> str:
    """Return a document as Markdown: its operations by tag, then its schemas."""
    return "\n".join(_Markdown(document).write_document()).rstrip() + "\n"


class _Markdown:
    def __init__(self, document: JSONObject) -> None:
        self.document = document

    def write_document(self) -> Iterator[str]:
        info = self.document["info"]
        yield f"# {info['title']}"
        yield from ("", f"Version {info['version']}, OpenAPI {self.document['openapi']}", "")
        for text in (info.get("summary"), info.get("description")):
            if text:
                yield from (text, "")
        if self.document.get("servers"):
            yield from ("## Servers", "")
            for server in self.document["servers"]:
                described = f": {server['description']}" if server.get("description") else ""
                yield f"- `{server['url']}`{described}"
            yield ""
        for tag, operations in self.group_operations().items():
            yield from (f"## {tag}", "")
            for operation in operations:
                yield from self.write_operation(*operation)
        yield from self.write_components()

    def group_operations(self) -> dict[str, list[Operation]]:
        """Group the operations by tag: the document's tags first, then as they appear."""
        groups: dict[str, list[Operation]] = {tag["name"]: [] for tag in self.document.get("tags", ())}
        for path, item in self.document["paths"].items():
            for method in _METHODS:
                if method in item:
                    for tag in item[method].get("tags") or ["default"]:
                        groups.setdefault(tag, []).append((method, path, item[method]))
        for name, item in self.document.get("webhooks", {}).items():
            for method in _METHODS:
                if method in item:
                    groups.setdefault("Webhooks", []).append((method, name, item[method]))
        return {tag: operations for tag, operations in groups.items() if operations}

    def write_operation(self, method: str, path: str, operation: JSONObject) -> Iterator[str]:
        yield from (f"### `{method.upper()} {path}`", "")
        if operation.get("deprecated"):
            yield from ("**Deprecated.**", "")
        for text in (operation.get("summary"), operation.get("description")):
            if text:
                yield from (text, "")
        if operation.get("security"):
            names = [" and ".join(_format_scopes(*pair) for pair in wanted.items()) for wanted in operation["security"]]
            yield from (f"Authorization: {' or '.join(name or 'none' for name in names)}", "")
        if operation.get("parameters"):
            yield from _write_table(
                ("Parameter", "In", "Type", "Required", "Description"), map(_write_parameter, operation["parameters"])
            )
        body = operation.get("requestBody")
        if body:
            yield from (f"Request body{' (required)' if body.get('required') else ''}:", "")
            yield from self.write_content(body.get("content", {}))
        yield from ("Responses:", "")
        for status, response in operation.get("responses", {}).items():
            yield f"- `{status}`: {_escape_line(response.get('description', ''))}"
            for media_type, media in response.get("content", {}).items():
                yield f"  - `{media_type}`: {_format_type(media.get('schema', media.get('itemSchema', {})))}"
        yield ""

    def write_content(self, content: JSONObject) -> Iterator[str]:
        for media_type, media in content.items():
            yield f"- `{media_type}`: {_format_type(media.get('schema', {}))}"
            example = media.get("example")
            if example is not None:
                yield from (
                    "",
                    "  ```json",
                    *(f"  {line}" for line in json.dumps(example, indent=2).splitlines()),
                    "  ```",
                )
        yield ""

    def write_components(self) -> Iterator[str]:
        components = self.document.get("components", {})
        if components.get("securitySchemes"):
            yield from ("## Authorization", "")
            for name, scheme in components["securitySchemes"].items():
                described = f": {_escape_line(scheme['description'])}" if scheme.get("description") else ""
                yield f"- `{name}` ({scheme['type']}){described}"
            yield ""
        if components.get("schemas"):
            yield from ("## Schemas", "")
        for name, schema in components.get("schemas", {}).items():
            yield from (f"### {name}", "")
            if schema.get("description"):
                yield from (schema["description"], "")
            properties = schema.get("properties")
            if properties:
                required = schema.get("required", ())
                rows = (_write_property(key, value, key in required) for key, value in properties.items())
                yield from _write_table(("Property", "Type", "Required", "Description"), rows)
            else:
                yield from (_format_type(schema), "")


def _format_scopes(name: str, scopes: list[str]) -> str:
    return f"`{name}` ({', '.join(scopes)})" if scopes else f"`{name}`"


def _write_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _write_parameter(parameter: JSONObject) -> tuple[str, ...]:
    required = "yes" if parameter.get("required") else ""
    schema = _format_type(parameter.get("schema", {}))
    return (f"`{parameter['name']}`", parameter["in"], schema, required, _escape_line(parameter.get("description", "")))


def _write_property(name: str, schema: JSONObject, required: bool) -> tuple[str, ...]:
    return (f"`{name}`", _format_type(schema), "yes" if required else "", _escape_line(schema.get("description", "")))


def _escape_line(text: str) -> str:
    """Return text that cannot break out of a table's cell or a list's item."""
    return " ".join(text.split()).replace("|", "\\|")


def _format_type(schema: object) -> str:
    return _escape_line(_format_schema(schema))


def _format_schema(schema: object) -> str:
    if not isinstance(schema, dict) or not schema:
        return "any"
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    for key, joint in (("anyOf", " | "), ("oneOf", " | "), ("allOf", " & ")):
        if key in schema:
            return joint.join(_format_schema(choice) for choice in schema[key])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " | ".join(f"`{json.dumps(choice)}`" for choice in schema["enum"])
    if schema.get("type") == "array":
        return f"array of {_format_schema(schema.get('items'))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map of {_format_schema(schema['additionalProperties'])}"
    kind = schema.get("type", "any")
    kind = " | ".join(kind) if isinstance(kind, list) else kind
    return f"{kind} ({schema['format']})" if "format" in schema else kind
