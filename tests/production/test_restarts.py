"""Instances that are restarted one after the other, under load, behind nginx."""

import ssl
import threading
from contextlib import ExitStack
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.cli.processes import Run, velithon_run
from tests.effort import FULL, variants
from tests.servers import free_port
from tests.services.nginx import nginx
from tests.waiting import until

pytestmark = pytest.mark.server

APP = """
import asyncio
from velithon import Velithon
from velithon.health import Health

app = Velithon()
Health().install(app)

@app.get("/items/{item_id}")
async def item(item_id: int):
    await asyncio.sleep(0.002)
    return item_id

@app.post("/items")
async def create(body: dict[str, int]):
    await asyncio.sleep(0.002)
    return body
"""


class Load:
    """Clients that ask without a pause, and count what went wrong.

    Args:
        url: Of nginx.
        trusted: With its certificate.
        clients: How many ask at once.
    """

    def __init__(self, url: str, trusted: ssl.SSLContext, clients: int) -> None:
        self.url = url
        self.trusted = trusted
        self.sent = 0
        self.failures: list[str] = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _ask(self) -> None:
        with httpx.Client(base_url=self.url, verify=self.trusted, timeout=20) as http:
            while not self.over.is_set():
                self.sent += 1
                number = self.sent
                try:
                    if number % 4:
                        answer = http.get(f"/items/{number}")
                        good = answer.status_code == 200 and answer.json() == number
                    else:
                        answer = http.post("/items", json={"number": number})
                        good = answer.status_code == 200 and answer.json() == {"number": number}
                    if not good:
                        self.failures.append(f"{answer.status_code} {answer.text[:200]}")
                except httpx.HTTPError as exc:
                    self.failures.append(repr(exc))

    def stop(self) -> None:
        """Let the clients end."""
        self.over.set()
        for thread in self.threads:
            thread.join(30)


@pytest.mark.parametrize(
    ("server", "workers"),
    variants([("granian", 1)], [(server, workers) for server in ("granian", "uvicorn") for workers in (1, 2)]),
)
def test_no_request_fails_while_instances_are_restarted(server: str, workers: int, tmp_path: Path) -> None:
    """Some hundred requests; 20,000 where `VELITHON_TESTS=full` asks for the long form."""
    (tmp_path / "main.py").write_text(APP)
    wanted, least = (20_000, 8) if FULL else (300, 2)
    with ExitStack() as stack:
        ports = [stack.enter_context(free_port()) for _ in range(2)]

        def start(port: int) -> tuple[ExitStack, Run]:
            instance = ExitStack()
            stack.push(instance)
            options = ["main:app", "--server", server, "--port", str(port), "--workers", str(workers)]
            return instance, instance.enter_context(velithon_run(tmp_path, *options, workers=workers))

        instances = {port: start(port) for port in ports}
        front = stack.enter_context(nginx(ports))
        load = Load(front.url, ssl.create_default_context(cafile=str(front.certificate)), 8)
        try:
            restarts = 0
            while load.sent < wanted or restarts < least:
                port = ports[restarts % 2]
                seen = load.sent
                until(lambda seen=seen: load.sent > seen + 50, "some load")  # type: ignore[misc]
                instances[port][0].close()
                instances[port] = start(port)
                restarts += 1
        finally:
            load.stop()
        print(f"{load.sent} requests, {restarts} restarts, {len(load.failures)} failures")
        # What was refused nginx has asked elsewhere; whatever else went wrong, it has repeated for a GET alone.
        wrong = [line for line in front.log_file.read_text().splitlines() if "Connection refused" not in line]
        assert (load.failures, wrong) == ([], [])
        assert load.sent >= wanted
