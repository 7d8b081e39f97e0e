"""The hostile requests: by kinds, and by the advisories that others were given for them."""

from __future__ import annotations

import base64
import gzip
import itertools
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.faults.wire import Answer

FORM = "application/x-www-form-urlencoded"

Check = Callable[[Answer], str | None]


@dataclass(frozen=True, slots=True)
class Case:
    """One input.

    Attributes:
        kind: What it tries.
        data: What is sent.
        method: The request's.
        advisories: Those that were published for others about it.
        check: Says what is wrong with an answer, besides what is wrong with any.
        end: Whether the client says that nothing follows.
    """

    kind: str
    data: bytes
    method: str = "GET"
    advisories: tuple[str, ...] = ()
    check: Check = lambda answer: None
    end: bool = False


def get(
    kind: str, target: str | bytes, *headers: str | bytes, by: Sequence[str] = (), check: Check | None = None
) -> Case:
    """Return a GET request; a header with `host:` takes the place of ours."""
    lines = [to_bytes(header) for header in headers]
    if not any(line.lower().startswith(b"host:") for line in lines):
        lines.insert(0, b"host: localhost")
    data = b"GET " + to_bytes(target) + b" HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\nconnection: close\r\n\r\n"
    return Case(kind, data, "GET", tuple(by), check or nothing_wrong)


def post(
    kind: str,
    path: str,
    content_type: str,
    body: bytes,
    *headers: str,
    by: Sequence[str] = (),
    check: Check | None = None,
) -> Case:
    """Return a POST request with a length."""
    lines = ["host: localhost", f"content-type: {content_type}", f"content-length: {len(body)}", *headers]
    head = f"POST {path} HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\nconnection: close\r\n\r\n"
    return Case(kind, head.encode("latin-1") + body, "POST", tuple(by), check or nothing_wrong)


def raw(kind: str, data: bytes, by: Sequence[str] = (), check: Check | None = None) -> Case:
    """Return bytes that need not be a request; nothing follows them."""
    return Case(kind, data, data.split(b" ", 1)[0].decode("latin-1"), tuple(by), check or nothing_wrong, end=True)


def to_bytes(text: str | bytes) -> bytes:
    """Return a header or a target as it is sent."""
    return text if isinstance(text, bytes) else text.encode("latin-1", "replace")


def nothing_wrong(answer: Answer) -> str | None:
    """Demand no more than is demanded of every answer."""
    return None


def not_understood(answer: Answer) -> str | None:
    """Demand that the request is refused, or the connection closed."""
    return None if answer.status in (0, 400, 413, 414, 422, 426, 431, 501, 505) else f"was understood: {answer.status}"


def says(text: bytes) -> Check:
    """Demand that a text is in the answer."""
    return lambda answer: None if text in answer.body else f"{text!r} is not in {answer.body[:200]!r}"


def stays_here(answer: Answer) -> str | None:
    """Demand that a redirect leads to the host that was asked."""
    location = answer.header("location")
    if not location:
        return None
    # Browsers read a backslash as a slash.
    host = urlsplit(location.replace("\\", "/")).netloc
    return None if host.partition(":")[0] in ("", "localhost", "127.0.0.1") else f"leads to {location}"


def traversals() -> Iterator[Case]:
    """Ways out of a directory of static files, and of a path parameter."""
    ups: tuple[str, ...] = (
        "../",
        "..%2f",
        "..%2F",
        "%2e%2e/",
        "%2e%2e%2f",
        "%2E%2E%5C",
        "..\\",
        "..%5c",
        "..%c0%af",
        "..%252f",
        ".%00./",
    )
    ups += (
        "..;/",
        "%c0%ae%c0%ae/",
        "....//",
        "..%00/",
        "/..",
        "%ff../",
        "..%u2215",
        "\u2025/".encode().decode("latin-1"),
    )
    targets = ("etc/passwd", "files_secret/secret.txt", "app.py", "files_secret%2fsecret.txt")
    by = ("CVE-2023-29159", "CVE-2024-23334", "CVE-2022-35920", "CVE-2024-32982")
    for base, up, depth, target in itertools.product(
        ("/static/", "/site/", "/static/dir/", "/files/"), ups, (1, 3, 12), targets
    ):
        yield get("traversal", base + up * depth + target, by=by)
    for target in (
        "/static//etc/passwd",
        "/static/%2fetc/passwd",
        "/site/C:%5cwindows",
        "/static/con",
        "/static/a%00.txt",
    ):
        yield get("traversal", target, by=("CVE-2024-49766", "CVE-2025-66221"))


