"""The shop's pages: sessions, forms and their tokens, baskets of visitors, logging in elsewhere."""

import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image

from shop.models import Role
from shop.settings import get_settings
from shop.web import accounts
from tests.examples.shop.conftest import PASSWORD, Shop
from tests.services.openid import CLIENT_ID, CLIENT_SECRET, openid_provider
from velithon.security.oidc import OpenIDLogin

HTML = {"accept": "text/html"}


class Browser:
    """Somebody who reads pages and sends their forms.

    Attributes:
        shop: Where.
    """

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        shop.client.headers.update(HTML)

    def read(self, path: str) -> str:
        """Return a page's text."""
        answer = self.shop.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def send(self, path: str, form_on: str | None = None, **fields: Any) -> Any:
        """Send a form, with the token of the page that it is on."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.read(form_on or path))
        assert found is not None
        data = {"csrf_token": found[1], **fields}
        return self.shop.client.post(path, data=data, headers={"origin": "http://testserver"})

    def register(self, email: str = "ada@example.org") -> Any:
        """Register, confirm by the mail's link, and be logged in."""
        self.send("/register", email=email, name="Ada Byron", password=PASSWORD)
        token = self.shop.token(email)
        return self.send("/confirm", f"/confirm?token={token}", token=token, password=PASSWORD)


@pytest.fixture
def browser(shop: Shop) -> Browser:
    return Browser(shop)


def test_from_the_search_to_the_order(browser: Browser) -> None:
    """What a visitor has put into the basket is there after the login; a form that is sent twice orders once."""
    assert "Coffee mug" in browser.read("/?q=mug&category=&sort=newest")
    page = browser.read("/products/coffee-mug")
    variant = re.search(r'name="variant_id" value="(\d+)"', page)
    assert variant is not None
    browser.send("/basket", "/products/coffee-mug", variant_id=variant[1], quantity="2")
    assert "25.00 EUR" in browser.read("/basket")
    assert "Log in" in browser.read("/checkout")  # first of all
    assert "Welcome, Ada Byron." in browser.register().text
    page = browser.read("/checkout")
    assert "25.00 EUR" in page
    key = re.search(r'name="key" value="([^"]+)"', page)
    assert key is not None
    fields = {"key": key[1], "expected_total_cents": "2500", "recipient": "Ada", "address": "1 Analytical Way"}
    # The basket is empty after the first: the token is on another page.
    sent = [browser.send("/checkout", "/basket" if again else None, **fields) for again in (False, True)]
    assert {answer.status_code for answer in sent} == {200}
    assert sent[0].url == sent[1].url
    assert "awaiting payment" in sent[0].text
    number = sent[0].url.path.rpartition("/")[2]
    assert number in browser.read("/orders")
    invoice = browser.shop.client.get(f"/orders/{number}/invoice.pdf")
    assert (invoice.headers["content-type"], invoice.content[:5]) == ("application/pdf", b"%PDF-")
    browser.send("/logout", "/orders")
    assert "Log in" in browser.read(f"/orders/{number}")


def test_a_login_has_a_new_session_and_leads_back_here_alone(browser: Browser) -> None:
    """An identifier that somebody knew before is worth nothing; a link cannot send anybody elsewhere."""
    browser.register()
    browser.send("/logout", "/basket")
    # A visitor's session, with something in the basket.
    browser.send("/basket", "/products/tea-cup", variant_id=str(browser.shop.variant("tea-cup")["id"]))
    before = browser.shop.client.cookies["session"]
    for target, path in (("/orders", "/orders"), ("https://evil.example", "/"), ("//evil.example", "/")):
        form = f"/login?next={target}"
        answer = browser.send("/login", form, email="ada@example.org", password=PASSWORD, next=target)
        assert (answer.url.host, answer.url.path) == ("testserver", path)
    assert browser.shop.client.cookies["session"] != before


