"""The short forms of what `make soak` does at length."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.effort import FULL, examples
from tests.faults import differential, hostile
from tests.faults.generator import Generator
from tests.faults.hostile_cases import cases
from tests.faults.wire import Answer
from tests.servers import SERVERS, Server, serve

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    """The instruments' application on each server."""
    with ExitStack() as stack:
        yield [stack.enter_context(serve("tests.faults.app:app", server)) for server in SERVERS]


@pytest.mark.server
def test_the_servers_answer_alike(servers: list[Server]) -> None:
    """Random requests get the same answer from each, but for listed differences, and no 5xx."""
    report = differential.run([server.port for server in servers], examples(300, 10_000), seed=1)
    assert "\n".join(report.unlisted) == ""
    assert report.failures == []
    assert len(report.statuses) > 10


@pytest.mark.server
@pytest.mark.parametrize("which", [0, 1, 2], ids=SERVERS)
def test_hostile_requests_do_no_harm(servers: list[Server], which: int) -> None:
    """No 5xx, no file that is not served, no worker that ends, little time: every eighth of the cases."""
    report = hostile.run(servers[which], cases() if FULL else cases()[which::8])
    assert report.failures == []


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
