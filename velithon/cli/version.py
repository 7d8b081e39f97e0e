"""Which Velithon this is: its version, and where it was installed from.

An index holds another product of this name. Who installed from a clone or a Git address is told so, and who installed
from an index sees the bare version.
"""

import importlib.metadata
import json
from pathlib import Path

from velithon._runtime.version import __version__

__all__ = ["describe_version"]


def describe_version() -> str:
    """Return the version, with the directory or the commit that it was installed from.

    Installers keep that address in `direct_url.json` (PEP 610); an install from an index has none.
    """
    try:
        recorded = importlib.metadata.distribution("velithon").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return f"velithon {__version__} from {Path(__file__).resolve().parents[2]}"
    if recorded is None:
        return f"velithon {__version__}"
    origin = json.loads(recorded)
    address = str(origin["url"]).removeprefix("file://")
    if "vcs_info" in origin:
        address += f" at {origin['vcs_info']['commit_id'][:12]}"
    return f"velithon {__version__} from {address}"
