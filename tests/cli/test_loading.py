"""Finding the application that `module:attribute` names, and what is said when it is not found."""

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from velithon._runtime.loading import AppTarget, LoadError

SHOP = """
async def asgi(scope, receive, send): ...
async def rsgi(scope, protocol): ...
def wsgi(environ, start_response): ...
async def endpoint(item_id, q): ...
class App:
    async def __call__(self, scope, receive, send): ...
    async def __rsgi__(self, scope, protocol): ...
app = App()
class Holder:
    app = App()
def make(): return App()
def make_nothing(): return None
def make_badly(): return 1 / 0
answer = 42
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with modules; what is imported from it is forgotten after the test."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "main.py").write_text(SHOP)
    (tmp_path / "broken.py").write_text("def helper():\n    return 1 / 0\n\nx = helper()\n")
    (tmp_path / "needs.py").write_text("import nothing_of_that_name\n")
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit('no configuration')\n")
    (tmp_path / "unfinished.py").write_text("x = (\n")
    for name in ("shop", "package", "package.main"):
        # Another test may have had a module of that name.
        monkeypatch.delitem(sys.modules, name, raising=False)
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


@pytest.mark.parametrize(
    "target",
    [
        "shop:app", "shop", "shop:Holder.app", "shop:asgi", "shop:rsgi", "package.main:app", "shop.py:app",
        "package/main.py:app", "./package/main.py",
    ],
)  # fmt: skip
def test_an_application_is_found(shop: Path, target: str) -> None:
    """By module, dotted attribute or file; `app` is the attribute that is left out."""
    assert callable(AppTarget(target)())


def test_a_file_is_found_by_its_absolute_path(shop: Path) -> None:
    """The package that a file belongs to is imported as that package."""
    app = AppTarget(f"{shop}/package/main.py:app")()
    assert type(app).__module__ == "package.main"


def test_a_factory_is_called_once(shop: Path) -> None:
    """The same target returns the same application."""
    target = AppTarget("shop:make", factory=True)
    assert target() is target()


def test_a_target_goes_to_another_process_without_its_application(shop: Path) -> None:
    """A worker loads its own application."""
    target = AppTarget("shop:app")
    target()
    copy = pickle.loads(pickle.dumps(target))
    assert copy == target
    assert copy._loaded is None


def test_a_package_leads_to_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its main.py is named, and is not imported for that."""
    package = tmp_path / "rooms_of_a_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "main.py").write_text("raise SystemExit\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LoadError, match=r"write rooms_of_a_package\.main:app") as caught:
        AppTarget("rooms_of_a_package:app", directory=tmp_path)()
    assert "no attribute 'app'" in str(caught.value)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nowhere:app", "there is no module 'nowhere' (looked in"),
        ("package.nowhere:app", "there is no module 'package.nowhere'"),
        ("shop:nothing", "module 'shop' has no attribute 'nothing'; applications there: app, asgi, rsgi"),
        ("broken_path/x.py:app", "there is no file"),
        ("shop app", "write it as module:attribute"),
        (":app", "write it as module:attribute"),
        ("shop:answer", "int 42 is no application (neither ASGI nor RSGI)"),
        ("shop:App", "it is a class, not an instance"),
        ("shop:make", "for a function that makes the application add --factory"),
        ("shop:wsgi", "its arguments are neither ASGI's nor RSGI's"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(shop: Path, target: str, said: str) -> None:
    """The line names what was asked for and what was tried."""
    with pytest.raises(LoadError) as caught:
        AppTarget(target)()
    message = str(caught.value)
    assert said in message
    assert repr(target) in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("target", "said"),
    [("shop:answer", "cannot be called"), ("shop:make_nothing", "the factory returned None")],
)
def test_a_factory_that_is_none_is_named(shop: Path, target: str, said: str) -> None:
    """`--factory` on something else, or a factory of something else."""
    with pytest.raises(LoadError, match=said):
        AppTarget(target, factory=True)()


@pytest.mark.parametrize(
    ("target", "factory", "last"),
    [
        ("broken:app", False, "ZeroDivisionError: division by zero"),
        ("needs:app", False, "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("leaves:app", False, "SystemExit: no configuration"),
        ("unfinished:app", False, "SyntaxError: '(' was never closed"),
        ("shop:make_badly", True, "ZeroDivisionError: division by zero"),
    ],
)
def test_an_error_of_the_users_code_shows_its_traceback_and_no_more(
    shop: Path, target: str, factory: bool, last: str
) -> None:
    """The frames of the loader and of the import system are nobody's interest."""
    with pytest.raises(LoadError) as caught:
        AppTarget(target, factory=factory)()
    message = str(caught.value)
    assert message.endswith(last)
    assert "failed:\n" in message
    assert "importlib" not in message
    assert "loading.py" not in message
    assert str(shop) in message
