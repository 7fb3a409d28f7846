"""Entra's rules at the token endpoint: which client may get which token.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_plus

from local.simulator.clock import Clock
from local.simulator.directory import PERSONAL_TENANT_ID, Directory, User
from local.simulator.entra import scopes
from local.simulator.entra.answers import Answers, Wanted
from local.simulator.entra.application import Application, Endpoint
from local.simulator.entra.errors import EntraError
from local.simulator.entra.grants import Grants
from local.simulator.entra.keys import SigningKey
from local.simulator.entra.options import EntraOptions
from local.simulator.entra.policy import Strength
from local.simulator.entra.principals import ServicePrincipals
from local.simulator.entra.tenant import Tenant, tenant_named
from local.simulator.entra.tokens import GRAPH_AUDIENCE, AccessTokens, Claims
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
            issuer_of=lambda tenant_id: self.urls.issuer(tenant_id),
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

    def authenticate(self, form: Mapping[str, str], tenant: Tenant) -> bool:
        """Whether the client proved its identity; False if it sent no credential."""
        options = self.options
        sent = form.get("client_secret") or form.get("client_assertion")
        lenient = options.platform == "spa" and options.spa_accepts_secret
        if sent and options.platform in PUBLIC_PLATFORMS and not lenient:
            raise EntraError(700025)
        names = (tenant.segment, tenant.path)
        endpoint = Endpoint(
            [f"{self.urls.https}/{name}/oauth2/v2.0/token" for name in names], self.urls.issuer
        )
        return self.application.authenticate(form, endpoint, options.federated_subjects)

    def need_credential(self, authenticated: bool) -> None:
        """Refuse a confidential client that sent no credential. Raises EntraError."""
        if not authenticated and self.options.platform not in PUBLIC_PLATFORMS:
            raise EntraError(7000218)

    # The grants

    def by_code(self, form: Mapping[str, str], tenant: Tenant) -> dict[str, Any]:
        """grant_type=authorization_code"""
        grant = self.grants.redeem_code(
            _needed(form, "code"),
            tenant,
            _needed(form, "redirect_uri"),
            form.get("code_verifier"),
            self.options.code_seconds,
        )
        scope = scopes.parse(form["scope"]) if form.get("scope") else grant.scope
        if not scope.permissions and not scope.is_default:
            scope = grant.scope
        platform = self.options.platform
        wanted = Wanted(
            scope,
            grant.scope.oidc,
            tenant,
            grant.strength,
            grant.nonce,
            grant.auth_time,
            client_info=form.get("client_info") == "1",
            public=platform in PUBLIC_PLATFORMS,
            spa_since=self.clock.time() if platform == "spa" else None,
        )
        return self.answers.of_user(self._user(grant.user_id, tenant, grant.strength), wanted)

    def by_refresh_token(
        self, form: Mapping[str, str], tenant: Tenant, *, authenticated: bool
    ) -> dict[str, Any]:
        """grant_type=refresh_token"""
        grant = self.grants.use_refresh_token(_needed(form, "refresh_token"), self.options)
        if not grant.public:
            self.need_credential(authenticated)
        user = self._user(grant.user_id, tenant, grant.strength)
        if self.options.personal_common_refresh_fails and grant.tenant.segment == "common":
            self._refuse_personal(user)
        scope = scopes.parse(form["scope"]) if form.get("scope") else grant.scope
        wanted = Wanted(
            scope,
            grant.scope.oidc | scope.oidc,
            tenant,
            grant.strength,
            client_info=form.get("client_info") == "1",
            public=grant.public,
            spa_since=grant.spa_since,
        )
        return self.answers.of_user(user, wanted)

    def by_device_code(
        self, form: Mapping[str, str], tenant: Tenant, *, authenticated: bool
    ) -> dict[str, Any]:
        """grant_type=urn:ietf:params:oauth:grant-type:device_code"""
        if not self.options.allow_public_client:
            self.need_credential(authenticated)
        grant = self.grants.poll_device(form.get("device_code") or _needed(form, "code"))
        strength = grant.strength or Strength(self.clock.time())
        wanted = Wanted(
            grant.scope,
            grant.scope.oidc,
            tenant,
            strength,
            client_info=form.get("client_info") == "1",
            public=True,
        )
        user = self._user(grant.user_id or "", tenant, strength)
        return self.answers.of_user(user, wanted)

    def by_client_credentials(self, form: Mapping[str, str], tenant: Tenant) -> dict[str, Any]:
        """grant_type=client_credentials: an app-only token, with the roles that were granted."""
        if tenant.id is None or tenant.id == PERSONAL_TENANT_ID:
            raise EntraError(50059)
        text = _needed(form, "scope")
        scope = scopes.parse(text)
        if not scope.is_default or scope.resource not in scopes.RESOURCES:
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
        return {
            "token_type": "Bearer",
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": self.tokens.issue(claims),
        }

    def _user(self, user_id: str, tenant: Tenant, strength: Strength) -> User:
        # The real token endpoint writes this in place of an address.
        found = self.directory.find(user_id)
        rules = self.principals.admit(found, "{EmailHidden}", tenant)
        rules.check_token(strength, self.clock.time())
        return rules.user

    def _refuse_personal(self, user: User) -> None:
        if user.kind == "personal":
            raise EntraError(70000)


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


def _needed(form: Mapping[str, str], name: str) -> str:
    value = form.get(name)
    if not value:
        raise EntraError(900144, parameter=name)
    return value
