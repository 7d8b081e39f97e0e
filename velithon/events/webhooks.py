"""Webhooks: how they are signed, sent and verified, in the form of Standard Webhooks (HMAC-SHA256).

A request carries `webhook-id`, `webhook-timestamp` (Unix time) and `webhook-signature`: `v1,` and the base64 form of
the HMAC of id, timestamp and body, with points between them. Several signatures may stand there while a secret is
changed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request

from velithon.exceptions import HTTPException

__all__ = ["VerifiedWebhook", "WebhookVerificationError", "sign_webhook", "verify_webhook"]

TOLERANCE_SECONDS = 300.0
_PREFIX = "whsec_"


class WebhookVerificationError(Exception):
    """A webhook is not what its sender signed, or it is too old."""


def _decode_secret(secret: str) -> bytes:
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error as error:
            raise ValueError("A webhook's secret that begins with whsec_ goes on in base64.") from error
    if not secret:
        raise ValueError("A webhook's secret must not be empty.")
    return secret.encode()


def sign_webhook(body: bytes, secret: str, *, id: str, timestamp: int | None = None) -> dict[str, str]:
    """Return the headers of a signed webhook.

    Args:
        body: The request's body.
        secret: Known to sender and receiver: text, or `whsec_` and base64.
        id: The same for every attempt to deliver this event.
        timestamp: Unix time in seconds; now by default.

    Raises:
        ValueError: The secret is empty or no base64.
    """
    moment = str(int(time.time()) if timestamp is None else timestamp)
    digest = hmac.new(_decode_secret(secret), f"{id}.{moment}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def verify_webhook(
    body: bytes, headers: Mapping[str, str], secret: str, *, tolerance: float = TOLERANCE_SECONDS
) -> None:
    """Verify a webhook's signature and its age.

    Who receives webhooks keeps the ids of the last `tolerance` seconds where a repeated one would do harm.

    Args:
        body: The body as it was received.
        headers: The request's.
        secret: What the sender signs with.
        tolerance: How many seconds the timestamp may be away from now.

    Raises:
        WebhookVerificationError: A header is missing, the time is over, or no signature is right.
        ValueError: The secret cannot be used.
    """
    found = {name: headers.get(f"webhook-{name}") for name in ("id", "timestamp", "signature")}
    missing = [f"webhook-{name}" for name, value in found.items() if not value]
    if missing:
        raise WebhookVerificationError(f"The webhook has no header {missing[0]}.")
    moment = found["timestamp"] or ""
    if not (moment.isascii() and moment.isdecimal() and len(moment) < 16):
        raise WebhookVerificationError("The webhook's timestamp is no Unix time.")
    if abs(time.time() - int(moment)) > tolerance:
        raise WebhookVerificationError(f"The webhook's timestamp is more than {tolerance:g} seconds away from now.")
    expected = sign_webhook(body, secret, id=found["id"] or "", timestamp=int(moment))["webhook-signature"]
    # All are compared, each in constant time.
    right = [hmac.compare_digest(given.encode(), expected.encode()) for given in (found["signature"] or "").split()]
    if not any(right):
        raise WebhookVerificationError("The webhook's signature is not right.")


class VerifiedWebhook:
    """A dependency: what a webhook's body says, once its signature was found to be right.

    `Annotated[dict, Depends(VerifiedWebhook(SECRET))]`; a webhook that is not right is answered with 401.

    Args:
        secret: What the sender signs with.
        tolerance: How many seconds the timestamp may be away from now.

    Raises:
        ValueError: The secret is empty or no base64.
    """

    def __init__(self, secret: str, *, tolerance: float = TOLERANCE_SECONDS) -> None:
        _decode_secret(secret)
        self._secret = secret
        self._tolerance = tolerance

    async def __call__(self, request: Request) -> Any:
        """Return what the body says.

        Raises:
            HTTPException: The webhook is not right (401), or its body is no JSON (400).
        """
        body = await request.body()
        try:
            verify_webhook(body, request.headers, self._secret, tolerance=self._tolerance)
        except WebhookVerificationError as error:
            raise HTTPException(401, str(error)) from error
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise HTTPException(400, f"The webhook's body is no JSON: {error}.") from error
