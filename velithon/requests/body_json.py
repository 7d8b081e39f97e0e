"""The JSON that a handler reads for itself, with `await request.json()`."""

from __future__ import annotations

import json
import math
from typing import NoReturn

from velithon.exceptions import HTTPException

__all__ = ["MalformedJSONError", "read_json"]


class MalformedJSONError(HTTPException, json.JSONDecodeError):
    """The body is no JSON; answered with 400 where nobody catches it.

    It is a `json.JSONDecodeError`, and so a `ValueError`.

    Args:
        problem: What is wrong.
        doc: The body as text.
        position: Where in it.
    """

    def __init__(self, problem: str, doc: str = "", position: int = 0) -> None:
        json.JSONDecodeError.__init__(self, problem, doc, position)
        message = str(self.args[0])
        HTTPException.__init__(self, 400, f"The body is not valid JSON: {message}")
        self.args = (message,)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _read_finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value


_decode = json.JSONDecoder(parse_constant=_refuse, parse_float=_read_finite).decode


def read_json(body: bytes) -> object:
    """Return a body as Python data.

    Raises:
        MalformedJSONError: It is no JSON (RFC 8259), is no text, or is nested too deeply to be read.
    """
    try:
        return _decode(body.decode(json.detect_encoding(body), "surrogatepass"))
    except json.JSONDecodeError as error:
        raise MalformedJSONError(error.msg, error.doc, error.pos) from None
    except UnicodeDecodeError as error:
        raise MalformedJSONError(f"it is not text in {error.encoding}", position=error.start) from None
    except ValueError as error:
        raise MalformedJSONError(str(error)) from None
    except RecursionError:
        raise MalformedJSONError("it is nested too deeply") from None
