"""The shop with a database of its own for each test: a copy of one that has its tables and a few things to buy."""

# ruff: noqa: E402 - the shop reads its settings when it is imported

import asyncio
import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, cast

# Read when the shop is imported.
os.environ["SHOP_ENVIRONMENT"] = "test"
os.environ["SHOP_MAIL_URL"] = "memory://"
os.environ["SHOP_LIMIT_LOGINS"] = "50/minute"
_files = tempfile.TemporaryDirectory(prefix="velithon-shop-")
atexit.register(_files.cleanup)
os.environ["SHOP_DATABASE_URL"] = f"sqlite+aiosqlite:///{_files.name}/shop.db"
for _name in ("MEDIA", "EXPORT"):
    os.environ[f"SHOP_{_name}_DIR"] = f"{_files.name}/{_name.lower()}"

import pytest
from sqlalchemy import make_url, update

from shop.database import database
from shop.main import app
from shop.models import Base, Role, User
from shop.seed import fill
from shop.services.mails import mailer
from tests.conftest import ClientFactory
from tests.effort import FULL
from velithon.mail import MemoryMailer
from velithon.testclient import ProtocolName, TestClient

PASSWORD = "correct horse battery"
FACES = ("asgi", "rsgi")
_turn = count()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on one protocol, in turn, and on both where everything is run: the framework's own are on both."""
    if "protocol" in metafunc.fixturenames:
        faces = FACES if FULL else (FACES[next(_turn) % 2],)
        metafunc.parametrize("protocol", faces, indirect=True)


@pytest.fixture
def protocol(request: pytest.FixtureRequest) -> ProtocolName:
    """The protocol that the test runs on."""
    return cast("ProtocolName", request.param)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with tables and products."""
    path = tmp_path_factory.mktemp("shop") / "template.db"
    before = database.url
    database.url = make_url(f"sqlite+aiosqlite:///{path}")

    async def make() -> None:
        await database.aclose()  # an engine that something else in this process has made goes to another file
        async with database.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        await fill(images=False)
        await database.aclose()

    asyncio.run(make())
    database.url = before
    return path


class Shop:
    """The shop, and what a test does with it.

    Attributes:
        client: Speaks to it.
        outbox: The mails that were sent.
    """

    def __init__(self, client: TestClient) -> None:
        self.client = client
        assert isinstance(mailer, MemoryMailer)
        self.outbox = mailer.outbox

    def call(self, function: Any, *arguments: Any) -> Any:
        """Run a coroutine function where the application runs."""
        assert self.client.portal is not None
        return self.client.portal.call(function, *arguments)

    def mail(self, to: str, text: str = "") -> str:
        """Return the last mail that somebody got, and that says this, once it is there."""

        async def sent() -> str:
            async with asyncio.timeout(10):
                while not (found := [mail for mail in self._read(to) if text in mail]):
                    await asyncio.sleep(0.01)
            return found[-1]

        return str(self.call(sent))

    def _read(self, to: str) -> list[str]:
        return [f"{mail['Subject']}\n{mail.get_content()}" for mail in self.outbox if str(mail["To"]) == to]

    def token(self, to: str) -> str:
        """Return the token of the last mail that somebody got."""
        found = re.search(r"token=([\w-]+)", self.mail(to, "token="))
        assert found is not None
        return found[1]

    def register(self, email: str = "ada@example.org", name: str = "Ada Byron") -> dict[str, Any]:
        """Register, confirm, and log in; return the tokens."""
        new = {"email": email, "name": name, "password": PASSWORD}
        assert self.client.post("/api/auth/register", json=new).status_code == 202
        given = {"token": self.token(email), "password": PASSWORD}
        tokens: dict[str, Any] = self.client.post("/api/auth/confirm", json=given).json()
        self.use(tokens)
        return tokens

    def use(self, tokens: dict[str, Any]) -> None:
        """Ask as whoever has these tokens."""
        self.client.headers["authorization"] = f"Bearer {tokens['access_token']}"

    def employ(self, email: str, role: Role) -> None:
        """Register somebody, and have them work here."""
        self.register(email, "Grace Hopper")

        async def promote() -> None:
            async with database.begin() as session:
                await session.execute(update(User).where(User.email == email).values(role=role))

        self.call(promote)
        form = {"username": email, "password": PASSWORD}
        self.use(self.client.post("/api/auth/token", data=form).json())

    def variant(self, slug: str = "coffee-mug") -> dict[str, Any]:
        """Return the first variant of a product."""
        found: dict[str, Any] = self.client.get(f"/api/products/{slug}").json()["variants"][0]
        return found

    def order(self, quantity: int = 1, key: str = "first-order") -> dict[str, Any]:
        """Put mugs into the basket and check it out; return the order."""
        basket = self.client.put(f"/api/basket/{self.variant()['id']}", json={"quantity": quantity}).json()
        answer = self.check_out(basket["total_cents"], key)
        assert answer.status_code == 201, answer.text
        order: dict[str, Any] = answer.json()
        return order

    def check_out(self, total: int, key: str = "first-order") -> Any:
        """Check the basket out."""
        wish = {"recipient": "Ada Byron", "address": "1 Analytical Way, London", "expected_total_cents": total}
        return self.client.post("/api/orders", json=wish, headers={"idempotency-key": key})


@pytest.fixture
def shop(template: Path, tmp_path: Path, client: ClientFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """The shop, on both protocols."""
    copy = tmp_path / "shop.db"
    shutil.copy(template, copy)
    monkeypatch.setattr(database, "url", make_url(f"sqlite+aiosqlite:///{copy}"))
    with client(app) as speaking:
        opened = Shop(speaking)
        opened.outbox.clear()
        opened.call(app.store.clear)
        yield opened
