"""What `velithon check` looks for, and what an application warns of when it starts.

Each module is a group of rules.
"""

from __future__ import annotations

__all__ = ["RULES"]

RULES = {
    "shadowed-path": "a route that no request reaches, because an earlier one has its path",
    "duplicate-route": "two routes with one method and path",
    "unread-path-parameter": "a parameter of a path that nothing takes",
    "decorator-above-route": "a decorator that wraps an endpoint after its route has it",
    "list-body": "a list that GET takes from the body, where the query was meant",
    "blocking-call": "a call in an async function that stops the event loop",
    "short-secret": "a secret of fewer than 32 bytes",
    "debug": "debug=True outside development",
    "cors-credentials": "CORS that lets every origin act with a visitor's cookies",
}
