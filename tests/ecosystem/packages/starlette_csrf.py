"""Tokens against forged requests, by a layer, with paths that need none and cookies that do."""
# /// script
# dependencies = ["starlette-csrf"]
# ///

import re

from fastapi import FastAPI
from starlette_csrf import CSRFMiddleware

from tests.ecosystem.plugin import Clients

app = FastAPI()
app.add_middleware(
    CSRFMiddleware,
    secret="secret",
    sensitive_cookies={"session"},
    exempt_urls=[re.compile("/hooks/.*")],
    required_urls=[re.compile("/always")],
)


@app.get("/items")
@app.post("/items")
@app.post("/hooks/paid")
@app.post("/always")
async def items():
    return "done"


def test_a_write_needs_the_token_of_its_cookie(client: Clients) -> None:
    http = client(app)
    token = http.get("/items").cookies["csrftoken"]
    assert http.post("/items").json() == "done"
    assert http.post("/always").status_code == 403
    http.cookies.set("session", "ada")
    refused = http.post("/items")
    assert (refused.status_code, refused.text) == (403, "CSRF token verification failed")
    assert http.post("/items", headers={"x-csrftoken": token}).json() == "done"
    assert http.post("/items", headers={"x-csrftoken": token[:-1]}).status_code == 403
    assert http.post("/hooks/paid").json() == "done"