def test_forms_of_other_sites_are_refused(browser: Browser) -> None:
    """Without the token, with a wrong one, or sent from elsewhere."""
    browser.register()
    for data in ({}, {"csrf_token": "x"}):
        assert browser.shop.client.post("/logout", data=data).status_code == 403
    token = re.search(r'name="csrf_token" value="([^"]+)"', browser.read("/"))
    assert token is not None
    elsewhere = {"origin": "https://evil.example"}
    answer = browser.shop.client.post("/logout", data={"csrf_token": token[1]}, headers=elsewhere)
    assert answer.status_code == 403
    assert "Log out Ada Byron" in browser.read("/")


def test_errors_are_pages_for_browsers_and_json_for_programs(browser: Browser) -> None:
    """A product that is not there, a wrong login, a wrong field, a page that is not there."""
    for path in ("/products/nothing", "/nothing"):
        answer = browser.shop.client.get(path)
        assert (answer.status_code, "That did not work" in answer.text) == (404, True)
    assert browser.shop.client.get("/api/products/nothing").json() == {"detail": "There is no such product."}
    assert browser.shop.client.get("/nothing", headers={"accept": "*/*"}).json() == {"detail": "Not Found"}
    wrong = browser.send("/login", email="ada@example.org", password="a wrong password")
    assert (wrong.status_code, "The address or the password is wrong." in wrong.text) == (401, True)
    assert browser.send("/register", email="x", name="Ada", password=PASSWORD).status_code == 422


def test_what_customers_write_is_text(browser: Browser) -> None:
    """A name with markup in it is shown as it is, and runs nothing."""
    name = "<script>alert(1)</script>"
    browser.send("/register", email="eve@example.org", name=name, password=PASSWORD)
    token = browser.shop.token("eve@example.org")
    page = browser.send("/confirm", f"/confirm?token={token}", token=token, password=PASSWORD).text
    assert name not in page
    assert "&lt;script&gt;" in page


def test_the_desk_is_for_those_who_work_here(browser: Browser) -> None:
    """A clerk brings orders on their way, but does not say that they are paid."""
    shop = browser.shop
    shop.register()
    order = shop.order()
    shop.employ("grace@example.org", Role.CLERK)
    browser.send("/login", email="grace@example.org", password=PASSWORD)
    assert order["number"] in browser.read("/desk")
    path = f"/desk/orders/{order['number']}"
    assert browser.send(path, "/desk", state="paid").status_code == 409
    assert "cancelled" in browser.send(path, "/desk", state="cancelled").text
    browser.send("/logout", "/desk")
    browser.send("/login", email="ada@example.org", password=PASSWORD)
    assert shop.client.get("/desk").status_code == 403


def test_a_new_password_over_the_pages(browser: Browser) -> None:
    """The link of the mail leads to a form; what was logged in before is not any more."""
    browser.register()
    browser.shop.outbox.clear()
    browser.send("/forgotten", email="ada@example.org")
    token = browser.shop.token("ada@example.org")
    answer = browser.send("/reset", f"/reset?token={token}", token=token, password="another horse battery")
    assert "Your new password holds" in answer.text
    assert "Log out" not in browser.read("/")
    answer = browser.send("/login", email="ada@example.org", password="another horse battery", next="/")
    assert "Log out Ada Byron" in answer.text


def test_pictures_are_resized_and_served(shop: Shop) -> None:
    """In the widths that pages need, as WebP; what is no picture is refused."""
    shop.employ("grace@example.org", Role.ADMIN)
    picture = BytesIO()
    Image.new("RGB", (1500, 1000), "teal").save(picture, "JPEG")
    path = "/api/admin/products/tea-cup/images"
    answer = shop.client.post(path, files={"file": picture.getvalue()}, data={"alt": "A cup"})
    assert answer.status_code == 201, answer.text
    urls = shop.client.get("/api/products/tea-cup").json()["images"][0]["urls"]
    assert set(urls) == {"320", "640", "1280"}
    for width, url in urls.items():
        served = shop.client.get(url)
        assert served.headers["content-type"] == "image/webp"
        assert Image.open(BytesIO(served.content)).width == int(width)
    assert shop.client.post(path, files={"file": b"GIF89a"}, data={"alt": "A cup"}).status_code == 422


