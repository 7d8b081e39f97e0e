"""Security schemes answer and describe themselves as FastAPI's do, and take both spellings of their URLs."""

from __future__ import annotations

import asyncio
import base64
import inspect
from collections.abc import Callable
from typing import Any

import fastapi.security
import pytest
from fastapi.encoders import jsonable_encoder as fastapi_encoder
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import HTTPConnection

from velithon import security
from velithon.encoders import jsonable_encoder
from velithon.exceptions import HTTPException, RegistrationError
from velithon.security.base import SchemeModel
from velithon.security.utils import get_authorization_scheme_param

Make = Callable[[Any], Any]

SCHEMES: dict[str, Make] = {
    "query": lambda m: m.APIKeyQuery(name="key"),
    "query-quiet": lambda m: m.APIKeyQuery(name="key", auto_error=False),
    "header": lambda m: m.APIKeyHeader(name="X-Key", description="a key", scheme_name="mine"),
    "header-quiet": lambda m: m.APIKeyHeader(name="X-Key", auto_error=False),
    "cookie": lambda m: m.APIKeyCookie(name="key"),
    "cookie-quiet": lambda m: m.APIKeyCookie(name="key", auto_error=False),
    "basic": lambda m: m.HTTPBasic(),
    "basic-realm": lambda m: m.HTTPBasic(realm="here", description="d"),
    "basic-quiet": lambda m: m.HTTPBasic(auto_error=False),
    "bearer": lambda m: m.HTTPBearer(bearerFormat="JWT"),
    "bearer-quiet": lambda m: m.HTTPBearer(auto_error=False),
    "digest": lambda m: m.HTTPDigest(description="d"),
    "digest-quiet": lambda m: m.HTTPDigest(auto_error=False),
    "base": lambda m: m.http.HTTPBase(scheme="other"),
    "base-quiet": lambda m: m.http.HTTPBase(scheme="other", auto_error=False),
    "oauth2": lambda m: m.OAuth2(flows={"password": {"tokenUrl": "t", "scopes": {"a": "b"}}}),
    "oauth2-none": lambda m: m.OAuth2(auto_error=False),
    "password": lambda m: m.OAuth2PasswordBearer("token"),
    "password-full": lambda m: m.OAuth2PasswordBearer(
        tokenUrl="token", scheme_name="s", scopes={"me": "x"}, description="d", refreshUrl="r"
    ),
    "password-quiet": lambda m: m.OAuth2PasswordBearer("token", auto_error=False),
    "code": lambda m: m.OAuth2AuthorizationCodeBearer("auth", "token"),
    "code-quiet": lambda m: m.OAuth2AuthorizationCodeBearer(
        authorizationUrl="auth", tokenUrl="token", refreshUrl="r", scopes={"a": "b"}, auto_error=False
    ),
    "openid": lambda m: m.OpenIdConnect(openIdConnectUrl="u"),
    "openid-quiet": lambda m: m.OpenIdConnect(openIdConnectUrl="u", auto_error=False),
}


def _basic(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


REQUESTS: list[dict[str, str]] = [
    {},
    {"query": "key=k"},
    {"query": "key="},
    {"x-key": "k"},
    {"x-key": ""},
    {"cookie": "key=k"},
    {"cookie": "other=k"},
    {"authorization": ""},
    {"authorization": "Bearer"},
    {"authorization": "Bearer "},
    {"authorization": "Bearer token"},
    {"authorization": "bearer  token x "},
    {"authorization": "Digest a=b, c=d"},
    {"authorization": "DIGEST x"},
    {"authorization": "Other x"},
    {"authorization": "Basic"},
    {"authorization": "Basic notbase64!"},
    {"authorization": "Basic é"},
    {"authorization": _basic(b"user:pass:word")},
    {"authorization": _basic(b"nocolon")},
    {"authorization": _basic("ü:x".encode())},
    {"authorization": "basic " + base64.b64encode(b":").decode()},
]


def connection(request: dict[str, str]) -> HTTPConnection:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in request.items() if name != "query"]
    return HTTPConnection({"type": "http", "query_string": request.get("query", "").encode(), "headers": headers})


def outcome(scheme: Any, request: dict[str, str]) -> Any:
    """Return what the scheme gives, or what it answers."""
    try:
        value = asyncio.run(scheme(connection(request)))
    except StarletteHTTPException as error:
        return (error.status_code, error.detail, dict(error.headers or {}))
    return value.model_dump() if hasattr(value, "model_dump") else value


@pytest.mark.parametrize("name", SCHEMES)
def test_answers_as_fastapi(name: str) -> None:
    """Every scheme gives the same value, or the same status, detail and challenge, for every request."""
    ours, theirs = SCHEMES[name](security), SCHEMES[name](fastapi.security)
    for request in REQUESTS:
        assert outcome(ours, request) == outcome(theirs, request), request


@pytest.mark.parametrize("name", SCHEMES)
def test_is_described_as_fastapi(name: str) -> None:
    """The object for the document is the same, its members in the same order, and so is its name."""
    ours, theirs = SCHEMES[name](security), SCHEMES[name](fastapi.security)
    expected = fastapi_encoder(theirs.model, by_alias=True, exclude_none=True)
    encoded = jsonable_encoder(ours.model, by_alias=True, exclude_none=True)
    assert encoded == expected == ours.model.model_dump(by_alias=True, exclude_none=True)
    assert list(encoded) == list(expected)
    assert ours.scheme_name == theirs.scheme_name
    assert ours.auto_error is theirs.auto_error


