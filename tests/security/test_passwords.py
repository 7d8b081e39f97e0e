"""Passwords: Argon2id, and bcrypt's hashes from before."""

from __future__ import annotations

import time

import pytest

from velithon.security.passwords import MAX_PASSWORD_LENGTH, Passwords, PasswordTooLongError

# As small as Argon2 admits: the tests are about what is called, not about its strength.
CHEAP = {"time_cost": 1, "memory_cost": 8, "parallelism": 1}
# What passlib's bcrypt made of "correct horse".
PASSLIBS = "$2b$04$pq9ZmYO6BVIPvWCkwXStKOwLmoSHeSPOgoBOZKIOmvVTkUGt8A03u"


def test_the_right_password_alone_is_verified() -> None:
    passwords = Passwords(**CHEAP)
    hashed = passwords.hash("correct horse")
    assert hashed.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert passwords.verify("correct horse", hashed)
    assert not passwords.verify("wrong horse", hashed)
    assert hashed != passwords.hash("correct horse")  # another salt


def test_hashes_of_weaker_parameters_are_replaced() -> None:
    """At the next login, when the password is at hand."""
    old, new = Passwords(**CHEAP), Passwords(time_cost=2, memory_cost=16, parallelism=1)
    valid, updated = new.verify_and_update("x", old.hash("x"))
    assert valid
    assert updated is not None
    assert updated.startswith("$argon2id$v=19$m=16,t=2,p=1$")
    assert new.verify_and_update("x", updated) == (True, None)
    assert new.verify_and_update("y", old.hash("x")) == (False, None)


def test_hashes_of_bcrypt_are_read_and_replaced() -> None:
    import bcrypt

    hashed = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()
    valid, updated = Passwords(**CHEAP).verify_and_update("correct horse", hashed)
    assert valid
    assert updated is not None
    assert updated.startswith("$argon2id$")


@pytest.mark.parametrize("hashed", [None, "", "!", "plain"])
def test_users_without_a_readable_hash_have_no_password(hashed: str | None) -> None:
    passwords = Passwords(**CHEAP)
    assert passwords.verify_and_update("nobody", hashed) == (False, None)
    assert passwords.verify_and_update("", hashed) == (False, None)


def test_a_user_who_does_not_exist_costs_what_a_wrong_password_costs() -> None:
    """So that time does not tell who exists; compared by the processor time of many, not against a clock."""
    passwords = Passwords(time_cost=2, memory_cost=4096, parallelism=1)
    hashed = passwords.hash("x")

    def cost(stored: str | None) -> float:
        begun = time.thread_time()
        for _ in range(10):
            passwords.verify("wrong", stored)
        return time.thread_time() - begun

    cost(None)
    assert cost(None) > cost(hashed) / 3
    assert cost("!") > cost(hashed) / 3


def test_a_password_of_any_length_is_not_hashed() -> None:
    passwords = Passwords(**CHEAP)
    with pytest.raises(PasswordTooLongError, match="1024 characters, not 1025"):
        passwords.hash("x" * (MAX_PASSWORD_LENGTH + 1))
    assert not passwords.verify("x" * 10_000_000, passwords.hash("x"))
