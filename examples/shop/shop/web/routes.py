"""All pages, and the files that they need."""

from pathlib import Path

from velithon import Velithon
from velithon.staticfiles import StaticFiles

from shop.provider import add_provider
from shop.settings import Settings
from shop.web import accounts, catalogue, desk, orders
from shop.web.admin import add_admin


def add_pages(app: Velithon, settings: Settings) -> None:
    """Add the pages to an application."""
    for module in (catalogue, accounts, orders, desk):
        app.include_router(module.router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    app.mount("/media", StaticFiles(directory=settings.media_dir, check_dir=False))
    add_admin(app)
    if settings.payment_url is None:
        add_provider(app)
