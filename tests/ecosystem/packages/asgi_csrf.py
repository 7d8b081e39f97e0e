"""Forms that only a page of one's own can send, by tokens in cookies, fields and headers."""
# /// script
# dependencies = ["asgi-csrf", "python-multipart"]
# ///

from typing import Annotated

from asgi_csrf import asgi_csrf
from fastapi import FastAPI, Form, Request

from tests.ecosystem.plugin import Clients

app = FastAPI()
app.add_middleware(lambda inner: asgi_csrf(inner, signing_secret="secret", skip_if_scope=is_open))


def is_open(scope):
    return scope["path"].startswith("/open")


@app.get("/form")
async def form(request: Request):
    return request.scope["csrftoken"]()


@app.post("/form")
@app.post("/open/form")
async def send(name: Annotated[str, Form()]):
    return name


def test_a_form_needs_its_token(client: Clients) -> None:
    http = client(app)
    answer = http.get("/form")
    token = answer.json()
    assert answer.cookies["csrftoken"] == token
    assert answer.headers["vary"] == "Cookie"
    assert http.post("/form", data={"name": "ada", "csrftoken": token}).json() == "ada"
    assert http.post("/form", data={"name": "ada"}, headers={"x-csrftoken": token}).json() == "ada"
    assert http.post("/form", data={"name": "ada"}).status_code == 403
    assert http.post("/form", data={"name": "ada", "csrftoken": token[:-1]}).status_code == 403
    assert http.post("/open/form", data={"name": "ada"}).json() == "ada"
