"""Bytes to a server, and what it answers, without a client that would mend either."""

from __future__ import annotations

import http.client
import socket
import time
from dataclasses import dataclass

# What a server says of itself and of its connection: never the application's.
SERVER_HEADERS = frozenset({"date", "server", "connection", "keep-alive", "transfer-encoding", "content-length"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: 0 where the connection ended without an answer.
        headers: Names in lower case, sorted, without the server's own.
        body: As it is after a chunked encoding is taken away.
        whole: Whether the body came to its end.
        seconds: From the first byte sent to the last received.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    whole: bool = True
    seconds: float = 0

    def header(self, name: str) -> str:
        """Return the first value of a header, or the empty string."""
        return next((value for key, value in self.headers if key == name), "")


def exchange(port: int, data: bytes, method: str = "GET", deadline: float = 5, end: bool = False) -> Answer:
    """Send bytes on a connection of their own and read one answer.

    Args:
        port: Of the server, on 127.0.0.1.
        data: What is sent.
        method: By which the end of the answer is found: an answer to `HEAD` has no body.
        deadline: Seconds for each step; when they are over, `status` is 0.
        end: Whether the client says that nothing follows, as by `shutdown`.

    Returns:
        The answer.

    Raises:
        TimeoutError: Nothing came for `deadline` seconds.
    """
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=deadline) as connection:
        try:
            connection.sendall(data)
            if end:
                connection.shutdown(socket.SHUT_WR)
        except TimeoutError:
            raise
        except OSError:
            pass  # it may have answered already
        response = http.client.HTTPResponse(connection, method=method)
        whole = True
        try:
            response.begin()
            body = response.read()
        except http.client.IncompleteRead as error:
            body, whole = error.partial, False
        except (http.client.HTTPException, ConnectionError):
            return Answer(0, seconds=time.monotonic() - begun)
        headers = [(name.lower(), value) for name, value in response.getheaders()]
    kept = tuple(sorted(pair for pair in headers if pair[0] not in SERVER_HEADERS))
    return Answer(response.status, kept, body, whole, time.monotonic() - begun)
