"""The shop's API on Velithon and on FastAPI: `python -m benchmarks.shop_compare`.

The text is the same: a copy of `examples/shop/shop`, in which what is imported from Velithon is imported from FastAPI,
and the few lines that FastAPI has no counterpart for are replaced. Both are without cache and layers, over one
PostgreSQL. wrk makes the load, one endpoint after the other.
"""

from __future__ import annotations

import argparse
import difflib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import make_url

from tests.examples.shop.running import HERE, prepare
from tests.servers import Server, ServerName, serve
from tests.services.postgresql import postgresql

SECRET = "only for this comparison, 32 bytes"
CONNECTIONS = 16
NAMES = {"Router": "APIRouter as Router", "Velithon": "FastAPI as Velithon"}
MAIN = """
from shop.api import basket, catalogue, orders
from shop.errors import ShopError, answer_error
from velithon import Router, Velithon

app = Velithon(exception_handlers={ShopError: answer_error})
api = Router(prefix="/api")
for module in (catalogue, basket, orders):
    api.include_router(module.router)
app.include_router(api)
"""
EVENTS = """
from velithon.events import Events

app.events = Events()
"""
BEARER = """
async def bearer(given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> Claims:
    try:
        return tokens.verify(given.credentials)
    except TokenError as exc:
        raise HTTPException(401, str(exc)) from exc
"""
ONLY_FASTAPI = {
    "security.py": {
        "from velithon.security.bearer import JWTBearer": (
            "from fastapi import HTTPException\n"
            "from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer\n"
            "from velithon.security.jwt import TokenError"
        ),
        "bearer = JWTBearer(tokens)": BEARER,
        "clerks_only = bearer.has_role(Role.CLERK, Role.ADMIN)": "",
        "admins_only = bearer.has_role(Role.ADMIN)": "",
    },
    "database.py": {
        "Annotated[AsyncSession, database.session]": (
            'Annotated[AsyncSession, Depends(database._session, scope="function")]'
        ),
        "from velithon.ext.sqlalchemy": "from fastapi import Depends\nfrom velithon.ext.sqlalchemy",
    },
}


def write_copy(target: Path, *, fastapi: bool) -> None:
    """Write the shop's package for a framework; print how many lines of it are others."""
    shutil.copytree(HERE / "shop", target / "shop", ignore=shutil.ignore_patterns("__pycache__"))
    (target / "compared.py").write_text(as_fastapi(MAIN) + EVENTS if fastapi else MAIN)
    changed = total = 0
    for path in (target / "shop").rglob("*.py"):
        before = path.read_text()
        after = re.sub(r"^@cache\(.*\)\n", "", before, flags=re.MULTILINE)
        if fastapi:
            for old, new in ONLY_FASTAPI.get(path.name, {}).items():
                assert old in after, (path, old)
                after = after.replace(old, new)
            after = as_fastapi(after)
        path.write_text(after)
        total += before.count("\n")
        changed += sum(line.startswith("- ") for line in difflib.ndiff(before.splitlines(), after.splitlines()))
    print(f"{'FastAPI' if fastapi else 'Velithon'}: {changed} of {total} lines differ from examples/shop")


def as_fastapi(text: str) -> str:
    """Return a module whose names come from FastAPI."""

    def names(found: re.Match[str]) -> str:
        given = [name.strip() for name in found[1].split(",")]
        return f"from fastapi import {', '.join(NAMES.get(name, name) for name in given)}"

    text = re.sub(r"^from velithon import (.+)$", names, text, flags=re.MULTILINE)
    return text.replace("from velithon.responses import", "from fastapi.responses import")


def requests(token: str) -> dict[str, list[str]]:
    """Return the options of wrk for each endpoint."""
    user = ["-H", f"Authorization: Bearer {token}"]
    return {
        "GET /api/products?sort=price": ["/api/products?sort=price&limit=12"],
        "GET /api/products/{slug}": ["/api/products/coffee-mug"],
        "GET /api/categories": ["/api/categories"],
        "GET /api/basket": ["/api/basket", *user],
        "GET /api/orders": ["/api/orders", *user],
        "GET /api/orders (401)": ["/api/orders"],
    }


def measure(server: Server, options: list[str], seconds: int) -> tuple[float, int]:
    """Return requests a second, and how many were not 2xx."""
    path, *headers = options
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *headers, server.url + path]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    assert rate is not None, said
    return float(rate[1]), int(failed[1]) if failed else 0


def memory(pid: int) -> float:
    """Return the MiB that a process and those below it hold: their own pages, and their part of shared ones."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    own = int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1]) / 1024  # type: ignore[index]  # Linux has it
    return own + sum(memory(int(child)) for child in found)


def run(name: str, server: ServerName, directory: Path, env: Mapping[str, str], token: str, seconds: int) -> None:
    """Measure one of the three, and print it."""
    quiet = ("--log-level", "warning", "--no-access-log") if server == "uvicorn" else ("--no-access-log",)
    direct = server == "uvicorn" and name.startswith("FastAPI")
    with serve("compared:app", server, *quiet, direct=direct, env=env, cwd=directory) as running:
        start = memory(running.process.pid)
        print(f"{name}: {start:.0f} MiB at the start")
        for endpoint, options in requests(token).items():
            rate, failed = measure(running, options, seconds)
            print(f"  {endpoint:32}{rate:8.0f} a second{f', {failed} refused' if failed else ''}")
        print(f"  {'':32}{memory(running.process.pid):8.0f} MiB after it")


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    seconds = parser.parse_args().seconds
    with ExitStack() as stack:
        url = make_url(stack.enter_context(postgresql()).url("asyncpg")).render_as_string(hide_password=False)
        env = {
            "SHOP_ENVIRONMENT": "test",
            "SHOP_SECRET_KEY": SECRET,
            "SHOP_DATABASE_URL": url,
            "SHOP_MAIL_URL": "memory://",
            "SHOP_MEDIA_DIR": stack.enter_context(tempfile.TemporaryDirectory()),
        }
        prepare(env)
        token = issue()
        for fastapi, name, server in VARIANTS:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            write_copy(directory, fastapi=fastapi)
            run(name, server, directory, env, token, seconds)


VARIANTS: list[tuple[bool, str, ServerName]] = [
    (True, "FastAPI on Uvicorn", "uvicorn"),
    (False, "Velithon on Uvicorn", "uvicorn"),
    (False, "Velithon on Granian", "granian-rsgi"),
]


def issue() -> str:
    """Return a token of the customer who is in the data."""
    from velithon.security.jwt import JWT

    return JWT(SECRET, issuer="http://127.0.0.1:8000", audience="shop", lifetime=3600).issue("1", roles=["customer"])


if __name__ == "__main__":
    main()
