"""Makes the OpenAPI document of the models that answer requests.

No signature is read a second time.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

from pydantic import AnyUrl, TypeAdapter
from starlette.routing import BaseRoute

from velithon._runtime.json_values import JSONObject
from velithon.encoders import jsonable_encoder
from velithon.openapi.constants import METHODS_WITH_BODY, REF_PREFIX
from velithon.openapi.definitions import Definitions
from velithon.openapi.fragments import add_examples, merge
from velithon.openapi.parameters import (
    collect_parameters,
    collect_security,
    iterate_fields,
    iterate_template_parameters,
    survey,
)
from velithon.openapi.responses import add_responses
from velithon.openapi.routes import DocumentedRoute, describe_routes

if TYPE_CHECKING:
    from velithon.routing.contexts import RouteContext
    from velithon.signature.fields import Field

__all__ = [
    "describe_routes",
    "get_openapi",
    "validation_error_definition",
    "validation_error_response_definition",
]

validation_error_definition = {
    "title": "ValidationError",
    "type": "object",
    "properties": {
        "loc": {"title": "Location", "type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
        "msg": {"title": "Message", "type": "string"},
        "type": {"title": "Error Type", "type": "string"},
        "input": {"title": "Input"},
        "ctx": {"title": "Context", "type": "object"},
    },
    "required": ["loc", "msg", "type"],
}
validation_error_response_definition = {
    "title": "HTTPValidationError",
    "type": "object",
    "properties": {
        "detail": {"title": "Detail", "type": "array", "items": {"$ref": REF_PREFIX + "ValidationError"}},
    },
}
_url: TypeAdapter[AnyUrl] = TypeAdapter(AnyUrl)
_ATOMS = frozenset({str, int, float, bool, type(None)})


def get_openapi(
    *,
    title: str,
    version: str,
    openapi_version: str = "3.1.0",
    summary: str | None = None,
    description: str | None = None,
    routes: Sequence[BaseRoute | RouteContext],
    webhooks: Sequence[BaseRoute | RouteContext] | None = None,
    tags: list[JSONObject] | None = None,
    servers: list[JSONObject] | None = None,
    terms_of_service: str | None = None,
    contact: JSONObject | None = None,
    license_info: JSONObject | None = None,
    separate_input_output_schemas: bool = True,
    external_docs: JSONObject | None = None,
) -> JSONObject:
    """Return the OpenAPI document of routes, as data that JSON can carry.

    Args:
        title: The API's name; this and the following make up `info`.
        version: The API's own version.
        openapi_version: What `openapi` says.
        summary: One line about the API.
        description: Markdown.
        routes: An application's or a router's routes. Mounted applications have documents of their own.
        webhooks: Routes that describe requests which the application sends.
        tags: Descriptions of the tags, in the order in which they are shown.
        servers: Where the API is.
        terms_of_service: A URL.
        contact: `name`, `url`, `email`.
        license_info: `name`, `identifier` or `url`.
        separate_input_output_schemas: Whether a model may have one schema for requests and another for responses.
        external_docs: `url` and `description` of more documentation.
    """
    document: JSONObject = {"openapi": openapi_version, "info": {"title": title, "version": version}}
    info = {
        "summary": summary,
        "description": description,
        "termsOfService": terms_of_service,
        "contact": _normalize_url(contact),
        "license": _normalize_url(license_info),
    }
    document["info"].update({name: value for name, value in info.items() if value})
    if servers:
        document["servers"] = servers
    _Writer(describe_routes(routes), describe_routes(webhooks or []), separate_input_output_schemas).write(document)
    if tags:
        document["tags"] = tags
    if external_docs:
        document["externalDocs"] = _normalize_url(external_docs)
    # FastAPI gives the URLs of external documentation pydantic's form everywhere but below `paths`.
    return {name: _make_plain(part, urls=name != "paths") for name, part in document.items()}


class _Writer:
    """Writes the paths, webhooks and components of one document."""

    def __init__(self, routes: list[DocumentedRoute], webhooks: list[DocumentedRoute], separate: bool) -> None:
        self.routes = routes
        self.webhooks = webhooks
        self.definitions = Definitions(list(_iterate_fields([*routes, *webhooks])), separate=separate)
        self.security_schemes: JSONObject = {}
        self.operation_ids: set[str] = set()
        self.needs_validation_error = False

    def write(self, document: JSONObject) -> None:
        paths = self._write_paths(self.routes)
        webhooks = self._write_paths(self.webhooks)
        schemas = dict(self.definitions.schemas)
        if self.needs_validation_error:
            schemas.update(
                ValidationError=validation_error_definition, HTTPValidationError=validation_error_response_definition
            )
        components = {
            "schemas": {name: schemas[name] for name in sorted(schemas)},
            "securitySchemes": self.security_schemes,
        }
        components = {name: part for name, part in components.items() if part}
        document["paths"] = paths
        if webhooks:
            document["webhooks"] = webhooks
        if components:
            document["components"] = components

    def _write_paths(self, routes: list[DocumentedRoute]) -> JSONObject:
        paths: JSONObject = {}
        for route in routes:
            paths.setdefault(route.path_format, {}).update(self._write_path(route))
        return paths

    def _write_path(self, route: DocumentedRoute) -> JSONObject:
        found = survey(route.model)
        schemes, security = collect_security(found)
        self.security_schemes.update(schemes)
        parameters = collect_parameters(found, self.definitions)
        if route.is_class:
            # FastAPI, which has no class endpoints, leaves those of functions out.
            parameters.extend(iterate_template_parameters(found, route.param_convertors))
        path = {}
        for method in route.methods:
            operation = self._write_metadata(route)
            if security:
                operation["security"] = [dict(requirement) for requirement in security]
            if parameters:
                operation["parameters"] = [dict(parameter) for parameter in parameters]
            if method in METHODS_WITH_BODY:
                _add_body(operation, route, self.definitions)
            if route.callbacks:
                operation["callbacks"] = {
                    callback.name: {callback.path: self._write_path(callback)} for callback in route.callbacks
                }
            add_responses(operation, route, self.definitions)
            self._add_validation_error(operation, route, bool(list(iterate_fields(found))))
            if route.openapi_extra:
                merge(operation, route.openapi_extra)
            path[method.lower()] = operation
        return path

    def _write_metadata(self, route: DocumentedRoute) -> JSONObject:
        operation: JSONObject = {}
        if route.tags:
            operation["tags"] = list(route.tags)
        operation["summary"] = route.summary or route.name.replace("_", " ").title()
        if route.description:
            operation["description"] = route.description
        if route.operation_id in self.operation_ids:
            message = f"Duplicate Operation ID {route.operation_id} for function {route.endpoint_name}"
            warnings.warn(f"{message} at {route.file}" if route.file else message, stacklevel=2)
        self.operation_ids.add(route.operation_id)
        operation["operationId"] = route.operation_id
        if route.deprecated:
            operation["deprecated"] = route.deprecated
        return operation

    def _add_validation_error(self, operation: JSONObject, route: DocumentedRoute, has_parameters: bool) -> None:
        responses = operation["responses"]
        if not (has_parameters or route.body_field) or any(status in responses for status in ("422", "4XX", "default")):
            return
        self.needs_validation_error = True
        responses["422"] = {
            "description": "Validation Error",
            "content": {"application/json": {"schema": {"$ref": REF_PREFIX + "HTTPValidationError"}}},
        }


def _iterate_fields(routes: Sequence[DocumentedRoute]) -> Iterator[Field]:
    for route in routes:
        if route.body_field is not None:
            yield route.body_field
        yield from route.response_fields
        yield from _iterate_fields(route.callbacks)
        yield from iterate_fields(survey(route.model))


def _add_body(operation: JSONObject, route: DocumentedRoute, definitions: Definitions) -> None:
    field = route.body_field
    if field is None:
        return
    info: Any = field.info
    content: JSONObject = {"schema": definitions.schema(field)}
    add_examples(content, info)
    body: JSONObject = {"content": {info.media_type: content}}
    if field.required:
        body["required"] = True
    operation["requestBody"] = body


def _normalize_url(given: JSONObject | None) -> JSONObject | None:
    """Return the mapping with its URL in pydantic's form, as FastAPI's documents have it."""
    if not given or given.get("url") is None:
        return given
    return {**given, "url": str(_url.validate_python(str(given["url"])))}


def _make_plain(value: Any, *, urls: bool) -> Any:
    """Return a copy that consists of JSON's types, without the None values of mappings.

    Args:
        value: What to copy.
        urls: Whether the URLs of external documentation get pydantic's form.
    """
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is dict:
        plain = {}
        for key, item in value.items():
            if item is not None:
                if urls and key == "externalDocs" and isinstance(item, dict):
                    item = _normalize_url(item)
                plain[str(key.value if isinstance(key, Enum) else key)] = _make_plain(item, urls=urls)
        return plain
    if kind is list or kind is tuple:
        return [_make_plain(item, urls=urls) for item in value]
    if kind is Decimal:
        return str(value)
    encoded = jsonable_encoder(value, by_alias=True, exclude_none=True)
    if type(encoded) is dict or type(encoded) is list:
        return _make_plain(encoded, urls=urls)
    # A string of a class of its own, such as a tag's enumeration.
    return str.__str__(encoded) if isinstance(encoded, str) else encoded
