"""Consent: which permissions a person is asked for, and whether that person may consent to them.

https://learn.microsoft.com/entra/identity-platform/permissions-consent-overview
"""

from __future__ import annotations

from local.simulator.entra import scopes
from local.simulator.entra.errors import EntraError
from local.simulator.entra.sign_in import SentBack, SignIn
from local.simulator.entra.state import EntraState

OIDC_CONSENT = "openid"
"""The resource under which consent to the sign-in itself is stored."""


class Consenting:
    """Compares the requested permissions with the granted ones, and stores new consents."""

    def __init__(self, entra: EntraState) -> None:
        self._entra = entra

    def missing(self, sign_in: SignIn) -> tuple[str, ...]:
        """Permissions that the consent page must name; empty if none is needed."""
        user = sign_in.person()
        asked = self._asked(sign_in)
        prompted = sign_in.prompt & {"consent", "admin_consent"}
        always = bool(prompted) or sign_in.purpose in ("device", "admin")
        grants = self._entra.grants
        granted = grants.consented(user, sign_in.scope.resource)
        granted |= grants.consented(user, OIDC_CONSENT)
        missing = asked if always else tuple(name for name in asked if name not in granted)
        if missing and "none" in sign_in.prompt and sign_in.back:
            client_id = self._entra.application.client_id
            error = EntraError(65001, error="consent_required", client_id=client_id)
            raise SentBack(error, sign_in.back)
        return missing

    def admin_needed(self, sign_in: SignIn, missing: tuple[str, ...]) -> bool:
        """Whether the tenant's policy does not let this user consent."""
        user = sign_in.person()
        if user.admin:
            return False
        if _for_tenant(sign_in):
            return True
        if user.kind == "personal":
            return False
        granted = self._entra.grants.consented(user, sign_in.scope.resource)
        policy = self._entra.principals.consent_policy(user.tenant_id)
        return any(
            scopes.needs_admin(name, policy)
            for name in missing
            if name not in scopes.OIDC and name not in granted
        )

    def accept(self, sign_in: SignIn, *, for_everybody: bool) -> None:
        """Store the consent, of the user or (by an administrator) for the tenant."""
        user = sign_in.person()
        everybody = user.admin and (for_everybody or _for_tenant(sign_in))
        owner = user.tenant_id if everybody else user.object_id
        asked = self._asked(sign_in)
        permissions = tuple(name for name in asked if name not in scopes.OIDC)
        identity = tuple(name for name in asked if name in scopes.OIDC)
        self._entra.grants.consent(owner, sign_in.scope.resource, permissions)
        self._entra.grants.consent(owner, OIDC_CONSENT, identity)
        everything = sign_in.purpose == "admin" and sign_in.scope.is_default
        self._entra.principals.consented(user.tenant_id, with_roles=everything)

    def _asked(self, sign_in: SignIn) -> tuple[str, ...]:
        scope = sign_in.scope
        registered = tuple(self._entra.options.registered_scopes)
        permissions = registered if scope.is_default else scope.permissions
        return (*permissions, *sorted(scope.oidc))


def _for_tenant(sign_in: SignIn) -> bool:
    """Whether only an administrator may answer, for everybody."""
    return sign_in.purpose == "admin" or "admin_consent" in sign_in.prompt
