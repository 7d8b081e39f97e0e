"""A payment provider's double: it takes no money, and tells the shop so by signed webhooks, as a real one does.

The shop has it at `/provider` where the settings name no other, which production has to.
"""

import json
import secrets
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from velithon import Depends, Form, Header, HTTPException, Request, Router, Velithon
from velithon.events import Event
from velithon.responses import HTMLResponse, RedirectResponse
from velithon.security import HTTPAuthorizationCredentials, HTTPBearer
from velithon.stores import Store, get_store
from velithon.templating import Jinja2Templates

from shop.settings import get_settings

templates = Jinja2Templates(directory=Path(__file__).parent / "web" / "templates")
KEEP_SECONDS = 24 * 60 * 60


class Wish(BaseModel):
    """A payment, as the shop asks for it."""

    reference: Annotated[str, Field(max_length=64)]
    amount_cents: Annotated[int, Field(ge=1)]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    return_url: str
    webhook_url: str


class Wallet:
    """The payments of the double, in the application's store.

    Args:
        store: Where they are.
    """

    def __init__(self, store: Store) -> None:
        self._payments = store.namespace("provider-payments")
        self._keys = store.namespace("provider-keys")

    async def add(self, key: str, wish: Wish) -> str:
        """Keep a payment; return its id, the same for the same key."""
        id = secrets.token_urlsafe(12)
        kept = await self._keys.get_or_set(key, id.encode, expire=KEEP_SECONDS)
        if kept.decode() == id:
            await self.save(id, {**wish.model_dump(), "state": "open"})
        return kept.decode()

    async def get(self, id: str) -> dict[str, Any]:
        """Return a payment.

        Raises:
            HTTPException: 404, there is none.
        """
        found = await self._payments.get(id)
        if found is None:
            raise HTTPException(404, "There is no such payment.")
        payment: dict[str, Any] = json.loads(found)
        return payment

    async def save(self, id: str, payment: dict[str, Any]) -> None:
        """Keep what has become of a payment."""
        await self._payments.set(id, json.dumps(payment).encode(), expire=KEEP_SECONDS)


def get_wallet(store: Annotated[Store, Depends(get_store)]) -> Wallet:
    """Return the payments."""
    return Wallet(store)


Payments = Annotated[Wallet, Depends(get_wallet)]
IdempotencyKey = Annotated[str, Header(max_length=100)]


def authenticate(given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> None:
    """Let the shop in, which knows the key."""
    key = get_settings().payment_key.get_secret_value()
    if not secrets.compare_digest(given.credentials.encode(), key.encode()):
        raise HTTPException(401, "The key is not right.")


router = Router(prefix="/provider", include_in_schema=False)


@router.post("/payments", status_code=201, dependencies=[Depends(authenticate)])
async def create(wish: Wish, idempotency_key: IdempotencyKey, wallet: Payments) -> dict[str, str]:
    """Make a payment."""
    id = await wallet.add(idempotency_key, wish)
    return {"id": id, "url": f"{get_settings().provider_url}/pay/{id}"}


@router.post("/payments/{id}/refund", dependencies=[Depends(authenticate)])
async def refund(id: str, wallet: Payments) -> dict[str, str]:
    """Give a payment back; twice is as good as once."""
    payment = await wallet.get(id)
    if payment["state"] not in ("paid", "refunded"):
        raise HTTPException(409, "Nobody has paid.")
    await wallet.save(id, {**payment, "state": "refunded"})
    return {"id": id}


@router.get("/pay/{id}")
async def show(id: str, request: Request, wallet: Payments) -> HTMLResponse:
    """Ask the customer."""
    return templates.TemplateResponse(request, "provider.html", {"payment": await wallet.get(id)})


@router.post("/pay/{id}")
async def pay(
    id: str, outcome: Annotated[Literal["pay", "decline"], Form()], wallet: Payments, request: Request
) -> RedirectResponse:
    """Tell the shop what the customer has decided, and send them back there."""
    payment = await wallet.get(id)
    if payment["state"] == "open":
        kind = "payment.succeeded" if outcome == "pay" else "payment.failed"
        await wallet.save(id, {**payment, "state": "paid" if outcome == "pay" else "open"})
        told = {name: payment[name] for name in ("reference", "amount_cents", "currency")}
        await request.app.events.deliver(payment["webhook_url"], Event(kind, {"payment_id": id, **told}))
    return RedirectResponse(payment["return_url"], 303)


def add_provider(app: Velithon) -> None:
    """Add the double to an application."""
    app.include_router(router)
    app.events.webhook_secrets(lambda url: get_settings().payment_webhook_secret.get_secret_value())
