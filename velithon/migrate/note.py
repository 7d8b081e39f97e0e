"""What a migration left to a person."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Note"]


class Note(NamedTuple):
    """What a person is to look at.

    Attributes:
        line: Where, from 1.
        text: What, and what to do.
    """

    line: int
    text: str
