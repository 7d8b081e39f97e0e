"""The signature compiler: a Python signature -> a model -> the plan that answers requests, and the documents.

`read_endpoint` reads a signature once, at registration. `compile_http` and `compile_websocket` write, compile and
return a function for one endpoint that does only what this endpoint needs; `explain` shows its source.
"""

from velithon.signature.compile import checked_limits, compile_http, compile_websocket, explain, source
from velithon.signature.dependencies import AppScope
from velithon.signature.fields import Field
from velithon.signature.model import DependencyModel, EndpointModel, ResponseOptions
from velithon.signature.read import read_endpoint

__all__ = [
    "AppScope",
    "DependencyModel",
    "EndpointModel",
    "Field",
    "ResponseOptions",
    "checked_limits",
    "compile_http",
    "compile_websocket",
    "explain",
    "read_endpoint",
    "source",
]
