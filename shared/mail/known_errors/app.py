"""The faults that Postroom finds in its vault, its identity and its grants.

Key Vault names the cause of a refusal in its inner error codes:
https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
"""

from __future__ import annotations

from shared.mail.known_errors.row import Actor, KnownError, Retry, alike
from shared.mail.known_errors.steps import AGAIN, NEW_SECRET

_ROLE = (
    "In the Azure portal > the key vault > Access control (IAM) give the Function App's managed "
    "identity a role that may read and set secrets (Key Vault Secrets Officer, or the narrower one "
    "that infra/ makes). A new assignment takes some minutes to work."
)

NEW_CERTIFICATE = (
    "In the Azure portal > the key vault > Certificates make postroom-client-certificate (RSA, exportable), "
    "download it in CER format, and upload that in the app registration > Certificates & secrets > "
    "Certificates."
)

ROWS: dict[str, KnownError] = {
    **alike(
        "no_grant",
        "Key Vault holds no grant for the mailbox: it was never signed in here, or its secret was deleted or disabled.",
        Actor.MAILBOX_OWNER,
        AGAIN,
    ),
    **alike(
        "holder_gone",
        "The account that this shared mailbox was reached through is not connected any more.",
        Actor.OPERATOR,
        "Sign that account in again on /accounts, then add the shared mailbox again under its alias.",
        sign_in_after=True,
    ),
    **alike(
        "shared_not_granted",
        "The account that this shared mailbox is reached through was signed in without Mail.Send.Shared.",
        Actor.MAILBOX_OWNER,
        "Sign that account in again on /accounts with the box 'Shared mailboxes and other From "
        "addresses' ticked.",
    ),
    **alike(
        "no_client_secret",
        "Key Vault holds no client secret for the app.",
        Actor.OPERATOR,
        NEW_SECRET,
    ),
    **alike(
        "no_client_certificate",
        "Key Vault holds no certificate postroom-client-certificate.",
        Actor.OPERATOR,
        NEW_CERTIFICATE,
    ),
    **alike(
        "unusable_certificate",
        "The certificate postroom-client-certificate in Key Vault cannot be used: its key is not RSA, or "
        "may not be exported.",
        Actor.OPERATOR,
        NEW_CERTIFICATE,
    ),
    **alike(
        "no_managed_identity",
        "The app's managed identity gave no token.",
        Actor.OPERATOR,
        "In the Azure portal > the Function App > Identity > User assigned, assign the identity "
        "whose client id POSTROOM_IDENTITY_CLIENT_ID holds.",
    ),
    **alike(
        "vault_refused",
        "Key Vault refuses the app's identity.",
        Actor.OPERATOR,
        f"{_ROLE} The vault's Networking page must let the app in, and the postroom- secrets must "
        "be enabled. GET /api/health/details says which of these Key Vault names.",
    ),
    **alike(
        "ForbiddenByRbac", "The app's identity lacks a role in Key Vault.", Actor.OPERATOR, _ROLE
    ),
    **alike(
        "ForbiddenByPolicy",
        "The key vault's access policies do not let the app's identity get and set secrets.",
        Actor.OPERATOR,
        "In the Azure portal > the key vault > Access policies give the Function App's managed "
        "identity the secret permissions Get, Set, List and Delete; or switch the vault to role-based access.",
    ),
    **alike(
        "ForbiddenByFirewall",
        "The key vault's firewall does not let the app in.",
        Actor.OPERATOR,
        "In the Azure portal > the key vault > Networking let the Function App's network or "
        "outbound addresses in, or use a private endpoint.",
    ),
    **alike(
        "SecretDisabled",
        "A secret of Postroom's is disabled in Key Vault.",
        Actor.OPERATOR,
        "In the Azure portal > the key vault > Secrets enable the current version of the "
        "postroom- secret; for a mailbox's grant, sign the mailbox in again on /accounts instead.",
    ),
    **alike(
        "entra_unreachable",
        "Microsoft's sign-in service did not answer, or has a temporary problem.",
        Actor.NOBODY,
        "Nothing was sent; Postroom tries again. https://status.cloud.microsoft says whether it is "
        "known.",
        Retry.LATER,
    ),
    **alike(
        "vault_unreachable",
        "Key Vault did not answer.",
        Actor.NOBODY,
        "Nothing was sent; Postroom tries again. If it stays, compare POSTROOM_VAULT_URL with the "
        "vault, and look at the vault's Networking page.",
        Retry.LATER,
    ),
    **alike(
        "identity_unreachable",
        "The app's managed identity did not answer.",
        Actor.NOBODY,
        "Nothing was sent; Postroom tries again.",
        Retry.LATER,
    ),
    **alike(
        "scope_missing",
        "A permission that the account was set up with is missing from what Microsoft grants now.",
        Actor.MAILBOX_OWNER,
        "Sign the mailbox in again on the accounts page and agree to it; where Microsoft asks for an "
        "approval, an administrator of the directory consents for the app.",
    ),
    **alike(
        "mailbox_refused",
        "Microsoft Graph does not show the mailbox.",
        Actor.DIRECTORY_ADMIN,
        "Check that the user is enabled and has an Exchange Online licence, and that the app has "
        "User.Read; then check again.",
    ),
    **alike(
        "address_changed",
        "The mailbox's address has changed since it was connected.",
        Actor.OPERATOR,
        "Sign the mailbox in again on the accounts page, or add it again under its alias, to take the new "
        "address over.",
    ),
    **alike(
        "graph_unreachable",
        "Microsoft Graph did not answer a check, which says nothing about the account.",
        Actor.NOBODY,
        "Check again in some minutes.",
        Retry.LATER,
    ),
    **alike(
        "not_reached",
        "Microsoft Graph was not reached; nothing was sent.",
        Actor.NOBODY,
        "Postroom tries again. https://status.cloud.microsoft says whether it is known.",
        Retry.LATER,
    ),
    **alike(
        "disconnecting",
        "The account is being disconnected.",
        Actor.OPERATOR,
        "Disconnect it once more on /accounts to finish. Its mails wait until the same mailbox is "
        "connected again under the alias, unless they are cancelled.",
    ),
    **alike(
        "account_gone",
        "The account does not exist any more.",
        Actor.OPERATOR,
        "Connect the mailbox again on /accounts, under the same alias.",
    ),
}
