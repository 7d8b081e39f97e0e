"""What is private of Python's standard library, and used here."""

from __future__ import annotations

__all__ = ["PRIVATE"]

PRIVATE = {
    "contextlib:AsyncExitStack._exit_callbacks": "runs the exits of a request in a third of the stack's own time",
    "sys:_getframe": "finds the names of the function in which an endpoint is defined, for its annotations",
    "tempfile:SpooledTemporaryFile._file": "keeps an uploaded file's first bytes without a copy",
    "tempfile:SpooledTemporaryFile._max_size": "tells when an uploaded file has to go to the disk",
}
"""Module and name -> what it is used for."""
