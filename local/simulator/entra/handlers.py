"""Handles Entra's endpoints for programs: metadata, keys, tokens, device codes."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from local.simulator.entra import scopes
from local.simulator.entra.errors import EntraError, document
from local.simulator.entra.state import EntraState, basic_credentials
from local.simulator.entra.tenant import Tenant
from local.simulator.entra.tokens import TokenProblem
from local.simulator.wire import Request, Response

EntraHandler = Callable[[EntraState, Request], Response]
NO_STORE = (("Cache-Control", "no-store, no-cache"), ("Pragma", "no-cache"))
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


def refusal(entra: EntraState, request: Request, error: EntraError) -> Response:
    """The token endpoint's error document, with the client's own correlation id."""
    sent = request.headers.get("client-request-id", "")
    correlation_id = sent if _is_guid(sent) else None
    found = document(error, entra.clock.now(), correlation_id)
    return Response.of_json(error.status, found, NO_STORE)


def metadata(entra: EntraState, request: Request) -> Response:
    """`/v2.0/.well-known/openid-configuration`; an unknown tenant is already an error here."""
    try:
        tenant = entra.tenant(request.params["tenant"])
    except EntraError as error:
        return refusal(entra, request, error)
    secure, plain = f"{entra.urls.https}/{tenant.path}", f"{entra.urls.http}/{tenant.path}"
    return Response.of_json(
        200,
        {
            "issuer": entra.urls.issuer(tenant.issuer_path),
            # Plain http, so that browsers show no certificate warning; MSAL accepts it.
            "authorization_endpoint": f"{plain}/oauth2/v2.0/authorize",
            "token_endpoint": f"{secure}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{secure}/oauth2/v2.0/devicecode",
            "end_session_endpoint": f"{plain}/oauth2/v2.0/logout",
            "jwks_uri": f"{secure}/discovery/v2.0/keys",
            "userinfo_endpoint": f"{entra.urls.https}/oidc/userinfo",
            "token_endpoint_auth_methods_supported": [
                "client_secret_post",
                "private_key_jwt",
                "client_secret_basic",
            ],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": list(scopes.OIDC),
            "tenant_region_scope": None,
        },
    )


def keys(entra: EntraState, request: Request) -> Response:
    """`/discovery/v2.0/keys`: one key for all tenants."""
    issuer = entra.urls.issuer("{tenantid}")
    return Response.of_json(200, {"keys": [entra.key.jwk(issuer)]})


def instance_discovery(entra: EntraState, request: Request) -> Response:
    """`/common/discovery/instance`, for clients that ask here for the aliases of a host."""
    tenant = entra.application.tenant_id
    return Response.of_json(
        200,
        {
            "tenant_discovery_endpoint": (
                f"{entra.urls.https}/{tenant}/v2.0/.well-known/openid-configuration"
            ),
            "api-version": "1.1",
            "metadata": [
                {
                    "preferred_network": "localhost",
                    "preferred_cache": "localhost",
                    "aliases": ["localhost"],
                }
            ],
        },
    )


def token(entra: EntraState, request: Request) -> Response:
    """`/oauth2/v2.0/token`"""
    try:
        form = request.form() | basic_credentials(request.headers.get("authorization"))
        answer = _token(entra, form, entra.tenant(request.params["tenant"]))
    except EntraError as error:
        return refusal(entra, request, error)
    return Response.of_json(200, answer, NO_STORE)


def mailbox_of(entra: EntraState, request: Request) -> str | None:
    """The user whose refresh token or code is being redeemed."""
    if not request.path.endswith("/token"):
        return None
    form = request.form()
    owner = entra.grants.owner_of(form.get("refresh_token") or form.get("code", ""))
    user = entra.directory.find(owner) if owner else None
    return user.address if user else None


def _token(entra: EntraState, form: dict[str, str], tenant: Tenant) -> dict[str, Any]:
    grant_type = form.get("grant_type")
    if not grant_type:
        raise EntraError(900144, parameter="grant_type")
    entra.principals.check_client(form.get("client_id"), tenant)
    authenticated = entra.authenticate(form, tenant)
    if grant_type == "refresh_token":
        return entra.by_refresh_token(form, tenant, authenticated=authenticated)
    if grant_type == DEVICE_CODE:
        return entra.by_device_code(form, tenant, authenticated=authenticated)
    if grant_type == "password":
        raise EntraError(9001023)
    if grant_type not in ("authorization_code", "client_credentials"):
        raise EntraError(70003, grant_type=grant_type)
    if grant_type == "authorization_code":
        entra.need_credential(authenticated)
        return entra.by_code(form, tenant)
    if not authenticated:
        raise EntraError(7000218)
    return entra.by_client_credentials(form, tenant)


def device_code(entra: EntraState, request: Request) -> Response:
    """`/oauth2/v2.0/devicecode`"""
    form = request.form()
    try:
        tenant = entra.tenant(request.params["tenant"])
        entra.principals.check_client(form.get("client_id"), tenant)
        scope = scopes.parse(form.get("scope", ""))
    except EntraError as error:
        return refusal(entra, request, error)
    life = entra.options.device_code_seconds
    code, user_code = entra.grants.new_device(scope, tenant, life)
    page = f"{entra.urls.http}/devicelogin"
    return Response.of_json(
        200,
        {
            "device_code": code,
            "user_code": user_code,
            "verification_uri": page,
            "expires_in": int(life),
            "interval": entra.options.device_code_interval,
            "message": (
                f"To sign in, use a web browser to open the page {page} and enter the code "
                f"{user_code} to authenticate."
            ),
        },
        NO_STORE,
    )


def user_info(entra: EntraState, request: Request) -> Response:
    """`/oidc/userinfo`"""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    try:
        claims = entra.tokens.find(value if scheme.lower() == "bearer" else "")
    except TokenProblem:
        return Response(401, headers=[("WWW-Authenticate", 'Bearer error="invalid_token"')])
    user = entra.directory.find(claims.object_id)
    if user is None:
        return Response(401, headers=[("WWW-Authenticate", 'Bearer error="invalid_token"')])
    return Response.of_json(200, {"sub": user.object_id, "name": user.name, "email": user.mail})


def _is_guid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
