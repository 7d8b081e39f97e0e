"""What `velithon check` looks for: each module is a group of rules, a function from an application to findings."""

from __future__ import annotations

from velithon.cli.checks.blocking import blocking_calls
from velithon.cli.checks.finding import Finding
from velithon.cli.checks.layers import layer_findings
from velithon.cli.checks.paths import path_findings
from velithon.cli.checks.signatures import signature_findings

__all__ = ["RULES", "Finding", "blocking_calls", "layer_findings", "path_findings", "signature_findings"]

RULES = {
    "shadowed-path": "a route that no request reaches, because an earlier one has its path",
    "duplicate-route": "two routes with one method and path",
    "unread-path-parameter": "a parameter of a path that nothing takes",
    "list-body": "a list that GET takes from the body, where the query was meant",
    "blocking-call": "a call in an async function that stops the event loop",
    "short-secret": "a secret of fewer than 32 bytes",
    "debug": "debug=True outside development",
    "cors-credentials": "CORS that lets every origin act with a visitor's cookies",
}
