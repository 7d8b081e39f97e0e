"""What a shared cache may keep, and for how long."""

from email.utils import formatdate
from time import time

import pytest

from velithon.cache import CachePolicy
from velithon.cache.rules import compute_lifetime, matches_condition, parse_directives

POLICY = CachePolicy(expire=60, stale_while_revalidate=5)


@pytest.mark.parametrize(
    ("status", "headers", "lifetime"),
    [
        (200, [], (60, 5)),
        (404, [], None),
        (404, [("cache-control", "max-age=10")], (10, 5)),
        (500, [("cache-control", "max-age=10")], None),
        (206, [("cache-control", "max-age=10")], None),
        (200, [("cache-control", "max-age=10, s-maxage=20")], (20, 5)),
        (200, [("cache-control", "public"), ("cache-control", "MAX-AGE=10")], (10, 5)),
        (200, [("cache-control", "max-age=0")], None),
        (200, [("cache-control", "max-age=ten")], None),
        (200, [("cache-control", "no-store")], None),
        (200, [("cache-control", "private, max-age=10")], None),
        (200, [("cache-control", "no-cache")], None),
        (200, [("cache-control", "max-age=10, must-revalidate, stale-while-revalidate=9")], (10, 0)),
        (200, [("cache-control", "max-age=10, stale-while-revalidate=9")], (10, 9)),
        (200, [("cache-control", "max-age=10"), ("age", "4")], (6, 5)),
        (200, [("set-cookie", "a=b")], None),
        (200, [("vary", "accept, *")], None),
        (200, [("expires", "0")], None),
        (200, [("expires", formatdate(time() - 9))], None),
        (200, [("date", formatdate(1e9)), ("expires", formatdate(1e9 + 30))], (30, 5)),
    ],
)
def test_lifetimes(status: int, headers: list[tuple[str, str]], lifetime: tuple[float, float] | None) -> None:
    assert compute_lifetime(POLICY, status, headers) == lifetime


def test_what_says_nothing_is_not_kept_by_default() -> None:
    assert compute_lifetime(CachePolicy(), 200, []) is None
    assert compute_lifetime(CachePolicy(), 200, [("cache-control", "max-age=5")]) == (5, 0)


@pytest.mark.parametrize(
    ("none_match", "since", "matches"),
    [
        ('"a"', None, True),
        ('"b", W/"a"', None, True),
        ("*", None, True),
        ('"b"', None, False),
        ('"b"', formatdate(2e9), False),
        (None, formatdate(1e9), True),
        (None, formatdate(1e9 - 1), False),
        (None, "no date", False),
        (None, None, False),
    ],
)
def test_conditions(none_match: str | None, since: str | None, matches: bool) -> None:
    """An entity tag counts before a date."""
    assert matches_condition(none_match, since, 'W/"a"', formatdate(1e9)) is matches


def test_directives_are_read_as_a_list() -> None:
    assert parse_directives('Max-Age="5", no-cache , ,x') == {"max-age": "5", "no-cache": None, "x": None}
