"""Templates on both faces."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ClientFactory
from velithon import BackgroundTask, Request, Velithon
from velithon.templating import Jinja2Templates


@pytest.fixture
def templates(tmp_path: Path) -> Jinja2Templates:
    (tmp_path / "page.html").write_text("<p>{{ name }} {{ url_for('page', item=3) }} {{ extra }}</p>")
    return Jinja2Templates(directory=tmp_path, context_processors=[lambda request: {"extra": request.method}])


def test_a_page_is_rendered_with_its_context(client: ClientFactory, templates: Jinja2Templates) -> None:
    app = Velithon()
    done: list[int] = []

    @app.get("/page/{item}")
    async def page(request: Request, item: int) -> Any:
        return templates.TemplateResponse(
            request,
            "page.html",
            {"name": "<b>"},
            status_code=201,
            headers={"x-a": "b"},
            background=BackgroundTask(done.append, item),
        )

    @app.middleware("http")
    async def layer(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-layer"] = "1"
        return response

    with client(app) as c:
        answer = c.get("/page/1")
    assert answer.text == "<p>&lt;b&gt; http://testserver/page/3 GET</p>"
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert (answer.headers["x-a"], answer.headers["x-layer"]) == ("b", "1")
    assert done == [1]
    assert answer.template.name == "page.html"  # type: ignore[attr-defined]
    assert answer.context["name"] == "<b>"  # type: ignore[attr-defined]


def test_without_a_context_there_is_the_request(client: ClientFactory, templates: Jinja2Templates) -> None:
    app = Velithon()

    @app.get("/page/{item}")
    async def page(request: Request) -> Any:
        return templates.TemplateResponse(request, "page.html")

    assert client(app).get("/page/1").text == "<p> http://testserver/page/3 GET</p>"
