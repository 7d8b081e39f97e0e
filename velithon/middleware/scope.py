"""What RSGI layers see of a request on an RSGI server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from velithon_adapters.scope import RSGIScope, peer_of

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from velithon.requests.rsgi import RSGIRequest
    from velithon_adapters.rsgi import Headers

__all__ = ["ServerScope"]


def _scope_property(name: str) -> object:
    """Return a property that reads the server's scope, or the dictionary once there is one, which may be changed."""
    over_dictionary = getattr(RSGIScope, name).fget

    def read(self: ServerScope) -> Any:
        return getattr(self._server, name) if self.request._scope is None else over_dictionary(self)

    return property(read, doc=over_dictionary.__doc__)


class ServerScope(RSGIScope):
    """The server's own scope, with the ASGI dictionary beside it.

    Args:
        server: The scope that the server gave.
        request: The request that it belongs to; its dictionary is this scope's.
    """

    __slots__ = ("_server", "request")

    if not TYPE_CHECKING:
        proto = _scope_property("proto")
        http_version = _scope_property("http_version")
        server = _scope_property("server")
        client = _scope_property("client")
        scheme = _scope_property("scheme")
        method = _scope_property("method")
        path = _scope_property("path")
        query_string = _scope_property("query_string")
        authority = _scope_property("authority")

    def __init__(self, server: Any, request: RSGIRequest) -> None:
        self._server = server
        self.request = request

    @property
    def peer(self) -> str:  # type: ignore[override]  # a property where the base has an attribute
        """Who is at the other end of the connection, as the server knows it."""
        return peer_of(self._server)

    @property
    def asgi(self) -> MutableMapping[str, Any]:  # type: ignore[override]  # a property where the base has an attribute
        """The ASGI dictionary, built when it is first asked for.

        What runs inside sees its changes.
        """
        return self.request.scope

    @property
    def headers(self) -> Headers:
        """The headers."""
        if self.request._scope is None:
            return self._server.headers  # type: ignore[no-any-return]  # the server's own mapping
        return super().headers
