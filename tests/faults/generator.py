"""Random requests, the same for the same seed."""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

METHODS = (
    ("GET",) * 8 + ("POST",) * 4 + ("HEAD", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "get", "M-SEARCH")
)
WORDS = (
    "a",
    "b c",
    "name",
    "ä",
    "日本",
    "x" * 40,
    "1",
    "0",
    "-1",
    "1e3",
    "true",
    "null",
    "%",
    "&",
    "=",
    "+",
    ";",
    "/",
    "..",
    "",
)

PATHS = (
    "/echo", "/echo/", "/items/1", "/items/x", "/items/", "/names/a", "/search", "/cookies", "/file", "/download",
    "/redirect", "/status/200", "/status/204", "/status/304", "/status/599", "/error/404", "/error/409",
    "/many-headers",
    "/html", "/state-of-lifespan", "/lines", "/events", "/static/text.txt", "/static/a%20b.css", "/static/dir",
    "/static/missing", "/site/", "/site", "/site/dir", "/site/dir/", "/site/none", "/sub", "/sub/", "/sub/deep/a/b",
    "/files/a/b", "/openapi.json", "/docs", "/", "/nothing", "/items", "/ws/echo", "/two", "/form",
)  # fmt: skip
# Beside a path of the application or in one of its parameters.
ODD_PARTS = (
    "%20", "%2F", "%2f", "%2E%2E", "..", ".", "//", "a%00b", "%C3%A4", "%E6%97%A5", "%FF", "%C3", "%", "%2", "%zz",
    "a+b",
    "a;b=c", "a:b", "a@b", "~", "!$&'()*,", "%25", "%252F", "%0A", "%0D%0AX:1", "\\", "%5C", "|", "^", "a%3Fb", "%23",
    "'",
)  # fmt: skip
QUERIES = (
    "q=1", "q=", "q", "=", "&", "&&q=1", "q=1&q=2", "q=a%20b", "q=a+b", "q=%FF", "q=%C3%A4", "q=%", "q=%zz", "limit=5",
    "limit=x", "tag=a&tag=b", "short=1", "short=maybe", "q=1;r=2", "q=a=b", "?q=1", "q=%00", "q=%0A", "to=/items/1",
    "to=//evil.example", "to=%2F%2Fevil", "to=http://a.example/%C3%A4", "q[]=1", "q.a=1", "a" * 500, "q='\"<>", "%71=1",
)  # fmt: skip
HEADERS = (
    "x-token: a", "x-token: b", "x-token:", "x-token:   spaces   ", "X-TOKEN: upper", "accept: */*",
    "accept: text/html",
    "accept: application/json;q=0.5", "accept-encoding: gzip", "accept-encoding: identity;q=0, *",
    "accept-encoding: br",
    "cookie: a=1", "cookie: session=x; a=2", 'cookie: a="q\\073"', "cookie: a", "cookie: =1", "cookie: a=1; a=2",
    "cookie: ;;;", "origin: https://good.example", "origin: https://bad.example", "origin: null",
    "access-control-request-method: PUT", "access-control-request-method: BREW", "access-control-request-headers: x-a",
    "authorization: Basic YTpi", "authorization: Bearer", "user-agent:", "x-forwarded-for: 1.2.3.4",
    "x-forwarded-proto: https", "x-forwarded-host: evil.example", "forwarded: for=1.2.3.4", "x_under: 1", "x.dot: 1",
    "range: bytes=0-9", "range: bytes=-5", "range: bytes=5-", "range: bytes=9-1", "range: bytes=0-0,5-6", "range: x=1",
    "range: bytes=99999-", "range: bytes=0-99999", "range: bytes=", "range: bytes=a-b", "range: bytes=0-1,1-2,3-9",
    "if-none-match: *", 'if-none-match: "x"', 'if-none-match: W/"x", "y"',
    "if-modified-since: Thu, 01 Jan 2099 00:00:00 GMT",
    "if-modified-since: yesterday", "if-modified-since: Thu, 01 Jan 1970 00:00:00 GMT", 'if-range: "x"',
    "if-unmodified-since: Thu, 01 Jan 1970 00:00:00 GMT", 'if-match: "x"', "expect: nothing", "te: trailers",
    "x-http-method-override: DELETE", "content-language: ä", "x-tab: a\tb", "x-latin: \xe9", "referer: http://a/?b#c",
    "upgrade: h2c", "upgrade: websocket", "via: 1.0 a", "max-forwards: 0", "x-long: " + "v" * 2000,
)  # fmt: skip
HOSTS = ("localhost", "127.0.0.1:80", "evil.example", "a.b:99999", "[::1]", "[::1]:80", "UPPER.example", "a b", "", "ä")
JSONS: tuple[Any, ...] = (
    {"name": "a"}, {"name": "a", "price": 1.5, "tags": ["x", "y"]}, {"name": 1}, {"price": "x"}, {}, [], "text", 1,
    None,
    {"name": "ä日本\u2028", "parent": {"name": "b", "parent": {"name": "c"}}}, {"a": 1, "b": "x"}, {"a": "1"},
    {"a": None, "b": 2}, {"name": "a", "tags": "x"}, {"name": "x" * 3000}, [1, [2, [3]]], {"": ""}, True,
)  # fmt: skip
BROKEN_JSON = (
    b"", b"{", b"{'a': 1}", b'{"a": 1,}', b"\xff\xfe", b'\xef\xbb\xbf{"a": 1}', b"NaN", b'{"a": 1e999}', b'"\\ud800"',
    b'{"a": 1}{"a": 2}', b" \n", b"[" * 300 + b"]" * 300, b'{"a": 1, "a": 2}', b"9" * 400, b"\x00",
)  # fmt: skip
JSON_TYPES = (
    "application/json", "application/json; charset=utf-8", "application/vnd.api+json", "text/plain", "",
    "APPLICATION/JSON",
    "application/json; charset=latin-1", "json",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: The method.
        data: The whole of it, as sent.
    """

    method: str
    data: bytes


class Generator:
    """Makes requests of a seed and a number, so that each can be made again alone."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def request(self, number: int) -> Request:
        """Return the request of that number."""
        draw = random.Random(f"{self.seed}/{number}")
        method = draw.choice(METHODS)
        body, headers = b"", [f"host: {self._host(draw)}"]
        path = self._path(draw)
        if method in ("POST", "PUT", "PATCH", "DELETE") or draw.random() < 0.05:
            target, kind, body = self._body(draw)
            if draw.random() < 0.85:
                path = target
                method = draw.choice((method, "POST", "POST", "POST"))
            if kind:
                headers.append(f"content-type: {kind}")
        headers += draw.sample(HEADERS, draw.choice((0, 0, 1, 1, 2, 3, 6)))
        version = draw.choice(("1.1",) * 12 + ("1.0",))
        if version == "1.0" and draw.random() < 0.3:
            headers.pop(0)
        data = self._frame(draw, body, headers, version)
        line = f"{method} {self._target(draw, path)} HTTP/{version}\r\n".encode("latin-1", "replace")
        return Request(method, line + data)

    def _host(self, draw: random.Random) -> str:
        return draw.choice(HOSTS) if draw.random() < 0.1 else "localhost"

    def _path(self, draw: random.Random) -> str:
        path = draw.choice(PATHS)
        if draw.random() < 0.3:
            base = draw.choice(("/files/", "/names/", "/items/", "/static/", "/site/", "/sub/deep/", "/"))
            path = base + "".join(
                draw.choice(ODD_PARTS) + draw.choice(("", "/", "x")) for _ in range(draw.randint(1, 3))
            )
        elif draw.random() < 0.1:
            path = draw.choice((path.replace("/", "//"), path + "/", path + "/../echo", "/." + path, path.upper()))
        if draw.random() < 0.4:
            path += "?" + "&".join(draw.choice(QUERIES) for _ in range(draw.randint(1, 3)))
        return path

    def _target(self, draw: random.Random, path: str) -> str:
        """Mostly the path; sometimes the whole URL (RFC 9112 section 3.2.2), a star or a fragment."""
        kind = draw.random()
        if kind < 0.02:
            return draw.choice(("http://localhost", "http://other.example", "HTTP://localhost:80", "https://a")) + path
        if kind < 0.025:
            return draw.choice(("*", "localhost:80", path + "#fragment", "/ä", "/" + "y" * 3000))
        return path

    def _body(self, draw: random.Random) -> tuple[str, str, bytes]:
        """Return where it goes, its content type and its bytes."""
        kind = draw.choice(
            ("json", "json", "json", "broken", "form", "form", "multipart", "multipart", "bytes", "gzip")
        )
        if kind == "json":
            body = json.dumps(draw.choice(JSONS), ensure_ascii=draw.random() < 0.5).encode()
            return draw.choice(("/items", "/two", "/any", "/echo")), draw.choice(JSON_TYPES[:2] * 5 + JSON_TYPES), body
        if kind == "broken":
            return draw.choice(("/items", "/two", "/any")), "application/json", draw.choice(BROKEN_JSON)
        if kind == "form":
            pairs = [
                f"{quote(draw.choice(('name', 'age', 'x', '')))}={quote(draw.choice(WORDS))}"
                for _ in range(draw.randint(0, 4))
            ]
            text = draw.choice(("&", "&", "&", ";", "&&")).join(pairs) + draw.choice(("", "", "&", "=%", "%FF"))
            return draw.choice(("/form", "/raw-form")), "application/x-www-form-urlencoded", text.encode()
        if kind == "multipart":
            return self._multipart(draw)
        data = draw.randbytes(draw.choice((0, 1, 10, 999, 1000, 1001, 5000)))
        if kind == "gzip":
            data = gzip.compress(data, mtime=0)
        return (
            draw.choice(("/echo", "/limited", "/read", "/ignore", "/any")),
            draw.choice(("", "application/octet-stream")),
            data,
        )

    def _multipart(self, draw: random.Random) -> tuple[str, str, bytes]:
        boundary = draw.choice(("b", "----WebKitFormBoundaryabc", "a'b", "x" * 70))
        parts = [self._part(draw) for _ in range(draw.randint(0, 4))]
        body = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
        body += b"--" + boundary.encode() + b"--" + draw.choice((b"\r\n", b"", b"\r\nepilogue"))
        if draw.random() < 0.1:
            body = draw.choice(
                (body[: len(body) // 2], b"preamble\r\n" + body, body.replace(b"\r\n", b"\n"), b"", body[1:])
            )
        kind = "multipart/form-data" + draw.choice(
            (f"; boundary={boundary}",) * 8 + (f'; boundary="{boundary}"', "", "; boundary=")
        )
        return draw.choice(("/upload", "/raw-form", "/bytes", "/form")), kind, body

    def _part(self, draw: random.Random) -> bytes:
        disposition = draw.choice(
            (
                'form-data; name="name"', 'form-data; name="age"', 'form-data; name="note"', "form-data",
                "attachment", "",
                'form-data; name="files"; filename="a.txt"', 'form-data; name="files"; filename="../../etc/passwd"',
                'form-data; name="file"; filename=""', 'form-data; name="files"; filename*=UTF-8\'\'%C3%A4.txt',
                'form-data; name="files"; filename="ä\\".txt"', 'form-data; name=files; filename=a b.txt',
            )
        )  # fmt: skip
        head = f"Content-Disposition: {disposition}\r\n" if disposition else ""
        head += draw.choice(
            ("", "", "Content-Type: text/plain\r\n", "Content-Type: \r\n", "X-Part: 1\r\n", "broken\r\n")
        )
        return head.encode() + b"\r\n" + draw.choice((b"", b"1", b"text", b"\xff\x00", b"--b", b"\r\n", b"x" * 2000))

    def _frame(self, draw: random.Random, body: bytes, headers: list[str], version: str) -> bytes:
        """Put the headers, the length or chunks and the body one after the other."""
        if body or draw.random() < 0.1:
            if version == "1.1" and draw.random() < 0.25:
                headers.append("transfer-encoding: chunked")
                body = self._chunks(draw, body)
            else:
                headers.append(f"content-length: {len(body)}")
        if draw.random() < 0.2:
            draw.shuffle(headers)
        if draw.random() < 0.1:
            headers = [header.title() for header in headers]
        return "\r\n".join(headers).encode("latin-1", "replace") + b"\r\nconnection: close\r\n\r\n" + body

    def _chunks(self, draw: random.Random, body: bytes) -> bytes:
        framed = b""
        while body:
            size = draw.choice((1, 3, 50, 1000, 100_000))
            chunk, body = body[:size], body[size:]
            framed += b"%x%s\r\n%s\r\n" % (len(chunk), draw.choice((b"", b"", b";a=b")), chunk)
        return framed + b"0\r\n\r\n"
