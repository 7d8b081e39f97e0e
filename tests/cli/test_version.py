"""`velithon --version` and the banner say which Velithon this is."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from velithon import __version__
from velithon.cli import app as cli

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        (None, f"velithon {__version__}"),
        ({"url": "file:///src/velithon", "dir_info": {"editable": True}}, f"velithon {__version__} from /src/velithon"),
        (
            {"url": "https://git.example/velithon.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
            f"velithon {__version__} from https://git.example/velithon.git at 0123456789ab",
        ),
    ],
)
def test_the_version_says_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: dict[str, object] | None, said: str
) -> None:
    """A clone, a Git address with its commit, or nothing more for what came from an index."""
    installed = tmp_path / f"velithon-{__version__}.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.4\nName: velithon\nVersion: {__version__}\n")
    if origin is not None:
        (installed / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.syspath_prepend(tmp_path)
    assert CliRunner().invoke(cli, ["--version"]).output == f"{said}\n"


def test_a_checkout_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says where its files are."""
    without = [entry for entry in sys.path if not list(Path(entry or ".").glob("velithon-*.dist-info"))]
    monkeypatch.setattr(sys, "path", without)
    root = Path(__file__).resolve().parents[2]
    assert CliRunner().invoke(cli, ["--version"]).output == f"velithon {__version__} from {root}\n"
