"""Entra's rules at the token endpoint: which client may get which token.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_plus

from local.simulator.clock import Clock
from local.simulator.directory import PERSONAL_TENANT_ID, Directory, User
from local.simulator.entra import scopes
from local.simulator.entra.answers import Answers, Wanted, as_v1
from local.simulator.entra.application import Application, Endpoint
from local.simulator.entra.errors import EntraError
from local.simulator.entra.grants import CodeGrant, Grants
from local.simulator.entra.keys import SigningKey
from local.simulator.entra.options import EntraOptions
from local.simulator.entra.policy import Strength
from local.simulator.entra.principals import ServicePrincipals
from local.simulator.entra.scopes import ScopeRequest
from local.simulator.entra.tenant import Tenant, tenant_named
from local.simulator.entra.token_request import TokenRequest
from local.simulator.entra.tokens import GRAPH_AUDIENCE, AccessTokens, Claims
from local.simulator.entra.version import V1
from local.simulator.organisations import Organisations
from local.simulator.urls import Urls

PUBLIC_PLATFORMS = ("public", "spa")


class EntraState:
    """The registration, the grants, the switches, and the token endpoint's decisions."""

    def __init__(
        self,
        clock: Clock,
        directory: Directory,
        organisations: Organisations,
        tokens: AccessTokens,
    ) -> None:
        self.clock = clock
        self.directory = directory
        self.organisations = organisations
        self.tokens = tokens
        self.urls = Urls()
        self.options = EntraOptions()
        self.key = SigningKey()
        self.application = Application(clock, tokens)
        self.grants = Grants(clock)
        self.principals = ServicePrincipals(
            directory, organisations, self.application, lambda: self.options
        )
        self.answers = Answers(
            clock,
            directory,
            tokens,
            self.grants,
            self.key,
            self.application.client_id,
            options=lambda: self.options,
        )

    def reset(self) -> None:
        """Return to the seed; the signing key stays."""
        self.options = EntraOptions()
        self.application.reset()
        self.grants.reset()

    def tenant(self, segment: str) -> Tenant:
        """The tenant of a path segment. Raises EntraError."""
        return tenant_named(segment, self.organisations)

    # The client

    def authenticate(self, request: TokenRequest) -> bool:
        """Whether the client proved its identity; False if it sent no credential."""
        options, form = self.options, request.form
        sent = form.get("client_secret") or form.get("client_assertion")
        lenient = options.platform == "spa" and options.spa_accepts_secret
        if sent and options.platform in PUBLIC_PLATFORMS and not lenient:
            raise EntraError(700025)
        # A federated credential names the issuer of v2, whichever version is asked.
        endpoint = Endpoint(request.audiences, request.urls.issuer)
        return self.application.authenticate(form, endpoint, options.federated_subjects)

    def need_credential(self, authenticated: bool) -> None:
        """Refuse a confidential client that sent no credential. Raises EntraError."""
        if not authenticated and self.options.platform not in PUBLIC_PLATFORMS:
            raise EntraError(7000218)

    # The grants

    def by_code(self, request: TokenRequest) -> dict[str, Any]:
        """grant_type=authorization_code"""
        platform, verifier = self.options.platform, request.form.get("code_verifier")
        if platform == "spa" and not verifier:
            raise EntraError(9002325)
        redirect_uri, code = request.needed("redirect_uri"), request.needed("code")
        grant = self.grants.redeem_code(
            code, request.tenant, redirect_uri, verifier, self.options.code_seconds
        )
        wanted = Wanted(
            self._scope_for_code(request, grant),
            grant.scope.oidc,
            request,
            grant.strength,
            grant.nonce,
            grant.auth_time,
            public=platform in PUBLIC_PLATFORMS,
            spa_since=self.clock.time() if platform == "spa" else None,
        )
        return self.answers.of_user(self._user(grant.user_id, request, grant.strength), wanted)

    def by_refresh_token(self, request: TokenRequest, *, authenticated: bool) -> dict[str, Any]:
        """grant_type=refresh_token"""
        grant = self.grants.use_refresh_token(request.needed("refresh_token"), self.options)
        if not grant.public:
            self.need_credential(authenticated)
        user = self._user(grant.user_id, request, grant.strength)
        if self.options.personal_common_refresh_fails and grant.tenant.segment == "common":
            self._refuse_personal(user)
        scope = self._scope_for_refresh(request, grant.scope)
        wanted = Wanted(
            scope,
            grant.scope.oidc | scope.oidc,
            request,
            grant.strength,
            public=grant.public,
            spa_since=grant.spa_since,
        )
        return self.answers.of_user(user, wanted)

    def by_device_code(self, request: TokenRequest, *, authenticated: bool) -> dict[str, Any]:
        """grant_type=urn:ietf:params:oauth:grant-type:device_code, or device_code"""
        if not self.options.allow_public_client:
            self.need_credential(authenticated)
        # v1 calls the parameter `code`; MSAL for Python sends both.
        code = request.form.get("device_code") or request.form.get("code")
        grant = self.grants.poll_device(code or request.needed("device_code"))
        strength = grant.strength or Strength(self.clock.time())
        wanted = Wanted(grant.scope, grant.scope.oidc, request, strength, public=True)
        user = self._user(grant.user_id or "", request, strength)
        return self.answers.of_user(user, wanted)

    def by_client_credentials(self, request: TokenRequest) -> dict[str, Any]:
        """grant_type=client_credentials: an app-only token, with the roles that were granted."""
        tenant = request.tenant
        if tenant.id is None or tenant.id == PERSONAL_TENANT_ID:
            raise EntraError(50059)
        if request.version == V1:
            scope = scopes.of_resource(request.needed("resource"))
        else:
            text = request.needed("scope")
            scope = scopes.parse(text)
            if not scope.is_default:
                raise EntraError(70011, scope=text)
        object_id, roles = self.principals.app_only(tenant)
        lifetime = self.answers.lifetime()
        claims = Claims(
            audience=scope.resource,
            tenant_id=tenant.id,
            object_id=object_id,
            client_id=self.application.client_id,
            expires_at=self.clock.time() + lifetime,
        )
        if scope.resource == GRAPH_AUDIENCE:
            claims = replace(claims, roles=roles)
        answer = {
            "token_type": "Bearer",
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": self.tokens.issue(claims),
        }
        return as_v1(answer, scope.resource) if request.version == V1 else answer

    def _scope_for_code(self, request: TokenRequest, grant: CodeGrant) -> ScopeRequest:
        """The scope of a redemption: that of the code, unless the request has one of its own."""
        if request.version == V1:
            return _v1_scope(request, grant.scope)
        if not request.form.get("scope"):
            return grant.scope
        scope = scopes.parse(request.form["scope"])
        return scope if scope.permissions or scope.is_default else grant.scope

    def _scope_for_refresh(self, request: TokenRequest, granted: ScopeRequest) -> ScopeRequest:
        """A refresh token is good for every resource (entra-oauth.md 3.1)."""
        if request.version == V1:
            resource = request.form.get("resource") or granted.resource
            return replace(scopes.of_resource(resource), signed=granted.signed)
        return scopes.parse(request.form["scope"]) if request.form.get("scope") else granted

    def _user(self, user_id: str, request: TokenRequest, strength: Strength) -> User:
        # The real token endpoint writes this in place of an address.
        found = self.directory.find(user_id)
        rules = self.principals.admit(found, "{EmailHidden}", request.tenant)
        rules.check_token(strength, self.clock.time())
        return rules.user

    def _refuse_personal(self, user: User) -> None:
        if user.kind == "personal":
            raise EntraError(70000)


def _v1_scope(request: TokenRequest, granted: ScopeRequest) -> ScopeRequest:
    """The resource is in the authorize request, in the redemption, or the same one in both."""
    named = request.form.get("resource")
    if not named and not granted.is_default:
        raise EntraError(900144, parameter="resource")
    if not named:
        return granted
    scope = replace(scopes.of_resource(named), signed=granted.signed)
    if granted.is_default and scope.resource != granted.resource:
        raise EntraError(70000)
    return scope


def basic_credentials(header: str | None) -> dict[str, str]:
    """Client id and secret from an `Authorization: Basic` header, which Entra accepts too."""
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
    except ValueError as error:
        raise EntraError(9002313) from error
    return {"client_id": unquote_plus(client_id), "client_secret": unquote_plus(secret)}
