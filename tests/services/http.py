"""Small HTTP servers of the tests' own, for what is posted to them."""

import gzip
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import brotli  # type: ignore[import-untyped]  # it carries no types

# Sentry's SDK packs with Brotli where that is installed.
_UNPACKED: dict[str | None, Callable[[bytes], bytes]] = {None: bytes, "gzip": gzip.decompress, "br": brotli.decompress}


@contextmanager
def posted_to(take: Callable[[str, bytes], bytes]) -> Generator[int, None, None]:
    """Run a server on a free port; yield the port.

    Args:
        take: Gets the path and the body, unpacked, of each POST; what it returns is answered with 200.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = self.headers.get("content-length")
            body = self.rfile.read(int(length)) if length is not None else b""
            answer = take(self.path, _UNPACKED[self.headers.get("content-encoding")](body))
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def receiver() -> Generator[tuple[str, list[bytes]], None, None]:
    """Run a server that keeps the bodies; yield its URL and them."""
    bodies: list[bytes] = []

    def take(path: str, body: bytes) -> bytes:
        bodies.append(body)
        return b""

    with posted_to(take) as port:
        yield f"http://127.0.0.1:{port}/", bodies
