"""What is private of Starlette, and used here."""

from __future__ import annotations

from starlette._exception_handler import wrap_app_handling_exceptions
from starlette._utils import get_route_path, is_async_callable, parse_host_header

__all__ = ["PRIVATE", "get_route_path", "is_async_callable", "parse_host_header", "wrap_app_handling_exceptions"]

PRIVATE = {
    "starlette._exception_handler:wrap_app_handling_exceptions": "runs exception handlers around mounted applications",
    "starlette._utils:get_route_path": "takes the root path off a scope's path, as Starlette's own routes do",
    "starlette._utils:is_async_callable": "tells async exception handlers, behind functools.partial too",
    "starlette._utils:parse_host_header": "splits a Host header with an IPv6 address",
    "starlette.middleware.exceptions:ExceptionMiddleware._exception_handlers": "shares one table of handlers by class",
    "starlette.middleware.exceptions:ExceptionMiddleware._status_handlers": "shares one table of handlers by status",
    "starlette.requests:Request._body": "is where a body that was read is kept, for the next reader of the scope",
    "starlette.requests:Request._form": "is where a parsed form is kept, to be closed after the response",
    "starlette.requests:Request._get_form": "is overridden to parse forms in large chunks",
    "starlette.requests:Request._is_disconnected": "is set when the server says that the client is gone",
    "starlette.requests:Request._receive": "is the receive callable that a read-ahead stands in for",
    "starlette.requests:Request._send": "is the send callable that answers the request",
    "starlette.requests:Request._stream_consumed": "tells whether somebody reads, or has read, the body",
    "starlette.requests:HTTPConnection._headers": "is where headers are kept; RSGI has an object of its own there",
    "starlette.requests:HTTPConnection._query_params": "is where query parameters are kept",
    "starlette.datastructures:MutableHeaders._list": "is overridden to make the pairs of bytes when they are asked for",
    "starlette.datastructures:State._state": "is the dictionary that a scope's `state` shares",
    "starlette.formparsers:MultiPartParser._current_part": "is the part whose content arrives",
    "starlette.formparsers:MultiPartParser._file_parts_to_write": "is what a thread writes to files",
    "starlette.formparsers:MultiPartParser._files_to_close_on_error": "is what is closed when a form is refused",
    "starlette.responses:FileResponse._handle_simple": "is overridden for 204 and 304, which have no body",
    "starlette.responses:FileResponse._handle_single_range": "is overridden to let the server read a part of a file",
    "starlette.responses:FileResponse._handle_multiple_ranges": "is overridden to know that sending has begun",
    "starlette.responses:FileResponse._open_file": "is overridden to read most files with one job of a thread",
    "starlette.responses:FileResponse._parse_range_header": "reads a range that the server is to send",
    "starlette.testclient:TestClient._portal_factory": "runs the application where the client's other calls run",
    "starlette.testclient:_TestClientTransport": "is the transport of the test client over ASGI",
    "starlette.testclient:_TestClientTransport._open_requests": "ends the streams that a test left unread",
    "starlette.testclient:_Upgrade": "is how a transport says that a request became a WebSocket",
    "starlette.websockets:WebSocket._raise_on_disconnect": "raises what Starlette raises for a closed connection",
    "starlette.websockets:WebSocket._receive": "is the server's receive callable, which a class endpoint shares",
    "starlette.websockets:WebSocket._send": "is the server's send callable, which a class endpoint shares",
}
"""Module and name -> what it is used for."""
