"""Cached responses by the rules of RFC 9111.

`@cache(expire=60)` caches one route, `CacheMiddleware` all of them.

Responses are kept in the application's store: in this process by default, in Redis for all workers.
"""

from velithon.cache.middleware import CacheMiddleware
from velithon.cache.policy import CachePolicy, cache, invalidate

__all__ = ["CacheMiddleware", "CachePolicy", "cache", "invalidate"]
