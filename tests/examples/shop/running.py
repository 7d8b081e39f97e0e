"""The shop on real servers, with a database and a mailbox of its own."""

import email
import email.policy
import os
import re
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers import Server, ServerName, free_port, serve

ROOT = Path(__file__).resolve().parents[3]
HERE = ROOT / "examples" / "shop"
SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class RunningShop:
    """A shop that takes customers.

    Attributes:
        server: The process.
        mails: The directory of the mails that were sent.
    """

    server: Server
    mails: Path

    @property
    def url(self) -> str:
        """Where it is."""
        return self.server.url

    def token(self, to: str) -> str:
        """Return the token of the mail that somebody got, once it is there."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            for path in self.mails.glob("*.eml"):
                message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
                found = re.search(r"token=([\w-]+)", message.get_content())
                if message["To"] == to and found is not None:
                    return found[1]
            time.sleep(0.02)
        raise AssertionError(f"no mail with a token to {to} came")


@contextmanager
def running_shop(
    directory: Path,
    server: ServerName = "granian-rsgi",
    *options: str,
    database: Path | str | None = None,
    settings: Mapping[str, str] | None = None,
) -> Generator[RunningShop, None, None]:
    """Run the shop.

    Args:
        directory: Where its files go.
        server: Which server, in which mode.
        options: Further options of the command.
        database: A file with tables and products, or a URL, where those are made; by default a new file.
        settings: Further settings, such as `SHOP_STORE_URL`.
    """
    file = database if isinstance(database, Path) else directory / "shop.db"
    url = database if isinstance(database, str) else f"sqlite+aiosqlite:///{file}"
    with free_port() as port:
        env = {
            "SHOP_ENVIRONMENT": "test",
            "SHOP_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "SHOP_DATABASE_URL": url,
            "SHOP_MAIL_URL": f"file://{directory}/mails",
            "SHOP_MEDIA_DIR": str(directory / "media"),
            "SHOP_EXPORT_DIR": str(directory / "exports"),
            "SHOP_LIMIT_REQUESTS": "1000000/minute",
            "SHOP_LIMIT_LOGINS": "1000000/minute",
            **(settings or {}),
        }
        if not isinstance(database, Path):
            prepare(env)
        with serve("shop.main:app", server, *options, env=env, cwd=HERE, port=port) as running:
            yield RunningShop(running, directory / "mails")


def prepare(env: Mapping[str, str]) -> None:
    """Make the tables that settings name, and fill them."""
    _run(("alembic", "upgrade", "head"), env)
    _run(("shop.seed",), env)


def _run(command: tuple[str, ...], env: Mapping[str, str]) -> None:
    path = os.pathsep.join([str(HERE), str(ROOT), str(ROOT / "adapters")])
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=HERE,
        env={**os.environ, **env, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
