"""What stands around every request."""

from urllib.parse import urlsplit

from velithon import Middleware
from velithon.middleware.csrf import CSRFMiddleware
from velithon.middleware.logging import LoggingMiddleware
from velithon.middleware.request_id import RequestIDMiddleware
from velithon.middleware.security_headers import SecurityHeadersMiddleware
from velithon.ratelimit import RateLimitMiddleware
from velithon.sessions import ServerSessionMiddleware

from shop.settings import Settings

PROBES = ("/livez", "/readyz", "/metrics")


def make_layers(settings: Settings) -> list[Middleware]:
    """Return the layers, the innermost first."""
    secure = settings.is_secure
    prefix = "__Host-" if secure else ""
    # Paying redirects a form to the provider, which browsers take for its action.
    provider = urlsplit(settings.provider_url)
    policy = (
        "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self' {provider.scheme}://{provider.netloc}"
    )
    return [
        Middleware(
            CSRFMiddleware,
            secret_key=settings.secret_key.get_secret_value(),
            cookie_name=f"{prefix}csrf",
            # These know nobody by a cookie; the administrator's pages check themselves where a form comes from.
            exempt_paths=["/api/*", "/webhooks/*", "/provider/*", "/admin/*"],
            https_only=secure,
        ),
        Middleware(ServerSessionMiddleware, session_cookie=f"{prefix}session", https_only=secure),
        Middleware(RateLimitMiddleware, limit=settings.limit_requests, exempt_paths=[*PROBES, "/static/*", "/media/*"]),
        # The documentation's page brings scripts of its own.
        Middleware(SecurityHeadersMiddleware, content_security_policy=policy),
        Middleware(LoggingMiddleware),
        Middleware(RequestIDMiddleware),
    ]
