"""Errors as pages, where somebody reads them in a browser."""

from velithon import HTTPException, Request, Response
from velithon.exception_handlers import http_exception_handler, request_validation_exception_handler
from velithon.exceptions import RequestValidationError

from shop.errors import ShopError, answer_error
from shop.web.render import page

_FOR_PROGRAMS = ("/api/", "/webhooks/", "/provider/")


def _wants_page(request: Request) -> bool:
    for_programs = request.url.path.startswith(_FOR_PROGRAMS)
    return not for_programs and "text/html" in request.headers.get("accept", "")


async def shop_error(request: Request, error: ShopError) -> Response:
    """Tell what the shop does not do."""
    if not _wants_page(request):
        return await answer_error(request, error)
    return page(request, "error", error.status, text=str(error))


async def http_error(request: Request, error: HTTPException) -> Response:
    """Tell what went wrong."""
    if error.status_code < 400 or not _wants_page(request):
        return await http_exception_handler(request, error)
    made = page(request, "error", error.status_code, text=str(error.detail))
    made.headers.update(error.headers or {})
    return made


async def wrong_input(request: Request, error: RequestValidationError) -> Response:
    """Tell which field of a form is wrong."""
    if not _wants_page(request):
        return await request_validation_exception_handler(request, error)
    problems = [f"{found['loc'][-1]}: {found['msg']}" for found in error.errors()]
    return page(request, "error", 422, text="Please look at these fields again.", problems=problems)
