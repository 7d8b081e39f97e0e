"""Who looks at a page, and what is in their basket."""

from typing import Annotated
from urllib.parse import quote

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from velithon import Depends, HTTPException, Request
from velithon.sessions import ServerSession, get_session

from shop.errors import RefusedError
from shop.models import Basket, Role, User
from shop.services import accounts, basket

Visit = Annotated[ServerSession, Depends(get_session)]
STAFF = (Role.CLERK, Role.ADMIN)


def logged_in(visit: Visit, request: Request) -> int:
    """Return the user who looks; send others to the login, and back here after it."""
    if visit.user is None:
        here = request.url.path if request.method == "GET" else "/"
        raise HTTPException(303, headers={"location": f"/login?next={quote(here)}"})
    return int(visit.user)


PageUser = Annotated[int, Depends(logged_in)]


async def get_staff(session: AsyncSession, user_id: int) -> User:
    """Return a user who works here.

    Raises:
        RefusedError: They don't, or no more.
    """
    user = await accounts.get_user(session, user_id)
    if user.role not in STAFF:
        raise RefusedError("This is for those who work here.")
    return user


async def begin_visit(session: AsyncSession, visit: ServerSession, request: Request, user: User) -> None:
    """Log somebody in, with a new session and all that they had in their basket."""
    visitors = visit.pop("basket", None)
    visit.regenerate(user=str(user.id), details={"browser": request.headers.get("user-agent", "")[:200]})
    visit["name"] = user.name
    visit["is_staff"] = user.role in STAFF
    if visitors is not None:
        await basket.merge(session, visitors, user.id)


async def find_basket(session: AsyncSession, visit: ServerSession, *, lock: bool = False) -> Basket | None:
    """Return the basket of whoever looks, if they have one."""
    if visit.user is not None:
        return await basket.basket_of(session, int(visit.user), lock=lock)
    if "basket" not in visit:
        return None
    own = select(Basket).where(Basket.id == visit["basket"], Basket.user_id.is_(None))
    found: Basket | None = await session.scalar(own.with_for_update() if lock else own)
    return found


async def get_basket(session: AsyncSession, visit: ServerSession) -> Basket:
    """Return the basket of whoever looks, locked; a visitor gets one with the first thing in it."""
    found = await find_basket(session, visit, lock=True)
    if found is None:
        found = Basket()
        session.add(found)
        await session.flush()
        visit["basket"] = found.id
    return found


def own_path(path: str) -> str:
    """Return a path of this shop: what leads elsewhere, whoever put it into a link, leads home."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"
