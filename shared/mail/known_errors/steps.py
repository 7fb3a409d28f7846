"""Menu paths of Microsoft's admin centres and of Postroom's pages, each spelled in one place.

https://learn.microsoft.com/entra/identity/enterprise-apps/grant-admin-consent
https://learn.microsoft.com/exchange/recipients-in-exchange-online/manage-permissions-for-recipients
"""

from __future__ import annotations

AGAIN = "Sign the mailbox in again on /accounts."
THEN_AGAIN = "then sign the mailbox in again on /accounts."
START_AGAIN = "Open /accounts and start the sign-in again, in one tab."

_ENTRA = "the Entra admin centre (entra.microsoft.com) > Entra ID"
REGISTRATION = f"{_ENTRA} > App registrations > All applications > Postroom's app"
ENTERPRISE_APP = f"{_ENTRA} > Enterprise apps > All applications > Postroom's app"
USERS = f"{_ENTRA} > Users > All users"
USER = f"{USERS} > the mailbox's user"
POLICIES = f"{_ENTRA} > Conditional Access > Policies"
SIGN_IN_LOG = f"{_ENTRA} > Monitoring & health > Sign-in logs"
CROSS_TENANT = f"{_ENTRA} > External Identities > Cross-tenant access settings"
SECURITY_DEFAULTS = f"{_ENTRA} > Overview > Properties > Manage security defaults"

MAILBOXES = "the Exchange admin centre (admin.exchange.microsoft.com) > Recipients > Mailboxes"
MAILBOX = f"{MAILBOXES} > the mailbox"
LICENCES = "the Microsoft 365 admin centre (admin.microsoft.com) > Users > Active users > the user > Licenses and apps"

CONSENT = (
    "An administrator opens the admin-consent link that /accounts offers, or in "
    f"{ENTERPRISE_APP} > Permissions chooses 'Grant admin consent'"
)

NEW_SECRET = (
    f"In {REGISTRATION} > Certificates & secrets > Client secrets make a new one, and store its Value "
    "(not its Secret ID) in Key Vault as the secret postroom-client-secret. Postroom picks it up "
    "without a restart."
)
