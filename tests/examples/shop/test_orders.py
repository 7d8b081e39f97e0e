"""Baskets, orders and payments over the API."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from shop import jobs
from shop.database import database
from shop.models import Order, Role, now
from shop.settings import get_settings
from tests.examples.shop.conftest import Shop
from velithon import WebSocketDisconnect
from velithon.events import sign_webhook


def notify(
    shop: Shop, order: dict[str, Any], *, id: str = "event-1", kind: str = "payment.succeeded", **data: Any
) -> int:
    """Tell the shop of a payment as the provider does; return the answer's status."""
    content = {
        "id": id,
        "event_type": kind,
        "data": {
            "payment_id": f"pay-{order['number']}",
            "reference": order["number"],
            "amount_cents": order["total_cents"],
            "currency": "EUR",
            **data,
        },
    }
    body = json.dumps(content).encode()
    secret = get_settings().payment_webhook_secret.get_secret_value()
    headers = {"content-type": "application/json", **sign_webhook(body, secret, id=id)}
    return shop.client.post("/webhooks/payments", content=body, headers=headers).status_code


def state(shop: Shop, order: dict[str, Any]) -> str:
    """Return how far an order is."""
    return str(shop.client.get(f"/api/orders/{order['number']}").json()["state"])


def stock(shop: Shop) -> int:
    """Return how many white mugs there are."""

    async def forget() -> None:
        await shop.client.app.store.clear()  # type: ignore[attr-defined]  # the application is a Velithon

    shop.call(forget)
    return int(shop.variant()["stock"])


def test_a_basket(shop: Shop) -> None:
    """Pieces are set, not added, and taken out; a customer sees their own alone."""
    shop.register()
    path = f"/api/basket/{shop.variant()['id']}"
    for quantity in (2, 3, 3):
        basket = shop.client.put(path, json={"quantity": quantity}).json()
    assert [(line["sku"], line["quantity"]) for line in basket["lines"]] == [("COFFEE-MUG-1", 3)]
    assert basket["total_cents"] == 3 * 1250
    shop.register("eve@example.org", "Eve")
    assert shop.client.get("/api/basket").json() == {"lines": [], "total_cents": 0}
    assert shop.client.put("/api/basket/999999", json={"quantity": 1}).status_code == 404
    for quantity in (0, 100):
        assert shop.client.put(path, json={"quantity": quantity}).status_code == 422
    shop.client.put(path, json={"quantity": 1})
    assert shop.client.delete(path).json()["lines"] == []


def test_a_checkout_happens_once(shop: Shop) -> None:
    """The same key gives the same order; the pieces are taken once, and the basket is empty."""
    shop.register()
    before = stock(shop)
    order = shop.order(2)
    again = shop.check_out(order["total_cents"])
    assert (again.status_code, again.json()["number"]) == (200, order["number"])
    assert shop.check_out(order["total_cents"], "second-order").status_code == 409
    assert stock(shop) == before - 2
    assert [found["number"] for found in shop.client.get("/api/orders").json()["items"]] == [order["number"]]
    assert shop.mail("ada@example.org", f"Your order {order['number']}")


def test_a_checkout_costs_what_was_seen(shop: Shop) -> None:
    """Otherwise nothing is ordered, and nothing is taken."""
    shop.register()
    before = stock(shop)
    shop.client.put(f"/api/basket/{shop.variant()['id']}", json={"quantity": 2})
    answer = shop.check_out(2000)
    assert (answer.status_code, answer.json()["detail"]) == (409, "The basket costs 2500 cents by now, not 2000.")
    assert stock(shop) == before
    assert len(shop.client.get("/api/basket").json()["lines"]) == 1


def test_more_than_there_is_is_not_sold(shop: Shop) -> None:
    """The answer tells how many there are."""
    shop.register()
    basket = shop.client.put(f"/api/basket/{shop.variant()['id']}", json={"quantity": 41}).json()
    assert basket["lines"][0]["in_stock"] is False
    answer = shop.check_out(basket["total_cents"])
    assert (answer.status_code, answer.json()["detail"]) == (409, "Of COFFEE-MUG-1 there are 40 left, not 41.")
    assert stock(shop) == 40


@pytest.mark.parametrize("key", [None, "short", "with a blank in it", "x" * 65])
def test_a_checkout_needs_a_key(shop: Shop, key: str | None) -> None:
    """A client that cannot repeat itself would buy twice."""
    shop.register()
    wish = {"recipient": "Ada", "address": "London, 1", "expected_total_cents": 1}
    headers = {} if key is None else {"idempotency-key": key}
    answer = shop.client.post("/api/orders", json=wish, headers=headers)
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["header", "idempotency-key"])


def test_an_order_from_the_payment_to_the_door(shop: Shop) -> None:
    """Each state follows from the one before; the customer hears of it by mail."""
    shop.register()
    order = shop.order()
    assert notify(shop, order) == 204
    assert state(shop, order) == "paid"
    shop.employ("grace@example.org", Role.CLERK)
    path = f"/api/admin/orders/{order['number']}/state"
    assert shop.client.put(path, json={"state": "delivered"}).status_code == 409
    for following in ("packed", "shipped", "delivered"):
        assert shop.client.put(path, json={"state": following}).json()["state"] == following
    changes = [change["state"] for change in shop.client.put(path, json={"state": "refunded"}).json()["changes"]]
    assert changes == ["awaiting_payment", "paid", "packed", "shipped", "delivered", "refunded"]
    assert stock(shop) == 39  # what is at the customer's is not for sale
    assert shop.mail("ada@example.org", "on its way back to you")


