"""Health: what the endpoints answer, and what checks may be."""

import asyncio
import logging
from typing import Annotated, Any

import pytest

from tests.conftest import ClientFactory
from velithon import Depends, Request, Velithon
from velithon.di import Provide, ServiceContainer, SingletonProvider
from velithon.health import Health, check
from velithon.middleware.logging import LoggingMiddleware


def application(health: Health) -> Velithon:
    app = Velithon()
    health.install(app)
    return app


def test_an_application_without_checks_lives_and_is_ready(client: ClientFactory) -> None:
    with client(application(Health())) as http:
        live, ready = http.get("/livez"), http.get("/readyz")
    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "checks": {}})
    assert ready.headers["cache-control"] == "no-store"


def test_checks_take_what_endpoints_take(client: ClientFactory) -> None:
    closed: list[str] = []

    class Database:
        def ping(self) -> bool:
            return True

    class Container(ServiceContainer):
        database = SingletonProvider(Database)

        @check("container", cache=60)
        async def ping(self) -> bool:
            return (await self.database.resolve()).ping()

    async def connection() -> Any:
        yield "connection"
        closed.append("connection")

    health = Health()
    app = application(health)
    container = Container()
    app.register_container(container)

    @health.check("dependency")
    async def dependency(given: Annotated[str, Depends(connection)], request: Request) -> None:
        assert (given, request.app) == ("connection", app)

    @health.check("provided")
    def provided(database: Annotated[Database, Provide[container.database]]) -> bool:
        return database.ping()

    with client(app) as http:
        answer = http.get("/readyz")
    assert {name: found["status"] for name, found in answer.json()["checks"].items()} == {
        "dependency": "ok",
        "provided": "ok",
        "container": "ok",
    }
    assert closed == ["connection"]


def test_a_check_that_fails_says_so_and_no_more(client: ClientFactory, caplog: pytest.LogCaptureFixture) -> None:
    """The answer is for anybody; the reason is for the log, which has it once."""
    health = Health()
    broken = True

    @health.check("database")
    def database() -> None:
        if broken:
            raise ConnectionError("postgres://user:secret@inside")

    async def slow() -> None:
        await asyncio.sleep(10)

    health.add_check("slow", slow, timeout=0.01)
    health.add_check("false", lambda: False)
    app = application(health)
    with client(app) as http, caplog.at_level(logging.INFO, "velithon.health"):
        answer = http.get("/readyz")
        assert http.get("/readyz").status_code == 503
        assert http.get("/livez").status_code == 200
        broken = False
        assert http.get("/readyz").json()["checks"]["database"]["status"] == "ok"
    assert answer.status_code == 503
    assert {name: found["status"] for name, found in answer.json()["checks"].items()} == {
        "database": "failed",
        "slow": "timeout",
        "false": "failed",
    }
    assert "secret" not in answer.text
    said = [message for message in caplog.messages if message.startswith("Check database")]
    assert said == [
        "Check database: failed, ConnectionError('postgres://user:secret@inside')",
        "Check database: ok",
    ]


@pytest.mark.parametrize(("cache", "expected"), [(0.0, 3), (60.0, 1)])
def test_outcomes_are_kept_for_as_long_as_asked(client: ClientFactory, cache: float, expected: int) -> None:
    health = Health()
    calls: list[int] = []
    health.add_check("counted", lambda: calls.append(1), cache=cache)
    with client(application(health)) as http:
        for _ in range(3):
            assert http.get("/readyz").status_code == 200
    assert len(calls) == expected


def test_checks_come_and_go_while_the_application_runs(client: ClientFactory) -> None:
    health = Health()
    with client(application(health)) as http:
        health.add_check("late", lambda: False)
        assert http.get("/readyz").status_code == 503
        health.remove_check("late")
        health.remove_check("never there")
        assert http.get("/readyz").status_code == 200


def test_probes_are_neither_in_the_log_nor_in_the_document(
    client: ClientFactory, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(Health())
    seen = Velithon()
    Health(live_path="/live", include_in_schema=True, access_log=True).install(seen)
    for one in (app, seen):
        one.add_middleware(LoggingMiddleware)
    assert not {"/livez", "/readyz"} & app.openapi()["paths"].keys()
    assert "/live" in seen.openapi()["paths"]
    with caplog.at_level(logging.INFO, "velithon.access"):
        client(app).get("/livez")
        client(app).get("/readyz")
        client(seen).get("/live")
    assert [record.path for record in caplog.records if record.name == "velithon.access"] == ["/live"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("options", [{"timeout": 0}, {"cache": -1}])
def test_numbers_out_of_range_are_errors(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="timeout must be above 0 and cache at least 0"):
        Health().add_check("x", lambda: True, **options)
    with pytest.raises(ValueError, match="shutdown_delay"):
        Health(shutdown_delay=-1)


def test_it_is_installed_once() -> None:
    health = Health()
    application(health)
    with pytest.raises(RuntimeError, match="installed already"):
        application(health)
