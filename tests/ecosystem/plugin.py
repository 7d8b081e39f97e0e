"""The pytest plugin that packages' files run with: clients and servers of the way that the file's folder names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.ecosystem.catalogue import find
from tests.ecosystem.ways import Way, way_named
from tests.servers import Server, ServerName, serve
from tests.services.redis import redis_server


class Clients(Protocol):
    """Makes a test client for an application: the framework's own, over the way's protocol."""

    def __call__(self, app: Any, **options: Any) -> Any:
        """Return the client; the options are those of Starlette's `TestClient`."""
        ...


class Servers(Protocol):
    """Serves the `app` of the test's module by a real server."""

    def __call__(self, *options: str) -> AbstractContextManager[Server]:
        """Return what serves within its block."""
        ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add an option for whoever is in a hurry."""
    parser.addoption("--without-servers", action="store_true", help="leave out tests that start real servers")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Expect the failures that a file declares; leave out what starts servers, where that is asked for."""
    packages = {f"test_{package.path.stem}": package for package in find()}
    for item in items:
        package = packages[item.path.stem]
        way = way_named(item.path.parent.name)
        reason = package.failing_tests(way.name).get(getattr(item, "originalname", item.name))
        if reason is not None and not way.is_control:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
    if config.getoption("--without-servers"):
        items[:] = [item for item in items if "server" not in getattr(item, "fixturenames", ())]


@pytest.fixture
def way(request: pytest.FixtureRequest) -> Way:
    """The way that this file runs in."""
    return way_named(request.path.parent.name)


@pytest.fixture
def client(way: Way) -> Clients:
    """A factory of clients: `client(app)`."""

    def make(app: Any, **options: Any) -> Any:
        if way.is_control:
            from fastapi.testclient import TestClient as Own

            return Own(app, **options)
        from velithon.testclient import TestClient

        return TestClient(app, protocol=way.protocol, **options)

    return make


@pytest.fixture
def server(way: Way, request: pytest.FixtureRequest) -> Servers:
    """A server of the way: Granian over RSGI, else Uvicorn."""
    name: ServerName = "granian-rsgi" if way.protocol == "rsgi" else "uvicorn"

    def run(*options: str) -> AbstractContextManager[Server]:
        given = ("--as-fastapi", *options) if way.as_fastapi else options
        target = f"{request.path.stem}:app"
        env = {"PYTHONPATH": str(request.path.parent)}
        folder = request.path.parent
        # Some packages take long to import, and several run at a time.
        return serve(target, name, *given, direct=way.is_control, env=env, cwd=folder, start_seconds=90)

    return run


@pytest.fixture(autouse=True)
def folder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file's own folder, where files that it writes go."""
    monkeypatch.chdir(request.path.parent)
    return request.path.parent


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a Redis server that was started for this run."""
    with redis_server() as running:
        yield running.url


@pytest.fixture
def anyio_backend() -> str:
    """RSGI runs on asyncio."""
    return "asyncio"