def test_a_webhook_counts_once_and_only_with_its_signature(shop: Shop) -> None:
    """Repeated, forged, about another sum, about nothing of ours, or no notice at all."""
    shop.register()
    order = shop.order()
    assert notify(shop, order, id="odd-sum", amount_cents=1) == 409
    assert notify(shop, order, id="odd-money", currency="USD") == 409
    assert notify(shop, order, id="stranger", reference="AAAA-AAAA-AAAA") == 404
    assert notify(shop, order, id="odd-kind", kind="payment.imagined") == 422
    assert shop.client.post("/webhooks/payments", json={}).status_code == 401
    assert notify(shop, order, id="declined", kind="payment.failed") == 204
    assert state(shop, order) == "awaiting_payment"
    assert [notify(shop, order) for _ in range(3)] == [204, 204, 204]
    shown = shop.client.get(f"/api/orders/{order['number']}").json()
    assert [change["state"] for change in shown["changes"]] == ["awaiting_payment", "paid"]


def test_a_cancelled_order_gives_its_pieces_back(shop: Shop) -> None:
    """Once; a payment that comes after that is owed to the customer."""
    shop.register()
    before = stock(shop)
    order = shop.order(3)
    assert stock(shop) == before - 3
    path = f"/api/orders/{order['number']}/cancellation"
    assert [shop.client.post(path).status_code for _ in range(2)] == [200, 409]
    assert stock(shop) == before
    assert notify(shop, order) == 204
    assert state(shop, order) == "cancelled"


def test_an_unpaid_order_is_cancelled_in_time(shop: Shop) -> None:
    """By a job, which leaves younger ones alone."""
    shop.register()
    before = stock(shop)
    order = shop.order()

    async def look() -> int:
        return int(await (await jobs.cancel_unpaid.enqueue()).result(10))

    async def wait_long() -> None:
        async with database.begin() as session:
            await session.execute(update(Order).values(created_at=now() - timedelta(minutes=31)))

    assert shop.call(look) == 0
    shop.call(wait_long)
    assert shop.call(look) == 1
    assert (state(shop, order), stock(shop)) == ("cancelled", before)


def test_orders_are_their_owners(shop: Shop) -> None:
    """Somebody else is told that there is none."""
    shop.register()
    order = shop.order()
    shop.register("eve@example.org", "Eve")
    for method, path in (("GET", ""), ("POST", "/payment"), ("POST", "/cancellation"), ("GET", "/events")):
        assert shop.client.request(method, f"/api/orders/{order['number']}{path}").status_code == 404
    assert shop.client.get("/api/orders").json()["items"] == []


def test_reviews_are_for_buyers(shop: Shop) -> None:
    """One each, and the product's rating is their average."""
    shop.register()
    path = "/api/products/coffee-mug/reviews"
    review = {"rating": 4, "text": "It holds coffee."}
    assert shop.client.post(path, json=review).status_code == 403
    notify(shop, shop.order())
    assert [shop.client.post(path, json=review).status_code for _ in range(2)] == [201, 409]
    assert shop.client.post(path, json={"rating": 6}).status_code == 422
    product = shop.client.get("/api/products/coffee-mug").json()
    assert (product["rating"], product["rating_count"]) == (4.0, 1)
    (shown,) = shop.client.get(path).json()["items"]
    assert (shown["author"], shown["text"]) == ("Ada", "It holds coffee.")


def test_watching_an_order_over_a_websocket(shop: Shop) -> None:
    """The state that it has, and each that follows."""
    tokens = shop.register()
    order = shop.order()
    with shop.client.websocket_connect(f"/api/orders/{order['number']}/live") as socket:
        socket.send_text(tokens["access_token"])
        assert socket.receive_json()["state"] == "awaiting_payment"
        notify(shop, order)
        assert socket.receive_json() == {"number": order["number"], "state": "paid"}


@pytest.mark.parametrize("who", ["nobody", "somebody else"])
def test_nobody_else_watches(shop: Shop, who: str) -> None:
    """The connection ends."""
    shop.register()
    order = shop.order()
    token = "no token" if who == "nobody" else shop.register("eve@example.org", "Eve")["access_token"]
    with shop.client.websocket_connect(f"/api/orders/{order['number']}/live") as socket:
        socket.send_text(token)
        with pytest.raises(WebSocketDisconnect):
            socket.receive_json()


def test_fifty_buyers_and_ten_pieces(shop: Shop) -> None:
    """Ten get one, and forty are told that there is none left."""
    shop.employ("grace@example.org", Role.ADMIN)
    variant = shop.variant()
    shop.client.patch(f"/api/admin/variants/{variant['sku']}", json={"add_stock": 10 - variant["stock"]})
    statuses = shop.call(buy_at_once, 50, variant["id"])
    assert (statuses.count("sold"), statuses.count("out of stock")) == (10, 40)
    assert stock(shop) == 0


async def buy_at_once(buyers: int, variant_id: int) -> list[str]:
    """Have so many users check a basket with one piece out at the same time."""
    from shop.schemas.orders import Checkout
    from shop.services import accounts, basket, orders, stock

    users = []
    async with database.begin() as session:
        for number in range(buyers):
            user = await accounts.add_user(session, f"buyer{number}@example.org", "Buyer", None)
            await session.flush()
            await basket.put(session, await basket.basket_of(session, user.id), variant_id, 1)
            users.append(user.id)

    async def buy(user_id: int) -> str:
        wish = Checkout(recipient="Buyer", address="A street, 1", expected_total_cents=1250)
        try:
            async with database.begin() as session:
                await orders.check_out(session, user_id, "the-only-order", wish)
        except stock.OutOfStockError:
            return "out of stock"
        return "sold"

    return list(await asyncio.gather(*map(buy, users)))
