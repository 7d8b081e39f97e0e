"""Places in a source where Velithon differs from FastAPI on purpose; `docs/coming-from/fastapi.md` says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst
from libcst import matchers as m
from libcst.metadata import PositionProvider

from velithon.migrate.note import Note

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["find_differences"]

_PATH = m.Attribute(value=m.Attribute(attr=m.Name("url")), attr=m.Name("path")) | m.Subscript(
    value=m.Name("scope") | m.Attribute(attr=m.Name("scope")),
    slice=[m.SubscriptElement(m.Index(m.SimpleString(value='"path"') | m.SimpleString(value="'path'")))],
)
_APPLICATION = m.Name("FastAPI") | m.Attribute(value=m.Name("fastapi"), attr=m.Name("FastAPI"))
_MARKERS = m.OneOf(*map(m.Name, ("Query", "Path", "Header", "Cookie", "Body", "Form", "File")))
_ANNOTATED = m.Annotation(m.Subscript(value=m.Name("Annotated") | m.Attribute(attr=m.Name("Annotated"))))


def find_differences(wrapper: cst.MetadataWrapper) -> Iterator[Note]:
    """Yield what a source does that does something else here."""
    lines = wrapper.resolve(PositionProvider)
    module = wrapper.module
    below = bool(m.findall(module, m.Arg(keyword=m.Name("root_path"))))
    for node, text in _iterate_differences(module, below):
        yield Note(lines[node].start.line, text)


def _iterate_differences(module: cst.Module, below: bool) -> Iterator[tuple[cst.CSTNode, str]]:
    if below:
        for node in m.findall(module, _PATH):
            yield node, "below a root_path the path begins with it: request.scope['path'] as ASGI has it"
    for call in m.findall(module, m.Call()):
        assert isinstance(call, cst.Call)
        if m.matches(call.func, _APPLICATION):
            layers = _read_keywords(call).get("middleware")
            if layers is not None and not (isinstance(layers, cst.List) and len(layers.elements) < 2):
                yield call, "the last of middleware=[...] is the outermost here: turn the list around"
        elif m.matches(call.func, m.Attribute(attr=m.Name("add_route"))) and "include_in_schema" not in _read_keywords(
            call
        ):
            yield call, "add_route() is in the document here: add include_in_schema=False to keep it out"
        elif m.matches(call.func, m.Attribute(attr=m.Name("mount"))) and "StaticFiles" not in _write_code(call):
            yield call, "a mounted Velithon application runs its lifespan: lifespan=False leaves that to others"
    for parameter in m.findall(module, m.Param(annotation=_ANNOTATED, default=m.Call(func=_MARKERS))):
        yield parameter, "a marker in Annotated and one as the default both count: FastAPI drops the first"


def _read_keywords(call: cst.Call) -> dict[str, cst.BaseExpression]:
    return {arg.keyword.value: arg.value for arg in call.args if arg.keyword is not None}


def _write_code(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node)
