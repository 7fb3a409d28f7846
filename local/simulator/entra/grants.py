"""The grants of people: consents, authorization codes, refresh tokens, device codes.

https://learn.microsoft.com/entra/identity-platform/refresh-tokens
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from dataclasses import dataclass, replace
from typing import TypeVar

from local.simulator.clock import Clock
from local.simulator.directory import User
from local.simulator.entra.errors import EntraError
from local.simulator.entra.options import EntraOptions
from local.simulator.entra.policy import Strength
from local.simulator.entra.scopes import ScopeRequest
from local.simulator.entra.tenant import Tenant

CODE_PREFIX = "SIMCODE."
REFRESH_PREFIX = "SIMRT."
DEVICE_PREFIX = "SIMDC."
DAY = 24 * 3600
Grant = TypeVar("Grant")
_USER_CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


@dataclass
class CodeGrant:
    """The data of an authorization code."""

    user_id: str
    tenant: Tenant
    redirect_uri: str
    scope: ScopeRequest
    challenge: str | None
    challenge_method: str
    nonce: str | None
    auth_time: int | None
    """For the id token, if the request had `max_age`."""
    strength: Strength
    issued_at: float
    redeemed: bool = False
    revoked: int | None = None


@dataclass
class RefreshGrant:
    """The data of a refresh token. It is bound to user and client, not to resource or tenant."""

    user_id: str
    scope: ScopeRequest
    tenant: Tenant
    """The endpoint that issued it."""
    strength: Strength
    """The strength of the first sign-in: a refresh does not make it newer."""
    issued_at: float
    spa_since: float | None = None
    """When the first token of a single-page application was issued: its lifetime cannot be
    extended."""
    public: bool = False
    """From the device-code flow, whose client needs no credential."""
    used: bool = False
    revoked: int | None = None
    """The AADSTS number that the token answers from now on."""


@dataclass
class DeviceGrant:
    """A device-code sign-in under way."""

    user_code: str
    scope: ScopeRequest
    tenant: Tenant
    expires_at: float
    user_id: str | None = None
    strength: Strength | None = None
    declined: bool = False
    redeemed: bool = False


class Grants:
    """Every grant since the last reset. Raises EntraError for a grant that must not be accepted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Remove all grants."""
        with self._lock:
            self._consents: dict[str, set[tuple[str, str]]] = {}
            self._codes: dict[str, CodeGrant] = {}
            self._refresh: dict[str, RefreshGrant] = {}
            self._devices: dict[str, DeviceGrant] = {}

    # Consent: of a user (by object id) or of a whole tenant (by tenant id)

    def consent(self, owner: str, resource: str, permissions: tuple[str, ...]) -> None:
        """Store a consent."""
        with self._lock:
            granted = self._consents.setdefault(owner, set())
            granted.update((resource, permission) for permission in permissions)

    def consented(self, user: User, resource: str) -> frozenset[str]:
        """Permissions that the user, or an administrator for all, has consented to."""
        with self._lock:
            both = self._consents.get(user.object_id, set()) | self._consents.get(
                user.tenant_id, set()
            )
        return frozenset(permission for known, permission in both if known == resource)

    def withdraw_consent(self, owner: str) -> None:
        """Remove a user's consent: a refresh then answers 65001."""
        with self._lock:
            self._consents.pop(owner, None)

    # Authorization codes

    def new_code(self, grant: CodeGrant) -> str:
        """A code for a grant."""
        return self._put(self._codes, CODE_PREFIX, grant, size=600)

    def redeem_code(
        self, code: str, tenant: Tenant, redirect_uri: str, verifier: str | None, life: float
    ) -> CodeGrant:
        """The grant of a code; it works once."""
        with self._lock:
            grant = self._codes.get(code)
            if grant is None:
                raise EntraError(70000)
            if grant.redeemed:
                raise EntraError(54005)
            if self._clock.time() >= grant.issued_at + life:
                raise EntraError(70008)
            if grant.revoked:
                raise EntraError(grant.revoked)
            if tenant.path != grant.tenant.path:
                raise EntraError(700005)
            if redirect_uri != grant.redirect_uri:
                raise EntraError(500112, redirect_uri=redirect_uri)
            _check_verifier(grant, verifier)
            grant.redeemed = True
            return grant

    # Refresh tokens

    def new_refresh_token(self, grant: RefreshGrant) -> str:
        """A refresh token, about as long as a real one."""
        return self._put(self._refresh, REFRESH_PREFIX, grant, size=900)

    def use_refresh_token(self, token: str, options: EntraOptions) -> RefreshGrant:
        """The grant of a refresh token. Its use neither ends nor extends its lifetime."""
        with self._lock:
            grant = self._refresh.get(token)
            if grant is None:
                raise EntraError(70000)
            if grant.revoked:
                raise EntraError(grant.revoked)
            if grant.spa_since is not None and self._clock.time() >= grant.spa_since + DAY:
                raise EntraError(700084)
            if self._clock.time() >= grant.issued_at + options.refresh_token_days * DAY:
                raise EntraError(700082)
            if options.strict_refresh_reuse and grant.used:
                raise EntraError(70000)
            grant.used = True
            return replace(grant)

    def owner_of(self, token: str) -> str | None:
        """The object id of the user whose refresh token or code this is."""
        grant = self._refresh.get(token) or self._codes.get(token)
        return grant.user_id if grant else None

    def revoke(self, user_id: str, code: int) -> int:
        """End all of a user's codes and refresh tokens. Returns the number of refresh tokens."""
        with self._lock:
            for granted in self._codes.values():
                if granted.user_id == user_id:
                    granted.revoked = code
            mine = [grant for grant in self._refresh.values() if grant.user_id == user_id]
            for grant in mine:
                grant.revoked = code
            return len(mine)

    # Device codes

    def new_device(self, scope: ScopeRequest, tenant: Tenant, life: float) -> tuple[str, str]:
        """A device code and the short code that a person types."""
        user_code = "".join(secrets.choice(_USER_CODE_LETTERS) for _ in range(9))
        grant = DeviceGrant(user_code, scope, tenant, self._clock.time() + life)
        return self._put(self._devices, DEVICE_PREFIX, grant, size=180), user_code

    def device_by_user_code(self, user_code: str) -> DeviceGrant | None:
        """The sign-in under way with a typed code."""
        wanted = user_code.strip().upper()
        with self._lock:
            for grant in self._devices.values():
                if grant.user_code == wanted and self._clock.time() < grant.expires_at:
                    return None if grant.user_id or grant.declined else grant
        return None

    def pending_devices(self) -> list[str]:
        """The codes that nobody has typed yet."""
        with self._lock:
            waiting = [grant for grant in self._devices.values() if not grant.user_id]
        return [grant.user_code for grant in waiting if not grant.declined]

    def poll_device(self, device_code: str) -> DeviceGrant:
        """The grant of a device code, once its person has accepted."""
        with self._lock:
            grant = self._devices.get(device_code)
            if grant is None or grant.redeemed:
                raise EntraError(70018)
            if grant.declined:
                raise EntraError(65004, error="authorization_declined")
            if self._clock.time() >= grant.expires_at:
                raise EntraError(70019)
            if grant.user_id is None:
                raise EntraError(70016)
            grant.redeemed = True
            return grant

    def _put(self, store: dict[str, Grant], prefix: str, grant: Grant, size: int) -> str:
        value = prefix + secrets.token_urlsafe(size)
        with self._lock:
            store[value] = grant
        return value


def _check_verifier(grant: CodeGrant, verifier: str | None) -> None:
    """S256 in both directions: a challenge needs its verifier, a verifier needs a challenge (RFC
    9700 4.8)."""
    if grant.challenge is None and verifier is None:
        return
    if grant.challenge is None or not verifier:
        raise EntraError(501481)
    made = verifier
    if grant.challenge_method == "S256":
        digest = hashlib.sha256(verifier.encode()).digest()
        made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if made != grant.challenge:
        raise EntraError(501481)
