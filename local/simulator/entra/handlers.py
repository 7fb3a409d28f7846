"""Handles Entra's endpoints for programs: tokens, device codes, user info."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from local.simulator.entra import scopes
from local.simulator.entra.errors import EntraError, document
from local.simulator.entra.state import EntraState, basic_credentials
from local.simulator.entra.token_request import TokenRequest, form_of, served_by
from local.simulator.entra.tokens import TokenProblem
from local.simulator.entra.version import V1, Version
from local.simulator.wire import Request, Response

EntraHandler = Callable[[EntraState, Request], Response]
NO_STORE = (("Cache-Control", "no-store, no-cache"), ("Pragma", "no-cache"))
DEVICE_CODE = ("urn:ietf:params:oauth:grant-type:device_code", "device_code")
"""The name of RFC 8628 and of Microsoft's page, and the name of v1, which MSAL for Node and for .NET
send to v2 as well."""
NOT_SIMULATED = (
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:grant-type:saml1_1-bearer",
    "urn:ietf:params:oauth:grant-type:saml2-bearer",
    "urn:ietf:params:oauth:grant-type:token-exchange",
)
"""Grants that Entra has and the simulator does not: on behalf of a user, and federated sign-in."""


def refusal(entra: EntraState, request: Request, error: EntraError) -> Response:
    """The token endpoint's error document, with the client's own correlation id."""
    sent = request.headers.get("client-request-id", "")
    correlation_id = sent if _is_guid(sent) else None
    found = document(error, entra.clock.now(), correlation_id)
    return replace(Response.of_json(error.status, found, NO_STORE), unsupported=error.unsupported)


def token(version: Version, entra: EntraState, request: Request) -> Response:
    """`/oauth2/v2.0/token` and `/oauth2/token`"""
    try:
        form = form_of(request) | basic_credentials(request.headers.get("authorization"))
        answer = _token(entra, _asked(version, entra, request, form))
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


def _asked(
    version: Version, entra: EntraState, request: Request, form: Mapping[str, str]
) -> TokenRequest:
    tenant = served_by(version, entra.tenant(request.params["tenant"]))
    asked = TokenRequest(form, tenant, entra.urls.called(request.base_url), version)
    asked.check_resource()
    return asked


def _token(entra: EntraState, asked: TokenRequest) -> dict[str, Any]:
    grant_type = asked.needed("grant_type")
    entra.principals.check_client(asked.form.get("client_id"), asked.tenant)
    authenticated = entra.authenticate(asked)
    if grant_type == "refresh_token":
        return entra.by_refresh_token(asked, authenticated=authenticated)
    if grant_type in DEVICE_CODE:
        return entra.by_device_code(asked, authenticated=authenticated)
    if grant_type == "password":
        raise _no_password(asked)
    if grant_type not in ("authorization_code", "client_credentials"):
        unsupported = f"grant_type {grant_type}" if grant_type in NOT_SIMULATED else None
        raise EntraError(70003, grant_type=grant_type, unsupported=unsupported)
    if grant_type == "authorization_code":
        entra.need_credential(authenticated)
        return entra.by_code(asked)
    if not authenticated:
        raise EntraError(7000218)
    return entra.by_client_credentials(asked)


def _no_password(asked: TokenRequest) -> EntraError:
    """Nobody has a password here, so every one is wrong."""
    if asked.tenant.segment == "common" or asked.tenant.is_personal:
        return EntraError(9001023)
    asked.needed("username")
    asked.needed("password")
    return EntraError(50126, unsupported="grant_type password")


def device_code(version: Version, entra: EntraState, request: Request) -> Response:
    """`/oauth2/v2.0/devicecode` and `/oauth2/devicecode`"""
    try:
        form = request.query if request.method == "GET" else form_of(request)
        asked = _asked(version, entra, request, form)
        entra.principals.check_client(form.get("client_id"), asked.tenant)
        if version == V1:
            scope = scopes.of_resource(asked.needed("resource"))
        else:
            scope = scopes.parse(form.get("scope", ""))
    except EntraError as error:
        return refusal(entra, request, error)
    life = int(entra.options.device_code_seconds)
    code, user_code = entra.grants.new_device(scope, asked.tenant, life)
    page = f"{asked.urls.http}/devicelogin"
    document: dict[str, Any] = {
        "device_code": code,
        "user_code": user_code,
        "message": (
            f"To sign in, use a web browser to open the page {page} and enter the code "
            f"{user_code} to authenticate."
        ),
    }
    interval = entra.options.device_code_interval
    if version == V1:
        # v1 writes numbers as strings, and the name is from before RFC 8628.
        document |= {
            "verification_url": page,
            "expires_in": str(life),
            "interval": str(interval),
        }
    else:
        document |= {"verification_uri": page, "expires_in": life, "interval": interval}
    return Response.of_json(200, document, NO_STORE)


def wrong_method(verbs: str, entra: EntraState, request: Request) -> Response:
    """An endpoint that was called with a method that it does not take."""
    # A page of another origin asks so before it may redeem a code of a single-page application.
    unsupported = "requests of other origins (CORS)" if request.method == "OPTIONS" else None
    error = EntraError(900561, verbs=verbs, verb=request.method, unsupported=unsupported)
    return refusal(entra, request, error)


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
