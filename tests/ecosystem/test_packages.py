"""The packages that most applications use, where they are light enough to be installed with what developing needs."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from tests.ecosystem import table
from tests.ecosystem.catalogue import Package, find
from tests.ecosystem.running import run_files
from tests.ecosystem.ways import WAYS, Way, way_named
from tests.effort import FULL

# Distribution -> what is imported of it. The others run by `make ecosystem`, each in its own environment.
LIGHT = {
    "asgi-correlation-id": "asgi_correlation_id",
    "brotli-asgi": "brotli_asgi",
    "dependency-injector": "dependency_injector",
    "dishka": "dishka",
    "fastapi-pagination": "fastapi_pagination",
    "prometheus-fastapi-instrumentator": "prometheus_fastapi_instrumentator",
    "slowapi": "slowapi",
    "sqladmin": "sqladmin",
    "sse-starlette": "sse_starlette",
    "starlette-context": "starlette_context",
    "starlette-csrf": "starlette_csrf",
    "svcs": "svcs",
}


def chosen(*ways: Way) -> list[Package]:
    """Return the light packages that are expected to work in all these ways; each is installed."""
    missing = [name for name, module in LIGHT.items() if find_spec(module) is None]
    assert not missing, f"{missing} are not installed"
    return [package for package in find(*LIGHT) if not any(way.name in package.fails for way in ways)]


@pytest.mark.parametrize("names", [("asgi", "rsgi"), ("as-fastapi-asgi", "as-fastapi-rsgi")], ids="-".join)
def test_the_packages_that_most_use(names: tuple[str, ...]) -> None:
    """On both protocols, with imports changed and as FastAPI."""
    ways = [way_named(name) for name in names]
    outcome = run_files(chosen(*ways), ways, servers=FULL)
    assert outcome.passed, outcome.output


def test_the_table_has_every_package_and_says_why_one_fails() -> None:
    """Each file has its line; what does not work is expected, and explained."""
    rows = table.read()
    packages = find()
    assert set(rows) == {package.name for package in packages}, "run make ecosystem"
    names = {way.name for way in WAYS}
    for package in packages:
        row = rows[package.name]
        assert set(package.fails) <= names
        assert ("no" in row[3:7]) == bool(package.fails), f"{package.name}: {row}"
        assert ("partly" in row[3:7]) == bool(package.without), f"{package.name}: {row}"
        assert all(reason in row.remarks for reason in package.reasons()), f"{package.name} does not say why it fails"
