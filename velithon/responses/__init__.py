"""Responses that can be sent over either protocol.

Each class is Starlette's, with one addition: headers are kept as pairs of `str`, as RSGI wants them, until somebody
asks for the bytes that ASGI wants. A response that nobody touches is sent on Granian with a list that was made once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from velithon._runtime.lazy import lazy_attributes
from velithon.responses.base import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from velithon.responses.file import FileResponse
from velithon.responses.json import JSONResponse, ORJSONResponse, UJSONResponse
from velithon.responses.stream import StreamingResponse

if TYPE_CHECKING:
    from velithon.responses.sse import EventSourceResponse

__all__ = [
    "EventSourceResponse",
    "FileResponse",
    "HTMLResponse",
    "JSONResponse",
    "ORJSONResponse",
    "PlainTextResponse",
    "RedirectResponse",
    "Response",
    "StreamingResponse",
    "UJSONResponse",
]

if not TYPE_CHECKING:
    # Kept out of the import of an application that does not use it.
    __getattr__, __dir__ = lazy_attributes(__name__, {"EventSourceResponse": "velithon.responses.sse"})
