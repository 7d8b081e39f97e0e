"""The job that delivers webhooks.

It is done where jobs are done, and again when the receiver is away.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from typing import Protocol

from starlette.applications import Starlette

from velithon.events.webhooks import sign_webhook
from velithon.jobs import job

__all__ = ["WebhookDeliveryError", "deliver_webhook"]

_TIMEOUT_SECONDS = 10.0


class WebhookDeliveryError(Exception):
    """The receiver of a webhook did not answer with success."""


class KnowsSecrets(Protocol):
    """What the delivery needs of an application's events."""

    def secret_for(self, url: str) -> str | None | Awaitable[str | None]:
        """Return the secret of a receiver, or an awaitable of it."""


@job(name="velithon.deliver_webhook", retries=8, backoff=5.0)
async def deliver_webhook(url: str, id: str, body: str, app: Starlette) -> int:
    """Send a signed event to its receiver; return the status of the answer.

    The signature is made anew for each attempt, because receivers refuse old ones; the secret does not travel.

    Raises:
        WebhookDeliveryError: The answer was not 2xx. Redirects are not followed.
    """
    import httpx

    events: KnowsSecrets = app.events  # type: ignore[attr-defined] # it is a Velithon
    secret = events.secret_for(url)
    if inspect.isawaitable(secret):
        secret = await secret
    content = body.encode()
    headers = {"content-type": "application/json", "user-agent": "velithon"}
    if secret is not None:
        headers |= sign_webhook(content, secret, id=id)
    async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, follow_redirects=False) as client:
        try:
            response = await client.post(url, content=content, headers=headers)
        except httpx.HTTPError as error:
            raise WebhookDeliveryError(f"{url} did not answer: {error!r}") from error
    if not response.is_success:
        raise WebhookDeliveryError(f"{url} answered {response.status_code}.")
    return response.status_code
