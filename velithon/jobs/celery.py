"""Jobs over Celery, on any broker that it knows.

Celery's worker runs in threads of its own; a job runs in the event loop of the worker's application, whose lifespan,
services and dependencies it has. A message is acknowledged when its job has ended.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

from velithon._runtime.json_values import JSONObject
from velithon.concurrency import run_in_threadpool
from velithon.jobs.message import JobMessage, JobsError, JobsUnavailableError

try:
    from celery import Celery
    from celery.worker import state
except ImportError as error:  # pragma: no cover - the extra is installed where tests run
    raise ImportError('Jobs over Celery need the package celery: pip install "velithon[celery]"') from error

if TYPE_CHECKING:
    from velithon.jobs.backend import Execute
    from velithon.stores import Store

__all__ = ["CeleryBackend"]

logger = logging.getLogger("velithon.jobs")

_TASK = "velithon.job"
_SEND_SECONDS = 10


class CeleryBackend:
    """Carries jobs by Celery.

    Args:
        broker: The URL of any broker that Celery knows, such as `amqp://` or `redis://`; or a Celery application, whose
            settings stay as they are.
        queue: The name of the queue: applications that share a broker need different ones.
        visibility_timeout: Brokers that do not see that a worker is gone, such as Redis: after how many seconds a
            message that was not acknowledged is delivered once more. A job that takes longer is then done twice.
    """

    is_remote = True
    store: Store | None = None
    has_priorities = True

    def __init__(self, broker: Celery | str, *, queue: str = "velithon", visibility_timeout: float = 3600.0) -> None:
        if visibility_timeout <= 0:
            raise ValueError(f"visibility_timeout is a number of seconds, more than 0, not {visibility_timeout!r}.")
        self.queue = f"{queue}.celery"
        self.celery = _build_celery(broker, self.queue, visibility_timeout) if isinstance(broker, str) else broker
        self._is_redis = str(self.celery.conf.broker_url).startswith(("redis", "rediss", "sentinel"))
        self._execute: Execute | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

        # Celery takes functions, no methods.
        @self.celery.task(name=_TASK, acks_late=True, reject_on_worker_lost=True, ignore_result=True)
        def run(data: str) -> None:
            self._run(data)

        self._task: Any = run

    async def start(self, execute: Execute, *, is_worker: bool) -> None:
        """Find out whether the broker can be reached.

        Raises:
            JobsUnavailableError: It cannot.
        """
        self._execute = execute
        self._loop = asyncio.get_running_loop()
        try:
            await run_in_threadpool(self._connect)
        except Exception as error:
            raise JobsUnavailableError(f"The broker of the jobs cannot be reached: {error!r}") from error

    def _connect(self) -> None:
        with self.celery.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=_SEND_SECONDS)

    async def send(self, message: JobMessage) -> None:
        """Hand a job to the broker."""
        try:
            await run_in_threadpool(self._send, message)
        except Exception as error:
            raise JobsUnavailableError(
                f"It is not known whether the broker accepted the job {message.job}: {error!r}"
            ) from error

    def _send(self, message: JobMessage) -> None:
        self._task.apply_async(
            args=[message.encode().decode()],
            task_id=message.id,
            shadow=message.job,
            queue=self.queue,
            countdown=message.delay or None,
            # On Redis the lowest number is the first.
            priority=9 - message.priority if self._is_redis else message.priority,
            retry_policy={"max_retries": 2, "interval_start": 0.1, "interval_step": 0.2},
        )

    def _run(self, data: str) -> None:
        """Do a job: what Celery calls, in a thread of its worker."""
        try:
            message = JobMessage.decode(data)
        except JobsError:
            logger.exception("A message in the queue of the jobs is none; it is dropped")
            return
        if self._execute is None or self._loop is None:
            raise JobsError("A job came to a worker that has not started; start it with `velithon worker`.")
        asyncio.run_coroutine_threadsafe(_run_execute(self._execute, message), self._loop).result()

    async def stop(self, grace: float | None) -> None:
        """Let go of the connections."""
        await run_in_threadpool(self.celery.close)

    async def work(self, execute: Execute, *, concurrency: int, stop: asyncio.Event) -> None:
        """Run Celery's worker until `stop` is set."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        failures: list[BaseException] = []
        state.should_stop = state.should_terminate = None
        worker = self.celery.WorkController(
            app=self.celery,
            concurrency=concurrency,
            pool="threads",
            queues=[self.queue],
            loglevel=logging.WARNING,
            without_gossip=True,
            without_mingle=True,
            prefetch_multiplier=1,
        )

        def run() -> None:
            try:
                worker.start()
            except BaseException as error:  # noqa: BLE001 - also what Celery ends with; told below
                failures.append(error)
            finally:
                loop.call_soon_threadsafe(ended.set)

        thread = threading.Thread(target=run, name="velithon-celery", daemon=True)
        thread.start()
        stopping = asyncio.create_task(stop.wait())
        ending = asyncio.create_task(ended.wait())
        await asyncio.wait((stopping, ending), return_when=asyncio.FIRST_COMPLETED)
        state.should_stop = 0  # type: ignore[assignment] # an exit status, says Celery's own code
        await ending
        stopping.cancel()
        if failures and not stop.is_set():
            raise JobsUnavailableError(f"Celery's worker ended: {failures[0]!r}") from failures[0]


async def _run_execute(execute: Execute, message: JobMessage) -> None:
    await execute(message)


def _build_celery(url: str, queue: str, visibility_timeout: float) -> Celery:
    celery = Celery("velithon", broker=url)
    transport: JSONObject = {"visibility_timeout": visibility_timeout, "confirm_publish": True}
    if url.startswith(("redis", "sentinel")):
        transport |= {
            "priority_steps": list(range(10)),
            # By default messages of workers that are gone are looked for every 100 seconds.
            "unacked_restore_interval": min(10.0, visibility_timeout / 2),
            "unacked_restore_throttle": 1,
            "queue_order_strategy": "priority",
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
        }
    celery.conf.update(
        broker_connection_retry_on_startup=True,
        broker_transport_options=transport,
        task_default_queue=queue,
        task_default_priority=5,
        task_queue_max_priority=9,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
    )
    return celery
