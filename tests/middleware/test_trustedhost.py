"""A client that names two hosts, on real servers: the request target of HTTP/1 may hold one beside the header's."""

import socket

import pytest

from tests.servers import SERVERS, ServerName, serve

pytestmark = pytest.mark.server

APP = """
from velithon import Request, Velithon
from velithon.cache import cache
from velithon.middleware.trustedhost import TrustedHostMiddleware

app = Velithon()
shown = Velithon()
shown.add_middleware(TrustedHostMiddleware, allowed_hosts=["good", "better"])

@shown.get("/")
async def url(request: Request) -> list[str | None]:
    return [request.url.hostname, request.headers["host"], *request.headers.getlist("host")]

@app.get("/cached")
@cache(expire=60)
async def cached(request: Request) -> dict[str, str | None]:
    return {"host": request.url.hostname}

app.mount("/shown", shown)
"""


def ask(port: int, target: str, host: str) -> str:
    """Return status and body."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(f"GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
    return f"{answer.split()[1]} {answer.rpartition(chr(10))[2]}"


@pytest.mark.parametrize("server", SERVERS)
def test_one_of_two_hosts_counts_everywhere(server: ServerName) -> None:
    """The host that is allowed is the one that URLs are made of, and that responses are kept for."""
    with serve(APP, server) as running:
        # ASGI servers show the header, RSGI servers the target as well, which stands above it (RFC 9112, 3.2.2).
        by_target = server == "granian-rsgi"
        pairs = [("good", "evil"), ("evil", "good"), ("good", "better"), ("better", "good")]
        for target, header in pairs:
            host = target if by_target else header
            answer = ask(running.port, f"http://{target}/shown/", header)
            assert answer == ("400 Invalid host header" if host == "evil" else f'200 ["{host}","{host}","{host}"]')
        for target, header in pairs * 2:
            host = target if by_target else header
            assert ask(running.port, f"http://{target}/cached", header) == f'200 {{"host":"{host}"}}'
