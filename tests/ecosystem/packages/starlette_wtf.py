"""Forms that are rendered and validated, with their tokens in a session."""
# /// script
# dependencies = ["starlette-wtf", "python-multipart", "itsdangerous"]
# ///

import re

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from starlette.middleware.sessions import SessionMiddleware
from starlette_wtf import CSRFProtectMiddleware, StarletteForm, csrf_protect
from wtforms import StringField
from wtforms.validators import DataRequired, Length

from tests.ecosystem.plugin import Clients

app = FastAPI()
app.add_middleware(CSRFProtectMiddleware, csrf_secret="secret of forms")
app.add_middleware(SessionMiddleware, secret_key="secret of sessions")


class Order(StarletteForm):
    name = StringField(validators=[DataRequired(), Length(max=5)])


@app.get("/order")
@app.post("/order")
@csrf_protect
async def order(request: Request):
    form = await Order.from_formdata(request)
    if await form.validate_on_submit():
        return HTMLResponse(f"ordered by {form.name.data}")
    return HTMLResponse(f"{form.csrf_token} {form.name} {form.errors}")


def token_of(page: str) -> str:
    found = re.search(r'name="csrf_token" type="hidden" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def test_a_form_is_shown_and_taken(client: Clients) -> None:
    http = client(app)
    token = token_of(http.get("/order").text)
    assert http.post("/order", data={"name": "ada", "csrf_token": token}).text == "ordered by ada"
    wrong = http.post("/order", data={"name": "adelheid", "csrf_token": token}).text
    assert "longer than 5" in wrong
    assert 'value="adelheid"' in wrong


def test_a_form_without_its_token_is_refused(client: Clients) -> None:
    assert client(app).post("/order", data={"name": "ada"}).status_code == 403
