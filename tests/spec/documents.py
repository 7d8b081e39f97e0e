"""The specification's documents: their fenced blocks, by name, and which test runs which.

The documents are no part of this repository. They are read from `$VELITHON_SPEC`, or from `shared/spec` in a directory
above the checkout; where neither is there, the tests that run them are skipped, and `tests/contract` remains.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import pytest

F = TypeVar("F", bound=Callable[..., None])

ABSENT = "the specification's documents are not here: set VELITHON_SPEC to their folder"

_FENCE = re.compile(r" {0,3}```(\w*)\s*$")
# what the examples import from the project that they are a part of
_OWN = re.compile(r"^ *from (app(?:\.\w+)*) import", re.MULTILINE)
_HEADING = re.compile(r"(#+) (.*)")


def find_folder() -> Path | None:
    """Return the folder of the documents.

    Raises:
        FileNotFoundError: `$VELITHON_SPEC` is set and is no folder.
    """
    named = os.environ.get("VELITHON_SPEC")
    if named is not None:
        if not Path(named).is_dir():
            raise FileNotFoundError(f"VELITHON_SPEC is {named!r}, which is no folder")
        return Path(named)
    folders = (parent / "shared" / "spec" for parent in Path(__file__).resolve().parents[2:])
    return next((folder for folder in folders if folder.is_dir()), None)


FOLDER = find_folder()


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        name: "chapter / heading"; a language other than Python follows in brackets, then, for further
            blocks of it under that heading, " #2" and so on.
        language: The word after the fence.
        line: The line of the first line of code, in the document.
        code: The code.
    """

    name: str
    language: str
    line: int
    code: str


@dataclass
class Document:
    """A document and the tests that run it.

    Attributes:
        name: Its file's name.
        prelude: Code that supplies what the text takes for granted.
        rewrite: Words that are read as others.
        excepted: Blocks that no test runs, with the reason.
    """

    name: str
    prelude: str = ""
    rewrite: Mapping[str, str] = field(default_factory=dict)
    excepted: dict[str, str] = field(default_factory=dict)
    tested: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.blocks: dict[str, Block] = {}
        if FOLDER is None:
            return
        text = (FOLDER / self.name).read_text(encoding="utf-8")
        for word, other in self.rewrite.items():
            text = re.sub(rf"\b{word}\b", other, text)
        self.blocks = {block.name: block for block in _blocks(text)}

    def block(
        self,
        *parts: str,
        prelude: str = "",
        given: Sequence[str] = (),
        replacing: Mapping[str, str] | None = None,
    ) -> Callable[[F], F]:
        """Return a decorator: the test's `space` fixture is a module in which these blocks ran, one after the other.

        Modules of the document's own example project, `app.core.config` and so on, are that same module.

        Args:
            parts: Names of blocks; a part of several lines is code that runs between them.
            prelude: Code that runs after the document's prelude and before the blocks.
            given: Fixtures whose values the module has, under their names: URLs of running services.
            replacing: What has to be written differently today, pydantic 1's names say, or simulated waits.

        Raises:
            KeyError: There is no such block, or nothing to replace.
        """
        if FOLDER is None:
            return lambda test: test  # conftest.py skips it
        blocks = [Block("", "python", 1, part) if "\n" in part else self.blocks[part] for part in parts]
        for old, new in (replacing or {}).items():
            if not any(old in block.code for block in blocks):
                raise KeyError(f"there is no {old!r} in these blocks")
            blocks = [replace(block, code=block.code.replace(old, new)) for block in blocks]
        self.tested.update(block.name for block in blocks if block.name)

        def decorate(test: F) -> F:
            marked: F = pytest.mark.block(self, blocks, prelude, given)(test)
            return marked

        return decorate

    def run(
        self,
        blocks: list[Block],
        prelude: str,
        modules: dict[str, ModuleType],
        given: Mapping[str, object] | None = None,
    ) -> ModuleType:
        """Run blocks in a new module; tracebacks show the document's lines.

        Args:
            blocks: The blocks.
            prelude: Code that runs before them.
            modules: `sys.modules`, or what stands for it while the blocks run.
            given: What the module has from the beginning.
        """
        module = ModuleType("main")
        module.__dict__.update(given or {})
        modules.update({"main": module})
        for block in blocks:
            modules.update(dict.fromkeys(_OWN.findall(block.code), module))
        exec(self.prelude + "\n" + prelude, module.__dict__)
        for block in blocks:
            file = self.name if block.name else "<between blocks>"
            code = compile("\n" * (block.line - 1) + block.code, file, "exec", dont_inherit=True)
            exec(code, module.__dict__)
        return module


def _blocks(text: str) -> Iterator[Block]:
    headings: list[str] = []
    seen: dict[tuple[str, str], int] = {}
    start, language, inside = 0, "", False
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if fence := _FENCE.match(line):
            if inside:
                name = " / ".join(headings[1:2] + headings[-1:] if len(headings) > 2 else headings[1:])
                count = seen[name, language] = seen.get((name, language), 0) + 1
                suffix = ("" if language == "python" else f" [{language}]") + (f" #{count}" if count > 1 else "")
                yield Block(name + suffix, language, start + 1, "\n".join(lines[start : number - 1]))
            else:
                start, language = number, fence[1]
            inside = not inside
        elif not inside and (heading := _HEADING.match(line)):
            level = len(heading[1])
            headings = [*headings[: level - 1], *[""] * (level - 1 - len(headings)), heading[2]]


_AS_VELITHON = {"fastapi": "velithon", "FastAPI": "Velithon"}

# what the guide imports once and then takes for granted
GUIDE = Document(
    "velithon-user-guide.md",
    prelude="""
from importlib import import_module
for name in ("responses", "requests", "params", "endpoint", "datastructures", "exceptions", "websocket"):
    module = import_module(f"velithon.{name}")
    globals().update({name: getattr(module, name) for name in module.__all__})
from velithon import *
app = Velithon()
""",
)
BEST_PRACTICES = Document("velithon-best-practices.md")
PATTERNS = Document("fastapi-patterns.md", rewrite=_AS_VELITHON)
FASTAPI_GUIDE = Document("fastapi-guide.md", rewrite=_AS_VELITHON)

DOCUMENTS = (GUIDE, BEST_PRACTICES, PATTERNS, FASTAPI_GUIDE)
