"""A page of documents that shows the application's own."""
# /// script
# dependencies = ["scalar-fastapi"]
# ///

from fastapi import FastAPI
from scalar_fastapi import get_scalar_api_reference

from tests.ecosystem.plugin import Clients

app = FastAPI(title="Lamps", docs_url=None)


@app.get("/scalar", include_in_schema=False)
async def scalar():
    return get_scalar_api_reference(openapi_url=app.openapi_url, title=app.title)


@app.get("/items")
def items() -> list[int]:
    return []


def test_the_page_shows_the_document(client: Clients) -> None:
    http = client(app)
    page = http.get("/scalar")
    assert page.headers["content-type"].startswith("text/html")
    assert "<title>Lamps</title>" in page.text
    assert "/openapi.json" in page.text
    assert list(http.get("/openapi.json").json()["paths"]) == ["/items"]
    assert http.get("/docs").status_code == 404
