"""The corpus: small applications as source text, each written once for two frameworks.

A text file holds cases, each below a line `### name`. `{App}` is the name of the application class; `app` is made
before the case and may be made anew by it.
"""

import sys
import types
from pathlib import Path
from typing import Any

PRELUDE = """
import dataclasses, datetime, decimal, functools, http, ipaddress, pathlib, re, tempfile, uuid
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Iterator, Sequence
from enum import Enum, IntEnum
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar, Union
from pydantic import (AfterValidator, AliasChoices, AnyUrl, BaseModel, BeforeValidator, ConfigDict, Discriminator,
    EmailStr, Field, HttpUrl, Json, PlainSerializer, PositiveInt, RootModel, SecretStr, StringConstraints, Tag,
    WithJsonSchema, computed_field, conint, conlist, constr, model_serializer)
from pydantic.alias_generators import to_camel
from pydantic_core import core_schema
from typing_extensions import NotRequired, TypedDict
from {framework} import (APIRouter, BackgroundTasks, Body, Cookie, Depends, File, Form, Header, Path, Query, Request,
    Response, Security, UploadFile, WebSocket, status, {App})
from {framework}.openapi.utils import get_openapi
from {framework}.responses import (FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse,
    StreamingResponse)
from {framework}.routing import APIRoute
from {framework}.security import (APIKeyCookie, APIKeyHeader, APIKeyQuery, HTTPAuthorizationCredentials, HTTPBasic,
    HTTPBasicCredentials, HTTPBearer, HTTPDigest, OAuth2, OAuth2AuthorizationCodeBearer, OAuth2PasswordBearer,
    OAuth2PasswordRequestForm, OAuth2PasswordRequestFormStrict, OpenIdConnect, SecurityScopes)
from {framework}.sse import EventSourceResponse, ServerSentEvent
from {framework}.staticfiles import StaticFiles
app = {App}(title="T")
"""
_FUTURE = "from __future__ import annotations\n"


def cases() -> dict[str, str]:
    """Return every case: `file/name` -> its source."""
    found: dict[str, str] = {}
    for path in sorted(Path(__file__).parent.glob("*.txt")):
        for part in path.read_text(encoding="utf-8").split("### ")[1:]:
            name, _, source = part.partition("\n")
            assert f"{path.stem}/{name}" not in found, f"two cases are called {name}"
            found[f"{path.stem}/{name}"] = source
    return found


def load(source: str, framework: str) -> Any:
    """Run a case for one framework and return its application."""
    app_class = {"fastapi": "FastAPI", "velithon": "Velithon"}[framework]
    text = PRELUDE + source
    if _FUTURE in source:
        text = _FUTURE + text.replace(_FUTURE, "")
    # Both run under one module name: pydantic puts it into names that would clash otherwise.
    module = sys.modules["corpus_case"] = types.ModuleType("corpus_case")
    exec(text.replace("{framework}", framework).replace("{App}", app_class), module.__dict__)
    return module.__dict__["app"]
