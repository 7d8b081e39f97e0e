"""Runs the scenarios: every peer of a setup is up at once, and they take turns under load.

Turns (A B C A B C) spread what else the machine does over all of them; the median of a peer's turns is its figure.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.apps import services
from benchmarks.load import Load, LoadError, check, run
from benchmarks.peers import Peer
from benchmarks.scenarios import Scenario
from benchmarks.servers import Server, StartError, serve
from tests.services.postgresql import postgresql

__all__ = ["Figures", "Plan", "Results", "measure"]


@dataclass(frozen=True)
class Plan:
    """How to run.

    Args:
        seconds: Of one turn.
        repeats: Turns of each peer.
        connections: Instead of the scenarios' own, which are also the most.
        server_core: The processor of the servers; `None` pins nothing.
        load_core: The processor of the load.
        workers: Processes of each server.
    """

    seconds: float = 3.0
    repeats: int = 3
    connections: int | None = None
    server_core: int | None = 0
    load_core: int | None = 1
    workers: int = 1


@dataclass(frozen=True)
class Figures:
    """What a peer did in a scenario, the medians of its turns.

    Args:
        rate: Answers or messages a second.
        processor: Seconds of processor time for each.
        p50: Seconds.
        p99: Seconds.
        idle: Resident bytes of the worker before its first load.
        loaded: Resident bytes after the scenario.
        turns: The processor seconds of each turn.
        errors: Failed connections and time-outs of all turns.
        p999: Seconds; 0 where it is not measured.
    """

    rate: float
    processor: float
    p50: float
    p99: float
    idle: int
    loaded: int
    turns: list[float]
    errors: int
    p999: float = 0.0


@dataclass
class Results:
    """Everything that was seen.

    Args:
        figures: By scenario and peer.
        notes: Why a figure is missing, by scenario and peer.
    """

    figures: dict[str, dict[str, Figures]] = field(default_factory=dict)
    notes: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class _Turns:
    """One peer's turns in one scenario."""

    server: Server
    idle: int
    loads: list[Load] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def take(self, scenario: Scenario, plan: Plan, connections: int, seconds: float) -> None:
        before = self.server.processor_seconds()
        load = run(self.server.port, scenario, seconds=seconds, connections=connections, core=plan.load_core)
        self.loads.append(load)
        self.processor.append((self.server.processor_seconds() - before) / load.count)

    def figures(self) -> Figures:
        return Figures(
            statistics.median(load.count / load.seconds for load in self.loads),
            statistics.median(self.processor),
            statistics.median(load.p50 for load in self.loads),
            statistics.median(load.p99 for load in self.loads),
            self.idle,
            self.server.resident_bytes(),
            self.processor,
            sum(load.errors for load in self.loads),
            statistics.median(load.p999 for load in self.loads),
        )


def measure(peers: list[Peer], scenarios: list[Scenario], plan: Plan) -> Results:
    """Run every scenario with every peer."""
    results = Results()
    for setup in dict.fromkeys(scenario.setup for scenario in scenarios):
        of_setup = [scenario for scenario in scenarios if scenario.setup == setup]
        with contextlib.ExitStack() as stack:
            database = stack.enter_context(_database()) if setup == "services" else None
            servers = _start(peers, setup, plan, stack, results, of_setup, database)
            idle = {server.peer.name: server.resident_bytes() for server in servers}
            for scenario in of_setup:
                _scenario(servers, idle, scenario, plan, results)
    return results


@contextlib.contextmanager
def _database() -> Iterator[str]:
    """Run a PostgreSQL with the rows that the scenarios ask for; yield its URL."""
    with postgresql(max_connections=600) as server:
        url = f"postgresql://velithon@{server.address}"
        asyncio.run(services.fill(url))
        yield url


def _start(
    peers: list[Peer],
    setup: str,
    plan: Plan,
    stack: contextlib.ExitStack,
    results: Results,
    asked: list[Scenario],
    database: str | None,
) -> list[Server]:
    servers = []
    for peer in peers:
        _say(f"starting {peer.name} ({setup})")
        try:
            started = serve(peer, setup, plan.server_core, workers=plan.workers, database=database)
            servers.append(stack.enter_context(started))
        except (StartError, RuntimeError, ValueError) as exc:
            _say(str(exc))
            for scenario in asked:
                results.notes.setdefault(scenario.name, {})[peer.name] = f"it did not start with the setup {setup!r}"
    return servers


def _scenario(servers: list[Server], idle: dict[str, int], scenario: Scenario, plan: Plan, results: Results) -> None:
    notes = results.notes.setdefault(scenario.name, {})
    connections = min(scenario.connections, plan.connections or scenario.connections)
    turns: list[_Turns] = []
    for server in servers:
        wrong = check(server.port, scenario)
        if wrong is None:
            turns.append(_Turns(server, idle[server.peer.name]))
        else:
            notes[server.peer.name] = wrong
            _say(f"{scenario.name}: {server.peer.name} is not timed: {wrong}")
    for repeat in range(plan.repeats):
        # Each round begins with another peer, so that nobody always follows the same one.
        for turn in turns[repeat % max(1, len(turns)) :] + turns[: repeat % max(1, len(turns))]:
            name = turn.server.peer.name
            _say(f"{scenario.name}: {name}, turn {repeat + 1} of {plan.repeats}")
            try:
                turn.take(scenario, plan, connections, plan.seconds)
            except LoadError as exc:
                turns.remove(turn)
                notes[name] = str(exc)
                _say(f"{scenario.name}: {name} is left out: {exc}")
    results.figures[scenario.name] = {turn.server.peer.name: turn.figures() for turn in turns}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
