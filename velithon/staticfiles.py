"""Static files: Starlette's, with a fallback for applications of one page.

Granian sends the files itself.
"""

from __future__ import annotations

import errno
import os
import stat
from time import monotonic
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.staticfiles import NotModifiedResponse
from starlette.staticfiles import StaticFiles as StarletteStaticFiles

from velithon.concurrency import run_in_threadpool
from velithon.requests.accept import accepts
from velithon.responses.file import FileResponse

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Scope

__all__ = ["NotModifiedResponse", "StaticFiles"]

PathLike = str | os.PathLike[str]

# Seconds for which a file that was found is looked up without a thread: what the kernel has just read of a directory it
# has at hand, on network file systems too, which ask their server again after three seconds.
_AT_HAND = 2.0
_MOST_AT_HAND = 1024


class StaticFiles(StarletteStaticFiles):
    """Files of a directory; mount them: `app.mount("/static", StaticFiles(directory="static"))`.

    Args:
        directory: Where the files are.
        packages: Python packages whose `statics` directories (or the one named in a pair) are searched as well.
        html: Whether a directory answers with its `index.html`, and what is missing with `404.html`.
        check_dir: Whether a missing directory is an error now, and not at the first request.
        follow_symlink: Whether links may lead out of the directory.
        fallback: A file, such as `index.html`, that answers with 200 when a browser asks for a page that is no file:
            the page's own script knows the path. Requests that don't accept HTML get their 404.

    Raises:
        RuntimeError: The directory or the fallback does not exist.
    """

    # Whether no subclass says how it is served as an ASGI application, so that a mount may ask for the response alone.
    responds = True

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "__call__" in vars(cls):
            cls.responds = False

    def __init__(
        self,
        *,
        directory: PathLike | None = None,
        packages: list[str | tuple[str, str]] | None = None,
        html: bool = False,
        check_dir: bool = True,
        follow_symlink: bool = False,
        fallback: str | None = None,
    ) -> None:
        super().__init__(
            directory=directory, packages=packages, html=html, check_dir=check_dir, follow_symlink=follow_symlink
        )
        self.fallback = fallback
        # Path -> until when it is looked up without a thread.
        self._at_hand: dict[str, float] = {}
        if fallback is not None and check_dir and self._find_regular_file(fallback) is None:
            raise RuntimeError(f"The fallback file {fallback!r} does not exist in {directory!r}.")

    async def respond(self, scope: Scope) -> Response:
        """Return the response that the files, called as an ASGI application, would send.

        Raises:
            HTTPException: See `get_response`.
        """
        if not self.config_checked:
            await self.check_config()
            self.config_checked = True
        return await self.get_response(self.get_path(scope), scope)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the response for a path below the directory.

        Raises:
            HTTPException: 404 for what is missing, 405 for other methods than GET and HEAD, 401 for what is private.
        """
        again = self._respond_again(path, scope)
        if again is not None:
            return again
        if self.fallback is None:
            return await super().get_response(path, scope)
        try:
            response = await super().get_response(path, scope)
        except HTTPException as exc:
            if exc.status_code != 404:
                raise
            missing: HTTPException | None = exc
        else:
            missing = None
            if response.status_code != 404:
                return response
        if accepts_html(Headers(scope=scope).get("accept")):
            found = await run_in_threadpool(self._find_regular_file, self.fallback)
            if found is not None:
                return self.file_response(*found, scope)
        if missing is not None:
            raise missing
        return response

    def _respond_again(self, path: str, scope: Scope) -> Response | None:
        """Return the response for a file that was found a moment ago.

        It is looked up without a thread.
        """
        until = self._at_hand.get(path)
        if until is None or scope["method"] not in ("GET", "HEAD"):
            return None
        if until < monotonic():
            # A thread may have put a new dictionary in its place.
            self._at_hand.pop(path, None)
            return None
        found = self._find_regular_file(path)
        return None if found is None else self.file_response(*found, scope)

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Return where a file is, and its status; `None` where there is none."""
        found = self._direct(path)
        if found is None:
            return super().lookup_path(path)
        if path not in self._at_hand:
            if len(self._at_hand) >= _MOST_AT_HAND:
                self._at_hand = {}
            self._at_hand[path] = monotonic() + _AT_HAND
        return found

    def _direct(self, path: str) -> tuple[str, os.stat_result] | None:
        """Find a regular file to which no link leads below the directory.

        So it cannot be outside of it.
        """
        names = path.split(os.sep)
        if not names[0] or ".." in names or "\\" in path:
            return None
        for directory in self.all_directories:
            place = os.path.abspath(directory)
            try:
                for name in names:
                    place = f"{place}{os.sep}{name}"
                    status = os.lstat(place)
                    if stat.S_ISLNK(status.st_mode):
                        return None
            except (FileNotFoundError, NotADirectoryError):
                continue
            return (place, status) if stat.S_ISREG(status.st_mode) else None
        return None

    def _find_regular_file(self, path: str) -> tuple[str, os.stat_result] | None:
        """Return where a regular file is, and its status."""
        try:
            full_path, status = self.lookup_path(path)
        except (PermissionError, ValueError):
            return None
        except OSError as exc:
            if exc.errno == errno.ENAMETOOLONG:
                return None
            raise
        return (full_path, status) if status is not None and stat.S_ISREG(status.st_mode) else None

    def file_response(
        self, full_path: PathLike, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Return the response for a file that was found.

        It is a 304 where the client has the file already.
        """
        response = FileResponse(full_path, status_code=status_code, stat_result=stat_result)
        if self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response


def accepts_html(accept: str | None) -> bool:
    """Tell whether an `Accept` header names HTML.

    Browsers name it when they go to a page.
    """
    return accepts(accept, ("text/html", "application/xhtml+xml"))
