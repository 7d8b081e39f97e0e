"""The application: what it is made of."""

from velithon import HTTPException, Router, Velithon
from velithon.channels import channels_from_url
from velithon.events import Event
from velithon.exceptions import RequestValidationError
from velithon.health import Health
from velithon.metrics import Metrics

from shop.announce import CHANGED
from shop.api import admin, auth, basket, catalogue, live, orders, webhooks
from shop.database import database
from shop.errors import ShopError
from shop.jobs import refund, send_mails
from shop.layers import PROBES, make_layers
from shop.models import OrderState
from shop.services.payments import close_provider
from shop.settings import Settings, get_settings
from shop.web.errors import http_error, shop_error, wrong_input
from shop.web.routes import add_pages

MAX_BODY = 8 * 1024 * 1024
# Messages of an order that whoever comes back can still get.
HISTORY = 100


def make_app(settings: Settings) -> Velithon:
    """Put the shop together."""
    app = Velithon(
        title="Shop",
        version="1.0.0",
        max_body_size=MAX_BODY,
        store=settings.store_url,
        channels=channels_from_url(settings.channels_url or "memory://", history=HISTORY),
        jobs=settings.jobs_url,
        # Where to: OTEL_EXPORTER_OTLP_ENDPOINT and its kin.
        telemetry={"auto_configure": True} if settings.trace else None,
        exception_handlers={ShopError: shop_error, HTTPException: http_error, RequestValidationError: wrong_input},
        middleware=make_layers(settings),
    )
    add_api(app)
    add_pages(app, settings)
    watch_orders(app)
    health = Health(shutdown_delay=5 if settings.is_production else 0)
    database.install(app, health)
    health.install(app)
    app.on_shutdown.append(close_provider)
    Metrics(exclude_paths=set(PROBES)).install(app)
    return app


def add_api(app: Velithon) -> None:
    """Add the JSON API, which knows users by their tokens alone, and no cookie."""
    api = Router(prefix="/api")
    for module in (auth, catalogue, basket, live, orders, admin):
        api.include_router(module.router)
    app.include_router(api)
    app.include_router(webhooks.router)


def watch_orders(app: Velithon) -> None:
    """Have an order's change reach whoever watches it, its mail be sent, and what is owed be given back."""

    @app.events.on(CHANGED)
    async def publish(event: Event) -> None:
        await app.channels.publish(live.channel_of(event.data["number"]), event.data)

    @app.events.on(CHANGED)
    async def send(event: Event) -> None:
        await send_mails.enqueue()

    @app.events.on(CHANGED)
    async def pay_back(event: Event) -> None:
        if event.data["state"] == OrderState.REFUNDED:
            await refund.enqueue()


app = make_app(get_settings())
