"""The catalogue over the API."""

from typing import Any

import pytest

from shop.models import Role
from tests.examples.shop.conftest import Shop

NEW = {
    "slug": "milk-jug",
    "name": "Milk jug",
    "description": "Half a litre.",
    "category": "kitchen",
    "variants": [{"sku": "JUG-1", "name": "white", "price_cents": 2100, "stock": 3}],
}


def pages(shop: Shop, **query: Any) -> list[dict[str, Any]]:
    """Return all that a search finds, page by page."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = shop.client.get("/api/products", params={**query, **({"cursor": cursor} if cursor else {})}).json()
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            return found


@pytest.mark.parametrize("sort", ["newest", "price", "-price", "name"])
def test_pages_hold_each_product_once(shop: Shop, sort: str) -> None:
    """In the order that was asked for, whatever the size of a page."""
    found = pages(shop, sort=sort, limit=3)
    assert len(found) == len({product["slug"] for product in found}) == 16
    key = {"newest": "created_at", "price": "price_cents", "-price": "price_cents", "name": "name"}[sort]
    values = [product[key] for product in found]
    assert values == sorted(values, reverse=sort in ("newest", "-price"))


@pytest.mark.parametrize(
    ("query", "slugs"),
    [
        ({"q": "cup"}, {"tea-cup", "espresso-cup"}),
        ({"q": "100%"}, set()),
        ({"category": "cups"}, {"coffee-mug", "tea-cup", "espresso-cup"}),
        ({"category": "kitchen", "max_price_cents": 1900}, {"coffee-mug", "tea-cup", "espresso-cup"}),
        ({"min_price_cents": 5000}, {"cast-iron-pan", "desk-lamp"}),
        ({"category": "cups", "q": "saucer"}, {"tea-cup"}),
    ],
)
def test_searching(shop: Shop, query: dict[str, Any], slugs: set[str]) -> None:
    """By words as they are, a category with those below it, and price."""
    assert {product["slug"] for product in pages(shop, **query)} == slugs


@pytest.mark.parametrize(
    "query", ["sort=cheap", "limit=0", "limit=101", "colour=red", "cursor=nonsense", "category=A%20B"]
)
def test_what_cannot_be_searched_for(shop: Shop, query: str) -> None:
    """The client is told which parameter is wrong."""
    answer = shop.client.get(f"/api/products?{query}")
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["query", query.partition("=")[0]])


def test_a_cursor_belongs_to_its_order(shop: Shop) -> None:
    """One of another order is refused, not misread."""
    cursor = shop.client.get("/api/products?sort=price&limit=1").json()["next"]
    assert shop.client.get("/api/products", params={"sort": "name", "cursor": cursor}).status_code == 422


def test_an_administrator_sells_something_new(shop: Shop) -> None:
    """It is seen at once, though lists are cached; a variant's price and pieces change."""
    before = shop.client.get("/api/products?category=kitchen").json()["items"]
    assert shop.client.get("/api/products?category=kitchen").headers["age"] == "0"
    shop.employ("grace@example.org", Role.ADMIN)
    assert shop.client.post("/api/admin/products", json=NEW).status_code == 201
    assert len(shop.client.get("/api/products?category=kitchen").json()["items"]) == len(before) + 1
    assert shop.client.post("/api/admin/products", json=NEW).status_code == 409
    more = {"sku": "JUG-2", "name": "blue", "price_cents": 1900, "stock": 1}
    assert shop.client.post("/api/admin/products/milk-jug/variants", json=more).json()["price_cents"] == 1900
    changed = shop.client.patch("/api/admin/variants/JUG-2", json={"price_cents": 2500, "add_stock": 4}).json()
    assert (changed["price_cents"], changed["stock"]) == (2500, 5)
    assert shop.client.get("/api/products/milk-jug").json()["price_cents"] == 2100
    assert shop.client.patch("/api/admin/variants/JUG-2", json={"add_stock": -6}).status_code == 409
    assert shop.client.patch("/api/admin/variants/JUG-9", json={"add_stock": 1}).status_code == 404


@pytest.mark.parametrize(("role", "products", "orders"), [(Role.CUSTOMER, 403, 403), (Role.CLERK, 403, 200)])
def test_roles(shop: Shop, role: Role, products: int, orders: int) -> None:
    """Customers see nothing of the administration, clerks only orders."""
    shop.employ("grace@example.org", role)
    assert shop.client.post("/api/admin/products", json=NEW).status_code == products
    assert shop.client.get("/api/admin/orders").status_code == orders
    del shop.client.headers["authorization"]
    assert shop.client.get("/api/admin/orders").status_code == 401
