"""The same requests to three servers, whose answers are equal but for what docs/protocols.md lists."""

from __future__ import annotations

import ast
import gzip
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from tests.faults.generator import Generator, Request
from tests.faults.wire import Answer, exchange

Answers = list[Answer]


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference that is the servers'.

    Attributes:
        name: As it stands in the table of docs/protocols.md.
        concerns: Whether a request is of the kind that meets it: takes the target, and the head without it.
        level: Takes away from the answers what may differ, and nothing else.
    """

    name: str
    concerns: Callable[[bytes, bytes], bool]
    level: Callable[[Answers], Answers]


def without_refusals(answers: Answers) -> Answers:
    """Leave out the answers that a server gave by itself: no layer of the application put its header on them."""
    return [answer for answer in answers if not is_refusal(answer)]


def is_refusal(answer: Answer) -> bool:
    """Return whether the server answered, and not the application."""
    return answer.status == 400 and not answer.header("vary")


def each_echo(change: Callable[[dict[str, list[str]]], dict[str, list[str]]]) -> Callable[[Answers], Answers]:
    """Return what changes the headers that the application says it was sent."""

    def level(answers: Answers) -> Answers:
        changed = []
        for answer in answers:
            try:
                echo = json.loads(answer.body)
                echo["headers"] = change(echo["headers"])
            except (ValueError, TypeError, KeyError):
                changed.append(answer)
            else:
                changed.append(replace(answer, body=json.dumps(echo, sort_keys=True).encode()))
        return changed

    return level


def without_host(answers: Answers) -> Answers:
    """Take away the authority of redirects and of the echoed request."""
    level = each_echo(lambda headers: {name: values for name, values in headers.items() if name != "host"})
    return [
        replace(
            answer,
            headers=tuple(
                (name, re.sub(r"^https?://[^/]*", "", value) if name == "location" else value)
                for name, value in answer.headers
            ),
        )
        for answer in level(answers)
    ]


DIFFERENCES = (
    Difference(
        "a method in lower case, or one that is not registered",
        lambda target, head: not re.match(rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|PURGE|M-SEARCH) ", head),
        without_refusals,
    ),
    Difference(
        '`"`, `<` or `>` in the target', lambda target, head: bool(re.search(rb'["<>]', target)), without_refusals
    ),
    Difference(
        "a byte outside ASCII in the target",
        lambda target, head: bool(re.search(rb"[\x80-\xff]", target)),
        without_refusals,
    ),
    Difference(
        "an authority as the target, without `CONNECT`",
        lambda target, head: b"/" not in target[:1] and b":" in target,
        without_refusals,
    ),
    Difference("a whole URL as the target", lambda target, head: b"://" in target.partition(b"?")[0], without_host),
    Difference(
        "HTTP/1.0 without `Host`",
        lambda target, head: not re.search(rb"\nhost:", head, re.I),
        each_echo(
            lambda headers: {name: values for name, values in headers.items() if (name, values) != ("host", [""])}
        ),
    ),
    Difference(
        "a request header's value outside ASCII",
        lambda target, head: bool(re.search(rb"[\x80-\xff]", head)),
        each_echo(lambda headers: {name: kept for name, values in headers.items() if (kept := ascii_only(values))}),
    ),
    Difference(
        "spaces after a header's value",
        lambda target, head: bool(re.search(rb"[ \t]\r\n", head)),
        lambda answers: [replace(answer, body=re.sub(rb' +(?=")', b"", answer.body)) for answer in answers],
    ),
    Difference(
        "several `Cookie` headers",
        lambda target, head: len(re.findall(rb"\ncookie:", head, re.I)) > 1,
        each_echo(lambda headers: {**headers, "cookie": ["; ".join(headers["cookie"])]}),
    ),
)


def ascii_only(values: list[str]) -> list[str]:
    """Return the values that RSGI shows."""
    return [value for value in values if value.isascii()]


@dataclass(slots=True)
class Report:
    """What a run found.

    Attributes:
        requests: How many were sent, to each server.
        statuses: How often the application answered with each.
        listed: How often each listed difference was met.
        unlisted: The numbers of the other requests that were answered differently, with the answers.
        failures: The numbers of requests that were answered with a 5xx that they did not ask for.
        seconds: How long it took.
    """

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    listed: Counter[str] = field(default_factory=Counter)
    unlisted: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0


def compare(request: Request, answers: Answers) -> list[str] | None:
    """Return the names of the differences that make the answers equal, or `None` where none do."""
    names: list[str] = []
    head = request.data.partition(b"\r\n\r\n")[0] + b"\r\n"
    target = head.partition(b"\r\n")[0].split(b" ", 1)[-1].rpartition(b" ")[0]
    # The target has rules of its own.
    head = head.replace(target, b"", 1)
    for difference in DIFFERENCES:
        if all_equal(answers):
            return names
        if difference.concerns(target, head):
            levelled = difference.level(answers)
            if levelled != answers:
                names.append(difference.name)
            answers = levelled
    return names if all_equal(answers) else None


def all_equal(answers: Answers) -> bool:
    """Return whether the answers say the same."""
    return all(answer == answers[0] for answer in answers)


def without_chance(answer: Answer, port: int) -> Answer:
    """Take away what differs between two answers of one server: time, its port, compression, a boundary."""
    if answer.header("content-encoding") == "gzip" and answer.body:
        answer = replace(answer, body=gzip.decompress(answer.body))
    text = repr((answer.headers, answer.body)).replace(f":{port}", ":0")
    if (kind := answer.header("content-type")).startswith("multipart/byteranges"):
        text = text.replace(kind.partition("boundary=")[2], "boundary")
    headers, body = ast.literal_eval(text)
    return replace(answer, headers=headers, body=body, seconds=0)


def run(ports: Sequence[int], count: int, seed: int) -> Report:
    """Send requests of a seed to each server and compare what comes back."""
    report, begun = Report(), time.monotonic()
    generator = Generator(seed)
    for number in range(count):
        request = generator.request(number)
        answers = [without_chance(exchange(port, request.data, request.method), port) for port in ports]
        report.requests += 1
        report.statuses[answers[0].status] += 1
        names = compare(request, answers)
        if names is None:
            report.unlisted.append(
                f"{number}: {request.data[:500]!r}\n" + "\n".join(f"  {answer}"[:600] for answer in answers)
            )
        else:
            report.listed.update(names)
        if any(answer.status >= 500 or not answer.status for answer in answers) and b"/status/5" not in request.data:
            report.failures.append(f"{number}: {request.data[:500]!r} {[answer.status for answer in answers]}")
    report.seconds = time.monotonic() - begun
    return report
