"""The requirements of an organisation for a sign-in, and for every token that follows from it.

https://learn.microsoft.com/entra/identity/conditional-access/overview
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from local.simulator.directory import User
from local.simulator.entra.errors import EntraError
from local.simulator.organisations import CONDITIONAL_ACCESS, Organisation

HOUR = 3600
DAY = 24 * HOUR


@dataclass(frozen=True)
class Strength:
    """When somebody signed in, and when with a second factor, in seconds of the simulator's
    clock."""

    auth_time: float
    mfa_time: float | None = None


@dataclass(frozen=True)
class Rules:
    """The rules for one account. `organisation` is None for a personal one."""

    user: User
    home: User
    """The account that the person signs in with; for a guest not the same as `user`."""
    organisation: Organisation | None

    @property
    def needs_mfa(self) -> bool:
        return self.user.mfa or self.home.mfa or bool(self.organisation and self.organisation.mfa)

    def check_person(self) -> None:
        """At the sign-in page: whether the person may sign in with a password. Raises
        EntraError."""
        if self.home.locked:
            raise EntraError(50053)
        if self.home.password_expired:
            raise EntraError(50055)

    def check_access(self, *, device_code: bool = False) -> None:
        """Conditional access, at sign-in and at every token. Raises EntraError."""
        demanded = self.user.conditional_access or (
            self.organisation.conditional_access if self.organisation else None
        )
        if demanded is not None:
            raise EntraError(CONDITIONAL_ACCESS[demanded])
        if device_code and self.organisation and self.organisation.block_device_code:
            raise EntraError(53003)

    def is_too_old(self, strength: Strength, now: float) -> bool:
        """Whether the sign-in frequency requires another sign-in."""
        hours = self.organisation.sign_in_frequency_hours if self.organisation else None
        return hours is not None and now >= strength.auth_time + hours * HOUR

    def missing_factor(self, strength: Strength, now: float) -> int | None:
        """The AADSTS number for what is missing of multi-factor authentication; None if nothing
        is."""
        if not self.needs_mfa:
            return None
        if not self.home.mfa_registered:
            return 50079
        if strength.mfa_time is None:
            return 50076
        days = self.organisation.mfa_days if self.organisation else None
        return 50078 if days is not None and now >= strength.mfa_time + days * DAY else None

    def check_token(self, strength: Strength, now: float) -> None:
        """At the token endpoint, where no person can be asked. Raises EntraError."""
        self.check_access()
        if self.is_too_old(strength, now):
            raise EntraError(70043)
        missing = self.missing_factor(strength, now)
        if missing is not None:
            raise EntraError(missing, claims=self.claims())

    def claims(self) -> str:
        """The challenge that a client may send along to authorize
        (https://learn.microsoft.com/entra/identity-platform/claims-challenge)."""
        owner = self.organisation.id if self.organisation else self.user.tenant_id
        policy = str(uuid.uuid5(uuid.NAMESPACE_OID, owner))
        return json.dumps({"access_token": {"capolids": {"essential": True, "values": [policy]}}})


def asks_for_more(claims: str) -> bool:
    """Whether an authorize request's `claims` require a second factor. Raises EntraError."""
    return bool({"capolids", "acrs"} & _of_access_token(claims).keys())


def handles_challenges(claims: str) -> bool:
    """Whether a token request's `claims` say that the client handles claims challenges, for which
    Entra makes its access tokens last longer
    (https://learn.microsoft.com/entra/identity-platform/app-resilience-continuous-access-evaluation).
    Raises EntraError."""
    capabilities = _of_access_token(claims).get("xms_cc")
    values = capabilities.get("values") if isinstance(capabilities, dict) else None
    return isinstance(values, list) and any(
        isinstance(value, str) and value.lower() == "cp1" for value in values
    )


def _of_access_token(claims: str) -> dict[str, Any]:
    """The claims that are asked for the access token (OpenID Connect Core 5.5)."""
    try:
        document = json.loads(claims or "{}")
    except (ValueError, RecursionError) as error:
        raise EntraError(90100, parameter="claims") from error
    if not isinstance(document, dict):
        raise EntraError(90100, parameter="claims")
    token = document.get("access_token")
    if not isinstance(token, dict | None):
        raise EntraError(90100, parameter="claims")
    return token or {}
