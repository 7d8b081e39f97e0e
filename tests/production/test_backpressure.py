"""What `--backpressure` does, as the documentation says it."""

import socket

import pytest

from tests.servers import serve

pytestmark = pytest.mark.server

APP = """
from velithon import Velithon
app = Velithon()
app.get("/")(lambda: 1)
"""
REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


def test_connections_beyond_the_limit_wait_until_one_is_closed() -> None:
    with serve(APP, "granian-rsgi", "--backpressure", "2") as running:
        first, second, third = (socket.create_connection(("127.0.0.1", running.port), timeout=10) for _ in range(3))
        with first, second, third:
            for connection in (first, second):
                connection.sendall(REQUEST)
                assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
            third.sendall(REQUEST)
            third.settimeout(0.3)
            with pytest.raises(TimeoutError):
                third.recv(100)
            first.close()
            third.settimeout(10)
            assert third.recv(100).startswith(b"HTTP/1.1 200 ")
