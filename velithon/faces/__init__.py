"""The two faces: requests come in, and responses go out, over RSGI and ASGI.

`serve` turns a responder into an ASGI or an RSGI application, and back; `capture` runs an ASGI application and returns
what it sends as a response.
"""
