"""Entra's rules at the token endpoint: who may have which token.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from local.simulator.clock import Clock
from local.simulator.directory import PERSONAL_TENANT_ID, Directory, User
from local.simulator.entra import scopes
from local.simulator.entra.application import Application
from local.simulator.entra.errors import EntraError
from local.simulator.entra.grants import Grants, RefreshGrant
from local.simulator.entra.keys import SigningKey, b64url
from local.simulator.entra.options import EntraOptions
from local.simulator.entra.scopes import ScopeRequest
from local.simulator.entra.tenant import Tenant
from local.simulator.entra.tokens import GRAPH_AUDIENCE, AccessTokens, Claims
from local.simulator.identity.state import IdentityState
from local.simulator.urls import Urls

SHORTEST_LIFE = 3600
LONGEST_LIFE = 5400
ID_TOKEN_LIFE = 3600


@dataclass(frozen=True)
class Wanted:
    """What a user's token answer is to contain."""

    scope: ScopeRequest
    oidc: frozenset[str]
    tenant: Tenant
    nonce: str | None = None
    auth_time: int | None = None
    client_info: bool = False
    public: bool = False


class EntraState:
    """The registration, the grants, the switches, and the token endpoint's decisions."""

    def __init__(self, clock: Clock, directory: Directory, tokens: AccessTokens) -> None:
        self.clock = clock
        self.directory = directory
        self.tokens = tokens
        self.urls = Urls()
        self.options = EntraOptions()
        self.key = SigningKey()
        self.application = Application(clock, tokens)
        self.grants = Grants(clock)

    def reset(self) -> None:
        """Back to the seed; the signing key stays."""
        self.options = EntraOptions()
        self.application.reset()
        self.grants.reset()

    # The client

    def check_client(self, client_id: str | None, tenant: Tenant) -> None:
        """Refuse an unknown application, and a single-tenant one at a shared endpoint."""
        if not client_id:
            raise EntraError(900144, parameter="client_id")
        application = self.application
        if client_id.lower() != application.client_id:
            raise EntraError(700016, client_id=client_id)
        if self.options.application_disabled:
            raise EntraError(7000112, client_id=client_id)
        single = self.options.sign_in_audience == "AzureADMyOrg"
        if single and tenant.id != application.tenant_id:
            raise EntraError(50194, client_id=client_id)

    def authenticate(self, form: Mapping[str, str], tenant: Tenant) -> bool:
        """Whether the client proved who it is; False where it sent no credential at all."""
        subjects = self.options.federated_subjects
        return self.application.authenticate(
            form,
            [
                f"{self.urls.https}/{name}/oauth2/v2.0/token"
                for name in (tenant.segment, tenant.path)
            ],
            [IdentityState.principal_id] if subjects is None else subjects,
        )

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
        wanted = Wanted(
            scope,
            grant.scope.oidc,
            tenant,
            grant.nonce,
            grant.auth_time,
            client_info=form.get("client_info") == "1",
        )
        return self._answer(self._user(grant.user_id, tenant), wanted)

    def by_refresh_token(
        self, form: Mapping[str, str], tenant: Tenant, *, authenticated: bool
    ) -> dict[str, Any]:
        """grant_type=refresh_token"""
        grant = self.grants.use_refresh_token(_needed(form, "refresh_token"), self.options)
        if not authenticated and not grant.public:
            raise EntraError(7000218)
        user = self._user(grant.user_id, tenant)
        if self.options.personal_common_refresh_fails and grant.tenant.segment == "common":
            self._refuse_personal(user)
        scope = scopes.parse(form["scope"]) if form.get("scope") else grant.scope
        wanted = Wanted(
            scope,
            grant.scope.oidc | scope.oidc,
            tenant,
            client_info=form.get("client_info") == "1",
            public=grant.public,
        )
        return self._answer(user, wanted)

    def by_device_code(
        self, form: Mapping[str, str], tenant: Tenant, *, authenticated: bool
    ) -> dict[str, Any]:
        """grant_type=urn:ietf:params:oauth:grant-type:device_code"""
        if not authenticated and not self.options.allow_public_client:
            raise EntraError(7000218)
        grant = self.grants.poll_device(form.get("device_code") or _needed(form, "code"))
        wanted = Wanted(
            grant.scope,
            grant.scope.oidc,
            tenant,
            client_info=form.get("client_info") == "1",
            public=True,
        )
        return self._answer(self._user(grant.user_id or "", tenant), wanted)

    def by_client_credentials(self, form: Mapping[str, str], tenant: Tenant) -> dict[str, Any]:
        """grant_type=client_credentials: an app-only token, with the roles that were granted."""
        if tenant.id is None or tenant.id == PERSONAL_TENANT_ID:
            raise EntraError(50059)
        text = _needed(form, "scope")
        scope = scopes.parse(text)
        if not scope.is_default or scope.resource not in scopes.RESOURCES:
            raise EntraError(70011, scope=text)
        graph = scope.resource == GRAPH_AUDIENCE
        lifetime = self._lifetime()
        token = self.tokens.issue(
            Claims(
                audience=scope.resource,
                tenant_id=tenant.id,
                object_id=str(uuid.uuid5(uuid.NAMESPACE_OID, self.application.client_id)),
                client_id=self.application.client_id,
                expires_at=self.clock.time() + lifetime,
                roles=frozenset(self.options.app_roles) if graph else frozenset(),
            )
        )
        return {
            "token_type": "Bearer",
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": token,
        }

    def check_sign_in(self, user: User | None, address: str, tenant: Tenant) -> User:
        """Refuse whoever may not sign in here. Raises EntraError."""
        if user is None:
            raise EntraError(50034, address=address)
        tenant.check(user)
        if not user.can_sign_in:
            raise EntraError(50057)
        if self.options.assignment_required and not user.admin:
            raise EntraError(50105, client_id=self.application.client_id)
        return user

    def _user(self, user_id: str, tenant: Tenant) -> User:
        # The token endpoint really prints this in place of an address.
        return self.check_sign_in(self.directory.find(user_id), "{EmailHidden}", tenant)

    def _refuse_personal(self, user: User) -> None:
        if user.kind == "personal":
            raise EntraError(70000)

    # The answer

    def _answer(self, user: User, wanted: Wanted) -> dict[str, Any]:
        granted = self.grants.consented(user, wanted.scope.resource)
        if set(wanted.scope.permissions) - granted or (wanted.scope.is_default and not granted):
            raise EntraError(65001, client_id=self.application.client_id)
        options, lifetime = self.options, self._lifetime()
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": wanted.scope.echo(granted, short=options.short_scopes),
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": self._access_token(user, wanted, granted, lifetime),
        }
        if options.refresh_in is not None:
            answer["refresh_in"] = options.refresh_in
        if "offline_access" in wanted.oidc and not options.omit_refresh_token:
            answer["refresh_token"] = self.grants.new_refresh_token(
                self._refresh_grant(user, wanted)
            )
        if "openid" in wanted.oidc and not options.omit_id_token:
            answer["id_token"] = self._id_token(user, wanted)
        if wanted.client_info and not options.omit_client_info:
            answer["client_info"] = self.client_info(user)
        return answer

    def client_info(self, user: User) -> str:
        """`uid` and `utid`, from which MSAL makes its account id."""
        if self.options.malformed_client_info:
            return "not base64 of JSON!"
        return b64url(json.dumps({"uid": user.object_id, "utid": user.tenant_id}).encode())

    def _access_token(
        self, user: User, wanted: Wanted, granted: frozenset[str], lifetime: int
    ) -> str:
        return self.tokens.issue(
            Claims(
                audience=wanted.scope.resource,
                tenant_id=user.tenant_id,
                object_id=user.object_id,
                client_id=self.application.client_id,
                expires_at=self.clock.time() + lifetime,
                address=user.address,
                scopes=granted,
            )
        )

    def _refresh_grant(self, user: User, wanted: Wanted) -> RefreshGrant:
        scope = ScopeRequest(
            wanted.oidc,
            wanted.scope.resource,
            wanted.scope.permissions,
            wanted.scope.spelled,
            wanted.scope.is_default,
        )
        return RefreshGrant(
            user.object_id, scope, wanted.tenant, self.clock.time(), public=wanted.public
        )

    def _id_token(self, user: User, wanted: Wanted) -> str:
        options, now = self.options, int(self.clock.time())
        if options.expired_id_token:
            now -= 2 * ID_TOKEN_LIFE
        tenant_id = str(uuid.uuid4()) if options.wrong_issuer else user.tenant_id
        claims: dict[str, Any] = {
            "aud": str(uuid.uuid4()) if options.wrong_audience else self.application.client_id,
            "iss": self.urls.issuer(tenant_id),
            "iat": now,
            "nbf": now,
            "exp": now + ID_TOKEN_LIFE,
            "sub": _pairwise(user, self.application.client_id),
            "tid": user.tenant_id,
            "ver": "2.0",
            "uti": secrets.token_urlsafe(16),
            "rh": "1." + secrets.token_urlsafe(30),
        }
        if "profile" in wanted.oidc:
            claims |= {
                "oid": user.object_id,
                "preferred_username": user.address,
                "name": user.name,
            }
        if "email" in wanted.oidc and user.mail:
            claims["email"] = user.mail
        if wanted.nonce is not None:
            claims["nonce"] = "another" if options.wrong_nonce else wanted.nonce
        if wanted.auth_time is not None:
            claims["auth_time"] = wanted.auth_time
        return self.key.sign(claims)

    def _lifetime(self) -> int:
        """60 to 90 minutes at random
        (https://learn.microsoft.com/entra/identity-platform/configurable-token-lifetimes)."""
        chosen = self.options.access_token_seconds
        if chosen is not None:
            return int(chosen)
        return SHORTEST_LIFE + secrets.randbelow(LONGEST_LIFE - SHORTEST_LIFE)


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


def _pairwise(user: User, client_id: str) -> str:
    """`sub` differs between applications for the same user."""
    return b64url(hashlib.sha256(f"{client_id}/{user.object_id}".encode()).digest())
