"""A mutation run: changes the code in one place at a time, and asks whether a test notices.

`make mutants` runs it, on a copy of the checkout; docs/decisions/mutation-tests.md says what is changed, and what was
found. cosmic-ray makes the changes; the removal of a statement is added here. A mutant meets the tests that pass
through its lines, quickest first, in a process that is forked when all tests are imported, and whose functions get the
changed code: most mutants cost a part of a second. Where that cannot be, and for survivors with `--again`, the file is
changed instead; then survivors meet the tests of their room that start servers, too. What was measured is kept in the
folder of the run: the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from bisect import bisect
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from itertools import accumulate, pairwise
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[1]
# What is changed in a room, its part of the sample, and its tests that start servers.
ROOMS: dict[str, tuple[list[str], int, list[str]]] = {
    "faces": (["velithon/faces/*.py"], 45, ["tests/faces"]),
    "table": (["velithon/routing/table*.py"], 45, []),
    "requests": (["velithon/requests/*.py"], 60, ["tests/faces/test_forms.py"]),
    "responses": (["velithon/responses/*.py"], 70, ["tests/faces", "tests/test_sse_servers.py"]),
    "adapters": (["adapters/velithon_adapters/*.py"], 120, ["tests/adapters/test_servers.py"]),
    "servers": (
        ["adapters/velithon_adapters/servers/*.py", "adapters/velithon_adapters/_compat/*.py"],
        40,
        [
            "tests/adapters/test_servers.py",
            "tests/cli/test_run.py",
            "tests/cli/test_servers.py",
            "tests/test_servers.py",
        ],
    ),
}
# The tests that are measured, those of them that start no server.
TESTS = [
    *("tests/adapters", "tests/faces", "tests/contract/test_routes.py"),
    *("tests/compat/test_connections.py", "tests/compat/test_frontends.py", "tests/compat/test_requests.py"),
    *("tests/middleware/test_cors.py", "tests/middleware/test_gzip.py", "tests/middleware/test_stack.py"),
    *("tests/signature/test_bodies.py", "tests/signature/test_exits.py", "tests/signature/test_result.py"),
    *("tests/faults/test_echoes.py", "tests/faults/test_hostile_inputs.py"),
    *("tests/guide_audit/test_endpoints.py", "tests/guide_audit/test_files.py"),
    *("tests/test_application.py", "tests/test_background.py", "tests/test_concurrency.py", "tests/test_encoders.py"),
    *("tests/test_exceptions.py", "tests/test_handover.py", "tests/test_lookahead.py", "tests/test_mounts.py"),
    *("tests/test_resolver.py", "tests/test_sse.py", "tests/test_staticfiles.py", "tests/test_templating.py"),
    *("tests/test_testclient.py", "tests/test_websocket.py", "tests/test_websocket_ways.py"),
]
# Identity for equality says nothing: both hold for None, for bool, and for the strings that the code compares.
SAME = ("Eq_Is", "Is_Eq", "NotEq_IsNot", "IsNot_NotEq")
# Seconds after which a mutant counts as one that hangs; a single test fails sooner.
PATIENCE = 900.0
# Seconds of processor time after which it is one that runs in a circle.
BUSY = 30
# Exit code of a process that could not change the code in memory.
UNTRIED = 99
PYTEST = ("-q", "-x", "-n", "0", "--tb=line", "--timeout=60", "-p", "no:cacheprovider")


# Where something begins and ends: lines, which count from 1, and columns.
Span = tuple[tuple[int, int], tuple[int, int]]


@dataclass
class Mutant:
    """One change: in which file, where, by what, and what makes the file's text with it."""

    room: str
    path: str
    span: Span
    operator: str
    make: Callable[[], str]


