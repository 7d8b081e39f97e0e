"""What the environment says: variables `SHOP_...`, a file `.env`, or files in `/run/secrets` such as `shop_secret_key`.

There are three environments. `development` and `test` run on nothing but this machine, with secrets that everybody
knows; `production` refuses to start with any of them.
"""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_KNOWN_SECRET = "everybody knows this one, so it is for development"
_WEBHOOK_SECRET = "whsec_ZXZlcnlib2R5IGtub3dzIHRoaXMgb25lLCB0b28="
_SECRETS = Path("/run/secrets")

Secret = Annotated[SecretStr, Field(min_length=32)]


class Settings(BaseSettings):
    """The settings; one that is missing or wrong is an error at the start."""

    model_config = SettingsConfigDict(
        env_prefix="SHOP_",
        env_file=".env",
        secrets_dir=_SECRETS if _SECRETS.is_dir() else None,
        hide_input_in_errors=True,  # secrets are among it
    )

    environment: Literal["development", "test", "production"] = "development"
    public_url: str = "http://127.0.0.1:8000"
    """Where customers reach the shop: links in mails, and the way back from the payment provider."""

    secret_key: Secret = SecretStr(_KNOWN_SECRET)
    database_url: str = "sqlite+aiosqlite:///shop.db"
    # In this process where there is none; one Redis can be all three.
    store_url: str | None = None
    channels_url: str | None = None
    jobs_url: str | None = None

    mail_url: str = "file:mails"
    mail_sender: str = "The shop <orders@shop.example>"
    media_dir: Path = Path("media")
    """Pictures of products; what the web server or a CDN may serve itself."""
    export_dir: Path = Path("exports")
    invoice_font: Path | None = None
    """A TrueType font for invoices; without it they have the letters of Latin-1, and `?` for others."""

    payment_url: str | None = None
    """The payment provider; its double is part of the shop where there is none, but not in production."""
    payment_key: Secret = SecretStr(_KNOWN_SECRET)
    payment_webhook_secret: Secret = SecretStr(_WEBHOOK_SECRET)
    payment_minutes: Annotated[int, Field(ge=1)] = 30
    """How long an order that nobody pays for keeps its pieces."""

    openid_url: str | None = None
    """An OpenID provider to log in with, such as `https://accounts.example.com`."""
    openid_name: str = "Example"
    openid_client_id: str = ""
    openid_client_secret: SecretStr = SecretStr("")

    limit_requests: str = "600/minute"
    limit_logins: str = "10/minute"
    trace: bool = False

    @property
    def is_production(self) -> bool:
        """Whether customers are real."""
        return self.environment == "production"

    @property
    def is_secure(self) -> bool:
        """Whether customers come over HTTPS."""
        return self.public_url.startswith("https://")

    @property
    def provider_url(self) -> str:
        """Where payments are asked for."""
        return self.payment_url or f"{self.public_url}/provider"

    @model_validator(mode="after")
    def check_production(self) -> Self:
        """Refuse to go into production with what is for development."""
        if not self.is_production:
            return self
        wrong = {
            "SECRET_KEY is the known one": self.secret_key.get_secret_value() == _KNOWN_SECRET,
            "PAYMENT_KEY is the known one": self.payment_key.get_secret_value() == _KNOWN_SECRET,
            "PAYMENT_WEBHOOK_SECRET is the known one": self.payment_webhook_secret.get_secret_value()
            == _WEBHOOK_SECRET,
            "PAYMENT_URL is missing": self.payment_url is None,
            "PUBLIC_URL is not https://": not self.is_secure,
            "DATABASE_URL is SQLite": self.database_url.startswith("sqlite"),
            "STORE_URL, CHANNELS_URL or JOBS_URL is missing": not (
                self.store_url and self.channels_url and self.jobs_url
            ),
            "MAIL_URL is not smtp:// or smtps://": not self.mail_url.startswith(("smtp://", "smtps://")),
        }
        if found := [problem for problem, is_so in wrong.items() if is_so]:
            raise ValueError(f"In production: {'; '.join(found)}.")
        return self


@cache
def get_settings() -> Settings:
    """Return the settings, read once."""
    return Settings()
