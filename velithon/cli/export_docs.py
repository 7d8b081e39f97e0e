"""`velithon export-docs`: write the documentation as Markdown or as one HTML file.

The HTML file needs no other file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from velithon.cli import app, fail
from velithon.cli.openapi import AppOption, FactoryOption, Target, load, write

__all__ = ["export_docs"]

_FORMATS: dict[str, Literal["markdown", "html"]] = {".md": "markdown", ".markdown": "markdown", ".html": "html"}


@app.command(name="export-docs", rich_help_panel="Document")
def export_docs(
    target: Target = None,
    app_option: AppOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; by default the standard output.")
    ] = None,
    form: Annotated[
        Literal["markdown", "html"] | None,
        typer.Option("--format", help="Default: the output file's extension, or markdown.", show_default=False),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="Default: the application's title.")] = None,
    version: Annotated[str | None, typer.Option("--api-version", help="Default: the application's version.")] = None,
    description: Annotated[
        str | None, typer.Option("--description", help="Default: the application's description.")
    ] = None,
    include_tags: Annotated[
        list[str] | None, typer.Option("--include-tag", help="Only operations with this tag; may be repeated.")
    ] = None,
    exclude_tags: Annotated[
        list[str] | None, typer.Option("--exclude-tag", help="No operations with this tag; may be repeated.")
    ] = None,
    factory: FactoryOption = False,
) -> None:
    """Write the documentation of an application.

    It is Markdown, or one HTML file that needs nothing else.
    """
    from velithon.openapi.docs import render_document_page
    from velithon.openapi.export import as_markdown, select_operations

    document = load(target, app_option, factory=factory).openapi()
    info = {"title": title, "version": version, "description": description}
    document = {**document, "info": {**document["info"], **{name: text for name, text in info.items() if text}}}
    document = select_operations(document, include=include_tags or [], exclude=exclude_tags or [])
    if include_tags and not document["paths"]:
        raise fail(f"--include-tag: no operation has a tag among {', '.join(include_tags)}")
    if form is None:
        form = _FORMATS.get(output.suffix, "markdown") if output is not None else "markdown"
    text = as_markdown(document) if form == "markdown" else render_document_page(document["info"]["title"], document)
    write(text, output)