def test_orders_as_csv_at_once_and_by_a_job(shop: Shop) -> None:
    """Both have a line for each order; a name of a file that is none is refused."""
    shop.register()
    order = shop.order()
    shop.employ("grace@example.org", Role.CLERK)
    streamed = shop.client.get("/api/admin/orders.csv")
    assert streamed.headers["content-type"].startswith("text/csv")
    lines = streamed.text.splitlines()
    assert lines[0] == "number,state,total,currency,created_at"
    assert lines[1].startswith(f"{order['number']},awaiting_payment,12.50,EUR,")
    id = shop.client.post("/api/admin/exports").json()["id"]

    async def finished() -> int:
        return int(await shop.client.app.jobs.get(id).result(10))  # type: ignore[attr-defined]  # it is a Velithon

    assert shop.call(finished) == 2
    shown = shop.client.get(f"/api/admin/exports/{id}").json()
    assert (shown["state"], shown["progress"]) == ("succeeded", {"rows": 2})
    assert shop.client.get(f"/api/admin/exports/{id}/orders.csv").text == streamed.text
    assert shop.client.get("/api/admin/exports/..%2F..%2Fetc/orders.csv").status_code in (404, 422)


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """A provider that knows Ann, but has confirmed no address."""
    with openid_provider([f"{get_settings().public_url}/login/openid/back"]) as url:
        yield url


def test_logging_in_elsewhere(browser: Browser, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is sent back by the provider is known, and refused where their address is not confirmed."""
    monkeypatch.setattr(accounts, "openid", OpenIDLogin(provider, CLIENT_ID, CLIENT_SECRET))
    sent = browser.shop.client.get("/login/openid", follow_redirects=False)
    answer = httpx.get(sent.headers["location"], trust_env=False)
    parts = urlsplit(answer.headers["location"])
    back = browser.shop.client.get(f"{parts.path}?{parts.query}")
    assert (back.status_code, "has not confirmed your address" in back.text) == (400, True)


def test_operations(shop: Shop) -> None:
    """It says that it lives, that the database answers, and what it has counted; the document has the API alone."""
    assert shop.client.get("/livez").status_code == 200
    assert shop.client.get("/readyz").json()["checks"]["database"]["status"] == "ok"
    shop.client.get("/api/products")
    assert 'http_requests_total{method="GET",route="/api/products",status="200"}' in shop.client.get("/metrics").text
    paths = shop.client.get("/openapi.json").json()["paths"]
    assert all(path.startswith("/api/") for path in paths)
    assert len(paths) > 20


def test_the_administrators_part(browser: Browser) -> None:
    """sqladmin, unmodified, for administrators alone; what they change is in the catalogue at once."""
    shop = browser.shop
    assert "Log in" in browser.read("/admin/")
    browser.send("/login", "/login", email="clerk@shop.example", password=PASSWORD)
    assert "Coffee mug" not in shop.client.get("/admin/product/list").text
    browser.send("/logout", "/")
    browser.send("/login", "/login", email="admin@shop.example", password=PASSWORD)
    for name in ("product", "variant", "category", "order", "user", "review"):
        assert shop.client.get(f"/admin/{name}/list").status_code == 200
    assert "Coffee mug" in browser.read("/admin/product/list")
    variant = shop.variant()
    path = f"/admin/variant/edit/{variant['id']}"
    assert "white" in browser.read(path)
    form = {"name": "snow", "price_cents": "990", "save": "Save"}
    for origin, price in (("https://evil.example", 1250), ("http://testserver", 990)):
        shop.client.post(path, data=form, headers={"origin": origin})
        product = shop.client.get("/api/products/coffee-mug").json()
        assert (product["price_cents"], product["variants"][0]["price_cents"]) == (price, price)
