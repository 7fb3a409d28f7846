"""Switches of the simulated Entra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from local.simulator.options import Options


@dataclass(frozen=True)
class EntraOptions(Options):
    """Defaults are a well-configured registration in a tenant that lets its users consent."""

    # The registration
    redirect_uris: Sequence[str] = ("http://localhost/api/auth/callback",)
    """The port of http://localhost is ignored in matching."""
    sign_in_audience: str = "AzureADandPersonalMicrosoftAccount"
    """AzureADMyOrg makes /common, /organizations and /consumers answer 50194, and another
    organisation's endpoint 700016; AzureADMultipleOrgs and PersonalMicrosoftAccount turn the other
    kind of account away (500208, 700016)."""
    platform: str = "web"
    """web; public (a credential is refused with 700025, none is needed); spa (as public, and
    refresh tokens end after 24 hours with 700084)."""
    spa_accepts_secret: bool = False
    """Lets a web application come as far as holding a spa refresh token. Not what Entra does."""
    registered_scopes: Sequence[str] = ("Mail.Send", "Mail.ReadWrite", "User.Read")
    """What `.default` means for a signed-in user."""
    app_roles: Sequence[str] = ("Mail.Send", "Mail.ReadWrite", "User.Read.All")
    """Application permissions that an administrator has granted, where an organisation says nothing
    itself."""
    registered_app_roles: Sequence[str] = ("Mail.Send", "Mail.ReadWrite", "User.Read.All")
    """Application permissions that an administrator grants by consenting to `.default`."""
    federated_subjects: Sequence[str] | None = None
    """Object ids whose tokens may stand in for the application's credential, in place of the
    subjects of the federated credentials; None leaves those as they are."""
    allow_public_client: bool = True
    """Device code may be redeemed without a credential."""
    application_disabled: bool = False
    assignment_required: bool = False
    """Users who are neither administrators nor assigned are refused (50105), where their
    organisation says nothing itself."""

    # Every organisation that says nothing itself
    consent_policy: str = "anyone"
    """anyone; microsoft_managed (no user consent to reading mail); admin_only."""

    # How strict
    require_pkce: bool = True
    """Entra lets confidential clients do without; here it is refused, so that a lost challenge
    shows."""
    strict_refresh_reuse: bool = False
    """A refresh token works once. Not what Entra does (entra-oauth.md 3.1)."""
    personal_common_refresh_fails: bool = False
    """70000 at the first refresh of a personal account's token through /common
    (Softeria/ms-365-mcp-server#522)."""

    # How long
    access_token_seconds: float | None = None
    """None is 60 to 90 minutes at random."""
    refresh_token_days: float = 90.0
    code_seconds: float = 600.0
    device_code_seconds: float = 900.0
    device_code_interval: int = 5
    refresh_in: int | None = None

    # What goes wrong in a token answer
    omit_id_token: bool = False
    wrong_nonce: bool = False
    wrong_audience: bool = False
    wrong_issuer: bool = False
    expired_id_token: bool = False
    omit_client_info: bool = False
    malformed_client_info: bool = False
    omit_refresh_token: bool = False
    short_scopes: bool = False
    """Echo `Mail.Send` where the long form was asked for: MSAL's cache then never hits."""
