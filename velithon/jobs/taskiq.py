"""Jobs over taskiq: Redis, RabbitMQ, NATS or a broker of your own.

taskiq carries and receives; that a message is acknowledged only when its job has ended, and that a job may be due
later, is seen to here and in `velithon.jobs.brokers`.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

from velithon.jobs.message import JobMessage, JobsError, JobsUnavailableError

try:
    from taskiq import AsyncBroker, Context, TaskiqDepends, TaskiqMessage
    from taskiq.acks import AcknowledgeType
    from taskiq.receiver import Receiver
except ImportError as error:  # pragma: no cover - the extra is installed where tests run
    raise ImportError('Jobs over taskiq need the package taskiq: pip install "velithon[taskiq]"') from error

if TYPE_CHECKING:
    from velithon.jobs.backend import Execute
    from velithon.stores import Store

__all__ = ["TaskiqBackend"]

logger = logging.getLogger("velithon.jobs")

_TASK = "velithon.job"
_SEND_SECONDS = 10.0


class TaskiqBackend:
    """Carries jobs by taskiq.

    Args:
        broker: A URL: `redis://`, `rediss://`, `amqp://`, `amqps://` or `nats://`; or a broker of taskiq. One of your
            own must acknowledge messages, and it must understand the label `delay` for jobs that are due later.
        queue: The name of the queue, for a URL: applications that share a broker need different ones.
        claim_seconds: Redis and NATS: how long a message of a worker that was killed waits for another worker. A
            worker that lives renews its claim, however long a job takes.

    Raises:
        ImportError: A package is missing; says how to install it.
    """

    is_remote = True
    store: Store | None = None

    def __init__(self, broker: AsyncBroker | str, *, queue: str = "velithon", claim_seconds: float = 30.0) -> None:
        if claim_seconds <= 0:
            raise ValueError(f"claim_seconds is a number of seconds, more than 0, not {claim_seconds!r}.")
        self.broker = _build_broker(broker, queue, claim_seconds) if isinstance(broker, str) else broker
        self.has_priorities: bool = getattr(self.broker, "has_priorities", True)

    async def start(self, execute: Execute, *, is_worker: bool) -> None:
        """Connect.

        Raises:
            JobsUnavailableError: The broker cannot be reached.
        """
        self.broker.is_worker_process = is_worker
        self._add_task(execute)
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await self.broker.startup()
        except Exception as error:
            raise JobsUnavailableError(f"The broker of the jobs cannot be reached: {error!r}") from error

    def _add_task(self, execute: Execute) -> None:
        async def run(data: str, context: Annotated[Context, TaskiqDepends()]) -> None:
            try:
                message = JobMessage.decode(data)
            except JobsError:
                logger.exception("A message in the queue of the jobs is none; it is dropped")
            else:
                await execute(message)
            await context.ack()

        self.broker.register_task(run, task_name=_TASK)

    async def send(self, message: JobMessage) -> None:
        """Hand a job to the broker."""
        labels: dict[str, object] = {"priority": str(message.priority)}
        if message.delay > 0:
            labels["delay"] = str(message.delay)
        task = TaskiqMessage(
            task_id=message.id,
            task_name=_TASK,
            labels=labels,
            args=[message.encode().decode()],
            kwargs={},
        )
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await self.broker.kick(self.broker.formatter.dumps(task))
        except Exception as error:
            raise JobsUnavailableError(
                f"It is not known whether the broker accepted the job {message.job}: {error!r}"
            ) from error

    async def stop(self, grace: float | None) -> None:
        """Let go of the connections."""
        await self.broker.shutdown()

    async def work(self, execute: Execute, *, concurrency: int, stop: asyncio.Event) -> None:
        """Do jobs until `stop` is set."""
        set_concurrency = getattr(self.broker, "set_concurrency", None)
        if set_concurrency is not None:
            set_concurrency(concurrency)
        with ThreadPoolExecutor(max_workers=1) as executor:
            while not stop.is_set():
                receiver = Receiver(
                    self.broker,
                    executor,
                    max_async_tasks=concurrency,
                    run_startup=False,
                    validate_params=False,
                    ack_type=AcknowledgeType.MANUAL,
                )
                try:
                    await receiver.listen(stop)
                except Exception:
                    logger.exception("The worker lost its broker and tries to reach it again")
                    await asyncio.sleep(1)


def _build_broker(url: str, queue: str, claim_seconds: float) -> AsyncBroker:
    scheme = url.partition("://")[0]
    kinds = {
        "redis": ("redis_broker", "RedisBroker", "taskiq-redis"),
        "rediss": ("redis_broker", "RedisBroker", "taskiq-redis"),
        "amqp": ("rabbitmq_broker", "RabbitMQBroker", "taskiq-aio-pika"),
        "amqps": ("rabbitmq_broker", "RabbitMQBroker", "taskiq-aio-pika"),
        "nats": ("nats_broker", "NatsBroker", "taskiq-nats"),
    }
    if scheme not in kinds:
        raise JobsError(f"There is no broker for {scheme}://; there are {', '.join(kinds)}.")
    module, name, package = kinds[scheme]
    try:
        found = getattr(import_module(f"velithon.jobs.brokers.{module}"), name)
    except ImportError as error:
        raise ImportError(
            f'Jobs over {scheme}:// need the package {package}: pip install "velithon[taskiq]"'
        ) from error
    broker: AsyncBroker = found(url, queue, claim_seconds)
    return broker
