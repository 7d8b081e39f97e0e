"""Hashing passwords with Argon2id, by pwdlib; needs `pip install "velithon[auth]"`.

A hash takes tens of milliseconds of processor time on purpose. Call it from a `def` endpoint, or in an `async def` one
by `await run_in_threadpool(passwords.verify, password, hashed)`.
"""

from __future__ import annotations

from functools import cached_property

try:
    from pwdlib import PasswordHash
    from pwdlib.exceptions import UnknownHashError
    from pwdlib.hashers import HasherProtocol
    from pwdlib.hashers.argon2 import Argon2Hasher
    from pwdlib.hashers.bcrypt import BcryptHasher
except ImportError as exc:
    raise ImportError('velithon.security.passwords needs pwdlib: pip install "velithon[auth]"') from exc

__all__ = ["MAX_PASSWORD_LENGTH", "PasswordTooLongError", "Passwords"]

MAX_PASSWORD_LENGTH = 1024
"""Characters. A longer password is refused: hashing it costs more the longer it is, and anybody may send one."""


class PasswordTooLongError(ValueError):
    """A password to be hashed has more than `MAX_PASSWORD_LENGTH` characters."""


class Passwords:
    """Hashes and verifies passwords.

    New hashes are Argon2id's (RFC 9106), in the PHC string format. Hashes of bcrypt, such as passlib made, are read
    too, and are replaced by `verify_and_update`.

    Args:
        time_cost: Passes over the memory.
        memory_cost: Memory, in KiB.
        parallelism: Lanes that are computed side by side.
    """

    def __init__(self, *, time_cost: int = 3, memory_cost: int = 65536, parallelism: int = 4) -> None:
        argon2 = Argon2Hasher(time_cost=time_cost, memory_cost=memory_cost, parallelism=parallelism)
        hashers: tuple[HasherProtocol, ...] = (argon2, BcryptHasher())
        self._hash = PasswordHash(hashers)

    @cached_property
    def _nobodys(self) -> str:
        return self._hash.hash("nobody")

    def hash(self, password: str) -> str:
        """Return a new hash, with a salt of its own.

        Raises:
            PasswordTooLongError: The password has more than `MAX_PASSWORD_LENGTH` characters.
        """
        if len(password) > MAX_PASSWORD_LENGTH:
            raise PasswordTooLongError(f"A password may have {MAX_PASSWORD_LENGTH} characters, not {len(password)}.")
        return self._hash.hash(password)

    def verify(self, password: str, hashed: str | None) -> bool:
        """Tell whether a password is the one that was hashed; see `verify_and_update`."""
        return self.verify_and_update(password, hashed)[0]

    def verify_and_update(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """Verify a password, and hash it anew if its hash is outdated.

        Args:
            password: What somebody typed.
            hashed: What was stored; `None` for a user who does not exist. That takes as long as a wrong password does,
                so that time does not tell who exists.

        Returns:
            Whether it is right, and the hash to store in the place of the old one, or `None` to keep that.
        """
        if len(password) > MAX_PASSWORD_LENGTH:
            return False, None
        try:
            valid, updated = self._hash.verify_and_update(password, hashed or self._nobodys)
        except UnknownHashError:
            # A hash that nobody can read is a user without a password, such as one who logs in elsewhere.
            self._hash.verify(password, self._nobodys)
            return False, None
        return (valid, updated) if hashed else (False, None)
