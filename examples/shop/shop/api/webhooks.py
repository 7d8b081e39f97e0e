"""What the payment provider tells the shop."""

from typing import Annotated, Any

from pydantic import ValidationError
from velithon import Depends, HTTPException, Router
from velithon.events import VerifiedWebhook

from shop.announce import Announce
from shop.database import Session
from shop.services.payments import Notice, take_notice
from shop.settings import get_settings

router = Router(prefix="/webhooks", include_in_schema=False)
verified = VerifiedWebhook(get_settings().payment_webhook_secret.get_secret_value())


@router.post("/payments", status_code=204)
async def payments(payload: Annotated[Any, Depends(verified)], session: Session, announce: Announce) -> None:
    """Take notice of a payment; each webhook counts once."""
    try:
        notice = Notice.model_validate(payload)
    except ValidationError as exc:
        raise HTTPException(422, "This is no notice of a payment.") from exc
    order = await take_notice(session, notice)
    if order is not None:
        announce(order)
