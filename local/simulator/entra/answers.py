"""The token endpoint's answers: access token, refresh token, id token, client_info.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow, and for v1
https://learn.microsoft.com/previous-versions/azure/active-directory/azuread-dev/v1-protocols-oauth-code
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from local.simulator.clock import Clock
from local.simulator.directory import Directory, User
from local.simulator.entra.errors import EntraError
from local.simulator.entra.grants import Grants, RefreshGrant
from local.simulator.entra.keys import SigningKey, b64url, unsigned
from local.simulator.entra.options import EntraOptions
from local.simulator.entra.policy import Strength
from local.simulator.entra.scopes import ScopeRequest
from local.simulator.entra.token_request import TokenRequest
from local.simulator.entra.tokens import GRAPH_AUDIENCE, AccessTokens, Claims
from local.simulator.entra.version import V1

SHORTEST_LIFE = 3600
LONGEST_LIFE = 5400
SHORTEST_LONG_LIFE = 20 * 3600
LONGEST_LONG_LIFE = 28 * 3600
ID_TOKEN_LIFE = 3600
ISSUED_BEFORE = 300
"""Seconds that `not_before` of v1 lies before the answer."""


@dataclass(frozen=True)
class Wanted:
    """What a user's token answer must contain."""

    scope: ScopeRequest
    oidc: frozenset[str]
    request: TokenRequest
    strength: Strength
    nonce: str | None = None
    auth_time: int | None = None
    public: bool = False
    spa_since: float | None = None


class Answers:
    """Makes token answers. Other modules have already decided that the client may get one."""

    def __init__(
        self,
        clock: Clock,
        directory: Directory,
        tokens: AccessTokens,
        grants: Grants,
        key: SigningKey,
        client_id: str,
        *,
        options: Callable[[], EntraOptions],
    ) -> None:
        self._clock = clock
        self._directory = directory
        self._tokens = tokens
        self._grants = grants
        self._key = key
        self._client_id = client_id
        self._current_options = options

    @property
    def _options(self) -> EntraOptions:
        return self._current_options()

    def of_user(self, user: User, wanted: Wanted) -> dict[str, Any]:
        """A user's answer. Raises EntraError if consent is missing."""
        granted = self._grants.consented(user, wanted.scope.resource)
        if set(wanted.scope.permissions) - granted or (wanted.scope.is_default and not granted):
            raise EntraError(65001, client_id=self._client_id)
        options = self._options
        capable = wanted.scope.resource == GRAPH_AUDIENCE and wanted.request.handles_challenges
        lifetime = self.lifetime(long=capable)
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
            answer["refresh_token"] = self._grants.new_refresh_token(
                self._refresh_grant(user, wanted)
            )
        if "openid" in wanted.oidc and not options.omit_id_token:
            answer["id_token"] = self._id_token(user, wanted)
        if wanted.request.client_info and not options.omit_client_info:
            answer["client_info"] = self.client_info(user)
        if wanted.request.version == V1:
            answer["scope"] = " ".join(sorted(granted))
            return as_v1(answer, wanted.scope.resource)
        return answer

    def client_info(self, user: User) -> str:
        """`uid` and `utid` of the home account, from which MSAL makes its account id."""
        home = self._directory.home_of(user) or user
        if self._options.malformed_client_info:
            return "not base64 of JSON!"
        return b64url(json.dumps({"uid": home.object_id, "utid": home.tenant_id}).encode())

    def _access_token(
        self, user: User, wanted: Wanted, granted: frozenset[str], lifetime: int
    ) -> str:
        return self._tokens.issue(
            Claims(
                audience=wanted.scope.resource,
                tenant_id=user.tenant_id,
                object_id=user.object_id,
                client_id=self._client_id,
                expires_at=self._clock.time() + lifetime,
                address=user.address,
                scopes=granted,
            )
        )

    def _refresh_grant(self, user: User, wanted: Wanted) -> RefreshGrant:
        return RefreshGrant(
            user.object_id,
            replace(wanted.scope, oidc=wanted.oidc),
            wanted.request.tenant,
            wanted.strength,
            self._clock.time(),
            spa_since=wanted.spa_since,
            public=wanted.public,
        )

    def _id_token(self, user: User, wanted: Wanted) -> str:
        # The client checks these times with its own clock, whatever the simulated time is.
        options, now = self._options, int(time.time())
        if options.expired_id_token:
            now -= 2 * ID_TOKEN_LIFE
        tenant_id = str(uuid.uuid4()) if options.wrong_issuer else user.tenant_id
        claims: dict[str, Any] = {
            "aud": str(uuid.uuid4()) if options.wrong_audience else self._client_id,
            "iss": wanted.request.issuer_of(tenant_id),
            "iat": now,
            "nbf": now,
            "exp": now + ID_TOKEN_LIFE,
            "sub": _pairwise(user, self._client_id),
            "tid": user.tenant_id,
            "ver": wanted.request.version.name,
            "uti": secrets.token_urlsafe(16),
            "rh": "1." + secrets.token_urlsafe(30),
        }
        address = (self._directory.home_of(user) or user).address
        if wanted.request.version == V1:
            claims |= _v1_names(user, address)
        elif "profile" in wanted.oidc:
            claims |= {"oid": user.object_id, "preferred_username": address, "name": user.name}
        if "email" in wanted.oidc and user.mail:
            claims["email"] = user.mail
        if wanted.nonce is not None:
            claims["nonce"] = "another" if options.wrong_nonce else wanted.nonce
        if wanted.auth_time is not None:
            claims["auth_time"] = int(now - (self._clock.time() - wanted.auth_time))
        return self._key.sign(claims) if wanted.scope.signed else unsigned(claims)

    def lifetime(self, *, long: bool = False) -> int:
        """60 to 90 minutes at random; `long`, for Graph and clients that handle claims challenges,
        20 to 28 hours
        (https://learn.microsoft.com/entra/identity-platform/configurable-token-lifetimes)."""
        chosen = self._options.access_token_seconds
        if chosen is not None:
            return int(chosen)
        if long:
            return SHORTEST_LONG_LIFE + secrets.randbelow(LONGEST_LONG_LIFE - SHORTEST_LONG_LIFE)
        return SHORTEST_LIFE + secrets.randbelow(LONGEST_LIFE - SHORTEST_LIFE)


def _pairwise(user: User, client_id: str) -> str:
    """`sub`, which differs between applications for the same user."""
    return b64url(hashlib.sha256(f"{client_id}/{user.object_id}".encode()).digest())


def _v1_names(user: User, address: str) -> dict[str, Any]:
    """Who the user is, as an id token of v1 says it."""
    given, _, family = user.name.partition(" ")
    return {
        "oid": user.object_id,
        "upn": address,
        "unique_name": address,
        "name": user.name,
        "given_name": given,
        "family_name": family,
    }


def as_v1(answer: Mapping[str, Any], resource: str) -> dict[str, Any]:
    """A token answer in the form of v1: its numbers are strings, and it says until when the token is
    good and for which resource. `expires_on` is in real time, as clients read it with their own
    clock."""
    now, seconds = int(time.time()), int(answer["expires_in"])
    return {
        **answer,
        "expires_in": str(seconds),
        "ext_expires_in": str(seconds),
        "expires_on": str(now + seconds),
        "not_before": str(now - ISSUED_BEFORE),
        "resource": resource,
    }
