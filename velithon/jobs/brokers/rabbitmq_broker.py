"""taskiq's broker on RabbitMQ, with jobs that are due later and priorities.

A job that is due later waits in a queue of those that are due equally late, whose messages go to the queue of the jobs
when their time is over; RabbitMQ looks only at the first message of a queue. Delays are rounded up to two digits, so
there are few such queues, and RabbitMQ removes those that nobody uses.
"""

from __future__ import annotations

import math

from aio_pika import DeliveryMode, Message
from taskiq import BrokerMessage
from taskiq_aio_pika import AioPikaBroker, Exchange, Queue, QueueType

__all__ = ["RabbitMQBroker"]

_IDLE_MILLISECONDS = 60_000


class RabbitMQBroker(AioPikaBroker):
    """taskiq's `AioPikaBroker` for jobs; see this module.

    Args:
        url: Where RabbitMQ is.
        queue: What the names of the queues begin with.
        claim_seconds: Without meaning: RabbitMQ sees at once that a worker is gone.
    """

    has_priorities = True

    def __init__(self, url: str, queue: str, claim_seconds: float) -> None:
        self.jobs = f"{queue}.jobs"
        super().__init__(
            url,
            exchange=Exchange(name=self.jobs),
            # Quorum queues know no priorities.
            task_queues=[Queue(name=self.jobs, type=QueueType.CLASSIC, durable=True, max_priority=9)],
            dead_letter_queue=Queue(name=f"{queue}.dead", type=QueueType.CLASSIC, durable=True),
        )

    def set_concurrency(self, concurrency: int) -> None:
        """Have as many messages delivered as are worked on at once."""
        self._qos = concurrency

    async def kick(self, message: BrokerMessage) -> None:
        """Publish a job, to a queue where it waits when it is due later.

        Return when RabbitMQ has confirmed it.
        """
        delay = float(message.labels.get("delay", 0))
        if delay <= 0:
            await super().kick(message)
            return
        assert self.write_channel is not None
        milliseconds = round_up_delay(delay)
        waiting = await self.write_channel.declare_queue(
            f"{self.jobs}.later.{milliseconds}",
            durable=True,
            arguments={
                "x-message-ttl": milliseconds,
                "x-expires": milliseconds + _IDLE_MILLISECONDS,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": self.jobs,
            },
        )
        await self.write_channel.default_exchange.publish(
            Message(
                message.message, delivery_mode=DeliveryMode.PERSISTENT, priority=int(message.labels.get("priority", 5))
            ),
            routing_key=waiting.name,
        )


def round_up_delay(seconds: float) -> int:
    """Return a delay in milliseconds, rounded up to two digits."""
    milliseconds = max(1, math.ceil(seconds * 1000))
    step: int = 10 ** max(0, len(str(milliseconds)) - 2)
    return math.ceil(milliseconds / step) * step
