"""Accounts: registering, confirming, logging in, a forgotten password.

No answer, and no time that one takes, tells whether an address has an account.
"""

from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from shop.database import database
from shop.errors import ConflictError, LoginError, NotFoundError
from shop.models import Basket, Identity, PasswordReset, Registration, User, now
from shop.security import digest_of, hash_password, new_token, verify_password
from shop.services import mails

CONFIRM_WITHIN = timedelta(days=1)
RESET_WITHIN = timedelta(hours=1)


async def find_user(session: AsyncSession, email: str) -> User | None:
    """Return the user of an address."""
    found: User | None = await session.scalar(select(User).where(User.email == email.lower()))
    return found


async def get_user(session: AsyncSession, user_id: int) -> User:
    """Return a user.

    Raises:
        LoginError: There is none any more.
    """
    user = await session.get(User, user_id)
    if user is None:
        raise LoginError("This account is gone.")
    return user


async def register(session: AsyncSession, email: str, name: str, password: str) -> None:
    """Keep a registration until its address is confirmed; who has an account is told so by mail."""
    hashed = await hash_password(password)
    token, digest = new_token()
    if await find_user(session, email) is not None:
        mails.write_already_registered(session, email)
        return
    expires_at = now() + CONFIRM_WITHIN
    session.add(
        Registration(digest=digest, email=email.lower(), name=name, password_hash=hashed, expires_at=expires_at)
    )
    mails.write_confirmation(session, email, token)


async def confirm(session: AsyncSession, token: str, password: str) -> User:
    """Make a user of a registration.

    Raises:
        LoginError: The token or the password is wrong, the token was used, or its time is over.
    """
    wanted = select(Registration).where(Registration.digest == digest_of(token), Registration.expires_at > now())
    async with database.begin() as reading:
        found = await reading.scalar(wanted)
    # No transaction is open while it is hashed, which takes long on purpose.
    right, _ = await verify_password(password, found.password_hash if found else None)
    locked = await session.scalar(wanted.with_for_update()) if right else None
    if locked is None or await find_user(session, locked.email) is not None:
        raise LoginError("The link has expired, or the password is not the one that you registered with.")
    user = await add_user(session, locked.email, locked.name, locked.password_hash)
    await session.execute(delete(Registration).where(Registration.email == locked.email))
    return user


async def add_user(session: AsyncSession, email: str, name: str, password_hash: str | None) -> User:
    """Add a user, with an empty basket.

    Raises:
        ConflictError: Somebody has confirmed the address in this moment.
    """
    user = User(email=email.lower(), name=name, password_hash=password_hash)
    session.add(user)
    try:
        await session.flush()
    except IntegrityError as exc:
        raise ConflictError("The address has an account by now: log in.") from exc
    session.add(Basket(user_id=user.id))
    return user


async def log_in(email: str, password: str) -> User:
    """Return the user whose address and password these are; no transaction is open while it is hashed.

    Raises:
        LoginError: They are nobody's.
    """
    async with database.begin() as session:
        user = await find_user(session, email)
    # A user who does not exist, or has no password, takes as long as a wrong password does.
    before = user.password_hash if user else None
    right, updated = await verify_password(password, before)
    if not right or user is None:
        raise LoginError("The address or the password is wrong.")
    if updated is not None:
        async with database.begin() as session:
            unchanged = (User.id == user.id) & (User.password_hash == before)
            await session.execute(update(User).where(unchanged).values(password_hash=updated))
    return user


async def log_in_elsewhere(session: AsyncSession, issuer: str, subject: str, email: str, name: str) -> User:
    """Return the user of an account at somebody else's, who has confirmed the address; make one at the first time."""
    known = select(User).join(Identity).where(Identity.issuer == issuer, Identity.subject == subject)
    user: User | None = await session.scalar(known)
    if user is not None:
        return user
    user = await find_user(session, email) or await add_user(session, email, name, None)
    session.add(Identity(user_id=user.id, issuer=issuer, subject=subject))
    return user


async def ask_for_reset(session: AsyncSession, email: str) -> None:
    """Send the link to a new password to whoever has an account."""
    user = await find_user(session, email)
    if user is not None:
        token, digest = new_token()
        session.add(PasswordReset(digest=digest, user_id=user.id, expires_at=now() + RESET_WITHIN))
        mails.write_reset(session, user.email, token)


async def reset_password(session: AsyncSession, token: str, password: str) -> User:
    """Choose a new password; every other link to one is void then.

    Raises:
        NotFoundError: There is no such token, or no more.
    """
    hashed = await hash_password(password)
    wanted = (PasswordReset.digest == digest_of(token)) & (PasswordReset.expires_at > now())
    found = await session.scalar(select(PasswordReset).where(wanted).with_for_update())
    if found is None:
        raise NotFoundError("The link has expired, or was used.")
    user = await get_user(session, found.user_id)
    user.password_hash = hashed
    await session.execute(delete(PasswordReset).where(PasswordReset.user_id == user.id))
    return user


async def forget_expired(session: AsyncSession) -> None:
    """Remove registrations and links whose time is over."""
    await session.execute(delete(Registration).where(Registration.expires_at <= now()))
    await session.execute(delete(PasswordReset).where(PasswordReset.expires_at <= now()))
