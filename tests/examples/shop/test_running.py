"""The shop on real servers: a customer in a browser, and many at once."""

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import make_url, select

from shop.models import Basket, BasketItem, User, Variant
from shop.security import tokens
from tests.browser import browser, executable
from tests.effort import FULL
from tests.examples.shop.running import SECONDS, RunningShop, running_shop
from tests.examples.shop.walk import move, walk, work_at_the_desk
from tests.servers import SERVERS, ServerName
from tests.services.postgresql import PostgreSQL, postgresql
from velithon.ext.sqlalchemy import Database
from velithon.security.jwt import JWT

pytestmark = pytest.mark.server
BUYERS, PIECES = 50, 10


@pytest.mark.skipif(executable() is None, reason="there is no Chromium: apt-get install chromium")
@pytest.mark.skipif(not FULL, reason="three servers and a browser: VELITHON_TESTS=full")
@pytest.mark.parametrize("server", SERVERS)
def test_somebody_buys_a_mug(template: Path, tmp_path: Path, server: ServerName) -> None:
    """From the registration to the order whose state changes before their eyes, and to the money that comes back."""
    copy = tmp_path / "shop.db"
    shutil.copy(template, copy)
    with running_shop(tmp_path, server, database=copy) as shop, browser() as page:
        number, paid_at = walk(page, shop, lambda place: None)
        move(page, shop, number, "refunded")
        wait_for_text(paid_at, "It is refunded.")
        work_at_the_desk(page, shop, lambda place: None)
        assert page.errors == []


def wait_for_text(url: str, text: str) -> None:
    """Wait until a page says something."""
    deadline = time.monotonic() + SECONDS
    while text not in (said := httpx.get(url, trust_env=False).text):
        assert time.monotonic() < deadline, said
        time.sleep(0.05)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgreSQL]:
    with postgresql() as running:
        yield running


@pytest.mark.skipif(not FULL, reason="two workers over PostgreSQL and Redis: VELITHON_TESTS=full")
@pytest.mark.parametrize("server", ["granian-rsgi", "uvicorn"])
def test_fifty_buyers_at_two_workers_over_postgresql(
    tmp_path: Path, server: ServerName, postgres: PostgreSQL, redis_url: str
) -> None:
    """Exactly ten pieces are sold, to ten of them."""
    name = f"shop_{server.replace('-', '_')}"
    url = make_url(postgres.url("asyncpg"))
    asyncio.run(create_database(url.render_as_string(hide_password=False), name))
    url = url.set(database=name)
    settings = {f"SHOP_{kind}_URL": redis_url for kind in ("STORE", "CHANNELS")}
    text = url.render_as_string(hide_password=False)
    with running_shop(tmp_path, server, "--workers", "2", database=text, settings=settings) as shop:
        buyers = asyncio.run(add_buyers(text, shop.url))
        outcomes = asyncio.run(buy_at_once(shop, buyers))
        assert outcomes == Counter({201: PIECES, 409: BUYERS - PIECES})
        assert asyncio.run(stock_left(text)) == 0


async def create_database(url: str, name: str) -> None:
    """Make an empty database on the server."""
    server: Database = Database(url, isolation_level="AUTOCOMMIT")
    async with server.engine.connect() as connection:
        await connection.exec_driver_sql(f"CREATE DATABASE {name}")
    await server.aclose()


async def add_buyers(url: str, issuer: str) -> list[str]:
    """Have buyers with one piece in the basket, of ten that there are; return their tokens."""
    direct: Database = Database(url)
    async with direct.begin() as session:
        variant = (await session.scalars(select(Variant).order_by(Variant.id).limit(1))).one()
        variant.stock = PIECES
        users = [User(email=f"buyer{number}@example.org", name="Buyer") for number in range(BUYERS)]
        session.add_all(users)
        await session.flush()
        for user in users:
            basket = Basket(user_id=user.id)
            session.add(basket)
            await session.flush()
            session.add(BasketItem(basket_id=basket.id, variant_id=variant.id, quantity=1))
    await direct.aclose()
    issuing = JWT(tokens.keys, issuer=issuer, audience=tokens.audience)
    return [issuing.issue(str(user.id), roles=[user.role]) for user in users]


async def buy_at_once(shop: RunningShop, buyers: list[str]) -> Counter[int]:
    """Have all of them check out at the same time; return how often each answer came."""
    wish = {"recipient": "Buyer", "address": "A street, 1", "expected_total_cents": 1250}

    async def buy(token: str) -> int:
        headers = {"authorization": f"Bearer {token}", "idempotency-key": "the-only-order"}
        answer = await client.post("/api/orders", json=wish, headers=headers)
        return answer.status_code

    async with httpx.AsyncClient(base_url=shop.url, timeout=60, trust_env=False) as client:
        return Counter(await asyncio.gather(*map(buy, buyers)))


async def stock_left(url: str) -> int:
    """Return how many pieces are left."""
    direct: Database = Database(url)
    async with direct.begin() as session:
        left = (await session.scalars(select(Variant.stock).order_by(Variant.id).limit(1))).one()
    await direct.aclose()
    return left
