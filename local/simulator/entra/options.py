"""Switches of the simulated Entra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from local.simulator.options import Options


@dataclass(frozen=True)
class EntraOptions(Options):
    """The defaults are a well-configured registration in a tenant that lets its users consent."""

    # The registration
    redirect_uris: Sequence[str] = ("http://localhost/api/auth/callback",)
    """The comparison ignores the port of http://localhost."""
    sign_in_audience: str = "AzureADandPersonalMicrosoftAccount"
    """With AzureADMyOrg, /common, /organizations and /consumers answer 50194, and another
    organisation's endpoint 700016. AzureADMultipleOrgs and PersonalMicrosoftAccount refuse the
    other kind of account (500208, 700016)."""
    platform: str = "web"
    """web; public (a credential is refused with 700025, none is needed); spa (as public, and
    refresh tokens end after 24 hours with 700084)."""
    spa_accepts_secret: bool = False
    """Lets a web application get a spa refresh token. The real Entra does not."""
    registered_scopes: Sequence[str] = ("Mail.Send", "Mail.ReadWrite", "User.Read")
    """The permissions of `.default` for a signed-in user."""
    app_roles: Sequence[str] = ("Mail.Send", "Mail.ReadWrite", "User.Read.All")
    """Application permissions that an administrator has granted, for organisations without a value
    of their own."""
    registered_app_roles: Sequence[str] = ("Mail.Send", "Mail.ReadWrite", "User.Read.All")
    """Application permissions that an administrator grants by consenting to `.default`."""
    federated_subjects: Sequence[str] | None = None
    """Object ids whose tokens are accepted as the application's credential, in place of the
    subjects of the federated credentials; None changes nothing."""
    allow_public_client: bool = True
    """Device code may be redeemed without a credential."""
    application_disabled: bool = False
    assignment_required: bool = False
    """Users who are neither administrators nor assigned are refused (50105), in organisations
    without a value of their own."""

    # For organisations without values of their own
    consent_policy: str = "anyone"
    """anyone; microsoft_managed (no user consent to reading mail); admin_only."""

    # How strict
    require_pkce: bool = False
    """Refuse an authorize request without a challenge, or with another method than S256 (50147).
    Entra recommends PKCE and does not require it, except of a single-page application (9002325)."""
    strict_refresh_reuse: bool = False
    """A refresh token works once. The real Entra does not do this (entra-oauth.md 3.1)."""
    personal_common_refresh_fails: bool = False
    """70000 at the first refresh of a personal account's token through /common
    (Softeria/ms-365-mcp-server#522)."""

    # How long
    access_token_seconds: float | None = None
    """None means 60 to 90 minutes at random."""
    refresh_token_days: float = 90.0
    code_seconds: float = 600.0
    device_code_seconds: float = 900.0
    device_code_interval: int = 5
    refresh_in: int | None = None

    # Faults of a token answer
    omit_id_token: bool = False
    wrong_nonce: bool = False
    wrong_audience: bool = False
    wrong_issuer: bool = False
    expired_id_token: bool = False
    omit_client_info: bool = False
    malformed_client_info: bool = False
    omit_refresh_token: bool = False
    short_scopes: bool = False
    """Answer with `Mail.Send` if the long form was requested: MSAL's cache then never matches."""