def main() -> None:
    """Measure, sample, run and report."""
    parser = argparse.ArgumentParser(description="Change the code in one place at a time: does a test notice?")
    parser.add_argument("--work", type=Path, default=Path("/tmp/velithon-mutants"), help="the folder of the run")
    parser.add_argument("--seed", type=int, default=11, help="which sample")
    parser.add_argument("--part", type=float, default=1.0, help="the size of the sample, 1 is about an hour")
    parser.add_argument("--room", choices=ROOMS, action="append", help="only this room; may be repeated")
    parser.add_argument("--limit", type=float, default=40.0, help="seconds that a mutant's tests take, as measured")
    parser.add_argument("--again", action="store_true", help="run the survivors once more, with servers")
    parser.add_argument("--tests", nargs="*", default=[], help="tests that are newer than the run, for survivors")
    parser.add_argument("--report", action="store_true", help="tell what was found, run nothing")
    options = parser.parse_args()
    copy, results = options.work / "copy", options.work / "results.jsonl"
    os.environ.update(PYTHONDONTWRITEBYTECODE="1", PYTHONPATH=os.pathsep.join([str(copy), str(copy / "adapters")]))
    if not options.report:
        copy_checkout(copy)
        for test in options.tests:
            shutil.copy2(ROOT / test.partition("::")[0], copy / test.partition("::")[0])
        mutants = [each for room in options.room or ROOMS for each in sample(copy, room, options.seed, options.part)]
        plugin = Run(
            mutants, copy, Coverage.of(copy, options.work, options.limit), results, options.again, options.tests
        )
        sys.path[:0] = [str(copy), str(copy / "adapters")]
        os.chdir(copy)
        import_module("pytest").main([*PYTEST, "-m", "not server", *TESTS], plugins=[plugin])
    report(results)


def copy_checkout(copy: Path) -> None:
    """Copy the checkout's files, once: a run goes on with the code that it began with."""
    if copy.is_dir():
        return
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines():
        source, target = ROOT / name, copy / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


class Coverage:
    """Which tests pass through a line, and how long each takes.

    Args:
        data: What coverage measured, with a context for each test.
        seconds: A passed test's seconds by its id.
        limit: How many seconds of tests a mutant meets at most.
    """

    def __init__(self, data: Path, seconds: dict[str, float], limit: float) -> None:
        """Read the measured data."""
        self._limit = limit
        read = import_module("coverage").CoverageData(str(data))
        read.read()
        self._contexts: Callable[[str], dict[int, list[str]]] = cache(read.contexts_by_lineno)
        self._seconds = seconds

    @classmethod
    def of(cls, copy: Path, work: Path, limit: float) -> Coverage:
        """Return what the folder of the run keeps; measure first where it keeps nothing."""
        data, times = work / "coverage.sqlite", work / "times.xml"
        if not times.is_file():
            covered = [
                "--cov=velithon",
                "--cov=velithon_adapters",
                "--cov-context=test",
                "--cov-report=",
                "--cov-config=/dev/null",
            ]
            command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", f"--junitxml={times}"]
            environment = {**os.environ, "COVERAGE_FILE": str(data)}
            subprocess.run([*command, "-m", "not server", *covered, *TESTS], cwd=copy, env=environment, check=False)
        cases = ElementTree.parse(times).getroot().iter("testcase")
        seconds = {
            f"{case.attrib['classname'].replace('.', '/')}.py::{case.attrib['name']}": float(case.attrib["time"])
            for case in cases
            if case.find("failure") is None and case.find("error") is None and case.find("skipped") is None
        }
        return cls(data, seconds, limit)

    def of_mutant(self, mutant: Mutant, copy: Path) -> list[str]:
        """Return the tests that pass through a mutant's lines, the quickest first, as many as there is time for."""
        contexts = self._contexts(str(copy / mutant.path))
        lines = range(mutant.span[0][0], mutant.span[1][0] + 1)
        found = {context.partition("|")[0] for line in lines for context in contexts.get(line, ())}
        if not found - {""}:  # a line of the module itself: all that use the module
            found = {context.partition("|")[0] for each in contexts.values() for context in each}
        ordered = sorted(found & self._seconds.keys(), key=self._seconds.__getitem__)
        total = list(accumulate(self._seconds[test] for test in ordered))
        return ordered[: max(1, bisect(total, self._limit))]


def sample(copy: Path, room: str, seed: int, part: float) -> list[Mutant]:
    """Return a room's mutants: places drawn at random, and at each of them one change."""
    patterns, count, _ = ROOMS[room]
    places: dict[str, list[Mutant]] = defaultdict(list)
    for path in sorted(path for pattern in patterns for path in copy.glob(pattern)):
        for mutant in _changes(room, path, copy):
            places[f"{mutant.path} {mutant.span}"].append(mutant)
    chooser = random.Random(f"{seed} {room}")
    chosen = chooser.sample(sorted(places), min(len(places), round(count * part)))
    return [chooser.choice(places[place]) for place in chosen]


