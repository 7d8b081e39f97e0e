"""Accounts over the API."""

import pytest

from tests.examples.shop.conftest import PASSWORD, Shop

NEW = {"email": "ada@example.org", "name": "Ada Byron", "password": PASSWORD}


def test_an_account_from_the_registration_to_the_logout(shop: Shop) -> None:
    """Registered, confirmed by mail, logged in, refreshed, logged out."""
    tokens = shop.register()
    me = shop.client.get("/api/auth/me").json()
    assert me == {"id": me["id"], "email": "ada@example.org", "name": "Ada Byron", "role": "customer"}
    again = shop.client.post("/api/auth/token", data={"username": "ADA@example.org", "password": PASSWORD})
    assert again.status_code == 200
    given = {"refresh_token": tokens["refresh_token"]}
    following = shop.client.post("/api/auth/refresh", json=given).json()
    assert following["access_token"] != tokens["access_token"]
    given = {"refresh_token": following["refresh_token"]}
    assert shop.client.post("/api/auth/logout", json=given).status_code == 204
    assert shop.client.post("/api/auth/refresh", json=given).status_code == 401


def test_a_refresh_token_that_comes_twice_ends_the_login(shop: Shop) -> None:
    """Somebody has copied it, and nobody can tell who."""
    given = {"refresh_token": shop.register()["refresh_token"]}
    following = shop.client.post("/api/auth/refresh", json=given).json()
    assert shop.client.post("/api/auth/refresh", json=given).status_code == 401
    stolen = {"refresh_token": following["refresh_token"]}
    assert shop.client.post("/api/auth/refresh", json=stolen).status_code == 401


def test_nobody_learns_who_has_an_account(shop: Shop) -> None:
    """Registering, logging in and a forgotten password are answered alike; only the owner's mail tells."""
    shop.register()
    del shop.client.headers["authorization"]
    shop.outbox.clear()
    known = shop.client.post("/api/auth/register", json=NEW)
    unknown = shop.client.post("/api/auth/register", json={**NEW, "email": "eve@example.org"})
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert shop.mail("ada@example.org", "There is an account with it")
    answers = [
        shop.client.post("/api/auth/token", data={"username": email, "password": "a wrong password"})
        for email in ("ada@example.org", "nobody@example.org")
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].content == answers[1].content
    answers = [shop.client.post("/api/auth/forgotten", json={"email": f"{name}@example.org"}) for name in ("ada", "x")]
    assert (answers[0].status_code, answers[0].content) == (202, answers[1].content)


def test_who_confirms_knows_the_password(shop: Shop) -> None:
    """A stranger who registers somebody's address gets no account by the owner's click on the link."""
    shop.client.post("/api/auth/register", json={**NEW, "password": "the stranger's password"})
    token = shop.token("ada@example.org")
    assert shop.client.post("/api/auth/confirm", json={"token": token, "password": PASSWORD}).status_code == 401
    given = {"token": token, "password": "the stranger's password"}
    assert shop.client.post("/api/auth/confirm", json=given).status_code == 200
    assert shop.client.post("/api/auth/confirm", json=given).status_code == 401  # once


def test_a_new_password_ends_what_was_before(shop: Shop) -> None:
    """The link of the mail works once; the old password and old logins no more."""
    old = shop.register()
    shop.outbox.clear()
    shop.client.post("/api/auth/forgotten", json={"email": "ada@example.org"})
    reset = {"token": shop.token("ada@example.org"), "password": "another horse battery"}
    assert shop.client.post("/api/auth/reset", json=reset).status_code == 204
    assert shop.client.post("/api/auth/reset", json=reset).status_code == 404
    assert shop.client.post("/api/auth/refresh", json={"refresh_token": old["refresh_token"]}).status_code == 401
    for password, status in ((PASSWORD, 401), ("another horse battery", 200)):
        form = {"username": "ada@example.org", "password": password}
        assert shop.client.post("/api/auth/token", data=form).status_code == status


@pytest.mark.parametrize(
    ("field", "value"),
    [("email", "no address"), ("email", "a" * 250 + "@example.org"), ("name", " "), ("password", "short")],
)
def test_a_wrong_registration_says_where(shop: Shop, field: str, value: str) -> None:
    """The answer names the field."""
    answer = shop.client.post("/api/auth/register", json={**NEW, field: value})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", field])


def test_guessing_passwords_is_slow(shop: Shop) -> None:
    """After so many logins in a minute there are no more."""
    form = {"username": "ada@example.org", "password": "a wrong password"}
    statuses = [shop.client.post("/api/auth/token", data=form).status_code for _ in range(51)]
    assert statuses == [401] * 50 + [429]
