"""Parameters and security requirements of an endpoint and of everything that it depends on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.convertors import Convertor, FloatConvertor, IntegerConvertor, UUIDConvertor

from velithon._runtime.json_values import JSONObject
from velithon.encoders import jsonable_encoder
from velithon.exceptions import RegistrationError
from velithon.openapi.fragments import add_examples
from velithon.signature.annotations import is_optional, strip_wrappers
from velithon.signature.fields import Field, find_param_model, list_aliases, read_model_fields
from velithon.signature.values import converts_underscores

if TYPE_CHECKING:
    from velithon.openapi.definitions import Definitions
    from velithon.signature.model import DependencyModel

_TEXT = {"type": "string"}
_CONVERTED: dict[type[Convertor[Any]], JSONObject] = {
    IntegerConvertor: {"type": "integer", "minimum": 0},
    FloatConvertor: {"type": "number", "minimum": 0},
    UUIDConvertor: {"type": "string", "format": "uuid"},
}
_PLACES = ("path", "query", "header", "cookie")


@dataclass(slots=True)
class Survey:
    """What a tree of dependencies takes from a request.

    Attributes:
        groups: Place -> the fields there.
        security: Security schemes with the scopes asked of them.
        raises: The exceptions that dependencies are declared to raise.
    """

    groups: dict[str, list[Field]] = field(default_factory=lambda: {place: [] for place in _PLACES})
    security: list[tuple[Any, list[str]]] = field(default_factory=list)
    raises: list[object] = field(default_factory=list)


def survey(root: DependencyModel | None) -> Survey:
    """Walk an endpoint's dependencies, each that requests would share once, dependants first."""
    found = Survey()
    seen: set[object] = set()
    waiting: list[tuple[DependencyModel, list[str]]] = [] if root is None else [(root, [])]
    while waiting:
        model, scopes = waiting.pop()
        key = model.cache_key
        if key in seen:
            continue
        seen.add(key)
        found.groups["path"].extend(model.path_params)
        found.groups["query"].extend(model.query_params)
        found.groups["header"].extend(model.header_params)
        found.groups["cookie"].extend(model.cookie_params)
        found.raises.extend(model.raises)
        scopes = list(dict.fromkeys((*scopes, *model.own_scopes)))
        if model is not root and model.is_security_scheme:
            found.security.append((strip_wrappers(model.call), scopes))
        waiting.extend((dependency, scopes) for dependency in reversed(model.dependencies))
    return found


def iterate_fields(found: Survey) -> Iterator[Field]:
    """Yield every parameter, the fields of parameter models instead of the models."""
    for group in found.groups.values():
        for parameter in group:
            yield from _expand_model(parameter)


def _expand_model(parameter: Field) -> list[Field]:
    model = find_param_model(parameter)
    return [parameter] if model is None else read_model_fields(model)


def collect_security(found: Survey) -> tuple[JSONObject, list[dict[str, list[str]]]]:
    """Return the security schemes by name, and the requirements of an operation."""
    schemes: JSONObject = {}
    scopes_of: dict[str, list[str]] = {}
    for scheme, scopes in found.security:
        if not hasattr(scheme, "model"):
            raise RegistrationError(
                "A security scheme says in `model` what a document tells of it: set it in the class or in its "
                "__init__, or derive from APIKeyHeader, HTTPBearer or their kin.",
                endpoint=type(scheme),
            )
        schemes[scheme.scheme_name] = jsonable_encoder(scheme.model, by_alias=True, exclude_none=True)
        wanted = scopes_of.setdefault(scheme.scheme_name, [])
        wanted.extend(scope for scope in scopes if scope not in wanted)
    return schemes, [{name: scopes} for name, scopes in scopes_of.items()]


def collect_parameters(found: Survey, definitions: Definitions) -> list[JSONObject]:
    """Return the parameter objects; of two with one name and place, the required one stays."""
    described: dict[tuple[str, str], JSONObject] = {}
    required: dict[tuple[str, str], JSONObject] = {}
    for place, group in found.groups.items():
        for parent in group:
            if not parent.include_in_schema:
                continue
            for parameter in _describe_parameters(place, parent, definitions):
                key = (place, parameter["name"])
                described[key] = parameter
                if parameter["required"]:
                    required[key] = parameter
    return list({**described, **required}.values())


def iterate_template_parameters(found: Survey, convertors: Mapping[str, Convertor[object]]) -> Iterator[JSONObject]:
    """Yield the parameters of a path that no signature declares.

    The endpoint reads them from the request.

    Args:
        found: What signatures declare.
        convertors: Name -> what the path converts it with.
    """
    declared = {
        list_aliases(parameter, convert_underscores=False)[0][0]
        for group in found.groups["path"]
        for parameter in _expand_model(group)
    }
    for name, convertor in convertors.items():
        if name not in declared:
            schema = next((found for kind, found in _CONVERTED.items() if isinstance(convertor, kind)), _TEXT)
            yield {"name": name, "in": "path", "required": True, "schema": dict(schema, title=_format_title(name))}


def _format_title(name: str) -> str:
    return name.replace("_", " ").title()


def _describe_parameters(place: str, parent: Field, definitions: Definitions) -> Iterator[JSONObject]:
    model = find_param_model(parent)
    # `Annotated[Filters | None, Query()] = None`: none of its parameters has to come.
    optional = model is not None and is_optional(parent.annotation) and not parent.required
    for parameter in _expand_model(parent):
        info = parameter.info
        # The name of a single header is its alias, whatever that looks like.
        converts = place == "header" and model is not None and converts_underscores(parent, parameter)
        alias, name = list_aliases(parameter, convert_underscores=converts)[0]
        described: JSONObject = {
            "name": name,
            "in": place,
            "required": parameter.required and not optional,
            "schema": definitions.schema(parameter, alias),
        }
        if info.description:
            described["description"] = info.description
        add_examples(described, info)
        if info.deprecated:
            described["deprecated"] = True
        yield described
