"""Error messages are sentences: a capital or a name in code first, a full stop last."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.test_layers import modules

# What clients or FastAPI's users know to the letter, and what a server says that the test clients stand in for.
VERBATIM = {
    "velithon.requests.body_json",
    "velithon.responses.sse",
    "velithon.testclient.memory",
    "velithon.testclient.websocket",
}
KNOWN = {"Invalid range", "Cannot add an exception handler after an application has started"}
# Exceptions whose text is a client's, Python's own, or none at all.
OTHERS = {
    "AttributeError",
    "HTTPException",
    "KeyError",
    "PydanticCustomError",
    "WebSocketDisconnect",
    "WebSocketException",
    "typer.Exit",
}
# These add the full stop, behind what they put before the problem.
ADD_A_STOP = {
    "DependencyScopeError",
    "LimitError",
    "OptionError",
    "RegistrationError",
    "StructError",
    "self.fail",
    "self.model.fail",
}
# Projects and commands that are written in lower case.
NAMES = {"attrs", "fastapi", "granian", "migrate", "msgspec", "openssl", "pydantic", "shell", "uvicorn"}
HOLE = "\0"
SETTING = re.compile(r"[\w.*@{-]*[_=(.\0@*{-]|--")
ENDS = re.compile(r"[.!?\0]$|:\n$|pip install ['\"][^'\"]*['\"]$")


def text_of(node: ast.expr) -> str | None:
    """Return a message with a hole for each value, or none where it is not written here."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or HOLE for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return (text_of(node.left) or HOLE) + (text_of(node.right) or HOLE)
    return None


def own_words(node: ast.AST) -> set[str]:
    """Return the names of parameters and fields that a message below this node may begin with."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return {each.arg for each in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]}
    if isinstance(node, ast.ClassDef):
        fields = {ast.unparse(each.target) for each in node.body if isinstance(each, ast.AnnAssign)}
        return fields.union(*(own_words(each) for each in node.body if isinstance(each, ast.FunctionDef)))
    return set()


def is_a_sentence(text: str, words: set[str], adds_a_stop: bool) -> bool:
    first = re.sub(r"('s|,|:)$", "", text.split(" ", 1)[0])
    begins = not first[:1].islower() or bool(SETTING.match(first)) or first in words
    return begins and (adds_a_stop or bool(ENDS.search(text)))


def messages(node: ast.AST, words: set[str]) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of what is raised below a node and is no sentence."""
    words = words | own_words(node)
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
        kind, text = ast.unparse(node.exc.func), text_of(node.exc.args[0])
        if text is not None and kind not in OTHERS and text not in KNOWN:
            # A `fail` that was handed over is one of those.
            adds_a_stop = kind in ADD_A_STOP or (kind == "fail" and "fail" in words)
            if not is_a_sentence(text, words, adds_a_stop):
                yield node.lineno, text.replace(HOLE, "{}")
    for child in ast.iter_child_nodes(node):
        yield from messages(child, words)


def test_messages_are_sentences() -> None:
    wrong = [
        f"{name}:{line}: {text}"
        for name, path in modules().items()
        if name not in VERBATIM
        for line, text in messages(ast.parse(path.read_text()), NAMES)
    ]
    assert wrong == []


def test_what_is_no_sentence_is_found() -> None:
    source = (
        'raise ValueError("no capital.")\nraise ValueError("No stop")\nraise ValueError(f"{x} is wrong.")\n'
        'raise ValueError("max_size must be more.")\nraise self.fail("No stop is needed")'
    )
    assert [line for line, _ in messages(ast.parse(source), set())] == [1, 2]
