"""How a page is made: templates, and what all of them know."""

from pathlib import Path
from typing import Any

from velithon import Request
from velithon.middleware.csrf import csrf_token
from velithon.responses import HTMLResponse
from velithon.sessions import get_session
from velithon.templating import Jinja2Templates

from shop.money import as_text
from shop.settings import get_settings

HERE = Path(__file__).parent


def _common(request: Any) -> dict[str, Any]:
    session = get_session(request)
    return {
        "csrf_token": lambda: csrf_token(request),
        "user_name": session.get("name"),
        "is_staff": session.get("is_staff", False),
        "message": session.pop("message", None),
        "openid_name": get_settings().openid_name if get_settings().openid_url else None,
    }


templates = Jinja2Templates(directory=HERE / "templates", context_processors=[_common])
templates.env.filters["money"] = as_text
templates.env.filters["words"] = lambda state: str(state).replace("_", " ")


def page(request: Request, name: str, status_code: int = 200, /, **context: Any) -> HTMLResponse:
    """Return a page made of a template."""
    return templates.TemplateResponse(request, f"{name}.html", context, status_code)