def redirects() -> Iterator[Case]:
    """Paths whose redirect would lead to another host."""
    by = ("CVE-2018-14574", "CVE-2020-28724", "CVE-2021-21330", "CVE-2023-28370")
    starts: tuple[str, ...] = (
        "//evil.example",
        "///evil.example",
        "/%5cevil.example",
        "/\\evil.example",
        "/%2f%2fevil.example",
        "/.//evil.example",
    )
    starts += (
        "/%09/evil.example",
        "/static//evil.example",
        "/site//evil.example/..",
        "/sub//evil.example",
        "/%0a/evil.example",
    )
    for start, end in itertools.product(starts, ("", "/", "/..", "/%2e%2e", "//", "/?a", "/items/", "/site/dir")):
        yield get("redirect", start + end, by=by, check=stays_here)
    for value in ("%0d%0aset-cookie:a=b", "%0aX-Injected:1", "%0d%0a%0d%0a<script>", "%00", "%E5%98%8A%E5%98%8Dx:1"):
        yield get("response splitting", f"/redirect?to={value}", by=("CVE-2020-7695",), check=no_injection)
        yield get("response splitting", f"/site/dir?{value}", by=("CVE-2020-7695",), check=no_injection)


def no_injection(answer: Answer) -> str | None:
    """Demand that no header came of a value."""
    names = {name for name, _ in answer.headers}
    return "a header was injected" if names & {"set-cookie", "x-injected", "x"} else None


def hosts() -> Iterator[Case]:
    """Host headers and targets that would change what request.url says."""
    values = (
        "evil.example/echo?",
        "a@b",
        "a#b",
        "a?b",
        "localhost/../..",
        "a\\b",
        "[::1",
        "]",
        ":",
        ":0",
        "a:b:c",
        "%00",
        "a%2fb",
    )
    for value, target in itertools.product(
        (*values, "x" * 5000, "", " ", "\xff", "'\"<>"), ("/echo", "/site/dir", "/items/")
    ):
        check = says(b'"path":"/echo"') if target == "/echo" else nothing_wrong
        yield get("host", target, f"host: {value}", by=("CVE-2026-48710",), check=unless_refused(check))
    for target in (
        "@evil.example",
        "evil.example",
        ".evil.example/",
        "*",
        "?",
        "#",
        "http:",
        "//",
        "http:///echo",
        ":80/",
    ):
        yield get("target", target, by=("CVE-2026-54282",), check=stays_here)
    yield get("host", "/echo", "host: a", "host: b")
    for name in (
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "forwarded",
        "x-original-url",
        "x-rewrite-url",
    ):
        for value in ("a", "evil.example", "," * 5000, "for=" + ";" * 3000, "[" * 3000, "/admin"):
            yield get("forwarded", "/site/dir", f"{name}: {value}", check=stays_here)


def unless_refused(check: Check) -> Check:
    """Check only what the application answered."""
    return lambda answer: None if answer.status in (0, 400) else check(answer)


