"""Hostile requests to a server, none of which may end it, hold it up, or be answered with a 5xx."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.hostile_cases import Case
from tests.faults.wire import Answer, exchange
from tests.servers import Server

SECRETS = (b"root:x:", b"not to be served", b"One application with something")
# What a request may try to write into the log by itself.
FORGED = ("\x1b[31m", "\nINFO: forged", "\n200 OK")


def seconds_of_processor(pid: int) -> float:
    """Return how many seconds of processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@dataclass(slots=True)
class Report:
    """What a run found.

    Attributes:
        cases: How many were sent.
        failures: What was wrong.
        dearest: The most processor time that one took, in seconds, and its kind.
        slowest: The longest that one took, in seconds, and its kind.
    """

    cases: int = 0
    failures: list[str] = field(default_factory=list)
    dearest: tuple[float, str] = (0, "")
    slowest: tuple[float, str] = (0, "")

    def __str__(self) -> str:
        """Return it for a reader."""
        costs = f"at most {self.dearest[0]:.2f} s of processor time ({self.dearest[1]}), {self.slowest[0]:.2f} s"
        return "\n    ".join([f"{self.cases} cases, {len(self.failures)} failures; {costs}", *self.failures[:20]])


def run(server: Server, chosen: Sequence[Case], processor_limit: float = 0.1) -> Report:
    """Send cases to a server and say what was wrong with the answers, or with the server afterwards.

    Args:
        server: Runs the instruments' application with one worker.
        chosen: What is sent.
        processor_limit: How many seconds of processor time one may take. What takes longer is sent twice more.
    """
    report = Report()
    worker = settled(server.port)["pid"]
    for case in chosen:
        report.cases += 1
        cost = float("inf")
        for _ in range(3):
            before = seconds_of_processor(worker)
            try:
                answer = exchange(server.port, case.data, case.method, end=case.end)
            except TimeoutError:
                report.failures.append(f"{case.kind}: no answer in 5 s: {case.data[:300]!r}")
                break
            cost = min(cost, seconds_of_processor(worker) - before)
            report.slowest = max(report.slowest, (answer.seconds, case.kind))
            if problem := wrong(case, answer):
                report.failures.append(f"{case.kind}: {problem}: {case.data[:300]!r}")
            if cost <= processor_limit:
                report.dearest = max(report.dearest, (cost, case.kind))
                break
        else:
            report.failures.append(f"{case.kind}: {cost:.2f} s of processor time: {case.data[:300]!r}")
    if settled(server.port)["pid"] != worker:
        report.failures.append("the worker is another")
    report.failures += [f"{text!r} is in the log" for text in (*FORGED, "Traceback") if text in server.log]
    return report


def wrong(case: Case, answer: Answer) -> str | None:
    """Return what is wrong with an answer."""
    if answer.status >= 500 and answer.status not in (501, 505):
        return f"answered {answer.status}"
    if any(secret in answer.body for secret in SECRETS):
        return "a file was served"
    return case.check(answer)


def settled(port: int, deadline: float = 10) -> dict[str, int]:
    """Return what the process holds when nothing is in hand, once it holds the same twice."""
    last: dict[str, int] = {}
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        held = what_is_held(port)
        if held == last:
            break
        last = held
        time.sleep(0.05)
    return last


def what_is_held(port: int) -> dict[str, int]:
    """Return how many descriptors, files, tasks and threads the application's process has now."""
    answer = exchange(port, b"GET /held HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    held: dict[str, int] = json.loads(answer.body)
    return held
