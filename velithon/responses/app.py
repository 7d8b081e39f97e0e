"""A response that runs an ASGI application when it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from velithon._compat.starlette import wrap_app_handling_exceptions
from velithon.responses.base import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Receive, Send

    from velithon.requests.request import Request
    from velithon_adapters.rsgi import HTTPProtocol, HTTPScope

__all__ = ["AppResponse"]


class AppResponse(Response):
    """Stands for the answer of an ASGI application, which runs when the response is sent."""

    _started = False

    def __init__(self, app: ASGIApp, request: Request) -> None:
        self.app = app
        self.request = request
        self.background = None

    async def __call__(self, scope: object, receive: object, send: Send | None = None) -> None:
        """Run the application over the face at hand."""
        sending: Any
        if send is None:
            # An `HTTPSend`: this is the RSGI face.
            sending = self.request._send
            self._sending = sending
        else:
            sending = self.track(send)
        async with sending:
            await self.handled(self.request.scope, self.receive_of(self.request), sending)

    @property
    def handled(self) -> ASGIApp:
        """The application behind the users' exception handlers, as Starlette's layer wraps what is mounted."""
        return wrap_app_handling_exceptions(self.app, self.request) if self.inside else self.app

    def send_rsgi(self, scope: HTTPScope, protocol: HTTPProtocol) -> Awaitable[None] | None:
        """Run the application over the bridge."""
        return self(scope, protocol)

    @staticmethod
    def receive_of(request: Request) -> Receive:
        """Return the request's receive callable.

        A body that was read already comes first.
        """
        if getattr(request, "_body", None) is not None:
            request.put_back()
        return request.receive
