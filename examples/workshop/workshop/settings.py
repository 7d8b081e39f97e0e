"""What the environment says: variables `WORKSHOP_...`, or a file `.env`."""

from functools import cache
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The settings; one that is missing or wrong is an error at the start."""

    model_config = SettingsConfigDict(env_prefix="WORKSHOP_", env_file=".env")

    secret_key: Annotated[SecretStr, Field(min_length=32)]
    database_url: str = "sqlite+aiosqlite:///workshop.db"


@cache
def get_settings() -> Settings:
    """Return the settings, read once."""
    return Settings.model_validate({})