def test_both_spellings_of_urls() -> None:
    """The names of OpenAPI and those of Python mean the same."""
    assert security.OAuth2PasswordBearer(token_url="t", refresh_url="r").model == (
        security.OAuth2PasswordBearer(tokenUrl="t", refreshUrl="r").model
    )
    assert security.OAuth2AuthorizationCodeBearer(authorization_url="a", token_url="t", refresh_url="r").model == (
        security.OAuth2AuthorizationCodeBearer("a", "t", "r").model
    )
    assert security.OpenIdConnect(open_id_connect_url="u").model == security.OpenIdConnect(openIdConnectUrl="u").model
    assert security.HTTPBearer(bearer_format="JWT").model == security.HTTPBearer(bearerFormat="JWT").model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: security.OAuth2PasswordBearer(), "tokenUrl= or token_url="),
        (lambda: security.OAuth2PasswordBearer("a", token_url="b"), "not both"),
        (lambda: security.OAuth2AuthorizationCodeBearer(tokenUrl="t"), "authorizationUrl="),
        (lambda: security.OpenIdConnect(), "open_id_connect_url="),
        (lambda: security.OAuth2(flows={"paswoord": {"tokenUrl": "t"}}), "no flow 'paswoord'"),
        (lambda: security.OAuth2(flows={"password": {}}), "needs tokenUrl"),
        (lambda: security.OAuth2(flows={"authorizationCode": {"tokenUrl": 1}}), "authorizationUrl and tokenUrl"),
    ],
)
def test_misuse_is_told_when_the_scheme_is_made(make: Callable[[], Any], message: str) -> None:
    """A scheme that documents could not describe cannot be made."""
    with pytest.raises(RegistrationError, match=message):
        make()


def test_oauth2_takes_openapis_models() -> None:
    """Flows may be given as the pydantic models of the OpenAPI document."""
    from velithon.openapi.models import OAuthFlowPassword, OAuthFlows

    scheme = security.OAuth2(flows=OAuthFlows(password=OAuthFlowPassword(tokenUrl="t")))
    assert scheme.model.model_dump() == security.OAuth2PasswordBearer("t").model.model_dump()


def test_a_description_reads_as_attributes() -> None:
    """``type_`` and ``in_`` are understood as they are on pydantic models, and what is missing is named."""
    model = security.APIKeyQuery(name="key").model
    assert (model.type, model.type_, model.in_, model.name) == ("apiKey", "apiKey", "query", "key")
    with pytest.raises(AttributeError, match="no 'nothing'"):
        _ = model.nothing
    assert model == SchemeModel(type="apiKey", description=None, **{"in": "query"}, name="key")
    assert hash(model) == hash(security.APIKeyQuery(name="key").model)
    assert model != "apiKey"
    assert "name='key'" in repr(model)


def test_a_subclass_answers_in_its_own_way() -> None:
    """``make_not_authenticated_error`` decides what a stranger gets."""

    class Forbidding(security.HTTPBearer):
        def make_not_authenticated_error(self) -> HTTPException:
            return HTTPException(403, "no")

    assert outcome(Forbidding(), {}) == (403, "no", {})
    assert outcome(Forbidding(), {"authorization": "Basic eA=="}) == (403, "no", {})


@pytest.mark.parametrize("name", ["OAuth2PasswordRequestForm", "OAuth2PasswordRequestFormStrict"])
def test_the_password_form_has_fastapis_fields(name: str) -> None:
    """Names, kinds, defaults and constraints are the same; the scopes are split."""
    ours, theirs = getattr(security, name), getattr(fastapi.security, name)
    expected = inspect.signature(theirs, eval_str=True).parameters
    for parameter in inspect.signature(ours, eval_str=True).parameters.values():
        other = expected[parameter.name]
        assert (parameter.kind, parameter.default) == (other.kind, other.default)
        mine, other_field = parameter.annotation.__metadata__[0], other.annotation.__metadata__[0]
        assert repr(mine.metadata) == repr(other_field.metadata)
        assert mine.json_schema_extra == other_field.json_schema_extra
    form = ours(grant_type="password", username="u", password="p", scope="a b  c", client_id="i")
    assert form.scopes == ["a", "b", "c"]
    assert (form.username, form.password, form.client_id, form.client_secret) == ("u", "p", "i", None)


def test_security_scopes() -> None:
    """The list and the text with spaces."""
    assert security.SecurityScopes(["a", "b"]).scope_str == "a b"
    assert security.SecurityScopes().scopes == []


def test_what_is_exported_is_what_fastapi_exports() -> None:
    """Every public name of FastAPI's package is here."""
    theirs = {name for name in vars(fastapi.security) if name[0].isupper()}
    assert theirs <= set(security.__all__)


def test_the_authorization_header_is_split_at_the_first_space() -> None:
    """Scheme and credentials; empty without a header."""
    assert get_authorization_scheme_param("Bearer a b") == ("Bearer", "a b")
    assert get_authorization_scheme_param(None) == ("", "")
