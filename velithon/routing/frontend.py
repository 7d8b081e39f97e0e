"""Frontends: the built files of a browser application, behind all routes of an application."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, Literal, Unpack

from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles as StarletteStaticFiles

from velithon.concurrency import run_in_threadpool
from velithon.exceptions import RegistrationError
from velithon.requests.request import Request
from velithon.responses.base import Response
from velithon.routing.routes import Route, generate_unique_id
from velithon.signature.outcome import merge_headers
from velithon.staticfiles import PathLike, StaticFiles, accepts_html

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.responses import Response as StarletteResponse
    from starlette.types import Scope

    from velithon.faces.serve import RouteHandler
    from velithon.routing.options import RouteOptions

__all__ = ["Fallback", "Frontend", "FrontendFiles"]

Fallback = Literal["auto", "index.html", "404.html"] | None
_FALLBACKS = ("auto", "index.html", "404.html", None)


class FrontendFiles(StaticFiles):
    """The files of a built frontend; directories answer with their `index.html`.

    Args:
        directory: Where the build is.
        fallback: What answers for a path that is no file. `"index.html"` does with 200, where a browser goes to a page;
            `"404.html"` does with 404, whoever asks; `"auto"` takes `404.html` if there is one, else `index.html` if
            there is one; `None` leaves it a plain 404.
        check_dir: Whether a missing directory or fallback is an error now. `"auto"`: it is, unless the environment
            variable `VELITHON_ENV`, or where it is not set `FASTAPI_ENV`, is `development`; then a missing directory
            is a warning.

    Raises:
        RegistrationError: There is no such fallback.
        RuntimeError: The directory or the fallback does not exist.
    """

    def __init__(
        self, *, directory: PathLike, fallback: Fallback = "auto", check_dir: bool | Literal["auto"] = "auto"
    ) -> None:
        if fallback not in _FALLBACKS:
            raise RegistrationError(
                f"The fallback of a frontend is 'auto', 'index.html', '404.html' or None, not {fallback!r}."
            )
        environment = os.environ.get("VELITHON_ENV") or os.environ.get("FASTAPI_ENV")
        developing = check_dir == "auto" and environment == "development"
        checked = not developing if check_dir == "auto" else check_dir
        if (checked or developing) and not os.path.isdir(directory):
            missing = f"The frontend's directory {str(directory)!r} does not exist: {os.path.realpath(directory)}."
            if checked:
                raise RuntimeError(
                    f"{missing} Build the frontend first, or, while you develop, start with `velithon dev`, set "
                    "VELITHON_ENV=development, or say check_dir=False."
                )
            warnings.warn(missing, stacklevel=3)
        named = fallback if fallback != "auto" else None
        super().__init__(directory=directory, html=True, check_dir=checked, fallback=named)
        self.auto = fallback == "auto"

    async def get_response(self, path: str, scope: Scope) -> StarletteResponse:
        """Return the response for a path below the directory.

        Raises:
            HTTPException: 404 for what is missing, 405 for other methods than GET and HEAD where there is a file, 401
                for what is private.
            RuntimeError: The fallback, or the directory, is not there any more.
        """
        again = self._respond_again(path, scope)
        if again is not None:
            return again
        if scope["method"] not in ("GET", "HEAD"):
            found = await run_in_threadpool(self._find_file, path)
            raise HTTPException(405, headers={"Allow": "GET, HEAD"}) if found else HTTPException(404)
        try:
            # With `html`, Starlette's own answer for what is missing is `404.html`, where there is one.
            response = await StarletteStaticFiles.get_response(self, path, scope)
        except HTTPException as exc:
            # No file can have a path with a NUL, or one that is too long.
            if exc.status_code != 404 or isinstance(exc.__context__, OSError | ValueError):
                raise
        else:
            if response.status_code != 404 or self.auto or self.fallback == "404.html":
                return response
        if self.fallback == "404.html":
            raise self._build_missing_error()
        if (self.auto or self.fallback is not None) and accepts_html(Request(scope).headers.get("accept")):
            index = await run_in_threadpool(self._find_regular_file, "index.html")
            if index is not None:
                return self.file_response(*index, scope)
            if self.fallback is not None:
                raise self._build_missing_error()
        raise HTTPException(404)

    def _find_file(self, path: str) -> object:
        return self._find_regular_file(path) or self._find_regular_file(os.path.join(path, "index.html"))

    def _build_missing_error(self) -> RuntimeError:
        return RuntimeError(f"The fallback file {self.fallback!r} does not exist in {str(self.directory)!r}.")

    async def serve(self, path: str, scope: Scope) -> StarletteResponse:
        """Return the response for a path as it stands in a URL.

        Raises:
            HTTPException: See `get_response`.
            RuntimeError: See `get_response`.
        """
        if not self.config_checked:
            await self.check_config()
            self.config_checked = True
        return await self.get_response(relativize(path), scope)


def relativize(path: str) -> str:
    """Convert a URL's path, relative to its directory, to one of the file system."""
    return os.path.normpath(os.path.join(*path.split("/")))


class Frontend(Route):
    """A frontend under a path; routers ask it for what none of their routes has.

    Args:
        path: Starts with `/`, has no parameters.
        endpoint: The files.
        methods: Always `GET` and `HEAD`.
        options: What the routes of the router share: dependencies and layers stand around files as well.

    Raises:
        RegistrationError: The path is none.
    """

    is_frontend = True

    def __init__(
        self,
        path: str,
        endpoint: FrontendFiles,
        *,
        methods: Collection[str] | None = None,
        **options: Unpack[RouteOptions],
    ) -> None:
        if not path.startswith("/") or "{" in path:
            raise RegistrationError(
                f"The path of a frontend starts with '/' and has no parameters: got {path!r}; '/' serves everywhere."
            )
        self.files = endpoint
        # No document has it; a function of the application's that makes ids of tags was written for routes with some.
        options["generate_unique_id_function"] = generate_unique_id
        super().__init__(path.rstrip("/") or "/", endpoint, methods=methods, **options)

    def _read(self, endpoint: object, methods: Collection[str] | None) -> None:
        super()._read(self._serve, ("GET", "HEAD"))

    async def _serve(self, request: Request, response: Response) -> Any:
        served = await self.files.serve(self._strip_path(request._route_path), request.scope)
        merge_headers(served, response)
        return served

    def _strip_path(self, path: str) -> str:
        return path[len(self.path) :].lstrip("/") if self.path != "/" else path.lstrip("/")

    def has(self, path: str) -> bool:
        """Tell whether a path, within the router, is this frontend's."""
        return self.path == "/" or path == self.path or path.startswith(f"{self.path}/")

    def get_route_handler(self) -> RouteHandler:
        """Return what answers a request; other methods than GET and HEAD are refused without dependencies."""
        read = super().get_route_handler()

        async def handler(request: Request) -> object:
            if request.method in ("GET", "HEAD"):
                return await read(request)
            return await self.files.serve(self._strip_path(request._route_path), request.scope)

        return handler


def find_most_specific(frontends: list[Frontend], path: str) -> Frontend | None:
    """Return the frontend with the longest path that has this one, the first among equals."""
    return max((one for one in frontends if one.has(path)), key=lambda one: len(one.path), default=None)