def headers() -> Iterator[Case]:
    """Headers that cost time to read."""
    ranges = (
        "0-0," * 5000,
        ",".join(f"{n}-" for n in range(5000)),
        ",".join(f"{n}-{n}" for n in range(0, 9000, 2)),
        "-" * 5000,
    )
    for path, value in itertools.product(
        ("/file", "/static/text.txt", "/download"), (*ranges, " " * 5000, "9" * 5000 + "-", "0-" + "9" * 5000)
    ):
        yield get("range", path, f"range: bytes={value}", by=("CVE-2025-62727",))
    quoted = (
        "\\" * 30000,
        "\\101" * 7000,
        '"' * 30000,
        ";" * 30000,
        "=" * 30000,
        ",;" * 15000,
        "a;" * 15000,
        "a=b;" * 7000,
    )
    for value in quoted:
        for pattern in ('a="{}"', "{}", 'a="{}', "a={}"):
            yield get("cookie", "/cookies", "cookie: " + pattern.format(value), by=("CVE-2024-7592", "CVE-2024-52804"))
    yield get("cookie", "/echo", "cookie: =__Host-a=bad", by=("CVE-2023-23934",), check=lacks(b'"__Host-a":"bad"'))
    long = (
        "," * 20000,
        "a," * 10000,
        "a;q=" * 5000,
        "*/*;q=0." + "1" * 9999,
        '"' * 20000,
        "W/" * 9999,
        " " * 20000,
        "\t" * 9999,
    )
    names: tuple[str, ...] = (
        "accept",
        "accept-language",
        "accept-encoding",
        "if-none-match",
        "if-match",
        "if-range",
        "if-modified-since",
        "origin",
    )
    names += ("authorization", "access-control-request-headers", "user-agent", "content-type", "te", "vary", "expect")
    for name, value in itertools.product(names, long):
        by: tuple[str, ...] = ("CVE-2023-23969",) if name == "accept-language" else ()
        yield get("long header", "/static/text.txt", f"{name}: {value}", by=by)
    for value in (
        "Basic " + "=" * 999,
        "Basic \xff",
        "Basic " + base64.b64encode(b"\xff:\xfe").decode(),
        "Bearer " + "." * 9999,
    ):
        yield get("authorization", "/echo", f"authorization: {value}")
    yield get("many headers", "/echo", *[f"x-{n}: 1" for n in range(90)])
    yield get("many headers", "/echo", *[f"x-{n}: 1" for n in range(5000)])
    yield get("many headers", "/echo", *["x-token: 1"] * 1000)
    yield get("many headers", "/echo", "x: " + "y" * 1_000_000)
    for name in ("a b: 1", ": 1", "\xe9: 1", "a\x00: 1", "a\r: 1", "(a): 1", "a : 1", " a: 1"):
        yield get("header name", "/echo", name, by=("CVE-2023-47627", "CVE-2024-23829"))
    for odd in (b"\x00", b"\x7f", b"\x01", b"a\rb", b"a\nb", b"\xff\xfe", b"a\r\n b"):
        yield get("header odd", "/echo", b"x-token: " + odd)


def lacks(text: bytes) -> Check:
    """Demand that a text is not in the answer."""
    return lambda answer: f"{text!r} is in the answer" if text in answer.body else None


def forms() -> Iterator[Case]:
    """Forms of both kinds."""
    bodies = {
        b"&" * 1_000_000: ("CVE-2026-54283",),
        b"a;" * 300_000: ("CVE-2026-53539",),
        b"&".join(b"k%d=1" % n for n in range(50_000)): ("CVE-2026-54283",),
        b"a=" + b"x" * 2_000_000: ("CVE-2024-47874", "CVE-2024-49767"),
        b"=" * 500_000: (),
        b"%" * 500_000: (),
        b"%ff" * 200_000: (),
        b"+" * 500_000: (),
    }
    for path, (body, by) in itertools.product(("/form", "/raw-form"), bodies.items()):
        yield post("form", path, FORM, body, by=by)
    yield post("form", "/raw-form", FORM, b"a=1;b=2", by=("GHSA-6jv3-5f52-599m",), check=says(b'[["a","1;b=2"]]'))
    for charset in ("utf-7", "utf-16", "punycode", "idna", "zlib", "rot13", "unknown", "\xff", "'\"", "x" * 5000):
        yield post("charset", "/form", f"{FORM}; charset={charset}", b"name=%ff")
        yield post(
            "charset",
            "/raw-form",
            f"multipart/form-data; boundary=b; charset={charset}",
            part(b"name", b"\xff") + b"--b--\r\n",
        )
        yield post("charset", "/items", f"application/json; charset={charset}", b'{"name": "\xff"}')
    options = (
        'boundary="' + "\\" * 5000,
        "boundary=" + '"' * 5000,
        "; " * 5000,
        "boundary*0=a; " * 500,
        'a="\\"' * 2000,
        "=" * 5000,
    )
    for value in (
        *options,
        "boundary=" + "x" * 5000,
        "boundary=",
        'boundary=""',
        "boundary=\xff",
        "boundary*=utf-8''b",
    ):
        for path in ("/raw-form", "/upload", "/items"):
            yield post(
                "content type", path, f"multipart/form-data; {value}", part(b"name", b"1"), by=("CVE-2024-24762",)
            )
    yield from multiparts()


