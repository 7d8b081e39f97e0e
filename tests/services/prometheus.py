"""A Prometheus server of the tests' own, which scrapes what it is given."""

import json
import shutil
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.servers import free_port

_DEADLINE = 20.0


class Prometheus:
    """A running `prometheus`.

    Args:
        port: Its port on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of a PromQL query: `[{"metric": labels, "value": [time, text]}]`."""
        url = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with urllib.request.urlopen(url, timeout=_DEADLINE) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return result

    def value(self, expression: str) -> float | None:
        """Return the value of a query that has one, or `None`."""
        result = self.query(expression)
        return float(result[0]["value"][1]) if result else None

    def until(self, expression: str, expected: float) -> None:
        """Wait until a query has a value."""
        deadline = time.monotonic() + _DEADLINE
        while (value := self.value(expression)) != expected:
            if time.monotonic() > deadline:
                raise AssertionError(f"{expression} is {value}, not {expected}")
            time.sleep(0.1)


@contextmanager
def prometheus(target: str, path: str = "/metrics") -> Generator[Prometheus, None, None]:
    """Run a Prometheus that scrapes `target` (`host:port`) five times a second; skip where it is not installed."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    with tempfile.TemporaryDirectory(prefix="velithon-prometheus-") as name, free_port() as port:
        directory = Path(name)
        (directory / "prometheus.yml").write_text(
            f"""
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - job_name: velithon
    metrics_path: {path}
    static_configs: [{{targets: ["{target}"]}}]
"""
        )
        with (directory / "prometheus.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={directory / 'prometheus.yml'}",
                    f"--storage.tsdb.path={directory / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=log,
                stderr=log,
            )
        running = Prometheus(port)
        try:
            _wait(running, process, directory / "prometheus.log")
            yield running
        finally:
            process.kill()
            process.wait(_DEADLINE)


def _wait(running: Prometheus, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _DEADLINE
    while True:
        try:
            urllib.request.urlopen(f"{running.url}/-/ready", timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"prometheus did not start:\n{log.read_text()}") from None
            time.sleep(0.05)
        else:
            return
