"""`velithon worker` and `velithon scheduler`: run jobs, and enqueue scheduled ones."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from velithon.cli import app, fail
from velithon.cli.openapi import AppOption, FactoryOption, Target, load

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from velithon import Velithon
    from velithon.jobs import Jobs

__all__ = ["scheduler", "worker"]

LogLevel = Annotated[
    Literal["critical", "error", "warning", "info", "debug"],
    typer.Option("--log-level", help="In any case. Default: info.", case_sensitive=False, envvar="VELITHON_LOG_LEVEL"),
]
LogFormat = Annotated[
    Literal["text", "json", "pretty"],
    typer.Option("--log-format", help="Default: text.", case_sensitive=False, envvar="VELITHON_LOG_FORMAT"),
]

# A process that ends sooner than this after its start is started again after as long.
_SOON_SECONDS = 1.0


@app.command(rich_help_panel="Serve")
def worker(
    target: Target = None,
    app_option: AppOption = None,
    factory: FactoryOption = False,
    concurrency: Annotated[
        int, typer.Option("--concurrency", help="Jobs at once, in each process. Default: 10.", min=1)
    ] = 10,
    workers: Annotated[int, typer.Option("--workers", help="Processes. Default: 1.", min=1)] = 1,
    grace: Annotated[
        float, typer.Option("--grace", help="Seconds that jobs have to end at a stop. Default: 30.", min=0)
    ] = 30.0,
    log_level: LogLevel = "info",
    log_format: LogFormat = "text",
) -> None:
    """Do the jobs that an application asks for.

    It starts the application, without serving it, and what its backend has: a worker of taskiq or of Celery. SIGTERM
    and SIGINT let the jobs that run end; those that do not within --grace are done by another worker.
    """
    if workers > 1:
        _supervise(workers)
        return
    _configure(log_level, log_format)
    application = load(target, app_option, factory=factory)

    async def work(jobs: Jobs, stop: asyncio.Event) -> None:
        await jobs.work(concurrency=concurrency, stop=stop)

    _run(application, work, grace=grace, is_worker=True)


@app.command(rich_help_panel="Serve")
def scheduler(
    target: Target = None,
    app_option: AppOption = None,
    factory: FactoryOption = False,
    log_level: LogLevel = "info",
    log_format: LogFormat = "text",
) -> None:
    """Ask for the jobs of an application that have a schedule, whenever they are due.

    Several may run: those that share a store ask once for each time.
    """
    _configure(log_level, log_format)
    application = load(target, app_option, factory=factory)

    async def schedule(jobs: Jobs, stop: asyncio.Event) -> None:
        if not jobs.backend.is_remote:
            from velithon.jobs import JobsError

            raise JobsError("The jobs of this application are done, and scheduled, in its own process.")
        await jobs.schedule(stop)

    _run(application, schedule, grace=None, is_worker=False)


def _configure(level: str, log_format: LogFormat) -> None:
    from velithon.logging import configure_logging

    configure_logging(level, log_format=log_format)


def _run(
    application: Velithon,
    work: Callable[[Jobs, asyncio.Event], Awaitable[None]],
    *,
    grace: float | None,
    is_worker: bool,
) -> None:
    from velithon.jobs import JobsError
    from velithon_adapters.lifespan import LifespanError

    try:
        asyncio.run(_work_until_stopped(application, work, grace=grace, is_worker=is_worker))
    except (JobsError, LifespanError) as error:
        raise fail(str(error)) from error


async def _work_until_stopped(
    application: Velithon,
    work: Callable[[Jobs, asyncio.Event], Awaitable[None]],
    *,
    grace: float | None,
    is_worker: bool,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    jobs = application.jobs
    jobs.is_worker = is_worker
    jobs.schedules = False
    async with application.router.lifespan_context(application):
        task = asyncio.ensure_future(work(jobs, stop))
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not task.done():
            await asyncio.wait((task,), timeout=grace)
        if not task.done():
            task.cancel()
            await asyncio.wait((task,), timeout=1)
        if task.done() and not task.cancelled():
            task.result()


def _supervise(count: int) -> None:
    """Run the same command in several processes, and start another in the place of one that ends."""
    command = [sys.executable, "-m", "velithon", *sys.argv[1:], "--workers", "1"]
    stopped = False

    def stop(*signal_and_frame: object) -> None:
        nonlocal stopped
        stopped = True
        for process, _ in running:
            process.terminate()

    running: list[tuple[subprocess.Popen[bytes], float]] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    running += [(subprocess.Popen(command, start_new_session=True), time.monotonic()) for _ in range(count)]
    while running and not (stopped and all(process.poll() is not None for process, _ in running)):
        for index, (process, began) in enumerate(running):
            if process.poll() is not None and not stopped:
                typer.echo(f"velithon: worker {process.pid} ended with {process.returncode}; it is replaced", err=True)
                if time.monotonic() - began < _SOON_SECONDS:
                    time.sleep(_SOON_SECONDS)
                running[index] = (subprocess.Popen(command, start_new_session=True), time.monotonic())
        time.sleep(0.1)
