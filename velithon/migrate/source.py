"""One Python file: rewrites FastAPI's imports and names, and leaves every other byte."""

from __future__ import annotations

import re

import libcst as cst
from libcst.helpers import get_full_name_for_node
from libcst.metadata import PositionProvider, QualifiedNameProvider, QualifiedNameSource

from velithon.migrate.differences import find_differences
from velithon.migrate.names import translate_module, translate_name
from velithon.migrate.note import Note

__all__ = ["migrate_source"]

_DOTTED = re.compile(r"fastapi(\.\w+)*")


def migrate_source(source: str) -> tuple[str, list[Note]]:
    """Rewrite a source.

    Args:
        source: Of a module.

    Returns:
        The new source, and what a person is to look at, by line.

    Raises:
        SyntaxError: It is no Python.
    """
    if "fastapi" not in source:
        return source, []
    try:
        wrapper = cst.MetadataWrapper(cst.parse_module(source))
    except cst.ParserSyntaxError as exc:
        raise SyntaxError(str(exc)) from exc
    rewrite = _Rewrite()
    changed = wrapper.visit(rewrite).code
    notes = [*rewrite.notes, *(find_differences(wrapper) if rewrite.is_fastapi else ())]
    return changed, sorted(set(notes))


def _parse_dotted(name: str) -> object:
    return cst.parse_expression(name)


class _Rewrite(cst.CSTTransformer):
    """Rewrites imports, and what refers to what they import."""

    METADATA_DEPENDENCIES = (PositionProvider, QualifiedNameProvider)

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[Note] = []
        self.is_fastapi = False
        # Names that are no references: attributes, keywords, parameters.
        self._no_references: set[cst.CSTNode] = set()

    def _add_note(self, node: cst.CSTNode, text: str) -> None:
        self.notes.append(Note(self.get_metadata(PositionProvider, node).start.line, text))

    # -- imports --------------------------------------------------------------------------------------------------

    def visit_Import(self, node: cst.Import) -> bool:
        return False

    def leave_Import(self, original_node: cst.Import, updated_node: cst.Import) -> cst.Import:
        names = []
        for alias in updated_node.names:
            name = get_full_name_for_node(alias.name) or ""
            if name.partition(".")[0] != "fastapi":
                names.append(alias)
                continue
            self.is_fastapi = True
            module = translate_module(name)
            if module is None:
                self._add_note(original_node, f"{name} has no namesake: left as it is")
                names.append(alias)
            else:
                names.append(alias.with_changes(name=_parse_dotted(module.__name__)))
        return updated_node.with_changes(names=names)

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        return False

    def leave_ImportFrom(
        self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom
    ) -> cst.ImportFrom | cst.FlattenSentinel[cst.ImportFrom]:
        name = get_full_name_for_node(updated_node.module) if updated_node.module is not None else None
        if name is None or updated_node.relative or name.partition(".")[0] != "fastapi":
            return updated_node
        self.is_fastapi = True
        module = translate_module(name)
        if module is None:
            self._add_note(original_node, f"{name} is internal to FastAPI and has no namesake: left as it is")
            return updated_node
        target = updated_node.with_changes(module=_parse_dotted(module.__name__))
        if isinstance(updated_node.names, cst.ImportStar):
            return target
        ours, left = [], []
        for alias in updated_node.names:
            theirs = get_full_name_for_node(alias.name) or ""
            renamed = translate_name(name, theirs)
            if renamed is None:
                self._add_note(original_node, f"{name} has {theirs}, Velithon has not: left as it is")
                left.append(alias)
            else:
                ours.append(alias.with_changes(name=cst.Name(renamed)))
        if not left:
            return target.with_changes(names=ours)
        if not ours:
            return updated_node
        return cst.FlattenSentinel([_replace_names(target, ours), _replace_names(updated_node, left)])

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.FlattenSentinel[cst.SimpleStatementLine]:
        if len(updated_node.body) == len(original_node.body):
            return updated_node
        # An import that was split: each half on a line of its own.
        first, *others = [one.with_changes(semicolon=cst.MaybeSentinel.DEFAULT) for one in updated_node.body]
        lines = [updated_node.with_changes(body=[first])]
        lines += [cst.SimpleStatementLine([one]) for one in others]
        return cst.FlattenSentinel(lines)

    # -- references -----------------------------------------------------------------------------------------------

    def visit_Attribute(self, node: cst.Attribute) -> None:
        self._no_references.add(node.attr)

    def visit_Arg(self, node: cst.Arg) -> None:
        if node.keyword is not None:
            self._no_references.add(node.keyword)

    def _find_imported(self, node: cst.CSTNode) -> str:
        """Return the full name of what a node refers to, if imported from fastapi."""
        for found in self.get_metadata(QualifiedNameProvider, node, set()):
            if found.source is QualifiedNameSource.IMPORT and found.name.partition(".")[0] == "fastapi":
                return str(found.name)
        return ""

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        if original_node in self._no_references:
            return updated_node
        name = self._find_imported(original_node)
        if name == "fastapi" and original_node.value == "fastapi":
            return updated_node.with_changes(value="velithon")
        if name.endswith(".FastAPI") and original_node.value == "FastAPI":
            return updated_node.with_changes(value="Velithon")
        return updated_node

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        name = self._find_imported(original_node)
        if not name:
            return updated_node
        module, _, attribute = name.rpartition(".")
        if translate_module(module) is None:
            return updated_node  # an attribute of an imported object, or what the import's note is about
        renamed = translate_name(module, attribute)
        if renamed is None:
            self._add_note(original_node, f"{module} has {attribute}, Velithon has not")
            return updated_node
        return updated_node.with_changes(attr=cst.Name(renamed))

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        """Keep the title of the document where FastAPI's default was it."""
        if not self._find_imported(original_node.func).endswith(".FastAPI"):
            return updated_node
        if any(arg.star or (arg.keyword is not None and arg.keyword.value == "title") for arg in original_node.args):
            return updated_node
        tight = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
        title = cst.Arg(cst.SimpleString('"FastAPI"'), keyword=cst.Name("title"), equal=tight)
        return updated_node.with_changes(args=[title, *updated_node.args])

    # -- strings --------------------------------------------------------------------------------------------------

    def leave_Annotation(self, original_node: cst.Annotation, updated_node: cst.Annotation) -> cst.Annotation:
        changed = updated_node.visit(_QuotedNames())
        assert isinstance(changed, cst.Annotation)
        return changed

    def visit_SimpleString(self, node: cst.SimpleString) -> None:
        value = node.evaluated_value
        if isinstance(value, str) and _DOTTED.fullmatch(value):
            self._add_note(node, f"the text {value!r} may name FastAPI's module, distribution or logger: left as it is")


class _QuotedNames(cst.CSTTransformer):
    def leave_SimpleString(self, original_node: cst.SimpleString, updated_node: cst.SimpleString) -> cst.SimpleString:
        return updated_node.with_changes(value=re.sub(r"\bFastAPI\b", "Velithon", updated_node.value))


def _replace_names(statement: cst.ImportFrom, names: list[cst.ImportAlias]) -> cst.ImportFrom:
    names[-1] = names[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return (
        statement.with_changes(names=names, lpar=None, rpar=None)
        if len(names) == 1
        else statement.with_changes(names=names)
    )
