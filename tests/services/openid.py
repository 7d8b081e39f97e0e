"""An OpenID Connect provider, by authlib on Flask, with one client and one user who is logged in."""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, grants
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask, jsonify, request
from joserfc.jwk import KeySet, RSAKey
from werkzeug.serving import make_server

CLIENT_ID, CLIENT_SECRET = "shop", "secret of the shop"


class Client(ClientMixin):
    """The one client: it may be sent back to the URIs that were registered, and nowhere else."""

    def __init__(self, redirect_uris: list[str]) -> None:
        self.redirect_uris = redirect_uris

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uris[0]

    def get_allowed_scope(self, scope: Any) -> str:
        return str(scope)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


class Code(AuthorizationCodeMixin):
    """A code that was handed out."""

    def __init__(self, code: str, payload: Any) -> None:
        self.code = code
        self.redirect_uri = payload.redirect_uri
        self.scope = payload.scope
        self.nonce = payload.data.get("nonce")

    def get_redirect_uri(self) -> str:
        return str(self.redirect_uri)

    def get_scope(self) -> str:
        return str(self.scope)

    def get_nonce(self) -> Any:
        return self.nonce

    def get_auth_time(self) -> int:
        return int(time.time())

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


def identity_of(user: str) -> dict[str, str]:
    """Return what the provider knows of a user."""
    return {"name": user.capitalize(), "email": f"{user}@example.com"}


def make_grants(issuer: str, codes: dict[str, Code], key: RSAKey) -> tuple[Any, Any]:
    """Return the grant of codes, which it keeps in `codes`, and its extension for identities, signed with `key`."""

    class CodeGrant(grants.AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]

        def save_authorization_code(self, code: str, request: Any) -> None:
            codes[code] = Code(code, request.payload)

        def query_authorization_code(self, code: str, client: Any) -> Code | None:
            return codes.get(code)

        def delete_authorization_code(self, authorization_code: Code) -> None:
            del codes[authorization_code.code]

        def authenticate_user(self, authorization_code: Code) -> str:
            return "ann"

    class Identity(OpenIDCode):
        def exists_nonce(self, nonce: str, request: Any) -> bool:
            return any(code.nonce == nonce for code in codes.values())

        def resolve_client_private_key(self, client: Any) -> Any:
            return key

        def get_client_algorithm(self, client: Any) -> str:
            return "RS256"

        def get_client_claims(self, client: Any) -> dict[str, str]:
            return {"iss": issuer}

        def generate_user_info(self, user: str, scope: str) -> UserInfo:
            return UserInfo(identity_of(user), sub=user) if "email" in scope else UserInfo(sub=user, name="Ann")

    return CodeGrant, Identity


def make_provider(issuer: str, redirect_uris: list[str]) -> Flask:
    """Return the provider as a WSGI application."""
    app = Flask("provider")
    client = Client(redirect_uris)
    codes: dict[str, Code] = {}
    key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})

    code_grant, identity = make_grants(issuer, codes, key)
    tokens: set[str] = set()
    server = AuthorizationServer(
        app,
        query_client=lambda client_id: client if client_id == CLIENT_ID else None,
        save_token=lambda token, _: tokens.add(token["access_token"]),
    )
    server.register_grant(code_grant, [identity(require_nonce=True)])

    provider: Any = server  # it is annotated in part

    @app.route("/.well-known/openid-configuration")
    def configuration() -> Any:
        return jsonify(
            issuer=issuer,
            authorization_endpoint=f"{issuer}/authorize",
            token_endpoint=f"{issuer}/token",
            jwks_uri=f"{issuer}/keys",
            response_types_supported=["code"],
            subject_types_supported=["public"],
            id_token_signing_alg_values_supported=["RS256"],
            token_endpoint_auth_methods_supported=["client_secret_basic"],
        )

    @app.route("/keys")
    def keys() -> Any:
        return jsonify(KeySet([key]).as_dict(private=False))

    @app.route("/authorize")
    def authorize() -> Any:
        grant = provider.get_consent_grant(end_user="ann")
        return server.create_authorization_response(grant=grant, grant_user="ann")

    @app.route("/token", methods=["POST"])
    def token() -> Any:
        return server.create_token_response()

    @app.route("/user")
    def user() -> Any:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return jsonify(identity_of("ann")) if scheme == "Bearer" and token in tokens else ("", 401)

    return app


@contextmanager
def openid_provider(redirect_uris: list[str]) -> Generator[str, None, None]:
    """Run the provider on a free port; yield its URL."""
    holder: dict[str, Any] = {}

    def late(environ: Any, start_response: Any) -> Any:
        return holder["app"](environ, start_response)

    server = make_server("127.0.0.1", 0, late, threaded=True)
    issuer = f"http://127.0.0.1:{server.server_port}"
    holder["app"] = make_provider(issuer, redirect_uris)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
