"""Stand-ins for libraries and services that the documents import and the tests do not install."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Self

# modules by name: what is in them
Modules = dict[str, dict[str, Any]]


class JWTError(Exception):
    """What jose raises for a token that is not valid."""


def encode(payload: dict[str, Any], key: str, algorithm: str) -> str:
    """Write a token: the payload, unsigned."""
    text = json.dumps(payload, default=lambda moment: moment.replace(tzinfo=UTC).timestamp())
    return base64.urlsafe_b64encode(text.encode()).decode()


def decode(token: str, key: str, algorithms: list[str] | None = None) -> dict[str, Any]:
    """Read a token.

    Raises:
        JWTError: It is none, or it has expired.
    """
    try:
        payload: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token))
    except ValueError as error:
        raise JWTError from error
    if payload.get("exp", float("inf")) < datetime.now(UTC).timestamp():
        raise JWTError
    return payload


class CryptContext:
    """passlib's context, with a hash that is none."""

    def __init__(self, schemes: list[str], deprecated: str) -> None:
        self.schemes = schemes

    def hash(self, password: str) -> str:
        """Hash a password."""
        return f"hashed {password}"

    def verify(self, password: str, hashed: str) -> bool:
        """Tell whether a hash is the password's."""
        return hashed == f"hashed {password}"


class Session:
    """SQLAlchemy's session, where a block only annotates with it."""


class File:
    """aiofiles' file."""

    def __init__(self, path: Path, mode: str) -> None:
        self.file = open(path, mode)

    async def __aenter__(self) -> Self:
        """Open the file."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        """Close the file."""
        self.file.close()

    async def write(self, data: bytes) -> int:
        """Write."""
        return int(self.file.write(data))


class Redis:
    """A Redis of one process; it is down when it has no address."""

    def __init__(self, url: str) -> None:
        self.up = bool(url)
        self.values: dict[str, Any] = {}

    async def get(self, key: str) -> Any:
        """Return a value, None when there is none."""
        if not self.up:
            raise ConnectionError
        return self.values.get(key)

    async def setex(self, key: str, seconds: int, value: Any) -> None:
        """Set a value that expires."""
        self.values[key] = value

    async def incr(self, key: str) -> None:
        """Count."""
        self.values[key] += 1

    async def close(self) -> None:
        """Close the connection."""


class Metric:
    """A metric of prometheus_client."""

    def __init__(self, name: str, text: str, labels: list[str]) -> None:
        self.name = name
        self.seen: list[dict[str, Any]] = []

    def labels(self, **labels: Any) -> "Metric":
        """Take the labels."""
        self.seen.append(labels)
        return self

    def inc(self) -> None:
        """Count."""

    def observe(self, value: float) -> None:
        """Take a value."""


def nothing(*args: object, **options: object) -> None:
    """Take anything."""


JOSE: Modules = {"jose": {"JWTError": JWTError, "jwt": SimpleNamespace(encode=encode, decode=decode)}}
PASSLIB: Modules = {"passlib": {}, "passlib.context": {"CryptContext": CryptContext}}
SQLALCHEMY_SESSION: Modules = {
    "sqlalchemy": {},
    "sqlalchemy.ext": {},
    "sqlalchemy.ext.asyncio": {"AsyncSession": Session},
}
SQLALCHEMY_MODELS: Modules = {
    "sqlalchemy": dict.fromkeys(["Column", "Integer", "String", "Text", "DateTime", "ForeignKey"], nothing),
    "sqlalchemy.orm": {"relationship": nothing},
    "sqlalchemy.sql": {"func": SimpleNamespace(now=nothing)},
}
FILES: Modules = {"aiofiles": {"open": File}, "PIL": {"Image": None}}
REDIS: Modules = {"redis": {}, "redis.asyncio": {"from_url": Redis, "Redis": Redis}}
MONITORING: Modules = {
    "prometheus_client": {
        "Counter": Metric,
        "Histogram": Metric,
        "generate_latest": lambda: b"metrics",
        "CONTENT_TYPE_LATEST": "text/plain; version=0.0.4",
    },
    "sentry_sdk": {},
    "sentry_sdk.integrations": {},
    "sentry_sdk.integrations.sqlalchemy": {"SqlalchemyIntegration": nothing},
    "sentry_sdk.integrations.velithon": {"FastApiIntegration": nothing},
}
