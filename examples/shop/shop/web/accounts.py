"""Registering, logging in and out."""

from typing import Annotated

from pydantic import BaseModel, Field
from velithon import BackgroundTasks, Form, Request, Router
from velithon.responses import HTMLResponse, RedirectResponse
from velithon.security.oidc import OpenIDError, OpenIDLogin
from velithon.sessions import revoke_sessions

from shop import jobs
from shop.api.auth import limit
from shop.database import Session
from shop.errors import NotFoundError
from shop.schemas.accounts import Confirmation, NewAccount, Password, Reset, ResetRequest
from shop.security import Refresh
from shop.services import accounts
from shop.settings import get_settings
from shop.web.render import page
from shop.web.visitors import Visit, begin_visit, own_path

router = Router(include_in_schema=False)

_settings = get_settings()
_BACK = f"{_settings.public_url}/login/openid/back"
openid = (
    OpenIDLogin(
        _settings.openid_url, _settings.openid_client_id, _settings.openid_client_secret.get_secret_value() or None
    )
    if _settings.openid_url
    else None
)


class Login(BaseModel):
    """The form of the login."""

    email: Annotated[str, Field(max_length=254)]
    password: Password
    next: Annotated[str, Field(max_length=500)] = "/"


@router.get("/register")
async def show_register(request: Request) -> HTMLResponse:
    """Show the form."""
    return page(request, "register")


@router.post("/register", dependencies=[limit])
async def register(
    new: Annotated[NewAccount, Form()], session: Session, request: Request, tasks: BackgroundTasks
) -> HTMLResponse:
    """Ask for an account; the page is the same whether the address has one."""
    await accounts.register(session, new.email, new.name, new.password.get_secret_value())
    tasks.add_task(jobs.send_mails.enqueue)
    return page(request, "mailed", email=new.email)


@router.get("/confirm")
async def show_confirm(request: Request, token: str = "") -> HTMLResponse:
    """Ask for the password of the registration."""
    return page(request, "confirm", token=token)


@router.post("/confirm", dependencies=[limit])
async def confirm(
    given: Annotated[Confirmation, Form()], session: Session, visit: Visit, request: Request
) -> RedirectResponse:
    """Make an account of a registration, and log in."""
    user = await accounts.confirm(session, given.token, given.password.get_secret_value())
    await begin_visit(session, visit, request, user)
    visit["message"] = f"Welcome, {user.name}."
    return RedirectResponse("/", 303)


@router.get("/login")
async def show_login(request: Request, next: str = "/") -> HTMLResponse:
    """Show the form."""
    return page(request, "login", next=own_path(next))


@router.post("/login", dependencies=[limit])
async def log_in(form: Annotated[Login, Form()], session: Session, visit: Visit, request: Request) -> RedirectResponse:
    """Log in."""
    user = await accounts.log_in(form.email, form.password.get_secret_value())
    await begin_visit(session, visit, request, user)
    return RedirectResponse(own_path(form.next), 303)


@router.post("/logout")
async def log_out(visit: Visit) -> RedirectResponse:
    """Log out."""
    visit.clear()
    return RedirectResponse("/", 303)


@router.get("/login/openid")
async def log_in_elsewhere(request: Request) -> RedirectResponse:
    """Send somebody to the provider."""
    if openid is None:
        raise NotFoundError("Nobody else logs in here.")
    return await openid.redirect(request, _BACK)


@router.get("/login/openid/back")
async def come_back(session: Session, visit: Visit, request: Request) -> RedirectResponse:
    """Log in whom the provider has sent back."""
    if openid is None:
        raise NotFoundError("Nobody else logs in here.")
    who = await openid.identity(request)
    if who.email is None:
        raise OpenIDError("The provider has not confirmed your address.")
    user = await accounts.log_in_elsewhere(session, who.issuer, who.subject, who.email, who.name or who.email)
    await begin_visit(session, visit, request, user)
    return RedirectResponse("/", 303)


@router.get("/forgotten")
async def show_forgotten(request: Request) -> HTMLResponse:
    """Show the form."""
    return page(request, "forgotten")


@router.post("/forgotten", dependencies=[limit])
async def forgotten(given: Annotated[ResetRequest, Form()], request: Request) -> HTMLResponse:
    """Ask for the link to a new password."""
    await jobs.start_reset.enqueue(given.email)
    return page(request, "mailed", email=given.email)


@router.get("/reset")
async def show_reset(request: Request, token: str = "") -> HTMLResponse:
    """Show the form."""
    return page(request, "reset", token=token)


@router.post("/reset", dependencies=[limit])
async def reset(given: Annotated[Reset, Form()], session: Session, refresh: Refresh, request: Request) -> HTMLResponse:
    """Choose a new password: every login from before it ends, that of this browser too."""
    user = await accounts.reset_password(session, given.token, given.password.get_secret_value())
    await refresh.revoke_all(str(user.id))
    await revoke_sessions(request.app.store, str(user.id))
    return page(request, "renewed")
