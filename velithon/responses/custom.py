"""Response classes of users that override how ASGI sends them: their own code runs on RSGI too.

It sees the same scope on both faces. Whoever looks at such a response from outside is told whether it has begun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from velithon_adapters.http import HTTPReceive, HTTPSend
from velithon_adapters.scope import FILE_RANGE, asgi_scope

if TYPE_CHECKING:
    from collections.abc import Generator, MutableMapping

    from starlette.types import Message, Send

    from velithon.requests.rsgi import RSGIRequest
    from velithon_adapters.rsgi import HTTPProtocol, HTTPScope

__all__ = ["Overridden", "has_own_layers", "keep_overrides", "send_overridden", "show_files", "watched"]

# The extensions of ASGI by which a file is sent as its name.
_BY_NAME = frozenset({"http.response.pathsend", FILE_RANGE})


def show_files(scope: MutableMapping[str, Any]) -> None:
    """Let files be sent as bytes, for somebody in between who may want to read or to change them."""
    extensions = scope.get("extensions")
    if extensions:
        # A server may show every request the same dictionary.
        scope["extensions"] = {name: extensions[name] for name in extensions if name not in _BY_NAME}


def has_own_layers(route: Any) -> bool:
    """Tell whether layers that are not ours stand around what is mounted, or in an application of Starlette's there."""
    inner = getattr(route, "app", None)
    if getattr(route, "_base_app", inner) is not inner:
        return True
    # Our own applications see to it where they run their layers.
    return bool(getattr(inner, "user_middleware", ())) and not hasattr(inner, "__rsgi__")


def keep_overrides(cls: type[Any]) -> None:
    """Let a class that says how it is sent over ASGI, and nothing of RSGI, be sent over RSGI as it says."""
    own = vars(cls)
    if cls.__module__.startswith("velithon.") or not ("__call__" in own or "stream_response" in own):
        return
    cls.overridden = True
    if "send_rsgi" not in own:
        cls.send_rsgi = _send_as_asgi


def _send_as_asgi(response: Any, scope: HTTPScope, protocol: HTTPProtocol) -> Overridden:
    return Overridden(response, scope, protocol)


def watched(response: Any, send: Send) -> Send:
    """Return a `send` that tells such a response when it has begun, which it has not yet."""
    response.started = False

    async def watch(message: Message) -> None:
        response.started = True
        await send(message)

    return watch


async def send_overridden(response: Any, request: RSGIRequest) -> None:
    """Send such a response over RSGI, then run its background task."""
    pending = response.send_rsgi(request._rsgi, request._protocol)
    if pending is not None:
        if type(pending) is Overridden:
            pending.request = request
        await pending
    if response.background is not None:
        await response.background()


class Overridden:
    """What is left to be awaited when such a response is sent over RSGI.

    Args:
        response: The response.
        scope: The server's scope.
        protocol: The server's protocol object.

    Attributes:
        request: What is answered, whose ASGI scope the response sees. The face knows it, and sets it.
    """

    __slots__ = ("protocol", "request", "response", "scope")

    def __init__(self, response: Any, scope: HTTPScope, protocol: HTTPProtocol) -> None:
        self.response = response
        self.scope = scope
        self.protocol = protocol
        self.request: RSGIRequest | None = None

    def __await__(self) -> Generator[Any, None, None]:
        """Run the response as an ASGI application."""
        return self._run().__await__()

    async def _run(self) -> None:
        request, response = self.request, self.response
        receive: Any
        send: Any
        if request is None:
            scope: MutableMapping[str, Any] = asgi_scope(self.scope)
            receive = HTTPReceive(self.protocol, 0)
            send = HTTPSend(self.protocol, method=self.scope.method, receive=receive)
        else:
            scope, receive, send = request.scope, request._receive, request._send
        show_files(scope)
        # What Starlette's classes run themselves is left to who sends, as on the other face.
        background, response.background = response.background, None
        try:
            await response(scope, receive, watched(response, send))
        except BaseException:
            if response.started:
                send.fail()
            else:
                send.close()
            raise
        else:
            send.finish()
            response.background = background
        finally:
            if request is None:
                receive.close()
