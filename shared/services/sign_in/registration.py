"""The app registration, and what follows from it for people who use the pages."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec

from shared.mail import known_errors
from shared.mail.permissions import EMAIL, Choices

ADMIN_CONSENT_STATE = "admin-consent"
"""Marks the answer to an admin-consent link. It is not secret and protects nothing: the link can be
opened in any browser at any time, and its answer changes nothing here."""
REDIRECT_CHECK_STATE = "redirect-check"
"""Marks the answer to a request that only tests the redirect URI. It is not secret either."""
_OIDC = ("openid", "profile", "offline_access", EMAIL)


class Registration(msgspec.Struct, frozen=True):
    """The app registration, as the settings name it."""

    client_id: str
    tenant: str
    authority_host: str
    redirect_uri: str
    graph_resource: str = "https://graph.microsoft.com"

    @property
    def serves_both_kinds(self) -> bool:
        """Whether a sign-in may use a work account or a personal account."""
        return self.tenant.lower() == "common"

    def admin_consent_url(self, choices: Choices, authority: str | None = None) -> str | None:
        """The page where an administrator grants the permissions for everybody in the directory.
        None for personal accounts, which have no administrator. The endpoint does not accept
        `common`.

        https://learn.microsoft.com/entra/identity-platform/v2-admin-consent
        """
        tenant = (authority or self.tenant).lower()
        if tenant == "consumers":
            return None
        if tenant == "common":
            tenant = "organizations"
        query = {
            "client_id": self.client_id,
            "scope": " ".join(
                (*(f"{self.graph_resource}/{scope}" for scope in choices.scopes), *_OIDC)
            ),
            "redirect_uri": self.redirect_uri,
            "state": ADMIN_CONSENT_STATE,
        }
        return f"{self.authority_host}/{tenant}/v2.0/adminconsent?{urlencode(query)}"


def consent_would_help(code: str | None) -> bool:
    """Whether an administrator's consent may remove this error, by the catalogue. A plain
    `access_denied` does not say whether the person or the directory refused."""
    return code is not None and known_errors.find(code).admin_consent


def wants_admin_consent(answer: Mapping[str, str], code: str | None) -> bool:
    """The same for an answer at the callback, which may carry the code in a parameter of its
    own."""
    return consent_would_help(code) or answer.get("admin_consent", "").lower() == "true"
