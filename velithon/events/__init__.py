"""Events for handlers in this process, in all processes, and for webhooks.

An application has them as `app.events`.
"""

from __future__ import annotations

from velithon.events.events import Event, Events
from velithon.events.webhooks import VerifiedWebhook, WebhookVerificationError, sign_webhook, verify_webhook

__all__ = ["Event", "Events", "VerifiedWebhook", "WebhookVerificationError", "sign_webhook", "verify_webhook"]
