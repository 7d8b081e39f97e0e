"""A cached response: its bytes in a store and its parsed form in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import orjson

from velithon.cache.rules import matches_condition
from velithon.responses.base import Response

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from velithon._runtime.json_values import JSONObject
    from velithon.responses.headers import Pairs

__all__ = ["Entry"]

_OF_304 = frozenset({"cache-control", "content-location", "etag", "expires", "last-modified", "vary"})


class Entry(bytes):
    """A response, or the names of the headers by which several of one URL differ.

    A store in memory gives back the very object that it was given, so a hit there has nothing to read.

    Attributes:
        status: Its status; 0 for names.
        pairs: Its headers; without `Age`.
        body: Its body.
        born: When it was made, in Unix time; likewise `fresh_until` and `stale_until`.
        tags: Keys of tags -> the tokens that they had.
        varies: Names of request headers -> the values that the response was made for.
        identity: Of names: what the keys of the responses begin with.
    """

    status: int
    pairs: Pairs
    body: bytes
    born: float
    fresh_until: float
    stale_until: float
    tags: dict[str, str]
    varies: dict[str, str | None]
    identity: str
    etag: str | None
    last_modified: str | None

    @classmethod
    def make(cls, head: JSONObject, body: bytes) -> Self:
        """Return the entry of a head, which JSON can carry, and a body."""
        written = orjson.dumps(head)
        self = cls(len(written).to_bytes(4, "big") + written + body)
        self._read(head, body)
        return self

    @classmethod
    def of(cls, blob: bytes) -> Self:
        """Return the entry that a store kept."""
        if type(blob) is cls:
            return blob
        end = 4 + int.from_bytes(blob[:4], "big")
        self = cls(blob)
        self._read(orjson.loads(blob[4:end]), blob[end:])
        return self

    def _read(self, head: dict[str, Any], body: bytes) -> None:
        self.status = head["status"]
        self.pairs = [(name, value) for name, value in head["pairs"]]
        self.body = body
        self.born = head["born"]
        self.fresh_until = head["fresh_until"]
        self.stale_until = head["stale_until"]
        self.tags = head["tags"]
        self.varies = head["varies"]
        self.identity = head["identity"]
        headers = dict(self.pairs)
        self.etag, self.last_modified = headers.get("etag"), headers.get("last-modified")

    def is_for(self, request: HTTPConnection) -> bool:
        """Tell whether a request has the values that the response was made for."""
        return all(request.headers.get(name) == value for name, value in self.varies.items())

    def response(self, now: float) -> Response:
        """Return the response as old as it is now."""
        age = int(now - self.born)
        return Response.from_pairs(self.body, self.status, [*self.pairs, ("age", str(age if age > 0 else 0))])

    def answer(self, now: float, if_none_match: str | None, if_modified_since: str | None) -> Response:
        """Return the response, or 304 to a client that has it."""
        made = self.response(now)
        if self.status == 200 and matches_condition(if_none_match, if_modified_since, self.etag, self.last_modified):
            return build_not_modified(made)
        return made


def build_not_modified(response: Response) -> Response:
    """Return the 304 of a response (RFC 9110, section 15.4.5)."""
    made = Response(status_code=304)
    made._pairs = [(name, value) for name, value in response.rsgi_headers() if name in _OF_304 or name == "age"]
    made.background = response.background
    return made
