"""JSON responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from velithon.encoders import has_non_finite, plain_json
from velithon.responses.base import Response
from velithon.responses.headers import JSON_PAIRS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.background import BackgroundTask


__all__ = ["JSONResponse", "ORJSONResponse", "UJSONResponse"]


class JSONResponse(Response):
    """A response of `application/json`, encoded as UTF-8 without spaces.

    orjson encodes what it can; what it refuses (keys that are no strings, integers over 64 bits) goes through `json`.
    """

    media_type = "application/json"

    def __init__(
        self,
        content: Any,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        if headers is None and media_type is None and background is None and type(self) is JSONResponse:
            # What most endpoints return; the way through the base class takes twice as long.
            try:
                body = orjson.dumps(content)
            except TypeError:
                body = plain_json(content)
            self.status_code = status_code
            self.background = None
            # Partition, as `in` tries bytes as an integer first, which fails at three times the cost of the search.
            if body.partition(b"null")[1] and has_non_finite(content):
                body = plain_json(content)
            self.body = body
            self._pairs = JSON_PAIRS
            # Read for every answer; the class's own takes four times as long to find.
            self._raw = None
        else:
            super().__init__(content, status_code, headers, media_type, background)

    def render(self, content: Any) -> bytes:
        """Encode `content`.

        Raises:
            TypeError: Something in it has no JSON form.
            ValueError: A number is infinite or not a number, which JSON cannot say.
        """
        try:
            body = orjson.dumps(content)
        except TypeError:
            return plain_json(content)
        if body.partition(b"null")[1] and has_non_finite(content):
            return plain_json(content)
        return body


class ORJSONResponse(JSONResponse):
    """What orjson makes of the content: a number that JSON cannot say becomes `null`."""

    def render(self, content: Any) -> bytes:
        """Encode `content`.

        Raises:
            TypeError: orjson has no JSON form for something in it.
        """
        return orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY)


class UJSONResponse(JSONResponse):
    """FastAPI's name for what `JSONResponse` does here."""
