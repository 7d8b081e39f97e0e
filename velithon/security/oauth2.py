"""OAuth 2.0 (RFC 6749): flows, bearer tokens, the password form and scopes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from starlette.requests import HTTPConnection

from velithon.exceptions import RegistrationError
from velithon.param_functions import Form
from velithon.security.base import SchemeModel, SecurityBase, choose_spelling
from velithon.security.utils import get_authorization_scheme_param

__all__ = [
    "OAuth2",
    "OAuth2AuthorizationCodeBearer",
    "OAuth2PasswordBearer",
    "OAuth2PasswordRequestForm",
    "OAuth2PasswordRequestFormStrict",
    "SecurityScopes",
]

# The flows of OpenAPI and the members that each must have.
_FLOWS = {
    "implicit": ("authorizationUrl",),
    "password": ("tokenUrl",),
    "clientCredentials": ("tokenUrl",),
    "authorizationCode": ("authorizationUrl", "tokenUrl"),
}


class OAuth2PasswordRequestForm:
    """The form that a client of the password flow sends.

    RFC 6749, section 4.3.2. A dependency: ``form: Annotated[OAuth2PasswordRequestForm, Depends()]``.

    Args:
        grant_type: ``password``, or nothing.
        username: The user's name.
        password: The user's password.
        scope: The scopes asked for, with spaces between them; ``scopes`` is the list.
        client_id: The client, where it sends itself in the form.
        client_secret: The client's secret, where it sends it in the form.
    """

    def __init__(
        self,
        *,
        grant_type: Annotated[str | None, Form(pattern="^password$")] = None,
        username: Annotated[str, Form()],
        password: Annotated[str, Form(json_schema_extra={"format": "password"})],
        scope: Annotated[str, Form()] = "",
        client_id: Annotated[str | None, Form()] = None,
        client_secret: Annotated[str | None, Form(json_schema_extra={"format": "password"})] = None,
    ) -> None:
        self.grant_type = grant_type
        self.username = username
        self.password = password
        self.scopes = scope.split()
        self.client_id = client_id
        self.client_secret = client_secret


class OAuth2PasswordRequestFormStrict(OAuth2PasswordRequestForm):
    """The same form, its ``grant_type`` required, as the RFC has it.

    Takes the arguments of ``OAuth2PasswordRequestForm``.
    """

    def __init__(
        self,
        grant_type: Annotated[str, Form(pattern="^password$")],
        username: Annotated[str, Form()],
        password: Annotated[str, Form()],
        scope: Annotated[str, Form()] = "",
        client_id: Annotated[str | None, Form()] = None,
        client_secret: Annotated[str | None, Form()] = None,
    ) -> None:
        super().__init__(
            grant_type=grant_type,
            username=username,
            password=password,
            scope=scope,
            client_id=client_id,
            client_secret=client_secret,
        )


class OAuth2(SecurityBase):
    """Any flows of OAuth 2.0; gives the whole ``Authorization`` header.

    Args:
        flows: The flows by their OpenAPI names (``password``, ``authorizationCode``...), each a mapping with its URLs
            and ``scopes``; a model with ``model_dump`` is read as one.
        scheme_name: The name in documents; the class's by default.
        description: For documents, in Markdown.
        auto_error: Whether a request without the header is answered 401; otherwise the value is ``None``.

    Raises:
        RegistrationError: A flow is unknown or lacks a URL.
    """

    def __init__(
        self,
        *,
        flows: object = None,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        model = SchemeModel(type="oauth2", description=description, flows=_read_flows(flows))
        super().__init__(model, scheme_name, auto_error)

    async def __call__(self, request: HTTPConnection) -> str | None:
        """Return the ``Authorization`` header."""
        authorization = request.headers.get("Authorization")
        if not authorization:
            self.refuse()
        return authorization or None


def _read_flows(flows: Any) -> SchemeModel:
    if hasattr(flows, "model_dump"):
        flows = flows.model_dump(by_alias=True, exclude_none=True)
    read = {name: _read_flow(name, flow) for name, flow in (flows or {}).items() if flow is not None}
    return SchemeModel(**{**dict.fromkeys(_FLOWS), **read})


def _read_flow(name: str, flow: Mapping[str, object]) -> SchemeModel:
    if name not in _FLOWS:
        raise RegistrationError(f"OAuth2 has no flow {name!r}; it has {', '.join(_FLOWS)}")
    missing = [member for member in _FLOWS[name] if not isinstance(flow.get(member), str)]
    if missing:
        raise RegistrationError(f"The OAuth2 flow {name!r} needs {' and '.join(missing)}, as text")
    return SchemeModel(**{"refreshUrl": None, "scopes": {}, **flow})


class _Bearer(OAuth2):
    """Gives the token of ``Authorization: Bearer token``."""

    async def __call__(self, request: HTTPConnection) -> str | None:
        """Return the token."""
        scheme, param = get_authorization_scheme_param(request.headers.get("Authorization"))
        if scheme.lower() != "bearer":
            self.refuse()
            return None
        return param


class OAuth2PasswordBearer(_Bearer):
    """A bearer token got with user name and password.

    Args:
        tokenUrl: Where the client gets the token, relative to the document's server; also spelled ``token_url``.
        scheme_name: The name in documents; the class's by default.
        scopes: Scope -> what it allows.
        description: For documents, in Markdown.
        auto_error: Whether a request without a token is answered 401; otherwise the value is ``None``.
        refreshUrl: Where a token is renewed; also spelled ``refresh_url``.
        token_url: See ``tokenUrl``.
        refresh_url: See ``refreshUrl``.
    """

    def __init__(
        self,
        tokenUrl: str | None = None,
        scheme_name: str | None = None,
        scopes: dict[str, str] | None = None,
        description: str | None = None,
        auto_error: bool = True,
        refreshUrl: str | None = None,
        *,
        token_url: str | None = None,
        refresh_url: str | None = None,
    ) -> None:
        flow = {
            "refreshUrl": choose_spelling({"refreshUrl": refreshUrl, "refresh_url": refresh_url}, required=False),
            "scopes": scopes or {},
            "tokenUrl": choose_spelling({"tokenUrl": tokenUrl, "token_url": token_url}),
        }
        super().__init__(
            flows={"password": flow}, scheme_name=scheme_name, description=description, auto_error=auto_error
        )


class OAuth2AuthorizationCodeBearer(_Bearer):
    """A bearer token got with an authorization code.

    Args:
        authorizationUrl: Where the user grants access; also spelled ``authorization_url``.
        tokenUrl: Where the client gets the token; also spelled ``token_url``.
        refreshUrl: Where a token is renewed; also spelled ``refresh_url``.
        scheme_name: The name in documents; the class's by default.
        scopes: Scope -> what it allows.
        description: For documents, in Markdown.
        auto_error: Whether a request without a token is answered 401; otherwise the value is ``None``.
        authorization_url: See ``authorizationUrl``.
        token_url: See ``tokenUrl``.
        refresh_url: See ``refreshUrl``.
    """

    def __init__(
        self,
        authorizationUrl: str | None = None,
        tokenUrl: str | None = None,
        refreshUrl: str | None = None,
        scheme_name: str | None = None,
        scopes: dict[str, str] | None = None,
        description: str | None = None,
        auto_error: bool = True,
        *,
        authorization_url: str | None = None,
        token_url: str | None = None,
        refresh_url: str | None = None,
    ) -> None:
        flow = {
            "refreshUrl": choose_spelling({"refreshUrl": refreshUrl, "refresh_url": refresh_url}, required=False),
            "scopes": scopes or {},
            "authorizationUrl": choose_spelling(
                {"authorizationUrl": authorizationUrl, "authorization_url": authorization_url}
            ),
            "tokenUrl": choose_spelling({"tokenUrl": tokenUrl, "token_url": token_url}),
        }
        super().__init__(
            flows={"authorizationCode": flow}, scheme_name=scheme_name, description=description, auto_error=auto_error
        )


class SecurityScopes:
    """The scopes that the endpoint and the dependencies above this one require.

    A parameter annotated with this class gets them.

    Args:
        scopes: Them, from the outermost to the innermost; ``scope_str`` is the same with spaces between them.
    """

    def __init__(self, scopes: list[str] | None = None) -> None:
        self.scopes: list[str] = scopes or []
        self.scope_str: str = " ".join(self.scopes)
