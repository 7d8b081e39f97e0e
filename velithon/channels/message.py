"""What travels over channels: messages, their names and ids, and what can go wrong.

Exceptions:

    ChannelsError                  channels did not do what was asked
      ChannelsUnavailableError     their server cannot be reached, or did not answer in time
      SlowSubscriberError          a subscriber fell behind and was to be disconnected
"""

from __future__ import annotations

import re
from typing import Any, Literal

import orjson

from velithon.encoders import jsonable_encoder

__all__ = [
    "DEFAULT_CAPACITY",
    "ChannelsError",
    "ChannelsUnavailableError",
    "Message",
    "OnFull",
    "SlowSubscriberError",
    "check_channel_name",
    "compile_pattern",
    "encode",
    "is_pattern",
    "parse_id",
]

OnFull = Literal["drop_oldest", "disconnect"]

DEFAULT_CAPACITY = 1000
"""How many messages wait for a subscriber at most, where it does not say."""

_ID = re.compile(r"(\d{1,20})-(\d{1,20})")


class ChannelsError(Exception):
    """Channels did not do what was asked."""


class ChannelsUnavailableError(ChannelsError):
    """The server behind the channels cannot be reached, or did not answer in time."""


class SlowSubscriberError(ChannelsError):
    """A subscriber's queue was full, and it asked to be disconnected then."""


class Message:
    """What was published. All subscribers of a process share one object.

    Args:
        channel: The channel's name.
        payload: The data as it travels: a byte that tells its kind, and the data.
        id: What tells it from the channel's other messages, in their order; `None` where there is no history.
    """

    __slots__ = ("_data", "channel", "id", "payload")
    _data: Any

    def __init__(self, channel: str, payload: bytes, id: str | None = None) -> None:
        self.channel = channel
        self.payload = payload
        self.id = id

    @property
    def data(self) -> Any:
        """What was published: text, bytes, or what its JSON says."""
        try:
            return self._data
        except AttributeError:
            self._data = _decode(self.payload)
            return self._data

    @property
    def text(self) -> str:
        """The data as text: text as it is, anything else as JSON.

        Raises:
            TypeError: The data is bytes.
        """
        if self.payload[:1] == b"b":
            raise TypeError(f"The message in {self.channel!r} is bytes and has no text.")
        if self.payload[:1] == b"t":
            return str(self.data)
        return self.payload[1:].decode()

    def __repr__(self) -> str:
        return f"Message({self.channel!r}, {self.data!r}, id={self.id!r})"


def encode(data: object) -> bytes:
    """Return data as it travels: `t` and text, `b` and bytes, or `j` and JSON.

    Raises:
        TypeError: JSON cannot carry it.
    """
    if isinstance(data, str):
        return b"t" + data.encode()
    if isinstance(data, bytes | bytearray | memoryview):
        return b"b" + bytes(data)
    try:
        return b"j" + orjson.dumps(data, default=jsonable_encoder)
    except TypeError as error:
        raise TypeError(f"A message is text, bytes or what JSON can carry, not {data!r}: {error}.") from error


def _decode(payload: bytes) -> object:
    kind, data = payload[:1], payload[1:]
    if kind == b"t":
        return data.decode()
    return data if kind == b"b" else orjson.loads(data)


def is_pattern(name: str) -> bool:
    """Tell whether a name stands for several."""
    return "*" in name or "?" in name


def check_channel_name(name: str, *, patterns: bool = False) -> str:
    """Return a channel's name.

    Raises:
        ValueError: It is empty or has characters that no name has, or it is a pattern where none can be used.
    """
    if not isinstance(name, str) or not name or "[" in name or "\0" in name or "\\" in name:
        raise ValueError(f"A channel's name is text without '[', '\\' and null characters, not {name!r}.")
    if not patterns and is_pattern(name):
        raise ValueError(f"{name!r} is a pattern, which can only be subscribed to; a name has no '*' and '?'.")
    return name


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern, to be used with `fullmatch`."""
    parts = ({"*": ".*", "?": "."}.get(char) or re.escape(char) for char in pattern)
    return re.compile("".join(parts), re.DOTALL)


def parse_id(text: str) -> tuple[int, int]:
    """Return the milliseconds and the number in them that an id is made of.

    Ids compare as these do.

    Raises:
        ValueError: It is no id.
    """
    if text == "0":
        return 0, 0
    found = _ID.fullmatch(text)
    if found is None:
        raise ValueError(f"The id of a message is like '1700000000000-0', not {text!r}.")
    return int(found[1]), int(found[2])
