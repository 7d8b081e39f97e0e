"""Brokers and workers of real processes, for the tests of jobs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.effort import FULL
from tests.services.redis import RedisServer

ROOT = Path(__file__).resolve().parents[2]
ALL_BACKENDS = ["redis", "amqp", "nats", "celery+redis", "celery+amqp"]
# Each engine and each kind of broker; all of them with VELITHON_TESTS=full.
BACKENDS = ALL_BACKENDS if FULL else ["redis", "celery+amqp"]
_DEADLINE = 30.0


def broker_url(backend: str, request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty broker, whose server runs for the session."""
    engine, plus, transport = backend.rpartition("+")
    if transport == "redis":
        server: RedisServer = request.getfixturevalue("shared_redis")
        url = server.url
    else:
        url = request.getfixturevalue(f"shared_{transport}")
    return f"{engine}{plus}{url}"


class Worker:
    """A process of `velithon worker` or `velithon scheduler`.

    Args:
        process: It.
        log_file: Where its output goes.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", log_file: Path) -> None:
        self.process = process
        self.log_file = log_file

    @property
    def log(self) -> str:
        """Return everything that it has written."""
        return self.log_file.read_text(errors="replace")

    def kill(self) -> None:
        """End it as a lack of memory does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(_DEADLINE)

    def stop(self) -> int:
        """Ask it to end; return its exit status."""
        self.process.terminate()
        return self.process.wait(_DEADLINE)


@contextmanager
def worker(
    directory: Path, jobs_url: str, store_url: str, *options: str, command: str = "worker", claim_seconds: float = 1.0
) -> Generator[Worker, None, None]:
    """Run a worker, which ends with the block."""
    log_file = directory / f"{command}-{time.monotonic_ns()}.log"
    path = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
    environment = {
        **os.environ,
        "TEST_JOBS_URL": jobs_url,
        "TEST_STORE_URL": store_url,
        "TEST_CLAIM_SECONDS": str(claim_seconds),
        "PYTHONPATH": path,
        "PYTHONUNBUFFERED": "1",
    }
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "velithon", command, "tests.jobs.application:make_app", "--factory", *options],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    running = Worker(process, log_file)
    try:
        yield running
    except BaseException as error:
        error.add_note(f"The {command}'s output:\n{running.log}")
        raise
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
