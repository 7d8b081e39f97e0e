"""taskiq's pull broker on NATS JetStream, with renewed claims and delayed jobs.

A job stays in the stream until it has ended. A worker that has it tells the server again and again that it is at work;
where that ends, the server delivers the job to another. One that is not due yet is given back with the time to wait.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import ConsumerConfig, RetentionPolicy, StreamConfig
from taskiq import AckableMessage, BrokerMessage
from taskiq_nats import PullBasedJetStreamBroker

__all__ = ["NatsBroker"]

logger = logging.getLogger("velithon.jobs")

_NOT_BEFORE = "Velithon-Not-Before"
_FETCH_SECONDS = 0.5


class NatsBroker(PullBasedJetStreamBroker):
    """taskiq's `PullBasedJetStreamBroker` for jobs; see this module.

    Args:
        url: Where NATS is; JetStream must be enabled (`nats-server --jetstream`).
        queue: What stream, subject and consumer are named after.
        claim_seconds: How long a job waits of whose worker nothing is heard.
    """

    has_priorities = False

    def __init__(self, url: str, queue: str, claim_seconds: float) -> None:
        name = f"{queue.replace('.', '-')}-jobs"
        super().__init__(
            [url],
            subject=f"{queue}.jobs",
            stream_name=name,
            durable=name,
            stream_config=StreamConfig(retention=RetentionPolicy.WORK_QUEUE),
            consumer_config=ConsumerConfig(durable_name=name, ack_wait=claim_seconds, max_deliver=-1),
        )
        self._claim = claim_seconds
        self._renewing: set[asyncio.Task[None]] = set()

    async def kick(self, message: BrokerMessage) -> None:
        """Publish a job; return when the stream has it."""
        headers = {_NOT_BEFORE: str(time.time() + float(message.labels.get("delay", 0)))}
        await self.js.publish(self.subject, message.message, headers=headers)

    async def listen(self) -> AsyncGenerator[AckableMessage, None]:
        """Yield the jobs that are due."""
        try:
            while True:
                try:
                    found = await self.consumer.fetch(batch=1, timeout=_FETCH_SECONDS)
                except NatsTimeoutError:
                    continue
                except NatsError as error:
                    logger.warning("The worker cannot reach NATS and tries again: %r", error)
                    await asyncio.sleep(1)
                    continue
                for message in found:
                    wait = float((message.headers or {}).get(_NOT_BEFORE, 0)) - time.time()
                    if wait > 0:
                        await message.nak(delay=wait)
                    else:
                        yield AckableMessage(data=message.data, ack=self._build_acknowledge(message))
        finally:
            for task in self._renewing:
                task.cancel()

    def _build_acknowledge(self, message: Msg) -> Callable[[], Awaitable[None]]:
        """Renew the claim on a message from here on; return what acknowledges it."""
        task = asyncio.get_running_loop().create_task(self._renew(message))
        self._renewing.add(task)
        task.add_done_callback(self._renewing.discard)

        async def acknowledge() -> None:
            task.cancel()
            await message.ack_sync()

        return acknowledge

    async def _renew(self, message: Msg) -> None:
        while True:
            await asyncio.sleep(self._claim / 3)
            try:
                await message.in_progress()
            except NatsError as error:
                logger.warning("The worker cannot renew its claim on a job: %r", error)
