"""The message that carries a job to its worker, and the errors of jobs.

Exceptions:

    JobsError                  jobs did not do what was asked
      JobsUnavailableError     the broker or the store cannot be reached: it is not known whether the job was accepted
      JobsFullError            the backend takes no more jobs
      JobFailedError           raised by `handle.result()`: the job failed for good
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from velithon._runtime.json_values import JSONObject

__all__ = [
    "DEFAULT_PRIORITY",
    "JobFailedError",
    "JobMessage",
    "JobsError",
    "JobsFullError",
    "JobsUnavailableError",
]

DEFAULT_PRIORITY = 5


class JobsError(Exception):
    """Jobs did not do what was asked."""


class JobsUnavailableError(JobsError):
    """The broker or the store cannot be reached.

    It is not known whether the job was accepted.
    """


class JobsFullError(JobsError):
    """The backend takes no more jobs."""


class JobFailedError(JobsError):
    """A job failed for good."""


@dataclass(slots=True, eq=False)
class JobMessage:
    """One job to do.

    Attributes:
        id: The job's id.
        job: The name of the function.
        arguments: By parameter, as JSON carries them.
        attempt: 1 for the first.
        priority: 0 to 9, the highest first.
        enqueued_at: When it was asked for, as Unix time.
        not_before: When it may begin, as Unix time.
        request_id: The request that asked for it.
        retries: How often it is tried again after it failed.
        backoff: Seconds before the second attempt; `None` asks the function that the job was given.
        timeout: Seconds that one attempt may take.
        unique_key: What no other job that waits or runs may have.
        headers: The trace that it belongs to, as W3C headers (`traceparent`).
    """

    id: str
    job: str
    arguments: JSONObject
    attempt: int = 1
    priority: int = DEFAULT_PRIORITY
    enqueued_at: float = field(default_factory=time.time)
    not_before: float = 0.0
    request_id: str | None = None
    retries: int = 0
    backoff: float | None = None
    timeout: float | None = None
    unique_key: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return it as JSON."""
        return orjson.dumps(asdict(self))

    @classmethod
    def decode(cls, data: bytes | str) -> JobMessage:
        """Return what `encode` wrote.

        Raises:
            JobsError: It is something else.
        """
        try:
            return cls(**orjson.loads(data))
        except (TypeError, ValueError) as error:
            raise JobsError(f"A message is no job of ours: {error}.") from error

    @property
    def delay(self) -> float:
        """The seconds until it may begin."""
        return max(0.0, self.not_before - time.time())
