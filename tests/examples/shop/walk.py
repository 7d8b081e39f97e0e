"""A walk through the shop in a browser: somebody registers, searches, buys, and sees the order on its way."""

from collections.abc import Callable

import httpx

from tests.browser import Page
from tests.examples.shop.conftest import PASSWORD
from tests.examples.shop.running import RunningShop

EMAIL = "ada@example.org"
STATE = "document.getElementById('state')?.dataset.state"


def walk(page: Page, shop: RunningShop, look: Callable[[str], None]) -> tuple[str, str]:
    """Walk through the shop; `look` is called with the name of each place.

    Returns:
        The order's number, and where it was paid.
    """
    page.open(f"{shop.url}/register")
    page.type("input[name=name]", "Ada Byron")
    page.type("input[type=email]", EMAIL)
    page.type("input[type=password]", PASSWORD)
    look("register")
    page.click("main button", "Register")
    page.until("document.title === 'Look into your mail'")
    page.open(f"{shop.url}/confirm?token={shop.token(EMAIL)}")
    page.type("input[type=password]", PASSWORD)
    page.click("main button", "Confirm")
    page.until("document.body.innerText.includes('Welcome, Ada Byron.')")
    look("catalogue")
    page.type(".search input", "mug")
    page.run("document.querySelector('.search input').focus()")
    page.press_enter()
    page.until("document.querySelector('h1')?.innerText.includes('mug')")
    look("search")
    page.click(".card", "Coffee mug")
    page.until("document.title === 'Coffee mug'")
    look("product")
    page.click("button", "Put into the basket")
    page.until("document.title === 'Basket'")
    look("basket")
    page.click("a", "Check out")
    page.type("textarea", "1 Analytical Way\nLondon")
    look("checkout")
    page.click("button", "Order and pay")
    page.until(f"{STATE} === 'awaiting_payment'")
    look("order")
    page.click("main button", "Pay")
    page.until("document.title === 'Pay'")
    look("provider")
    paid_at = str(page.run("location.href"))
    page.click("button", "Pay")
    # The webhook comes when it comes: the page shows it without being loaded again.
    page.until(f"{STATE} === 'paid'")
    number = str(page.run("document.getElementById('state').dataset.order"))
    move(page, shop, number, "packed", "shipped")
    look("shipped")
    return number, paid_at


def move(page: Page, shop: RunningShop, number: str, *states: str) -> None:
    """Bring the order on its way as a clerk does, while the customer looks at its page, which is not loaded again."""
    page.run("document.title = 'not loaded again'")
    with httpx.Client(base_url=f"{shop.url}/api", trust_env=False) as clerk:
        form = {"username": "clerk@shop.example", "password": PASSWORD}
        token = clerk.post("/auth/token", data=form).json()["access_token"]
        clerk.headers["authorization"] = f"Bearer {token}"
        for state in states:
            moved = clerk.put(f"/admin/orders/{number}/state", json={"state": state})
            assert moved.status_code == 200, moved.text
            page.until(f"{STATE} === '{state}'")
    assert page.run("document.title") == "not loaded again"


def work_at_the_desk(page: Page, shop: RunningShop, look: Callable[[str], None]) -> None:
    """Log in as an administrator, and look at the desk and at the catalogue behind it."""
    page.open(f"{shop.url}/")
    page.click("button", "Log out")
    page.until("document.body.innerText.includes('Log in')")
    page.open(f"{shop.url}/login?next=/desk")
    page.type("input[type=email]", "admin@shop.example")
    page.type("input[type=password]", PASSWORD)
    look("login")
    page.click("main button", "Log in")
    page.until("document.title === 'Desk'")
    look("desk")
    page.open(f"{shop.url}/admin/product/list")
    page.until("document.body.innerText.includes('coffee-mug') || document.body.innerText.includes('garden-twine')")
    look("admin")
