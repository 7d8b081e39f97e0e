"""JSON responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from velithon.encoders import has_non_finite, json_bytes, plain_json
from velithon.responses.base import Response
from velithon.responses.headers import JSON_PAIRS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.background import BackgroundTask, BackgroundTasks
    from starlette.responses import Response as StarletteResponse

    Finish = Callable[[object, object, StarletteResponse | None, BackgroundTasks | None], StarletteResponse]


__all__ = ["JSONResponse", "ORJSONResponse", "UJSONResponse"]


class JSONResponse(Response):
    """A response of `application/json`, encoded as UTF-8 without spaces.

    orjson encodes what it can; what it refuses (keys that are no strings, integers over 64 bits) goes through `json`.
    """

    media_type = "application/json"

    def __init__(
        self,
        content: object,
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

    @staticmethod
    def compile_finish(
        encode: Callable[[object, object], bytes] | None,
        status_code: int,
        has_body: bool,
        *,
        usual: tuple[type | None, ...],
        take: Callable[[object, StarletteResponse | None, BackgroundTasks | None], StarletteResponse | None],
        explain: Callable[[object, Exception], Exception],
        merge: Callable[[Response, StarletteResponse, bytes], None],
    ) -> Finish:
        """Return `finish(result, request, response, background)`, which builds the response around a result.

        It does without the constructor and its questions: one call encodes the result, and the rest is known here.

        Args:
            encode: Makes bytes of `(result, request)`; `json_bytes(result)` where there is none.
            status_code: The status, unless the injected response has one.
            has_body: Whether HTTP allows that status a body.
            usual: The classes of results that are no responses.
            take: Asked about all other results: returns the response that one is, or `None` for a value.
            explain: Returns what to raise for `(result, error)` when a result cannot be encoded.
            merge: Puts status and headers of an injected response into the one that was made.
        """
        new, kind, shared = object.__new__, JSONResponse, JSON_PAIRS

        def finish(
            result: object, request: object, response: StarletteResponse | None, background: BackgroundTasks | None
        ) -> StarletteResponse:
            if type(result) not in usual:
                taken = take(result, response, background)
                if taken is not None:
                    return taken
            try:
                body = json_bytes(result) if encode is None else encode(result, request)
            except (TypeError, ValueError, RecursionError) as error:
                raise explain(result, error) from error
            made = new(kind)
            made.status_code = status_code
            made.background = background
            made.body = body if has_body else b""
            made._pairs = shared
            made._raw = None
            if response is not None:
                merge(made, response, body)
            return made

        return finish

    def render(self, content: object) -> bytes:
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

    def render(self, content: object) -> bytes:
        """Encode `content`.

        Raises:
            TypeError: orjson has no JSON form for something in it.
        """
        return orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY)


class UJSONResponse(JSONResponse):
    """FastAPI's name for what `JSONResponse` does here."""
