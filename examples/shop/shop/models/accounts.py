"""Users, and the mails that they get."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shop.models.base import Base, now


class Role(StrEnum):
    """What somebody may do."""

    CUSTOMER = "customer"
    CLERK = "clerk"
    """Sends orders, and gives money back."""
    ADMIN = "admin"
    """Changes the catalogue, too."""


class User(Base):
    """Somebody with an account, whose address is confirmed."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    """In lower case."""
    name: Mapped[str] = mapped_column(String(100))
    password_hash: Mapped[str | None] = mapped_column(String(200))
    """`None` for whoever logs in elsewhere."""
    role: Mapped[Role] = mapped_column(default=Role.CUSTOMER)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Identity(Base):
    """An account at somebody else's, by which a user logs in."""

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    issuer: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))


class Registration(Base):
    """An account that is not confirmed yet.

    Whoever confirms it has the token of its mail and the password: a stranger can register somebody else's address, but
    not get them to confirm a password that the stranger knows. The table has the token's digest, so who reads it can
    confirm nothing.
    """

    __tablename__ = "registrations"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    email: Mapped[str] = mapped_column(String(254))
    name: Mapped[str] = mapped_column(String(100))
    password_hash: Mapped[str] = mapped_column(String(200))
    expires_at: Mapped[datetime] = mapped_column(index=True)


class PasswordReset(Base):
    """The right to choose a new password, once; the table has the digest of its token."""

    __tablename__ = "password_resets"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Mail(Base):
    """A mail that has to be sent, or was: written in the transaction that it tells of."""

    __tablename__ = "mails"

    id: Mapped[int] = mapped_column(primary_key=True)
    to: Mapped[str] = mapped_column(String(254))
    subject: Mapped[str] = mapped_column(String(200))
    text: Mapped[str]
    """Empty once it was sent: it may have held a token."""
    attempts: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime | None] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
