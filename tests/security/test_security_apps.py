"""Security schemes in applications: values, challenges, scopes and documents as FastAPI's, on both faces."""

from __future__ import annotations

from types import ModuleType
from typing import Annotated, Any

import fastapi
import fastapi.security
import pytest
from starlette.testclient import TestClient as StarletteClient

import velithon
import velithon.security
from tests.conftest import ClientFactory
from velithon.testclient import TestClient


def build(framework: Any, security: ModuleType) -> Any:
    """Make an application that uses every scheme, with either framework."""
    app = framework.FastAPI() if framework is fastapi else framework.Velithon()
    schemes = {
        "basic": security.HTTPBasic(realm="here"),
        "bearer": security.HTTPBearer(bearerFormat="JWT", auto_error=False),
        "digest": security.HTTPDigest(),
        "query": security.APIKeyQuery(name="key"),
        "header": security.APIKeyHeader(name="X-Key", description="a key"),
        "cookie": security.APIKeyCookie(name="key", auto_error=False),
        "openid": security.OpenIdConnect(openIdConnectUrl="https://example.com/discovery"),
        "code": security.OAuth2AuthorizationCodeBearer("authorize", "token", scopes={"me": "Read yourself"}),
        "oauth2": security.OAuth2(flows={"password": {"tokenUrl": "token", "scopes": {}}}, scheme_name="any"),
    }

    def add(name: str, scheme: Any) -> None:
        async def endpoint(found):  # type: ignore[no-untyped-def]
            return found

        endpoint.__annotations__["found"] = Annotated[Any, framework.Security(scheme)]
        app.get(f"/{name}")(endpoint)

    for name, scheme in schemes.items():
        add(name, scheme)
    add_scopes(app, framework, security)

    async def token(form):  # type: ignore[no-untyped-def]
        return {"user": form.username, "scopes": form.scopes, "client": form.client_id, "grant": form.grant_type}

    async def strict(form):  # type: ignore[no-untyped-def]
        return form.grant_type

    token.__annotations__["form"] = Annotated[security.OAuth2PasswordRequestForm, framework.Depends()]
    strict.__annotations__["form"] = Annotated[security.OAuth2PasswordRequestFormStrict, framework.Depends()]
    app.post("/token")(token)
    app.post("/strict")(strict)
    return app


def add_scopes(app: Any, framework: Any, security: ModuleType) -> None:
    bearer = security.OAuth2PasswordBearer(tokenUrl="token", scopes={"me": "You", "items": "Yours"})

    async def user(scopes, token):  # type: ignore[no-untyped-def]
        if token == "bad":
            raise framework.HTTPException(
                401, "bad token", headers={"WWW-Authenticate": f'Bearer scope="{scopes.scope_str}"'}
            )
        return {"token": token, "scopes": scopes.scopes}

    async def active(user):  # type: ignore[no-untyped-def]
        return user

    async def items(user):  # type: ignore[no-untyped-def]
        return user

    user.__annotations__ |= {"scopes": security.SecurityScopes, "token": Annotated[str, framework.Depends(bearer)]}
    active.__annotations__["user"] = Annotated[dict, framework.Security(user, scopes=["me"])]
    items.__annotations__["user"] = Annotated[dict, framework.Security(active, scopes=["items"])]
    app.get("/items")(items)
    app.get("/status", dependencies=[framework.Depends(bearer)])(lambda: {"ok": True})


THEIRS = StarletteClient(build(fastapi, fastapi.security))
OURS = build(velithon, velithon.security)

HEADERS: list[dict[str, str]] = [
    {},
    {"Authorization": "Basic dXNlcjpwYXNz"},
    {"Authorization": "Basic !"},
    {"Authorization": "Bearer token"},
    {"Authorization": "Bearer bad"},
    {"Authorization": "Digest a"},
    {"X-Key": "k"},
    {"Cookie": "key=c"},
]
PATHS = ["basic", "bearer", "digest", "query", "query?key=q", "header", "cookie", "openid", "code", "oauth2", "items"]


@pytest.mark.parametrize("path", [*PATHS, "status"])
def test_requests_answer_as_fastapi(client: ClientFactory, path: str) -> None:
    """Status, body and challenge, whatever credentials come."""
    requests = client(OURS)
    for headers in HEADERS:
        ours, theirs = requests.get(f"/{path}", headers=headers), THEIRS.get(f"/{path}", headers=headers)
        assert (ours.status_code, ours.json()) == (theirs.status_code, theirs.json()), headers
        assert ours.headers.get("www-authenticate") == theirs.headers.get("www-authenticate"), headers


FORMS: list[dict[str, str]] = [
    {},
    {"username": "u", "password": "p"},
    {"username": "u", "password": "p", "grant_type": "password", "scope": "a b", "client_id": "c"},
    {"username": "u", "password": "p", "grant_type": "other"},
    {"username": "u"},
]


@pytest.mark.parametrize("path", ["/token", "/strict"])
def test_the_password_form_answers_as_fastapi(client: ClientFactory, path: str) -> None:
    """Values and errors."""
    for form in FORMS:
        ours, theirs = client(OURS).post(path, data=form), THEIRS.post(path, data=form)
        assert (ours.status_code, ours.json()) == (theirs.status_code, theirs.json()), form


def test_documents_show_the_schemes_as_fastapi_does() -> None:
    """The schemes and what each operation asks for."""
    ours, theirs = TestClient(OURS).get("/openapi.json").json(), THEIRS.get("/openapi.json").json()
    assert ours["components"]["securitySchemes"] == theirs["components"]["securitySchemes"]
    for path, operations in theirs["paths"].items():
        for method, operation in operations.items():
            assert ours["paths"][path][method].get("security") == operation.get("security"), path