def _changes(room: str, path: Path, copy: Path) -> Iterator[Mutant]:
    """Yield the mutants of a file, but for those that nothing could notice."""
    plugins, syntax = import_module("cosmic_ray.plugins"), import_module("cosmic_ray.ast")
    mutate_code = import_module("cosmic_ray.mutating").mutate_code
    code, name = path.read_text(encoding="utf-8"), str(path.relative_to(copy))
    tree, nodes = ast.parse(code), list(syntax.ast_nodes(syntax.get_ast(code)))
    silent = list(_silent(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and _does_something(node):
            yield Mutant(room, name, _span(node), "RemoveStatement", partial(_without, code, _span(node)))
    for operator_name in plugins.operator_names():
        operator = plugins.get_operator(operator_name)
        if operator.arguments() or operator_name.endswith((*SAME, "NoOp")):
            continue
        positions = [each for node in nodes for each in operator().mutation_positions(node)]
        for occurrence, span in enumerate(positions):
            if not any(start <= span[0] < end for start, end in silent):
                text = partial(mutate_code, code, operator(), occurrence)
                yield Mutant(room, name, span, operator_name.partition("/")[2], text)


def _span(node: ast.expr | ast.stmt) -> Span:
    return (node.lineno, node.col_offset), (node.end_lineno or node.lineno, node.end_col_offset or 0)


def _silent(tree: ast.Module) -> Iterator[Span]:
    """Yield what does not run: annotations, which are strings here, overloads, and imports for the type checker."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
            yield _span(node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.returns:
                yield _span(node.returns)
            if any(ast.unparse(decorator) in {"overload", "override"} for decorator in node.decorator_list):
                yield _span(node.decorator_list[0])[0], _span(node)[1]
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield _span(node)


def _does_something(node: ast.stmt) -> bool:
    """Tell whether a statement can be left out and leave code that runs: calls, errors, changes of objects."""
    if isinstance(node, ast.Expr):
        return not isinstance(node.value, ast.Constant | ast.Yield | ast.YieldFrom)
    if isinstance(node, ast.Assign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(isinstance(target, ast.Attribute | ast.Subscript) for target in targets)
    return isinstance(node, ast.Raise | ast.Delete)


def _without(code: str, span: Span) -> str:
    """Return code with `pass` for a statement."""
    (first, column), (last, end) = span
    lines = code.encode().splitlines(keepends=True)
    nothing = b"pass" + b"\n" * (last - first)
    kept = [*lines[: first - 1], lines[first - 1][:column], nothing, lines[last - 1][end:], *lines[last:]]
    return b"".join(kept).decode()


class Run:
    """A pytest plugin that runs, in place of the tests, each mutant with its tests, in a process of its own.

    Args:
        mutants: The sample.
        copy: Where the files lie that are changed.
        coverage: Tells which tests a mutant meets.
        results: The file to which each result is added, as a line of JSON.
        again: Whether survivors are run once more, with the tests that start servers.
        newer: Tests that were not measured, for survivors that are run once more.
    """

    def __init__(
        self, mutants: list[Mutant], copy: Path, coverage: Coverage, results: Path, again: bool, newer: list[str]
    ) -> None:
        """Nothing runs yet."""
        self._mutants = mutants
        self._copy = copy
        self._coverage = coverage
        self._results = results
        self._again = again
        self._newer = newer

    def pytest_runtestloop(self, session: Any) -> bool:
        """Run the mutants that have no result yet."""
        items = {item.nodeid: item for item in session.items}
        known = read(self._results)
        for number, mutant in enumerate(self._mutants, 1):
            code, text = (self._copy / mutant.path).read_text(encoding="utf-8"), mutant.make()
            difference = "\n".join(difflib.unified_diff(code.splitlines(), text.splitlines(), lineterm="", n=1))
            key = f"{mutant.path}\n{difference}"
            if (key in known and not (self._again and known[key]["outcome"] == "survived")) or not _compiles(text):
                continue
            begun = time.monotonic()
            outcome, tests = self._try(mutant, code, text, items)
            line: dict[str, Any] = {
                "key": key,
                "room": mutant.room,
                "place": f"{mutant.path}:{mutant.span[0][0]}",
                "outcome": outcome,
            }
            line |= {"operator": mutant.operator, "tests": tests, "seconds": round(time.monotonic() - begun, 1)}
            with self._results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(
                f"\n{number}/{len(self._mutants)} {outcome} {line['place']} {mutant.operator} {line['seconds']} s",
                end="",
            )
        return True

    def _try(self, mutant: Mutant, code: str, text: str, items: dict[str, Any]) -> tuple[str, int]:
        """Return what became of a mutant, and how many tests it met."""
        tests = [test for test in self._coverage.of_mutant(mutant, self._copy) if test in items]
        if not self._again and tests:
            outcome = _outcome(partial(self._in_memory, mutant, code, text, [items[test] for test in tests]))
            if outcome != "untried":
                return outcome, len(tests)
        # Also where it survived above: what was made while the tests were imported is as it was there.
        servers = ["-m", "server", *ROOMS[mutant.room][2]] if self._again and ROOMS[mutant.room][2] else []
        (self._copy / mutant.path).write_text(text, encoding="utf-8")
        try:
            for chosen in (self._newer if self._again else [], tests, servers):
                if chosen and (outcome := _outcome(partial(_on_disk, chosen))) != "survived":
                    return outcome, len(tests)
        finally:
            (self._copy / mutant.path).write_text(code, encoding="utf-8")
        return "survived", len(tests)

    def _in_memory(self, mutant: Mutant, code: str, text: str, items: list[Any]) -> int:
        """Change the functions of the imported module, and run the tests; as an exit code."""
        if swap(mutant.path, code, text):
            for item, following in pairwise([*items, None]):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            return 0
        return UNTRIED

    def pytest_runtest_logreport(self, report: Any) -> None:
        """End a mutant's process with the first test that fails."""
        if report.failed:
            os._exit(1)


def _compiles(text: str) -> bool:
    try:
        compile(text, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _on_disk(tests: list[str]) -> int:
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *PYTEST, *tests])


def _outcome(test: Callable[[], int]) -> str:
    """Return what became of a mutant by the exit code of a process that is forked for it."""
    process = os.fork()
    if process == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (BUSY, BUSY))
        for output in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), output)
        try:
            os._exit(test())
        finally:
            os._exit(UNTRIED)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return {0: "survived", UNTRIED: "untried"}.get(os.waitstatus_to_exitcode(status), "killed")
        time.sleep(0.02)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return "hung"


