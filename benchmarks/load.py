"""Making load and checking answers: wrk for HTTP, h2load for HTTP/2, `benchmarks.sockets` for WebSockets and events."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scenarios import Scenario
from benchmarks.servers import ROOT, connect

__all__ = ["Load", "LoadError", "check", "missing_tools", "run"]

_STREAMS = 4
_LUA = """
wrk.method = "{method}"
{headers}
{body}
done = function(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format("RESULT %d %d %d %d %d %d %d\\n", summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9), errors.status,
        errors.connect + errors.read + errors.write + errors.timeout))
end
"""


class LoadError(Exception):
    """The load could not be made, or the answers were wrong; the message is for the notes."""


@dataclass(frozen=True)
class Load:
    """What one run of load saw.

    Args:
        count: Answers, or messages.
        seconds: How long it took.
        p50: Half of the answers took no longer, in seconds.
        p99: Likewise for 99 of 100.
        errors: Failed connections and time-outs.
        p999: As `p99`, for 999 of 1,000; 0 where it is not measured.
    """

    count: int
    seconds: float
    p50: float
    p99: float
    errors: int = 0
    p999: float = 0.0


def missing_tools() -> str | None:
    """Return what has to be installed first, or `None`."""
    if not sys.platform.startswith("linux"):
        return "the benchmarks read /proc and pin processes with taskset: they need Linux"
    missing = {"wrk": "wrk", "taskset": "util-linux"}
    packages = [package for tool, package in missing.items() if shutil.which(tool) is None]
    if not packages:
        return None
    return f"the benchmarks need {' and '.join(packages)}: apt-get install {' '.join(packages)}"


def check(port: int, scenario: Scenario) -> str | None:
    """Ask once and return what is wrong with the answer, or `None`."""
    if scenario.kind not in ("http", "h2"):
        try:
            sockets(port, scenario, clients=2, seconds=0.1, pinned=[])
        except LoadError as exc:
            return str(exc)
        return None
    if scenario.kind == "h2" and shutil.which("h2load") is None:
        return "HTTP/2 needs h2load: apt-get install nghttp2-client"
    connection = connect(port, scenario.setup == "tls", timeout=20)
    try:
        connection.request(scenario.method, scenario.path, scenario.body or None, dict(scenario.headers))
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return scenario.wrong(response.status, headers, response.read())
    except (OSError, http.client.HTTPException) as exc:
        return f"{type(exc).__name__}: {exc}"
    finally:
        connection.close()


def run(port: int, scenario: Scenario, *, seconds: float, connections: int, core: int | None) -> Load:
    """Make load for a while.

    Raises:
        LoadError: It failed, or answers were not 200.
    """
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    if scenario.kind == "h2":
        return h2load(port, scenario, connections=connections, seconds=seconds, pinned=pinned)
    if scenario.kind != "http":
        return sockets(port, scenario, clients=connections, seconds=seconds, pinned=pinned)
    return wrk(port, scenario, connections=connections, seconds=seconds, pinned=pinned)


def wrk(port: int, scenario: Scenario, *, connections: int, seconds: float, pinned: list[str]) -> Load:
    """Run wrk with a script for the request's method, headers and body. It takes whole seconds."""
    with tempfile.TemporaryDirectory(prefix="velithon-wrk-") as name:
        directory = Path(name)
        body = ""
        if scenario.body:
            (directory / "body").write_bytes(scenario.body)
            body = f'local file = io.open("{directory}/body", "rb")\nwrk.body = file:read("*all")\nfile:close()'
        headers = "\n".join(f'wrk.headers["{key}"] = "{value}"' for key, value in scenario.headers.items())
        script = directory / "request.lua"
        script.write_text(_LUA.format(method=scenario.method, headers=headers, body=body))
        options = [f"-c{connections}", f"-d{max(1, round(seconds))}s", "-t1", "--timeout", "20s", "-s", str(script)]
        url = f"{_scheme(scenario)}://127.0.0.1:{port}{scenario.path}"
        done = _run([*pinned, "wrk", *options, url], seconds)
    for line in done.splitlines():
        if line.startswith("RESULT "):
            count, duration, p50, p99, p999, wrong, errors = (int(word) for word in line.split()[1:])
            if wrong or not count:
                raise LoadError(f"{wrong} of {count} answers were errors")
            return Load(count, duration / 1e6, p50 / 1e6, p99 / 1e6, errors, p999 / 1e6)
    raise LoadError(f"wrk printed no result: {done[-300:]}")


def _scheme(scenario: Scenario) -> str:
    return "https" if scenario.setup == "tls" else "http"


def h2load(port: int, scenario: Scenario, *, connections: int, seconds: float, pinned: list[str]) -> Load:
    """Run h2load, with a few requests at once on each connection. It takes whole seconds."""
    duration = max(1, round(seconds))
    with tempfile.TemporaryDirectory(prefix="velithon-h2load-") as directory:
        log = Path(directory) / "requests"
        options = [f"-c{connections}", f"-m{_STREAMS}", "-t1", f"-D{duration}", f"--log-file={log}"]
        done = _run([*pinned, "h2load", *options, f"{_scheme(scenario)}://127.0.0.1:{port}{scenario.path}"], seconds)
        # One line a request: when it began, its status, its microseconds.
        rows = [line.split() for line in log.read_text().splitlines()]
    if "Application protocol: h2" not in done:
        raise LoadError(f"the server speaks no HTTP/2: {done[-300:]}")
    times = sorted(int(row[2]) / 1e6 for row in rows if row[1] == str(scenario.status))
    if not times or len(times) < len(rows):
        raise LoadError(f"{len(rows) - len(times)} of {len(rows)} answers were errors")
    part = [times[int(len(times) * share)] for share in (0.5, 0.99, 0.999)]
    return Load(len(times), duration, part[0], part[1], p999=part[2])


def sockets(port: int, scenario: Scenario, *, clients: int, seconds: float, pinned: list[str]) -> Load:
    """Run the clients of WebSockets or of events."""
    command = [sys.executable, "-m", "benchmarks.sockets", scenario.kind, str(port), scenario.path]
    result = json.loads(_run([*pinned, *command, str(clients), str(seconds)], seconds))
    return Load(result["count"], result["seconds"], result["p50"], result["p99"])


def _run(command: list[str], seconds: float) -> str:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds * 2 + 40, check=False)
    except subprocess.TimeoutExpired as exc:
        raise LoadError(f"{command[0]} did not end in time") from exc
    if done.returncode:
        raise LoadError(done.stderr.strip()[-300:] or f"{command[0]} ended with status {done.returncode}")
    return done.stdout