def part(name: bytes, value: bytes, more: bytes = b"") -> bytes:
    """Return a part of a body whose boundary is `b`."""
    return b'--b\r\nContent-Disposition: form-data; name="' + name + b'"' + more + b"\r\n\r\n" + value + b"\r\n"


def multiparts() -> Iterator[Case]:
    """Bodies of multipart forms."""
    file = b'; filename="a.txt"'
    last = b"--b--\r\n"
    bodies: list[tuple[bytes, tuple[str, ...]]] = [
        (part(b"name", b"1") * 10_000 + last, ("CVE-2023-30798", "CVE-2023-25577", "CVE-2023-24580")),
        (part(b"files", b"1", file) * 5_000 + last, ("CVE-2023-24580", "CVE-2024-52581", "GHSA-qjxf-f2mg-c6mc")),
        (part(b"name", b"x" * 3_000_000) + last, ("CVE-2024-47874",)),
        (part(b"files", b"\r\n" * 500_000, file) + last, ("CVE-2023-46136",)),
        (part(b"files", b"\r" * 1_000_000, file) + last, ("CVE-2023-46136",)),
        (part(b"files", b"\r\n--" * 200_000, file) + last, ("CVE-2023-46136",)),
        (b"x" * 500_000 + part(b"name", b"1") + last, ("CVE-2024-53981", "CVE-2026-40347")),
        (part(b"name", b"1") + last + b"x" * 500_000, ("CVE-2024-53981", "CVE-2026-40347", "CVE-2025-47287")),
        (part(b"name", b"1") + last + b"\r\n" * 250_000, ("CVE-2024-53981", "CVE-2026-40347")),
        (b"--b\r\n" + b"X-A: 1\r\n" * 50_000 + b"\r\n1\r\n" + last, ("CVE-2026-42561",)),
        (b"--b\r\nX-A: " + b"y" * 500_000 + b"\r\n\r\n1\r\n" + last, ("CVE-2026-42561",)),
        (b"--b\r\n" * 100_000, ("CVE-2022-23833", "CVE-2024-30251")),
        (b"--b", ("CVE-2022-23833", "CVE-2024-30251")),
        (b"--b\r\n", ("CVE-2022-23833", "CVE-2024-30251")),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--", ("CVE-2022-23833", "CVE-2024-30251")),
        (b"--b\r\nContent-Transfer-Encoding: base64\r\n" + part(b"a", b"=" * 9999)[5:] + last, ("CVE-2022-23833",)),
        (part(b"a" * 100_000, b"1") + last, ()),
        (part(b'a"; name="b', b"1") + last, ()),
        (part(b"\xff\x00", b"1") + last, ()),
        (b"--b--" * 10_000, ()),
    ]
    for path, (body, by) in itertools.product(("/raw-form", "/upload", "/form"), bodies):
        yield post("multipart", path, "multipart/form-data; boundary=b", body, by=by)
    names = (
        "../../../../tmp/x",
        "/etc/passwd",
        "..\\..\\x",
        "a\x00.txt",
        "",
        ".",
        "x" * 5000,
        'a"b',
        "con",
        "..",
        "<script>",
        "\xff",
    )
    for name in names:
        more = b'; filename="' + name.encode("latin-1") + b'"'
        by = ("CVE-2021-28658", "CVE-2021-31542", "CVE-2026-24486")
        yield post("file name", "/upload", "multipart/form-data; boundary=b", part(b"files", b"1", more) + last, by=by)
    smuggled = part(b"note", b"1", b"; name*=utf-8''role") + last
    yield post(
        "file name",
        "/raw-form",
        "multipart/form-data; boundary=b",
        smuggled,
        by=("GHSA-vffw-93wf-4j4q",),
        check=lacks(b'"role"'),
    )


