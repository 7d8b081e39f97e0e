"""Twenty buyers in the shop for a minute: `python -m benchmarks.shop_load`.

Each looks around, searches, fills a basket, checks it out and looks at the order, over the API and the pages, as fast
as the shop answers. An answer that a customer would not expect is an error. It starts PostgreSQL and Redis itself.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import make_url, text

from tests.examples.shop.running import RunningShop, running_shop
from tests.servers import SERVERS
from tests.services.postgresql import postgresql
from tests.services.redis import redis_server
from velithon.ext.sqlalchemy import Database

PASSWORD = "correct horse battery"
WORDS = ("cup", "pan", "ink", "lamp", "garden", "knife", "o")


@dataclass
class Tally:
    """What came of the requests.

    Attributes:
        seconds: How long each took, by endpoint.
        errors: Answers that were not what a customer expects.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)

    def show(self, length: float) -> None:
        """Print the endpoints, the slowest first."""
        total = sum(map(len, self.seconds.values()))
        print(f"{total} requests in {length:.0f} s: {total / length:.0f} a second, {len(self.errors)} errors")
        print(f"{'':42}{'requests':>9}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}")
        for name, times in sorted(self.seconds.items(), key=lambda item: -_percentile(item[1], 50)):
            cells = "".join(f"{_percentile(times, share) * 1000:9.1f}" for share in (50, 95, 99))
            print(f"{name:42}{len(times):9}{cells}")
        for error in self.errors[:10]:
            print("error:", error)


def _percentile(times: list[float], share: int) -> float:
    return sorted(times)[min(len(times) - 1, len(times) * share // 100)]


class Buyer:
    """Somebody who buys.

    Args:
        client: Speaks to the shop.
        tally: Where requests are counted.
    """

    def __init__(self, client: httpx.AsyncClient, tally: Tally) -> None:
        self._client = client
        self._tally = tally
        self._checkouts = 0

    async def ask(self, name: str, method: str, path: str, expected: tuple[int, ...] = (200,), **options: Any) -> Any:
        """Make a request; return the answer."""
        start = time.perf_counter()
        try:
            answer = await self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            self._tally.errors.append(f"{name}: {error!r}")
            raise
        self._tally.seconds[name].append(time.perf_counter() - start)
        if answer.status_code not in expected:
            self._tally.errors.append(f"{name}: {answer.status_code} {answer.text[:200]}")
        return answer

    async def register(self, shop: RunningShop, email: str) -> None:
        """Get an account; that is no part of the load."""
        new = {"email": email, "name": "A Buyer", "password": PASSWORD}
        (await self._client.post("/api/auth/register", json=new)).raise_for_status()
        token = await asyncio.to_thread(shop.token, email)
        answer = await self._client.post("/api/auth/confirm", json={"token": token, "password": PASSWORD})
        self._client.headers["authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"

    async def buy(self) -> None:
        """Do once what a customer does."""
        choose = random.choice
        await self.ask("GET / (page)", "GET", "/")
        await self.ask("GET /?q= (page)", "GET", f"/?q={choose(WORDS)}")
        page = await self.ask("GET /api/products", "GET", f"/api/products?sort=price&limit={choose((6, 12, 20))}")
        product = choose(page.json()["items"])["slug"]
        await self.ask("GET /products/{slug} (page)", "GET", f"/products/{product}")
        found = await self.ask("GET /api/products/{slug}", "GET", f"/api/products/{product}")
        variant = choose(found.json()["variants"])["id"]
        path = f"/api/basket/{variant}"
        basket = await self.ask("PUT /api/basket/{id}", "PUT", path, json={"quantity": choose((1, 2, 3))})
        await self.ask("GET /api/basket", "GET", "/api/basket")
        self._checkouts += 1
        wish = {"recipient": "A Buyer", "address": "A street, 1", "expected_total_cents": basket.json()["total_cents"]}
        headers = {"idempotency-key": f"checkout-{self._checkouts}"}
        order = await self.ask("POST /api/orders", "POST", "/api/orders", (201,), json=wish, headers=headers)
        number = order.json()["number"]
        await self.ask("GET /api/orders/{number}", "GET", f"/api/orders/{number}")
        await self.ask("GET /api/orders", "GET", "/api/orders")
        if self._checkouts % 5 == 0:
            await self.ask("POST .../payment", "POST", f"/api/orders/{number}/payment")
        if self._checkouts % 10 == 0:
            await self.ask("GET .../invoice.pdf", "GET", f"/api/orders/{number}/invoice.pdf")
            form = {"username": "customer@shop.example", "password": PASSWORD}
            await self.ask("POST /api/auth/token", "POST", "/api/auth/token", data=form)


@asynccontextmanager
async def buyers(shop: RunningShop, count: int, tally: Tally) -> AsyncGenerator[list[Buyer], None]:
    """Return so many, each with an account and a connection."""
    clients = [httpx.AsyncClient(base_url=shop.url, timeout=30, trust_env=False) for _ in range(count)]
    try:
        made = [Buyer(client, tally) for client in clients]
        for number, buyer in enumerate(made):
            await buyer.register(shop, f"load{number}@example.org")
        yield made
    finally:
        for client in clients:
            await client.aclose()


async def run(shop: RunningShop, url: str, count: int, seconds: float) -> Tally:
    """Have buyers buy for some time."""
    await fill_shelves(url)
    tally = Tally()
    async with buyers(shop, count, tally) as everybody:
        end = time.monotonic() + seconds

        async def live(buyer: Buyer) -> None:
            while time.monotonic() < end:
                await buyer.buy()

        await asyncio.gather(*map(live, everybody))
    return tally


async def fill_shelves(url: str) -> None:
    """Have more of everything than anybody buys."""
    database: Database = Database(url)
    async with database.begin() as session:
        await session.execute(text("UPDATE variants SET stock = 1000000"))
    await database.aclose()


def main() -> None:
    """Run the load that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=SERVERS, default="granian-rsgi")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--buyers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"sqlite+aiosqlite:///{directory}/shop.db"
        settings = {"SHOP_ENVIRONMENT": "development"}
        if given.database == "postgresql":
            url = make_url(stack.enter_context(postgresql()).url("asyncpg")).render_as_string(hide_password=False)
            redis = stack.enter_context(redis_server()).url
            settings |= {f"SHOP_{kind}_URL": redis for kind in ("STORE", "CHANNELS")}
        options = ("--log-level", "warning", "--workers", str(given.workers))
        shop = stack.enter_context(running_shop(directory, given.server, *options, database=url, settings=settings))
        tally = asyncio.run(run(shop, url, given.buyers, given.seconds))
        print(f"{given.server}, {given.database}, {given.buyers} buyers")
        tally.show(given.seconds)


if __name__ == "__main__":
    main()
