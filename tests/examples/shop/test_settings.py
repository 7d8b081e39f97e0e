"""Settings of the three environments, and what production refuses."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from shop.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENTS = ROOT / "examples" / "shop" / "environments"
SECRETS = {
    "secret_key": "a secret of the shop's own, and long enough",
    "payment_key": "a key of the provider's, and long enough too",
    "payment_webhook_secret": "whsec_c2VjcmV0IG9mIHRoZSBwcm92aWRlciwgbG9uZyBlbm91Z2g=",
    "database_url": "postgresql+asyncpg://shop:secret@database/shop",
    "mail_url": "smtps://shop:secret@mail.example",
}


def settings(environment: str, **given: Any) -> Settings:
    """Return what a file of settings says, and nothing of this process's environment."""
    lines = (ENVIRONMENTS / f"{environment}.env").read_text().splitlines()
    pairs = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    named = {name.removeprefix("SHOP_").lower(): value for name, value in pairs.items()}
    assert named.keys() <= Settings.model_fields.keys()
    return Settings(_env_file=None, **{**named, **given})  # type: ignore[call-arg]  # a parameter of its own


@pytest.mark.parametrize(("environment", "given"), [("development", {}), ("test", {}), ("production", SECRETS)])
def test_each_environment_has_its_settings(environment: str, given: dict[str, str]) -> None:
    """Its file is enough, in production together with the secrets."""
    made = settings(environment, **given)
    assert made.environment == environment
    assert made.is_secure is (environment == "production")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"secret_key": Settings.model_fields["secret_key"].default}, "SECRET_KEY is the known one"),
        ({"payment_key": Settings.model_fields["payment_key"].default}, "PAYMENT_KEY is the known one"),
        ({"payment_url": None}, "PAYMENT_URL is missing"),
        ({"public_url": "http://shop.example"}, "PUBLIC_URL is not https://"),
        ({"database_url": "sqlite+aiosqlite:///shop.db"}, "DATABASE_URL is SQLite"),
        ({"jobs_url": None}, "JOBS_URL is missing"),
        ({"mail_url": "file:mails"}, "MAIL_URL is not smtp://"),
        ({"secret_key": "short"}, "secret_key"),
    ],
)
def test_production_refuses_what_is_for_development(wrong: dict[str, Any], said: str) -> None:
    """And says what it is, without showing a secret."""
    with pytest.raises(ValidationError, match=said) as raised:
        settings("production", **{**SECRETS, **wrong})
    assert SECRETS["payment_key"] not in str(raised.value)


def test_the_compose_file_names_settings_that_there_are() -> None:
    """Each variable and each secret of the shop is one of its settings."""
    composed = yaml.safe_load((ROOT / "deploy" / "shop" / "compose.yaml").read_text())
    shop = composed["services"]["web"]
    names = [*shop["environment"], *shop["secrets"]]
    assert len(names) > 8
    assert {name.lower().removeprefix("shop_") for name in names} <= Settings.model_fields.keys()
    assert set(shop["secrets"]) < composed["secrets"].keys()
