"""The namesake of `fastapi.openapi.utils`."""

from velithon.openapi.schema import get_openapi

__all__ = ["get_openapi"]
