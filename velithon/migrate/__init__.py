"""What `velithon migrate` does: FastAPI's names in a project become Velithon's."""

from __future__ import annotations

from velithon.migrate.note import Note
from velithon.migrate.project import Change, migrate_project
from velithon.migrate.source import migrate_source

__all__ = ["Change", "Note", "migrate_project", "migrate_source"]
