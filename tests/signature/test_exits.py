"""The exits of a request end as those of any stack."""

import itertools
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any

import pytest

from velithon.signature.exits import Exits

pytestmark = pytest.mark.anyio


class Exit(AbstractAsyncContextManager[None]):
    def __init__(self, does: str, place: int, seen: list[Any]) -> None:
        self.does = does
        self.place = place
        self.seen = seen

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.seen.append((self.place, repr(error)))
        if self.does == "raises":
            raise ValueError(self.place)
        if self.does == "replaces" and error is not None:
            raise KeyError(self.place) from error
        if self.does == "raises again" and error is not None:
            raise error
        return self.does == "swallows"


def chain(error: BaseException | None) -> list[Any]:
    found: list[Any] = []
    while error is not None:
        assert len(found) < 10, "an exception is its own context"
        found.append((repr(error), repr(error.__cause__)))
        error = error.__context__
    return found


async def outcome(stack: AsyncExitStack, exits: tuple[str, ...]) -> Any:
    seen: list[Any] = []
    for place, does in enumerate(exits):
        stack.push_async_exit(Exit(does, place, seen))
    try:
        await stack.aclose()
    except (ValueError, KeyError) as error:
        return seen, chain(error)
    return seen, None


@pytest.mark.parametrize("last", ["nothing", "raises", "swallows", "replaces", "raises again"])
async def test_exits_end_as_those_of_any_stack(last: str) -> None:
    for others in itertools.product(["nothing", "raises", "swallows", "replaces", "raises again"], repeat=3):
        exits = (last, *others)
        assert await outcome(Exits(), exits) == await outcome(AsyncExitStack(), exits), exits
