"""Registering and logging in."""

from typing import Annotated

from velithon import BackgroundTasks, Depends, Request, Router
from velithon.ratelimit import RateLimit
from velithon.security import OAuth2PasswordRequestForm
from velithon.security.refresh import RefreshTokenError, RefreshTokens
from velithon.sessions import revoke_sessions

from shop import jobs
from shop.database import Session
from shop.errors import LoginError
from shop.models import User
from shop.schemas.accounts import (
    Accepted,
    Account,
    Confirmation,
    NewAccount,
    RefreshRequest,
    Reset,
    ResetRequest,
    Tokens,
)
from shop.security import Refresh, UserId, tokens
from shop.services import accounts
from shop.settings import get_settings

# One count for all: whoever guesses passwords may also guess tokens.
limit = Depends(RateLimit(get_settings().limit_logins, name="logins"))
router = Router(prefix="/auth", tags=["accounts"])


async def issue(user: User, refresh: RefreshTokens) -> Tokens:
    """Return a user's first tokens after a login."""
    first = await refresh.issue(str(user.id))
    return answer_tokens(user, first.token)


def answer_tokens(user: User, refresh_token: str) -> Tokens:
    """Return an access token, which says what the user may do by now."""
    access = tokens.issue(str(user.id), roles=[user.role])
    return Tokens(access_token=access, refresh_token=refresh_token, expires_in=int(tokens.lifetime))


@router.post("/register", status_code=202, dependencies=[limit])
async def register(new: NewAccount, session: Session, tasks: BackgroundTasks) -> Accepted:
    """Ask for an account; the answer is the same whether the address has one."""
    await accounts.register(session, new.email, new.name, new.password.get_secret_value())
    tasks.add_task(jobs.send_mails.enqueue)
    return Accepted()


@router.post("/confirm", dependencies=[limit])
async def confirm(given: Confirmation, session: Session, refresh: Refresh) -> Tokens:
    """Make an account of a registration, and log in."""
    user = await accounts.confirm(session, given.token, given.password.get_secret_value())
    return await issue(user, refresh)


@router.post("/token", dependencies=[limit])
async def log_in(form: Annotated[OAuth2PasswordRequestForm, Depends()], refresh: Refresh) -> Tokens:
    """Log in: `username` is the address."""
    return await issue(await accounts.log_in(form.username, form.password), refresh)


@router.post("/refresh")
async def rotate(given: RefreshRequest, session: Session, refresh: Refresh) -> Tokens:
    """Get new tokens for a refresh token, which is used up."""
    try:
        following = await refresh.rotate(given.refresh_token)
    except RefreshTokenError as exc:
        raise LoginError(str(exc)) from exc
    return answer_tokens(await accounts.get_user(session, int(following.subject)), following.token)


@router.post("/logout", status_code=204)
async def log_out(given: RefreshRequest, refresh: Refresh) -> None:
    """End a login: its refresh tokens are void."""
    await refresh.revoke(given.refresh_token)


@router.post("/forgotten", status_code=202, dependencies=[limit])
async def forgotten(given: ResetRequest) -> Accepted:
    """Ask for the link to a new password."""
    await jobs.start_reset.enqueue(given.email)
    return Accepted()


@router.post("/reset", status_code=204, dependencies=[limit])
async def reset(given: Reset, session: Session, refresh: Refresh, request: Request) -> None:
    """Choose a new password: every login from before it ends."""
    user = await accounts.reset_password(session, given.token, given.password.get_secret_value())
    await refresh.revoke_all(str(user.id))
    await revoke_sessions(request.app.store, str(user.id))


@router.get("/me")
async def me(user_id: UserId, session: Session) -> Account:
    """Show who you are."""
    return Account.model_validate(await accounts.get_user(session, user_id))
