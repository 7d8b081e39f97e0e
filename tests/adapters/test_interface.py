"""Which protocols an application speaks, by its form."""

from __future__ import annotations

from typing import Any

import pytest

from velithon import Velithon
from velithon_adapters.servers.interface import find_protocols


class Both:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    async def __rsgi__(self, scope: Any, protocol: Any) -> None: ...


class OnlyRSGI:
    async def __rsgi__(self, scope: Any, protocol: Any) -> None: ...


class CallableRSGI:
    async def __call__(self, scope: Any, protocol: Any) -> None: ...


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


async def rsgi(scope: Any, protocol: Any) -> None: ...


async def with_more(scope: Any, protocol: Any, extra: Any = None) -> None: ...


def wsgi(environ: Any, start_response: Any) -> None: ...


@pytest.mark.parametrize(
    ("app", "spoken"),
    [
        (Velithon(), {"asgi", "rsgi"}),
        (Both(), {"asgi", "rsgi"}),
        (OnlyRSGI(), {"rsgi"}),
        (CallableRSGI(), {"rsgi"}),
        (asgi, {"asgi"}),
        (rsgi, {"rsgi"}),
        (with_more, {"asgi"}),
        (wsgi, set()),
        (Both, set()),
        (print, {"asgi"}),
        (3, set()),
    ],
    ids=lambda value: None if isinstance(value, set) else getattr(value, "__name__", type(value).__name__),
)
def test_the_protocols_of_an_application(app: object, spoken: set[str]) -> None:
    """Three parameters are ASGI's, two of a coroutine function RSGI's; a class and a WSGI application speak neither."""
    assert find_protocols(app) == spoken