def documents() -> Iterator[Case]:
    """JSON bodies."""
    deep = ("CVE-2024-27454", "CVE-2025-67221")
    bodies: list[tuple[bytes, tuple[str, ...]]] = [
        (b"[" * 1_000_000, deep),
        (b"[" * 500_000 + b"]" * 500_000, deep),
        (b'{"a":' * 200_000 + b"1" + b"}" * 200_000, deep),
        (b'{"name": "a", "parent": ' * 2000 + b"null" + b"}" * 2000, deep),
        (b'{"name": "a", "parent": ' * 200 + b"null" + b"}" * 200, deep),
        (b"9" * 1_000_000, ("CVE-2020-10735",)),
        (b'{"name": "a", "price": ' + b"9" * 100_000 + b"}", ("CVE-2020-10735",)),
        (b'{"name": "a", "price": 1e' + b"9" * 10_000 + b"}", ()),
        (b'{"name": "a", "price": NaN}', ()),
        (b'"' + b"\\ud800" * 50_000 + b'"', ()),
        (b'"' + b"\\" * 500_000, ()),
        (b'{"a": 1, ' * 10_000, ()),
        (b"{" + b",".join(b'"%d":1' % n for n in range(50_000)) + b"}", ()),
        (b"[" + b"{}," * 50_000 + b"{}]", ()),
        (b"\x00" * 100_000, ()),
        (b"\xff" * 100_000, ()),
        (b"\xff\xfe" + "[]".encode("utf-16-le"), ()),
        (b'{"__proto__": {"a": 1}, "__class__": 1, "name": "a"}', ()),
    ]
    for path, (body, by) in itertools.product(("/items", "/two", "/any"), bodies):
        yield post("json", path, "application/json", body, by=by)
    for kind in ("text/plain", "text/plain; application/json", FORM, "", "text/json"):
        body = b'{"name": "a"}'
        yield post("json that is not declared", "/items", kind, body, by=("CVE-2021-32677",), check=not_created(kind))
    bomb = gzip.compress(b"\x00" * 20_000_000)
    for path in ("/items", "/echo", "/read", "/form"):
        yield post("bomb", path, "application/json", bomb, "content-encoding: gzip", by=("CVE-2025-69223",))


def not_created(kind: str) -> Check:
    """Demand that a body which a page of another site may send is not read as JSON."""
    return lambda answer: f"{kind!r} was read as JSON" if kind and answer.status == 201 else None


