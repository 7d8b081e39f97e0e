"""The short forms of what `make soak` does at length."""

import os
import shutil
import signal
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.effort import FULL, examples
from tests.faults import conformance, differential, hostile, leavers, load
from tests.faults.generator import Generator
from tests.faults.hostile_cases import cases
from tests.faults.wire import Answer
from tests.servers import EVERY_SERVER, Server, ServerName, serve

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    """The instruments' application on each server."""
    with ExitStack() as stack:
        yield [stack.enter_context(serve("tests.faults.app:app", server)) for server in EVERY_SERVER]


@pytest.mark.server
def test_the_servers_answer_alike(servers: list[Server]) -> None:
    """Random requests get the same answer from each, but for listed differences, and no 5xx."""
    report = differential.run([server.port for server in servers], examples(300, 10_000), seed=1)
    assert "\n".join(report.unlisted) == ""
    assert report.failures == []
    assert len(report.statuses) > 10


@pytest.mark.server
@pytest.mark.parametrize("which", [0, 1, 2], ids=EVERY_SERVER)
def test_hostile_requests_do_no_harm(servers: list[Server], which: int) -> None:
    """No 5xx, no file that is not served, no worker that ends, little time: every eighth of the cases."""
    report = hostile.run(servers[which], cases() if FULL else cases()[which::8])
    assert report.failures == []


@pytest.mark.server
@pytest.mark.parametrize("server", EVERY_SERVER)
def test_clients_that_leave_leave_nothing_behind(server: ServerName) -> None:
    """No cut body is complete; generators are closed within a second, once; nothing is held."""
    with serve("tests.faults.leaving:app", server) as running:
        for kind in leavers.KINDS:
            assert leavers.run(running, kind, examples(20, 500)).problems == [], kind.name


@pytest.mark.server
@pytest.mark.parametrize("which", [0, 1, 2], ids=EVERY_SERVER)
def test_websockets_are_spoken_as_the_standard_says(servers: list[Server], which: int) -> None:
    """RFC 6455: fragments, control frames, UTF-8 and closing; `make soak` runs the Autobahn suite."""
    wrong = {case.name: conformance.talk(servers[which].port, case) for case in conformance.TALKS}
    assert {name: problem for name, problem in wrong.items() if problem} == {}


@pytest.mark.server
@pytest.mark.skipif(not FULL, reason="starts a process for each answer: VELITHON_TESTS=full")
def test_a_linter_finds_nothing_bad(servers: list[Server]) -> None:
    for server in servers:
        found = conformance.lint(server.port)
        if found is None:
            pytest.skip("httplint is not installed")
        assert found == []


@pytest.mark.server
def test_clients_of_http_2_and_tls(tmp_path: Path) -> None:
    """Granian speaks HTTP/2 over TLS to a client that knows it, and HTTP/1.1 to others."""
    if not (openssl := shutil.which("openssl")):
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", *subject]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    options = ("--ssl-certificate", str(certificate), "--ssl-keyfile", str(key))
    trusted = ssl.create_default_context(cafile=certificate)
    body = os.urandom(300_000)
    with serve("tests.faults.app:app", "granian-rsgi", *options) as server:
        url = server.url.replace("http://", "https://")
        for http2, version in ((True, "HTTP/2"), (False, "HTTP/1.1")):
            with httpx.Client(base_url=url, verify=trusted, http2=http2, trust_env=False, timeout=20) as client:
                echo = client.post("/echo", content=body, headers=[("cookie", "a=1"), ("cookie", "b=2"), ("x-a", "1")])
                assert echo.http_version == version
                assert echo.json()["body"] == body.hex()
                assert echo.json()["cookies"] == {"a": "1", "b": "2"}
                assert echo.json()["headers"]["host"] == [f"127.0.0.1:{server.port}"]
                assert client.get("/file", headers={"range": "bytes=0-5"}).content == b"line 1"
                assert client.get("/lines").text.endswith("line 4\n")
                with ThreadPoolExecutor(20) as pool:
                    assert {answer.status_code for answer in pool.map(client.get, ["/items/1"] * 100)} == {200}


def test_there_are_enough_hostile_requests() -> None:
    assert len({case.data for case in cases()}) >= 1000
    assert len({advisory for case in cases() for advisory in case.advisories}) >= 50


def test_each_listed_difference_is_in_the_documentation() -> None:
    text = (ROOT / "docs" / "protocols.md").read_text()
    for difference in differential.DIFFERENCES:
        assert f"| {difference.name} |" in text


def test_an_unlisted_difference_is_found() -> None:
    """One more header or another body is a difference, also where a listed one is met."""
    request = Generator(1).request(0)
    same = Answer(200, (("vary", "Origin"),), b"{}")
    assert differential.compare(request, [same, same]) == []
    for other in (
        Answer(200, (("vary", "Origin"), ("x-more", "1")), b"{}"),
        Answer(200, (("vary", "Origin"),), b"{ }"),
        Answer(201, (("vary", "Origin"),), b"{}"),
        Answer(200, (("vary", "Origin"),), b"{}", whole=False),
    ):
        assert differential.compare(request, [same, other]) is None


def test_a_seed_gives_the_same_requests() -> None:
    assert [Generator(3).request(number) for number in range(20)] == [
        Generator(3).request(number) for number in range(20)
    ]


@pytest.mark.server
@pytest.mark.skipif(not FULL, reason="stops six servers: VELITHON_TESTS=full")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("server", EVERY_SERVER)
def test_a_signal_loses_no_request_in_hand(server: ServerName, number: signal.Signals) -> None:
    """All are answered, their background work is done, and the lifespan ends after that."""
    assert load.stop_under_load(server, number, 50) == []
