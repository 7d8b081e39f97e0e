"""The OpenAPI 3.1 document and the pages that show it.

Nothing here is imported before somebody asks for the document or a page: `setup` only adds the routes.
"""

from velithon.openapi.serve import build_document, setup

__all__ = ["build_document", "setup"]
