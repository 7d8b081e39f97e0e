"""A pytest plugin: notes how each test of a project ended, and has its test clients speak one of our protocols."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

_outcomes: dict[str, str] = {}


def _use_rsgi() -> None:
    """Have `TestClient(app)` speak RSGI wherever the application does."""
    from velithon.testclient import TestClient

    plain = TestClient.__init__

    def __init__(self: TestClient, app: Any, *args: Any, **options: Any) -> None:
        speaks = hasattr(app, "__rsgi__") and not options.get("root_path") and options.get("backend") != "trio"
        plain(self, app, *args, protocol="rsgi" if speaks else "asgi", **options)

    TestClient.__init__ = __init__  # type: ignore[method-assign]  # the project does not know the option


if os.environ["PROJECT_WAY"] == "rsgi":
    _use_rsgi()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note a test's end; a failure before or after the test is one."""
    if report.failed:
        _outcomes[report.nodeid] = "failed"
    elif report.skipped or report.when == "call":
        _outcomes.setdefault(report.nodeid, report.outcome)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note a module that cannot be imported."""
    if report.failed:
        _outcomes[report.nodeid] = "failed"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what was noted where the runner looks for it."""
    if not hasattr(session.config, "workerinput"):
        Path(os.environ["PROJECT_RESULT"]).write_text(json.dumps(_outcomes))
