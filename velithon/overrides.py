"""Response classes of users that override how ASGI sends them, for RSGI: their own code runs there too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from velithon_adapters.http import HTTPReceive, HTTPSend
from velithon_adapters.scope import asgi_scope

if TYPE_CHECKING:
    from starlette.types import Message

    from velithon_adapters.rsgi import HTTPProtocol, HTTPScope

__all__ = ["keep_overrides"]


def keep_overrides(cls: type[Any]) -> None:
    """Let a class that says how it is sent over ASGI, and nothing of RSGI, be sent over RSGI as it says."""
    own = vars(cls)
    if cls.__module__.startswith("velithon.") or "send_rsgi" in own:
        return
    if "__call__" in own or "stream_response" in own:
        cls.send_rsgi = _send_as_asgi


async def _send_as_asgi(response: Any, scope: HTTPScope, protocol: HTTPProtocol) -> None:
    receive = HTTPReceive(protocol, 0)
    send = HTTPSend(protocol, method=scope.method, receive=receive)
    response.started = False
    # What Starlette's classes run themselves is left to who sends, as on the other face.
    background, response.background = response.background, None

    async def watched(message: Message) -> None:
        response.started = True
        await send(message)

    try:
        await response(asgi_scope(scope), receive, watched)
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
        receive.close()
