"""The rules of RFC 9111 for a shared cache.

They say what may be stored, how long it is fresh, and whether a conditional request is answered with 304.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from velithon.cache.policy import CachePolicy
    from velithon.responses.headers import Pairs

__all__ = ["Lifetime", "compute_lifetime", "matches_condition", "parse_directives"]

# Kept for as long as the policy says; others only as long as they say themselves.
_BY_POLICY = frozenset({200, 203, 204, 300, 301, 308})
_BY_THEMSELVES = _BY_POLICY | {302, 307, 404, 405, 410, 414, 501}


class Lifetime(NamedTuple):
    """For how long a response may be sent, in seconds from now.

    Attributes:
        fresh: As it is.
        stale: Beyond that, while a new one is made.
    """

    fresh: float
    stale: float


@lru_cache(maxsize=512)
def parse_directives(header: str | None) -> Mapping[str, str | None]:
    """Return what a `Cache-Control` says: directive in lower case -> its argument, or `None`."""
    found: dict[str, str | None] = {}
    for part in (header or "").split(","):
        name, equals, value = part.strip().partition("=")
        if name:
            found.setdefault(name.lower(), value.strip('"') if equals else None)
    return found


def compute_lifetime(policy: CachePolicy, status: int, pairs: Pairs) -> Lifetime | None:
    """Return for how long a response may be kept, or `None`.

    RFC 9111, sections 3 and 4.2.1.
    """
    headers = dict(reversed(pairs))
    # Fields of one name are one list.
    control = parse_directives(", ".join(value for name, value in pairs if name == "cache-control"))
    if status not in _BY_THEMSELVES or "set-cookie" in headers or "*" in headers.get("vary", ""):
        return None
    if control.keys() & {"no-store", "private", "no-cache"}:
        return None
    fresh = _read_freshness(control, headers)
    if fresh is None:
        fresh = policy.expire if status in _BY_POLICY else None
    if fresh is None:
        return None
    fresh -= _read_seconds(headers.get("age")) or 0
    stale = _read_seconds(control.get("stale-while-revalidate"))
    if control.keys() & {"must-revalidate", "proxy-revalidate"}:
        stale = 0
    elif stale is None:
        stale = policy.stale_while_revalidate
    return Lifetime(fresh, stale) if fresh > 0 else None


def _read_freshness(control: Mapping[str, str | None], headers: Mapping[str, str]) -> float | None:
    for name in ("s-maxage", "max-age"):
        if name in control:
            # What cannot be read is not fresh (section 4.2.1).
            return _read_seconds(control[name]) or 0
    expires = headers.get("expires")
    if expires is None:
        return None
    end, begin = _read_date(expires), _read_date(headers.get("date"))
    return 0 if end is None else end - (time.time() if begin is None else begin)


def _read_seconds(value: str | None) -> float | None:
    return float(value) if value is not None and value.isdecimal() else None


def _read_date(value: str | None) -> float | None:
    try:
        return None if value is None else parsedate_to_datetime(value).timestamp()
    except ValueError:
        return None


def matches_condition(
    if_none_match: str | None, if_modified_since: str | None, etag: str | None, last_modified: str | None
) -> bool:
    """Tell whether the client has the response already: 304 (RFC 9110, section 13.1)."""
    if if_none_match is not None:
        if if_none_match.strip() == "*":
            return True
        return etag is not None and _strip_weakness(etag) in map(_strip_weakness, if_none_match.split(","))
    if if_modified_since is None or last_modified is None:
        return False
    since, modified = _read_date(if_modified_since), _read_date(last_modified)
    return since is not None and modified is not None and modified <= since


def _strip_weakness(tag: str) -> str:
    """Return an entity tag without its mark of weakness, which does not count here (RFC 9110, section 8.8.3.2)."""
    return tag.strip().removeprefix("W/")
