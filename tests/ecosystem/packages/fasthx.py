"""HTML for htmx and JSON for others from one endpoint, by Jinja templates."""
# /// script
# dependencies = ["fasthx[jinja]"]
# ///

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.templating import Jinja2Templates
from fasthx.jinja import Jinja
from pydantic import BaseModel

from tests.ecosystem.plugin import Clients


class User(BaseModel):
    name: str


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    (tmp_path / "users.html").write_text("<ul>{% for user in items %}<li>{{ user.name }}</li>{% endfor %}</ul>")
    (tmp_path / "page.html").write_text("<h1>{{ title }} {{ request.url.path }}</h1>")
    jinja = Jinja(Jinja2Templates(tmp_path))
    app = FastAPI()

    @app.get("/users")
    @jinja.hx("users.html")
    async def users(count: int = 1) -> list[User]:
        return [User(name=f"<{number}>") for number in range(count)]

    @app.get("/only")
    @jinja.hx("users.html", no_data=True)
    def only() -> list[User]:
        return []

    @app.get("/")
    @jinja.page("page.html")
    def page() -> dict[str, str]:
        return {"title": "Users"}

    return app


def test_htmx_gets_html_and_others_json(client: Clients, app: FastAPI) -> None:
    http = client(app)
    answer = http.get("/users?count=2", headers={"hx-request": "true"})
    assert answer.text == "<ul><li>&lt;0&gt;</li><li>&lt;1&gt;</li></ul>"
    assert answer.headers["content-type"].startswith("text/html")
    assert http.get("/users?count=2").json() == [{"name": "<0>"}, {"name": "<1>"}]
    assert http.get("/users?count=x", headers={"hx-request": "true"}).status_code == 422


def test_pages_and_fragments(client: Clients, app: FastAPI) -> None:
    http = client(app)
    assert http.get("/").text == "<h1>Users /</h1>"
    assert http.get("/only").status_code == 400
    assert http.get("/only", headers={"hx-request": "true"}).text == "<ul></ul>"
