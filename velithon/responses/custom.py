"""Sends users' response classes that override ASGI's sending over RSGI, too.

It sees the same scope on both faces. Whoever looks at such a response from outside is told whether it has begun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from velithon_adapters.http import HTTPReceive, HTTPSend
from velithon_adapters.scope import FILE_RANGE, asgi_scope

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.types import Receive, Scope

    from velithon.requests.rsgi import RSGIRequest
    from velithon_adapters.rsgi import HTTPProtocol, HTTPScope

__all__ = ["CustomSending", "has_own_layers", "keep_overrides", "send_custom", "show_files"]

# The extensions of ASGI by which a file is sent as its name.
_BY_NAME = frozenset({"http.response.pathsend", FILE_RANGE})


def show_files(scope: Scope) -> None:
    """Remove the extensions that send files by name from a scope.

    So files come as bytes to a layer that may want to read or to change them.
    """
    extensions = scope.get("extensions")
    if extensions:
        # A server may show every request the same dictionary.
        scope["extensions"] = {name: extensions[name] for name in extensions if name not in _BY_NAME}


def has_own_layers(route: object) -> bool:
    """Tell whether a mount has layers that are not ours.

    They may stand around what is mounted, or in an application of Starlette's there.
    """
    inner = getattr(route, "app", None)
    if getattr(route, "_base_app", inner) is not inner:
        return True
    # Our own applications see to it where they run their layers.
    return bool(getattr(inner, "user_middleware", ())) and not hasattr(inner, "__rsgi__")


def keep_overrides(cls: type[Any]) -> None:
    """Make a class that overrides only ASGI's sending do so over RSGI, too."""
    own = vars(cls)
    if cls.__module__.startswith("velithon.") or not ("__call__" in own or "stream_response" in own):
        return
    cls.overridden = True
    if "send_rsgi" not in own:
        cls.send_rsgi = _send_as_asgi


def _send_as_asgi(response: object, scope: HTTPScope, protocol: HTTPProtocol) -> CustomSending:
    return CustomSending(response, scope, protocol)


async def send_custom(response: Any, request: RSGIRequest) -> None:
    """Send such a response over RSGI, then run its background task."""
    pending = response.send_rsgi(request._rsgi, request._protocol)
    if pending is not None:
        await (pending.send(request) if type(pending) is CustomSending else pending)
    if response.background is not None:
        await response.background()


class CustomSending:
    """The sending of such a response over RSGI, yet to be awaited.

    Either await it, or call `send` with the request.

    Args:
        response: The response.
        scope: The server's scope.
        protocol: The server's protocol object.
    """

    __slots__ = ("protocol", "response", "scope")

    def __init__(self, response: Any, scope: HTTPScope, protocol: HTTPProtocol) -> None:
        self.response = response
        self.scope = scope
        self.protocol = protocol

    def __await__(self) -> Generator[object, None, None]:
        """Send without a request at hand, as a layer does."""
        return self._send_alone().__await__()

    async def _send_alone(self) -> None:
        receive = HTTPReceive(self.protocol, 0)
        send = HTTPSend(self.protocol, method=self.scope.method, receive=receive, scope=self.scope)
        try:
            await self._run(asgi_scope(self.scope), receive, send)
        finally:
            receive.close()

    async def send(self, request: RSGIRequest) -> None:
        """Send as the answer to a request, whose ASGI scope the response sees."""
        await self._run(request.scope, request._receive, request._send)

    async def _run(self, scope: Scope, receive: Receive, send: HTTPSend) -> None:
        """Run the response as an ASGI application."""
        response = self.response
        show_files(scope)
        # What Starlette's classes run themselves is left to who sends, as on the other face.
        background, response.background = response.background, None
        response._sending = send
        async with send:
            await response(scope, receive, send)
        response.background = background
