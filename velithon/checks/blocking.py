"""Calls in async functions that stop the event loop, known by their names."""

from __future__ import annotations

import ast
import sys
import sysconfig
from collections.abc import Iterator
from inspect import getattr_static
from pathlib import Path
from types import ModuleType

from velithon.checks.finding import Finding

__all__ = ["find_blocking_calls"]

# What blocks -> what to do instead.
_THREAD = "await velithon.concurrency.run_in_threadpool(...)"
_HTTP = "await httpx.AsyncClient().request(...)"
_PROCESS = "await asyncio.create_subprocess_exec(...)"
_VERBS = ("delete", "get", "head", "options", "patch", "post", "put", "request")
_BLOCKING = {
    "time.sleep": "await asyncio.sleep(...)",
    "os.system": _PROCESS,
    "os.wait": _PROCESS,
    "os.waitpid": _PROCESS,
    **{f"subprocess.{name}": _PROCESS for name in ("call", "check_call", "check_output", "getoutput", "run")},
    **{f"requests.{verb}": _HTTP for verb in _VERBS},
    **{f"httpx.{verb}": _HTTP for verb in (*_VERBS, "stream")},
    "urllib.request.urlopen": _HTTP,
    "urllib.request.urlretrieve": _HTTP,
    "urllib3.request": _HTTP,
    "socket.create_connection": "await asyncio.open_connection(...)",
    "socket.getaddrinfo": "await asyncio.get_running_loop().getaddrinfo(...)",
    "socket.gethostbyname": "await asyncio.get_running_loop().getaddrinfo(...)",
    "builtins.input": _THREAD,
    **dict.fromkeys(
        (
            "bcrypt.checkpw", "bcrypt.hashpw", "hashlib.pbkdf2_hmac", "hashlib.scrypt", "psycopg.connect",
            "psycopg2.connect", "pymysql.connect", "shutil.copytree", "shutil.make_archive", "shutil.rmtree",
            "smtplib.SMTP", "smtplib.SMTP_SSL", "sqlite3.connect", "ftplib.FTP", "argon2.PasswordHasher.hash",
            "argon2.PasswordHasher.verify", "passlib.context.CryptContext.hash", "passlib.context.CryptContext.verify",
            "pwdlib.PasswordHash.hash", "pwdlib.PasswordHash.verify", "pwdlib.PasswordHash.verify_and_update",
            "velithon.security.passwords.Passwords.hash", "velithon.security.passwords.Passwords.verify",
            "velithon.security.passwords.Passwords.verify_and_update",
        ),
        _THREAD,
    ),
}  # fmt: skip


def find_blocking_calls(directory: Path) -> Iterator[Finding]:
    """Yield the blocking calls in the async functions of the imported modules below a directory.

    Installed packages and tests are left out. A call counts where its name leads to what is known to block; one in a
    function or lambda within the async function does not, as that may run in a thread.
    """
    known = _list_blocking()
    for module in list(sys.modules.values()):
        file = _find_file(module, directory)
        if file is None:
            continue
        try:
            tree = ast.parse(file.read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue
        for function in ast.walk(tree):
            if isinstance(function, ast.AsyncFunctionDef):
                yield from _check_function(function, module, known, str(file.relative_to(directory)))


def _find_file(module: ModuleType, directory: Path) -> Path | None:
    name = getattr(module, "__file__", None)
    if not name or not name.endswith(".py"):
        return None
    file = Path(name).resolve()
    installed = (Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "purelib", "platlib"))
    if not file.is_relative_to(directory) or any(map(file.is_relative_to, installed)):
        return None
    # A test that blocks holds up nobody's requests.
    is_test = file.name.startswith(("test_", "conftest.")) or "tests" in file.relative_to(directory).parts
    return None if is_test else file


def _list_blocking() -> dict[int, str]:
    """Return the blocking functions of the modules that are imported, by identity."""
    found: dict[int, str] = {}
    for name in _BLOCKING:
        holder_name, _, attribute = name.rpartition(".")
        module, _, cls = holder_name.rpartition(".")
        holder = sys.modules.get(holder_name) or getattr(sys.modules.get(module), cls, None)
        value = getattr(holder, attribute, None)
        if value is not None:
            found[id(value)] = name
    return found


def _check_function(
    function: ast.AsyncFunctionDef, module: ModuleType, known: dict[int, str], file: str
) -> Iterator[Finding]:
    for call in _iterate_own_calls(function):
        name = known.get(id(_resolve_value(call.func, _resolve_names(function, module))))
        if name is not None:
            yield Finding(
                f"{file}:{call.lineno}",
                "blocking-call",
                f"{name.removeprefix('builtins.')}() in async {function.name}() stops every other request while it"
                f" runs. Use {_BLOCKING[name]}, or make the function `def`.",
            )


def _iterate_own_calls(function: ast.AsyncFunctionDef) -> Iterator[ast.Call]:
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting.extend(ast.iter_child_nodes(node))


def _resolve_names(function: ast.AsyncFunctionDef, module: ModuleType) -> dict[str, object]:
    """Return what names mean in a function: builtins, the module's, and what the function itself imports."""
    names = {**vars(sys.modules["builtins"]), **vars(module)}
    for node in ast.walk(function):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = sys.modules.get(
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = getattr(sys.modules.get(node.module), alias.name, None)
    return names


def _resolve_value(node: ast.expr, names: dict[str, object]) -> object:
    """Return what a dotted name leads to: through modules, and to methods of classes, as nothing else runs no code."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        holder = _resolve_value(node.value, names)
        if isinstance(holder, ModuleType):
            return vars(holder).get(node.attr)
        return getattr_static(type(holder), node.attr, None)
    return None
