"""Where a request comes in by one of the two protocols, and where its response goes out.

`serve` turns a responder into an ASGI or an RSGI application, and back; `capture` runs an ASGI application and returns
what it sends as a response.
"""
