"""What a worker holds: idle, with 1,000 routes, for each idle connection, and for each open WebSocket."""

from __future__ import annotations

import asyncio
import statistics
from dataclasses import dataclass

from benchmarks.peers import Peer
from benchmarks.servers import Server, StartError, serve
from benchmarks.sockets import connect

__all__ = ["Memory", "measure"]

_CONNECTIONS = 500


@dataclass(frozen=True)
class Memory:
    """Resident bytes of one peer's worker.

    Args:
        idle: Before its first scenario.
        routes: The same with 1,000 typed routes; none where it does not start with them.
        connection: For each connection that has had one answer and waits.
        websocket: For each open WebSocket that has sent nothing; none where it has none.
    """

    idle: int
    routes: int | None
    connection: float
    websocket: float | None


def measure(peers: list[Peer], core: int | None) -> dict[str, Memory]:
    """Measure each peer; those that do not start are left out."""
    found = {}
    for peer in peers:
        try:
            with serve(peer, "plain", core) as server:
                idle = server.resident_bytes()
                connection = asyncio.run(_idle_connections(server))
                websocket = asyncio.run(_websockets(server))
        except (StartError, RuntimeError, ValueError, OSError):
            continue
        found[peer.name] = Memory(idle, _with_routes(peer, core), connection, websocket)
    return found


def _with_routes(peer: Peer, core: int | None) -> int | None:
    try:
        with serve(peer, "routes-1000", core) as server:
            return server.resident_bytes()
    except (StartError, RuntimeError, ValueError):
        return None


async def _settled(server: Server) -> float:
    """Return the resident bytes once they stay the same."""
    seen: list[int] = []
    for _ in range(50):
        seen.append(server.resident_bytes())
        if len(seen) > 3 and len(set(seen[-3:])) == 1:
            break
        await asyncio.sleep(0.1)
    return statistics.median(seen[-3:])


async def _idle_connections(server: Server) -> float:
    # The first ones grow what all share.
    for writer in await _ask(server.port, 50):
        writer.close()
    before = await _settled(server)
    writers = await _ask(server.port, _CONNECTIONS)
    after = await _settled(server)
    for writer in writers:
        writer.close()
    return (after - before) / _CONNECTIONS


async def _ask(port: int, count: int) -> list[asyncio.StreamWriter]:
    writers = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"}"), 10)
        writers.append(writer)
    return writers


async def _websockets(server: Server) -> float | None:
    def received(client: object) -> None: ...

    try:
        warm = await connect(server.port, "/ws", 20, received)
    except ConnectionError:
        return None
    before = await _settled(server)
    clients = await connect(server.port, "/ws", _CONNECTIONS, received)
    after = await _settled(server)
    for client in [*warm, *clients]:
        client.transport.close()
    return (after - before) / _CONNECTIONS
