"""Dependencies: what runs, how often, when it ends, and what a failure does, under FastAPI and Velithon alike."""

from __future__ import annotations

import pytest

from tests.signature.sidebyside import Pair

PATHS = [
    "/chain",
    "/chain?q=2",
    "/chain?q=x",
    "/gens",
    "/gens-sync",
    "/gens-stream",
    "/gens-task",
    "/gens-boom",
    "/gens-http",
    "/gens-bang",
    "/swallow",
    "/convert",
    "/bad-start",
    "/late",
    "/objects",
    "/objects?q=3",
    "/objects?q=x",
    "/partial-gen",
    "/class",
    "/class?q=a&limit=3",
    "/class?limit=11",
    "/cache",
    "/errors/1",
    "/errors/x",
    "/errors/x?q=1&z=1",
    "/errors/3?q=1&z=5",
    "/sets",
    "/tasks",
    "/tasks-response",
    "/scopes",
    "/conn",
    "/function-scope",
    "/function-scope-stream",
    "/function-scope-boom",
    "/both-scopes",
    "/limited",
    "/response-error",
    "/invalid-with-gen",
    "/invalid-with-gen?q=1",
]


@pytest.fixture(scope="module")
def dependencies() -> Pair:
    return Pair("dependencies")


@pytest.mark.parametrize("path", PATHS)
def test_dependencies(dependencies: Pair, path: str) -> None:
    dependencies.same("GET", path)
    dependencies.same("GET", "/log")
    dependencies.same("GET", path, headers={"x-token": "t"})
    dependencies.same("GET", "/log")


def test_swallowed_exceptions(dependencies: Pair) -> None:
    """Where FastAPI trips over an unbound variable, the error says what the dependency did wrong."""
    assert dependencies.ours.get("/function-swallow").status_code == 500
    assert dependencies.ours.get("/log").json() == ["gen in", "fn swallowed", "gen VelithonError", "gen out"]


@pytest.fixture(scope="module")
def overrides() -> Pair:
    return Pair("overrides")


@pytest.mark.parametrize("which", ["replaced", "async", "gen", "middle", "nested", "scoped", "body", "none"])
def test_overrides(overrides: Pair, which: str) -> None:
    overrides.same("PUT", f"/set/{which}")
    overrides.same("GET", "/deep")
    overrides.same("GET", "/deep?q=3&z=4")
    overrides.same("GET", "/deep?q=x&z=y", headers={"h": "1"})
    overrides.same("GET", "/scoped")
    overrides.same("GET", "/route?z=x")
    overrides.same("POST", "/body", json={"n": 1, "token": "t"})
    overrides.same("POST", "/body", json=3)
