"""What a service refuses, and how clients are told.

Exceptions:

    ShopError               the shop does not do what was asked
      NotFoundError         404: there is no such thing, or it is somebody else's
      ConflictError         409: not as things are now
      RefusedError          403: not for whoever asks
      LoginError            401: nobody knows who asks
      ProviderError         502: the payment provider did not answer
"""

from velithon import Request
from velithon.responses import JSONResponse


class ShopError(Exception):
    """The shop does not do what was asked; the text is for whoever asked."""

    status = 400
    headers: dict[str, str] | None = None


class NotFoundError(ShopError):
    """There is no such thing, or it is somebody else's: nobody is told which."""

    status = 404


class ConflictError(ShopError):
    """It cannot be done as things are now."""

    status = 409


class RefusedError(ShopError):
    """Whoever asks may not."""

    status = 403


class LoginError(ShopError):
    """Nobody knows who asks."""

    status = 401
    headers = {"www-authenticate": "Bearer"}


class ProviderError(ShopError):
    """The payment provider did not answer, or not as it should."""

    status = 502


async def answer_error(request: Request, error: ShopError) -> JSONResponse:
    """Answer as `HTTPException` does."""
    return JSONResponse({"detail": str(error)}, error.status, headers=error.headers)
