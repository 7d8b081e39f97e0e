"""Headers that protect browsers, by a layer and by a middleware function, on answers and errors."""
# /// script
# dependencies = ["secure"]
# ///

from fastapi import FastAPI, Request
from secure import ContentSecurityPolicy, Preset, Secure, StrictTransportSecurity
from secure.middleware import SecureASGIMiddleware

from tests.ecosystem.plugin import Clients

own = Secure(
    hsts=StrictTransportSecurity().max_age(3600).include_subdomains(),
    csp=ContentSecurityPolicy().default_src("'self'").img_src("https:"),
)
app = FastAPI()
app.add_middleware(SecureASGIMiddleware, secure=own)
other = FastAPI()


@other.middleware("http")
async def protect(request: Request, call_next):
    response = await call_next(request)
    await Secure.from_preset(Preset.STRICT).set_headers_async(response)
    return response


@app.get("/items/{item}")
@other.get("/items/{item}")
async def read(item: int):
    return item


def test_a_layer_adds_them(client: Clients) -> None:
    http = client(app)
    for path, status in (("/items/1", 200), ("/items/x", 422), ("/nowhere", 404)):
        answer = http.get(path)
        assert answer.status_code == status
        assert answer.headers["strict-transport-security"] == "max-age=3600; includeSubDomains"
        assert answer.headers["content-security-policy"] == "default-src 'self'; img-src https:"


def test_a_function_adds_them(client: Clients) -> None:
    answer = client(other).get("/items/1")
    assert answer.json() == 1
    assert answer.headers["x-frame-options"] == "DENY"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
