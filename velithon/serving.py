"""`velithon.run`: serve an application from Python, as `velithon run` does from a shell."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path
from typing import Any

__all__ = ["run"]


def run(app: object, **options: Any) -> None:
    """Serve an application until it is told to stop, for `python main.py`.

    Call it below `if __name__ == "__main__":`, as worker processes import the module again.

    Args:
        app: The application, a variable of the module that is run; or `"module:attribute"`.
        options: Those of `velithon run`, with underscores: `port=9000`, `reload=True`, `server="uvicorn"`.

    Raises:
        TypeError: There is no such option.
        RuntimeError: A worker process called it, or the application is no variable of the module that is run.
        SystemExit: The server could not start, or failed; the reason was written to the standard error.
    """
    from typer.main import get_command

    from velithon.cli import app as commands

    if multiprocessing.parent_process() is not None:
        raise RuntimeError('A worker imported this module: call velithon.run() below `if __name__ == "__main__":`.')
    target = app if isinstance(app, str) else _find_target(app)
    group: Any = get_command(commands)
    arguments = _build_arguments(group.commands["run"], options)
    try:
        group.main(["run", target, *arguments], prog_name="velithon")
    except SystemExit as end:
        if end.code:
            raise


def _find_target(app: object) -> str:
    """Return the file and the name that the application has in the module that is run."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    name = next((name for name, value in vars(main).items() if value is app), None)
    if file is None or name is None:
        raise RuntimeError(
            "velithon.run() finds the application by its name in the module that is run, and worker processes do:"
            ' assign it there, or name it as "module:attribute".'
        )
    return f"{Path(file).resolve()}:{name}"


def _build_arguments(command: Any, options: dict[str, Any]) -> list[str]:
    """Return the options as they are written on a command line."""
    known = {parameter.name: parameter for parameter in command.params if parameter.param_type_name == "option"}
    known.pop("app_option", None)
    arguments: list[str] = []
    for name, value in options.items():
        option = known.get(name)
        if option is None:
            raise TypeError(f"velithon.run() has no option {name!r}; it has {', '.join(sorted(known))}.")
        if value is None:
            continue
        if not option.is_flag:
            arguments += [option.opts[0], str(value)]
        elif value:
            arguments.append(option.opts[0])
        else:
            # Those that are off unless they are given have no other form.
            arguments += option.secondary_opts[:1]
    return arguments
