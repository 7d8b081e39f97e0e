"""Commands that tests call and that live in an environment of their own: they ask for other versions than we do."""

import shutil
import sys
from pathlib import Path


def find(name: str) -> str | None:
    """Return where a command is, if it is there: beside this environment's packages, or on the PATH."""
    return shutil.which(name, path=str(Path(sys.prefix, "tools", "bin"))) or shutil.which(name)
