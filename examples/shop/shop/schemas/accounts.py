"""Accounts, as clients see them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, EmailStr, Field, SecretStr, StringConstraints

from shop.models import Role

Email = Annotated[EmailStr, Field(max_length=254)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
NewPassword = Annotated[SecretStr, Field(min_length=12, max_length=200)]
Password = Annotated[SecretStr, Field(max_length=200)]
MailToken = Annotated[str, Field(min_length=20, max_length=100)]


class NewAccount(BaseModel):
    """Who wants an account."""

    email: Email
    name: Name
    password: NewPassword


class Confirmation(BaseModel):
    """The token of the mail, and the password that was chosen."""

    token: MailToken
    password: Password


class ResetRequest(BaseModel):
    """Whose password was forgotten."""

    email: Email


class Reset(BaseModel):
    """The token of the mail, and the new password."""

    token: MailToken
    password: NewPassword


class RefreshRequest(BaseModel):
    """A refresh token."""

    refresh_token: Annotated[str, Field(max_length=200)]


class Tokens(BaseModel):
    """What a login gives."""

    access_token: str
    refresh_token: str
    token_type: str = "bearer"
    expires_in: int
    """Seconds."""


class Account(BaseModel):
    """A user, as they see themselves."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    email: str
    name: str
    role: Role


class Accepted(BaseModel):
    """It was heard; what comes of it is in a mail."""

    detail: str = "If the address is right, there will be a mail."
