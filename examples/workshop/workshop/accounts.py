"""The mechanics: their passwords, and the tokens that they get for them."""

import asyncio
import getpass
import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated

import jwt
from pwdlib import PasswordHash
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from velithon import Depends, HTTPException, Router
from velithon.concurrency import run_in_threadpool
from velithon.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm

from workshop.database import Base, Session, create_tables, get_engine
from workshop.settings import get_settings

ALGORITHM = "HS256"
LIFE = timedelta(hours=8)
MIN_PASSWORD_LENGTH = 12

hasher = PasswordHash.recommended()
scheme = OAuth2PasswordBearer(tokenUrl="/token")
router = Router(tags=["accounts"])


class MechanicRow(Base):
    """A mechanic, as kept."""

    __tablename__ = "mechanics"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]


class Mechanic(BaseModel):
    """A mechanic, as others see one."""

    name: str


class Token(BaseModel):
    """What a login gives."""

    access_token: str
    token_type: str = "bearer"


@cache
def nobodys_hash() -> str:
    """Return a hash to check against where there is no such mechanic."""
    return hasher.hash("nobody's password")


@router.post("/token")
async def log_in(form: Annotated[OAuth2PasswordRequestForm, Depends()], session: Session) -> Token:
    """Give a token for a name and a password."""
    found = await session.scalar(select(MechanicRow).where(MechanicRow.name == form.username))
    # An unknown name takes as long as a wrong password, and both run in a thread: hashing is slow on purpose.
    expected = found.password_hash if found else nobodys_hash()
    if not await run_in_threadpool(hasher.verify, form.password, expected) or found is None:
        raise HTTPException(401, "The name or the password is wrong.", {"www-authenticate": "Bearer"})
    claims = {"sub": found.name, "exp": datetime.now(UTC) + LIFE}
    return Token(access_token=jwt.encode(claims, get_settings().secret_key.get_secret_value(), ALGORITHM))


def read_token(token: str) -> Mechanic:
    """Return whose token it is.

    Raises:
        HTTPException: 401 when it is not ours, or has ended.
    """
    key = get_settings().secret_key.get_secret_value()
    try:
        claims = jwt.decode(token, key, algorithms=[ALGORITHM], options={"require": ["exp", "sub"]})
    except jwt.InvalidTokenError:
        raise HTTPException(401, "The token is not valid.", {"www-authenticate": "Bearer"}) from None
    return Mechanic(name=claims["sub"])


def current_mechanic(token: Annotated[str, Depends(scheme)]) -> Mechanic:
    """Return who asks."""
    return read_token(token)


@router.get("/me")
async def me(mechanic: Annotated[Mechanic, Depends(current_mechanic)]) -> Mechanic:
    """Show who you are."""
    return mechanic


async def add_mechanic(name: str, password: str) -> None:
    """Add a mechanic.

    Raises:
        ValueError: The password is too short.
    """
    if len(password) < MIN_PASSWORD_LENGTH:
        raise ValueError(f"A password has at least {MIN_PASSWORD_LENGTH} characters.")
    await create_tables()
    async with AsyncSession(get_engine()) as session, session.begin():
        session.add(MechanicRow(name=name, password_hash=hasher.hash(password)))
    await get_engine().dispose()


if __name__ == "__main__":  # python -m workshop.accounts NAME
    asyncio.run(add_mechanic(sys.argv[1], getpass.getpass()))
