"""What an application warns of when it starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from velithon._runtime.mistakes import warn_at
from velithon.checks.paths import check_paths
from velithon.checks.signatures import check_signatures
from velithon.checks.wrappers import check_wrappers

if TYPE_CHECKING:
    from velithon.checks.finding import Checked

__all__ = ["warn_of_mistakes"]


def warn_of_mistakes(application: Checked) -> None:
    """Warn of probable mistakes in an application's routes.

    A warning points at the line where the route is declared.

    Under debug, calls that stop the event loop are named as well. Code that was written for FastAPI is not refused by
    whoever turns warnings into errors: there they are logged.
    """
    found = [f for group in (check_paths, check_signatures, check_wrappers) for f in group(application)]
    if application.debug:
        from velithon.checks.blocking import find_blocking_calls

        found += find_blocking_calls(Path.cwd().resolve())
    for finding in dict.fromkeys(found):
        file, _, line = finding.place.rpartition(":")
        warn_at(file or "<velithon>", int(line or 0), finding.message)