def framings() -> Iterator[Case]:
    """Two readings of where a request ends."""
    by = ("CVE-2023-47641", "CVE-2023-47627", "GHSA-753j-mpmx-qq6g")
    inner = b"GET /files/smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n"
    head = b"POST /echo HTTP/1.1\r\nhost: localhost\r\n"
    lengths = (
        b"+5",
        b"-1",
        b"0x5",
        b"5 5",
        b"5,5",
        b"5, 6",
        b"1_0",
        b"\xb2",
        b"",
        b"99999999999999999999",
        b"5\x0b",
        b"\t5\x00",
    )
    for length in lengths:
        yield raw("length", head + b"content-length: " + length + b"\r\n\r\n12345", (*by, "GHSA-v9pg-7xvm-68hf"), alone)
    yield raw("length", head + b"content-length: 5\r\ncontent-length: 6\r\n\r\n123456", by, not_understood)
    for coding in (
        b"chunked, identity",
        b"identity, chunked",
        b"xchunked",
        b"chunked\x0b",
        b" chunked",
        b"chunked;a",
        b"gzip",
        b"\x00",
        b"CHUNKED",
    ):
        yield raw("coding", head + b"transfer-encoding: " + coding + b"\r\n\r\n0\r\n\r\n" + inner, by)
        yield raw("coding", head + b"transfer-encoding: " + coding + b"\r\ncontent-length: 5\r\n\r\n0\r\n\r\n", by)
    yield raw("coding", head + b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n", by)
    sizes = (
        b"0x1",
        b"+1",
        b"-1",
        b"1_0",
        b"1 ",
        b" 1",
        b"1;\n",
        b"1;a=\x00",
        b"f" * 20,
        b"",
        b"g",
        b"1\n",
        b"\xb2",
        b"1;" + b"x" * 50_000,
    )
    for size in sizes:
        body = size + b"\r\na\r\n0\r\n\r\n"
        yield raw(
            "chunk", head + b"transfer-encoding: chunked\r\n\r\n" + body, ("CVE-2024-52304", "GHSA-qppv-j76h-2rpx")
        )
    for end in (b"aX0\r\n\r\n", b"a\n0\r\n\r\n", b"aXX0\r\n\r\n", b"a\r\r0\r\n\r\n"):
        yield raw("chunk", head + b"transfer-encoding: chunked\r\n\r\n1\r\n" + end, ("CVE-2025-43859",), not_understood)
    for trailer in (
        b"X: 1",
        b"content-length: 5",
        b"transfer-encoding: chunked",
        b": ",
        b"a\x00: 1",
        b"X" * 50_000,
        inner,
    ):
        body = b"1\r\na\r\n0\r\n" + trailer + b"\r\n\r\n"
        yield raw("trailer", head + b"transfer-encoding: chunked\r\n\r\n" + body, ("CVE-2025-53643",))
    yield raw(
        "chunks",
        head + b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n" + b"1\r\na\r\n" * 2_000 + b"0\r\n\r\n",
    )
    for version in (
        b"HTTP/0.9",
        b"HTTP/1.2",
        b"HTTP/2.0",
        b"HTTP/9.9",
        b"HTTP/1.1\x00",
        b"http/1.1",
        b"HTTP/1.1 x",
        b"",
        b"HTTP/\xff",
    ):
        yield raw("version", b"GET /echo " + version + b"\r\nhost: a\r\n\r\n")
    for method in (b"G\x00T", b"GET\t", b"", b"G" * 5000, b"\xff", b"GET,POST", b"CONNECT", b"TRACE", b"PRI", b"GE T"):
        yield raw("method", method + b" /echo HTTP/1.1\r\nhost: a\r\n\r\n")
    for start in (
        b"",
        b"\r\n" * 1000,
        b"\x00" * 1000,
        b"\xff" * 5000,
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ):
        yield raw("no request", start, ())
    for many in (10_000, 100_000, 1_000_000):
        yield raw("line", b"GET /" + b"a" * many + b" HTTP/1.1\r\nhost: a\r\n\r\n")
        yield raw("line", b"GET /echo?" + b"a=1&" * (many // 4) + b" HTTP/1.1\r\nhost: a\r\n\r\n")


def alone(answer: Answer) -> str | None:
    """Demand that a length that is no number is not taken for one."""
    return (
        None
        if answer.status != 200 or b'"body":"3132333435"' in answer.body or b'"body":""' in answer.body
        else "was read"
    )


def paths() -> Iterator[Case]:
    """Paths and queries for converters, logs and pages."""
    numbers = (
        "9" * 4000,
        "9" * 5000,
        "-" + "9" * 4400,
        "1e5",
        "0x10",
        "1_000",
        "\xb2",
        "%D9%A1",
        "nan",
        "inf",
        "1" + "0" * 308,
        "+1",
        "%2B1",
    )
    for value in numbers:
        yield get("number", f"/items/{value}", by=("CVE-2020-10735",))
        yield get("number", f"/items/1?q={value}&short={value}")
        yield get("number", f"/search?limit={value}")
    for value in ("%1b[31m", "%0a200 OK", "%0d%0aINFO: forged", "%00", "%7f", "%u0041", "%E2%80%AE"):
        yield get("log", f"/nothing/{value}", by=("CVE-2020-7694",))
        yield get("log", f"/items/{value}", by=("CVE-2020-7694",))
    for value in ("<script>alert(1)</script>", "%3Cscript%3Ealert(1)%3C/script%3E", "'-alert(1)-'", "%22onload=%22"):
        for path in (
            "/nothing/",
            "/static/",
            "/site/",
            "/docs?x=",
            "/redoc?x=",
            "/docs/oauth2-redirect?x=",
            "/items/",
            "/error/4?x=",
        ):
            yield get("script", path + value, by=("CVE-2024-27306",), check=no_script)
    for path in (
        "/" + "a/" * 4000,
        "/" + "%2f" * 3000,
        "/files/" + "../" * 4000,
        "/" + "/" * 8000,
        "/static/" + "a" * 5000,
    ):
        yield get("long path", path)
    for query in ("a=1&" * 3000, "&" * 9000, "%" * 9000, "tag=" * 2000, "q=" + "%ff" * 3000, ";" * 9000, "=" * 9000):
        yield get("query", "/search?" + query)
        yield get("query", "/echo?" + query)


def no_script(answer: Answer) -> str | None:
    """Demand that a page does not repeat what it was asked for."""
    html = answer.header("content-type").startswith("text/html")
    return "the page repeats a script" if html and b"<script>alert" in answer.body else None


def websockets() -> Iterator[Case]:
    """Handshakes and frames."""
    keys = {"sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==", "sec-websocket-version": "13", "upgrade": "websocket"}

    def handshake(more: bytes = b"", frames: bytes = b"", **changed: str | None) -> bytes:
        named = {**keys, **{name.replace("_", "-"): value for name, value in changed.items()}}
        lines = [f"{name}: {value}".encode("latin-1") for name, value in named.items() if value is not None]
        head = b"GET /ws/echo HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\n"
        return head + b"\r\n".join(lines) + b"\r\n" + more + b"\r\n" + frames

    for value in ("\x80\xff", "\xe9", "a,,b", ",", "a" * 5000, "a b", "\x01", '"a"'):
        data = handshake(b"sec-websocket-protocol: " + value.encode("latin-1") + b"\r\n")
        yield raw("subprotocol", data, ("CVE-2026-42544",))
    for given in (None, "", "short", "\xff", "A" * 5000, "====", "AAAA AAAA"):
        yield raw("handshake", handshake(sec_websocket_key=given))
    for given in (None, "", "12", "14", "99999999999999999999", "-1", "\xff", "13, 8"):
        yield raw("handshake", handshake(sec_websocket_version=given))
    for value in (
        "permessage-deflate; server_max_window_bits=99",
        "constructor",
        "a;" * 3000,
        'a="' + "\\" * 3000,
        ",,,",
        "\xff",
    ):
        yield raw("extension", handshake(f"sec-websocket-extensions: {value}\r\n".encode("latin-1")))
    deflate = b"sec-websocket-extensions: permessage-deflate\r\n"
    frames = {
        "reserved opcode": b"\x83\x80abcd",
        "reserved bit": b"\xf1\x80abcd",
        "not masked": b"\x81\x01a",
        "no text": b"\x81\x82abcd" + bytes(a ^ b for a, b in zip(b"\xff\xfe", b"ab", strict=False)),
        "a long length": b"\x82\xff" + struct.pack(">Q", 2**63 - 1) + b"abcd",
        "a longer length": b"\x82\xff" + b"\xff" * 8 + b"abcd",
        "a long ping": b"\x89\xfe\x04\x00abcd",
        "a ping in parts": b"\x09\x80abcd",
        "a rest alone": b"\x80\x80abcd",
        "two beginnings": b"\x01\x80abcd\x01\x80abcd",
        "a close of one byte": b"\x88\x81abcda",
        "a close of no code": b"\x88\x82abcd"
        + bytes(a ^ b for a, b in zip(struct.pack(">H", 1005), b"ab", strict=False)),
        "pings": b"\x89\x80abcd" * 10_000,
        "parts": b"\x01\x80abcd" + b"\x00\x80abcd" * 10_000,
        "messages": b"\x81\x80abcd" * 5_000,
        "half a frame": b"\x81",
        "http": b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 100,
    }
    for name, frame in frames.items():
        yield raw(f"frame: {name}", handshake(frames=frame), check=opened)
        yield raw(f"frame: {name}", handshake(deflate, frames=frame), check=opened)
    squeezed = gzip.compress(b"\x00" * 30_000_000)[10:-8]
    bomb = b"\xc2\xff" + struct.pack(">Q", len(squeezed)) + b"\0\0\0\0" + squeezed
    yield raw("frame: a bomb", handshake(deflate, frames=bomb), ("CVE-2018-1000518",), opened)


def opened(answer: Answer) -> str | None:
    """Demand that the handshake succeeded, so that the frames arrived."""
    return None if answer.status in (0, 101) else f"no handshake: {answer.status}"


KINDS = (traversals, redirects, hosts, headers, forms, documents, framings, paths, websockets)


def cases() -> list[Case]:
    """Return all cases."""
    return [case for kind in KINDS for case in kind()]
