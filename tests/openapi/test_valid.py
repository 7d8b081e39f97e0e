"""Documents are valid OpenAPI 3.1."""

import json
import warnings
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.openapi.corpus import cases, load

CASES = cases()

# What the source itself makes invalid, and FastAPI's document with it.
INVALID = {
    "operations/openapi_version": "the application says 3.0.2",
    "parameters/path_not_declared": "the endpoint leaves a parameter of its path undeclared",
    "parameters/path_not_in_schema": "the endpoint hides a parameter of its path",
    "responses/generator_events": "itemSchema is a field of OpenAPI 3.2",
    "responses/generator_json_lines": "itemSchema is a field of OpenAPI 3.2",
}


def document(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return json.loads(json.dumps(load(CASES[name], "velithon").openapi()))


@pytest.mark.parametrize("name", [name for name in CASES if name not in INVALID])
def test_the_document_is_valid(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        errors = [error.message for error in OpenAPIV31SpecValidator(document(name)).iter_errors()]
    assert errors == []
