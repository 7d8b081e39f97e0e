"""The release command refuses what is not ready, and says why."""

import sys
from pathlib import Path

import pytest

from scripts.release import ROOT, ReleaseError, main, write_changelog, write_version
from tests.effort import FULL

INIT = 'import x\n\n__version__ = "0.6.0"\n'
CHANGELOG = "# Changelog\n\n## Unreleased\n\n### Added\n\n- A thing.\n\n## 0.6.0 - 2026-01-02\n\n- Another.\n"


@pytest.mark.parametrize("version", ["0.6.1", "0.7.0rc1", "1.0.0", "0.6.0"])
def test_a_version_is_written(version: str) -> None:
    """The first release may have the version that stands there."""
    assert write_version(INIT, version) == INIT.replace("0.6.0", version)


@pytest.mark.parametrize("version", ["0.5.9", "0.6.0rc1", "v0.7.0", "0.7", "0.7.0.dev1", ""])
def test_a_version_that_is_none_or_is_lower_is_refused(version: str) -> None:
    """It would not be installed by anybody."""
    with pytest.raises(ReleaseError):
        write_version(INIT, version)


def test_the_changelog_gets_a_heading() -> None:
    """What was unreleased stands under the version, and Unreleased is empty again."""
    written = write_changelog(CHANGELOG, "0.7.0", "2026-03-04")
    assert "## Unreleased\n\n## 0.7.0 - 2026-03-04\n\n### Added\n\n- A thing.\n\n## 0.6.0 - 2026-01-02\n" in written


@pytest.mark.parametrize(
    ("text", "version"), [(CHANGELOG, "0.6.0"), (CHANGELOG.replace("### Added\n\n- A thing.\n", ""), "0.7.0")]
)
def test_a_changelog_that_is_not_ready_is_refused(text: str, version: str) -> None:
    """Nothing new, or a version that has a heading already."""
    with pytest.raises(ReleaseError, match="CHANGELOG"):
        write_changelog(text, version, "2026-03-04")


def test_a_refusal_leaves_the_files(capsys: pytest.CaptureFixture[str]) -> None:
    """The command fails with a reason."""
    before = (ROOT / "velithon" / "_runtime" / "version.py").read_text()
    assert main(["no-version", "--dry-run"]) == 1
    assert "'no-version' is no version" in capsys.readouterr().err
    assert (ROOT / "velithon" / "_runtime" / "version.py").read_text() == before


@pytest.mark.skipif(not FULL, reason="builds and installs a wheel: VELITHON_TESTS=full")
@pytest.mark.timeout(300)
def test_a_wheel_is_built_and_used(capsys: pytest.CaptureFixture[str]) -> None:
    """In an environment of its own; the working tree is as before."""
    before = {
        file: file.read_bytes() for file in (ROOT / "velithon" / "_runtime" / "version.py", ROOT / "CHANGELOG.md")
    }
    assert main(["99.0.0", "--dry-run"]) == 0, capsys.readouterr().err
    assert "answers on both protocols" in capsys.readouterr().out
    assert {file: file.read_bytes() for file in before} == before
    assert not Path(sys.prefix, "lib", "velithon-99.0.0.dist-info").exists()
