"""Workers: how many, and when they are replaced."""

import os
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.cli.processes import velithon_run
from tests.waiting import until
from velithon.cli.processors import count_processors

APP = """
import os
from velithon import Velithon
app = Velithon()

@app.get("/")
async def pid():
    return os.getpid()
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [("max 100000", None), ("100000 100000", 1), ("150000 100000", 2), ("1000 100000", 1), ("nonsense", None)],
)
def test_processors_are_counted_by_affinity_and_quota(tmp_path: Path, text: str, expected: int | None) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text(text)
    available = len(os.sched_getaffinity(0))
    assert count_processors(quota) == (available if expected is None else min(expected, available))
    assert count_processors(tmp_path / "none") == available


@pytest.mark.server
def test_auto_starts_a_worker_for_each_processor(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APP)
    with velithon_run(tmp_path, "main:app", "--workers", "auto", workers=count_processors()) as run:
        assert run.text.count("Spawning worker-") == count_processors()


@pytest.mark.server
@pytest.mark.parametrize(
    "options",
    [
        ["--server", "granian", "--workers-max-rss", "1", "--rss-sample-interval", "1"],
        ["--server", "uvicorn", "--limit-max-requests", "2"],
    ],
    ids=["memory", "requests"],
)
def test_a_worker_is_replaced(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "main.py").write_text(APP)
    with velithon_run(tmp_path, "main:app", *options) as run:
        url = f"http://127.0.0.1:{run.port}/"
        pids: set[int] = set()

        def replaced() -> bool:
            try:
                pids.add(httpx.get(url, timeout=5).json())
            except httpx.TransportError:
                return False
            return len(pids) > 1

        until(replaced, "another worker")
        assert run.process.poll() is None


@pytest.mark.server
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "many"], "neither a number from 1 nor auto"),
        (["--workers", "0"], "neither a number from 1 nor auto"),
        (["--limit-max-requests", "5"], "granian cannot honour --limit-max-requests: use --workers-lifetime"),
        (["--rss-samples", "5"], "granian cannot honour --rss-samples: it needs --workers-max-rss"),
        (["--server", "uvicorn", "--workers-max-rss", "5"], "uvicorn cannot honour --workers-max-rss: use --limit-max"),
        (["--server", "uvicorn", "--workers-lifetime", "60"], "uvicorn cannot honour --workers-lifetime: use --limit"),
        (
            ["--server", "uvicorn", "--limit-max-requests", "5", "--no-respawn-failed-workers"],
            "uvicorn cannot honour --limit-max-requests with --no-respawn-failed-workers",
        ),
    ],
)
def test_what_a_server_lacks_is_an_error(tmp_path: Path, options: list[str], message: str) -> None:
    (tmp_path / "main.py").write_text(APP)
    with velithon_run(tmp_path, "main:app", *options, wait=False) as run:
        assert run.wait() in (1, 2)
        assert message in " ".join(run.text.replace("│", " ").split())
