"""The ways in which a package's file is run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["CONTROL", "WAYS", "Way", "way_named"]


@dataclass(frozen=True, slots=True)
class Way:
    """A framework and a protocol.

    Attributes:
        name: Its name on the command line and in the table.
        protocol: What clients and servers speak.
        changed: Whether the file's imports are changed to Velithon's.
        as_fastapi: Whether `import fastapi` means Velithon.
    """

    name: str
    protocol: Literal["asgi", "rsgi"]
    changed: bool = False
    as_fastapi: bool = False

    @property
    def is_control(self) -> bool:
        """Whether it is FastAPI itself that runs."""
        return not (self.changed or self.as_fastapi)

    def source(self, text: str) -> str:
        """Return a file's source as it runs in this way."""
        if not self.changed:
            return text
        # What a user changes: `from fastapi import FastAPI` becomes `from velithon import Velithon`.
        text = re.sub(r"^(\s*(?:from|import) )fastapi\b", r"\1velithon", text, flags=re.MULTILINE)
        return re.sub(r"\bFastAPI\b", "Velithon", text)


# Not "fastapi": its folder would be found in the place of the package.
CONTROL = Way("control", "asgi")
WAYS = (
    CONTROL,
    Way("asgi", "asgi", changed=True),
    Way("rsgi", "rsgi", changed=True),
    Way("as-fastapi-asgi", "asgi", as_fastapi=True),
    Way("as-fastapi-rsgi", "rsgi", as_fastapi=True),
)


def way_named(name: str) -> Way:
    """Return a way by its name."""
    return next(way for way in WAYS if way.name == name)
