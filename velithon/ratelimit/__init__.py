"""Rate limits: how many requests each client or user may make.

`Depends(RateLimit("5/minute"))` limits a route, `app.add_middleware(RateLimitMiddleware, limit="100/minute")` all of
them. What was used is counted in the application's store: in this process by default, in Redis for all workers.
"""

from velithon.ratelimit.keys import by_client, by_header, by_user
from velithon.ratelimit.limit import RateLimit, RateLimitError, RateLimitUnavailableError
from velithon.ratelimit.middleware import RateLimitMiddleware

__all__ = [
    "RateLimit",
    "RateLimitError",
    "RateLimitMiddleware",
    "RateLimitUnavailableError",
    "by_client",
    "by_header",
    "by_user",
]
