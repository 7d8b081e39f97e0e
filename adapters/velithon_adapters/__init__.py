"""RSGI and ASGI, each carried over the other. Knows nothing of Velithon."""
