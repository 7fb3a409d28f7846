"""OAuth error names. They decide if the answer has no known AADSTS number.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code
"""

from __future__ import annotations

from shared.mail.known_errors.row import Actor, KnownError, Retry, alike
from shared.mail.known_errors.steps import AGAIN, CONSENT, REGISTRATION

ROWS: dict[str, KnownError] = {
    **alike(
        "access_denied",
        "The sign-in was cancelled or not allowed.",
        Actor.MAILBOX_OWNER,
        "Start again on /accounts. If Microsoft asked for an administrator's approval: "
        f"{CONSENT[0].lower()}{CONSENT[1:]} first.",
        admin_consent=True,
    ),
    **alike(
        "permission_denied",
        "The administrator did not consent.",
        Actor.DIRECTORY_ADMIN,
        f"{CONSENT}; an account that may consent for the whole directory is needed (Cloud "
        "Application Administrator or higher).",
        admin_consent=True,
    ),
    **alike(
        "invalid_grant",
        "Microsoft does not accept the grant any more.",
        Actor.MAILBOX_OWNER,
        AGAIN,
        Retry.ONCE,
    ),
    **alike(
        "interaction_required login_required",
        "Microsoft wants the person to sign in again.",
        Actor.MAILBOX_OWNER,
        AGAIN,
    ),
    **alike(
        "consent_required",
        "Consent to the app's permissions is missing.",
        Actor.MAILBOX_OWNER,
        f"Sign the mailbox in again on /accounts and accept the permissions. {CONSENT}, where the "
        "directory does not let its users consent.",
        admin_consent=True,
    ),
    **alike(
        "authorization_declined",
        "The permissions were declined on the page where the code was typed.",
        Actor.MAILBOX_OWNER,
        "Start again on /accounts and accept the permissions.",
    ),
    **alike(
        "expired_token",
        "The code has expired: it was not typed in time.",
        Actor.MAILBOX_OWNER,
        "Start again on /accounts and type the new code within a quarter of an hour.",
    ),
    **alike(
        "bad_verification_code",
        "Microsoft does not know the code any more: it was used already.",
        Actor.MAILBOX_OWNER,
        "Look at /accounts: the mailbox may be there. If not, start again and type the new code.",
    ),
    **alike(
        "authorization_pending slow_down",
        "Nobody has typed the code yet.",
        Actor.NOBODY,
        "Open the page that Postroom names and type the code.",
        Retry.LATER,
    ),
    **alike(
        "invalid_client unauthorized_client invalid_request invalid_resource invalid_scope "
        "invalid_tenant unsupported_grant_type unsupported_response_type",
        "Microsoft refused the app's credential or registration.",
        Actor.OPERATOR,
        f"Compare {REGISTRATION} with Postroom's settings: client id (POSTROOM_CLIENT_ID), tenant "
        "(POSTROOM_TENANT), client secret (postroom-client-secret in Key Vault), redirect URI "
        "(platform 'Web'), API permissions.",
    ),
    **alike(
        "temporarily_unavailable server_error",
        "Microsoft's sign-in service has a temporary problem.",
        Actor.NOBODY,
        "Wait a little and try again; https://status.cloud.microsoft says whether it is known.",
        Retry.LATER,
    ),
}
