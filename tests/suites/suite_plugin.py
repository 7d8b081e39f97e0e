"""A pytest plugin: runs another project's suite on one of our protocols, against a list of the tests that fail.

A test on the list must fail, and every other must pass; one on the list that its own authors expect to fail must pass.
One whose reason begins with "Hangs" is not run. A module on the list cannot be imported: it needs names that are
private to its project, or missing here; its functions count as so many tests. Tests that need trio are left out and
counted.
"""

from __future__ import annotations

import ast
import json
import os
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from velithon.testclient import TestClient

PROTOCOL: Any = os.environ["SUITE_PROTOCOL"]
_LIST = Path(os.environ["SUITE_LIST"])
_RESULT = os.environ.get("SUITE_RESULT")
_CLASSES = ("better", "server", "private", "missing")


def read_list(path: Path, protocol: str) -> dict[str, str]:
    """Return the tests that are known to fail on a protocol, and why.

    The file has sections: `[better]`, `[server rsgi]`, ...: the class of the reason, then the protocol where it is one
    alone. In a section each comment is the reason of the tests that follow.

    Returns:
        A test's or module's name -> `class: reason`.

    Raises:
        ValueError: A section's class is unknown, or a test stands without a reason.
    """
    found: dict[str, str] = {}
    kind = reason = ""
    applies = True
    for line in path.read_text().splitlines():
        if line.startswith("["):
            kind, _, only = line.strip("[]").partition(" ")
            reason, applies = "", only in ("", protocol)
            if kind not in _CLASSES:
                raise ValueError(f"{path.name}: the class {kind!r} is none of {', '.join(_CLASSES)}.")
        elif line.startswith("#"):
            reason = line.removeprefix("#").strip()
        elif line.strip():
            if not reason:
                raise ValueError(f"{path.name}: {line!r} has no reason.")
            if applies:
                found[line.strip()] = f"{kind}: {reason}"
    return found


_known = read_list(_LIST, PROTOCOL)
_counts: Counter[str] = Counter()


def _use_protocol() -> None:
    """Have `TestClient(app)` speak the protocol wherever the application does."""
    plain = TestClient.__init__

    def __init__(self: TestClient, app: Any, *args: Any, **options: Any) -> None:
        speaks = hasattr(app, "__rsgi__") and not options.get("root_path") and options.get("backend") != "trio"
        options.setdefault("protocol", PROTOCOL if speaks else "asgi")
        plain(self, app, *args, **options)

    TestClient.__init__ = __init__  # type: ignore[method-assign]  # the suite does not know the option


if PROTOCOL != "asgi":
    _use_protocol()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Take a listed module's failed import for what is expected."""
    report = yield
    if collector.nodeid in _known:
        if report.outcome == "failed":
            report.outcome, report.longrepr, report.result = "passed", None, []
            _counts["modules"] += 1
        else:
            raise pytest.UsageError(f"{collector.nodeid} is on the list of modules that cannot be imported, and can.")
    return report


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs trio, and mark what is known to fail."""
    trio = [item for item in items if _needs_trio(item)]
    config.hook.pytest_deselected(items=trio)
    items[:] = [item for item in items if item not in trio]
    _counts["trio"] = len(trio)
    for item in items:
        reason = _known.get(item.nodeid) or _known.get(item.nodeid.partition("[")[0])
        if reason is not None and item.get_closest_marker("xfail") is not None:
            item.own_markers[:] = [mark for mark in item.own_markers if mark.name != "xfail"]
        elif reason is not None:
            hangs = reason.partition(": ")[2].startswith("Hangs")
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True, run=not hangs))
            item.user_properties.append(("listed", reason.partition(":")[0]))


def _needs_trio(item: pytest.Item) -> bool:
    parameters = getattr(item, "callspec", None)
    return parameters is not None and any("trio" in str(value) for value in parameters.params.values())


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count a test once, by how it ended."""
    listed = dict(report.user_properties).get("listed")
    if report.failed:
        _counts["failed"] += 1
    elif report.when == "call" and report.passed:
        _counts["passed"] += 1
    elif report.skipped and listed is not None and hasattr(report, "wasxfail"):
        _counts[str(listed)] += 1
    elif report.skipped:
        _counts["skipped"] += 1


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker process counted while it collected; each of them collects everything."""
    for kind, count in getattr(node, "workeroutput", {}).get("collected", {}).items():
        _counts[kind] = count


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the numbers where the runner looks for them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["collected"] = {kind: _counts[kind] for kind in ("trio", "modules")}
    elif _RESULT:
        if session.config.args == ["tests"]:
            for module in filter(lambda name: "::" not in name, _known):
                _counts[_known[module].partition(":")[0]] += _count_tests(session.config.rootpath / module)
        Path(_RESULT).write_text(json.dumps(_counts))


def _count_tests(module: Path) -> int:
    """Count the functions of a module that cannot be imported."""
    functions = [item for item in ast.parse(module.read_text()).body if hasattr(item, "name")]
    return sum(str(item.name).startswith("test_") for item in functions)
