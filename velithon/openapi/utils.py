"""The namesake of `fastapi.openapi.utils`."""

from velithon.openapi.schema import (
    get_openapi,
    validation_error_definition,
    validation_error_response_definition,
)

__all__ = ["get_openapi", "validation_error_definition", "validation_error_response_definition"]
