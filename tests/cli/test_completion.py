"""Completion of the command line in shells."""

import os
import subprocess
import sys

import pytest


def velithon(*arguments: str, **environment: str) -> str:
    """Return what the command writes."""
    command = [sys.executable, "-c", "from velithon.cli import main; main()", *arguments]
    env = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=30, check=False).stdout


@pytest.mark.parametrize(
    ("words", "expected"), [("velithon ro", "routes"), ("velithon ch", "check"), ("velithon run --relo", "--reload")]
)
def test_commands_and_options_are_completed(words: str, expected: str) -> None:
    """The shell is told what the word begins."""
    count = str(len(words.split()) - 1)
    assert velithon(_VELITHON_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=count).split() == [expected]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_shown(shell: str) -> None:
    """It calls the command for its words."""
    script = velithon("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert f"_VELITHON_COMPLETE=complete_{shell}" in script