def swap(path: str, code: str, text: str) -> bool:
    """Give the functions of an imported module the code of a changed source.

    Returns:
        Whether that was possible: whether the change lies inside of functions that were found.
    """
    name = path.removesuffix(".py").removesuffix("/__init__").removeprefix("adapters/").replace("/", ".")
    changed = _functions(compile(code, path, "exec"), compile(text, path, "exec"))
    for qualified, function_code in changed or ():
        found: Any = sys.modules.get(name)
        for part in qualified.split("."):
            found = _unwrapped(getattr(found, "__dict__", {}).get(part))
        if not isinstance(found, FunctionType) or found.__code__.co_freevars != function_code.co_freevars:
            return False
        found.__code__ = function_code
    return bool(changed)


def _unwrapped(value: Any) -> Any:
    """Return the function inside of a property, a class method or a decorator that says what it wraps."""
    for name in ("__wrapped__", "__func__", "fget", "func"):
        if not isinstance(value, type) and isinstance(getattr(value, name, None), FunctionType):
            return getattr(value, name)
    return value


def _functions(before: CodeType, after: CodeType) -> list[tuple[str, CodeType]] | None:
    """Return the outermost functions that differ between two codes, by name; `None` where more than functions do."""
    old = [each for each in before.co_consts if isinstance(each, CodeType)]
    new = [each for each in after.co_consts if isinstance(each, CodeType)]

    def rest(code: CodeType) -> Any:
        return code.co_code, code.co_names, [each for each in code.co_consts if not isinstance(each, CodeType)]

    if len(old) != len(new) or rest(before) != rest(after):
        return None
    found = []
    for one, other in zip(old, new, strict=True):
        if one.co_flags & 2:  # CO_NEWLOCALS: a function, and no class
            if one != other:
                found.append((other.co_qualname, other))
        else:
            inner = _functions(one, other)
            if inner is None:
                return None
            found += inner
    return found


def read(results: Path) -> dict[str, dict[str, Any]]:
    """Return the last result of each mutant."""
    lines = results.read_text(encoding="utf-8").splitlines() if results.is_file() else []
    return {line["key"]: line for line in map(json.loads, lines)}


def report(results: Path) -> None:
    """Print each survivor, and the score of each room."""
    known = list(read(results).values())
    for line in known:
        if line["outcome"] == "survived":
            print(f"{line['place']} {line['operator']}, {line['tests']} tests\n{line['key'].partition(chr(10))[2]}\n")
    for room in [*ROOMS, None]:
        outcomes = Counter(line["outcome"] for line in known if room in {None, line["room"]})
        if total := outcomes.total():
            noticed = total - outcomes["survived"]
            print(f"{room or 'all':10} {noticed:4} of {total:4} {100 * noticed / total:5.1f} %  {dict(outcomes)}")


if __name__ == "__main__":
    main()
