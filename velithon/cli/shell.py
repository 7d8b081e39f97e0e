"""`velithon shell`: Python with the application and a client of it."""

from __future__ import annotations

import code
import sys

from velithon.cli import app as commands
from velithon.cli import fail
from velithon.cli.openapi import AppOption, FactoryOption, Target, load

__all__ = ["shell"]


@commands.command(rich_help_panel="Write")
def shell(target: Target = None, app_option: AppOption = None, factory: FactoryOption = False) -> None:
    """Open Python with an application that has started.

    `app` is the application and `client` asks it. What the standard input holds is run, where that is no terminal.
    """
    application = load(target, app_option, factory=factory)
    try:
        from velithon.testclient import TestClient
    except (ImportError, RuntimeError) as exc:
        raise fail('shell needs a client: pip install "velithon[test]"') from exc
    with TestClient(application) as client:
        names: dict[str, object] = {"__name__": "__console__", "app": application, "client": client}
        if sys.stdin.isatty():
            code.interact("app is the application, client asks it: client.get('/').", local=names, exitmsg="")
        else:
            exec(compile(sys.stdin.read(), "<stdin>", "exec"), names)
