"""The steps that the set-up still needs, from what was read. Pure: it asks no service."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from shared.mail import permissions
from shared.mail.account import Account, AccountState
from shared.mail.delivery_mode import DeliveryMode
from shared.mail.mail import Mail
from shared.mail.outcome import Evidence
from shared.mail.status import Status
from shared.services.sign_in.ports import CredentialVersion
from shared.services.sign_in.registration import Registration

CLIENT_CERTIFICATE = "postroom-client-certificate"
SOON = timedelta(days=30)
APP_MENU = (
    "In the Entra admin centre (entra.microsoft.com) > Entra ID > App registrations > "
    "All applications > Postroom's app > "
)


class StepState(StrEnum):
    """The state of a step."""

    DONE = "done"
    OPEN = "open"
    UNSURE = "unsure"
    """No service can say, or the service did not answer."""


class Step(msgspec.Struct, frozen=True):
    """One line of the checklist."""

    name: str
    title: str
    state: StepState
    found: str
    """What is known, in words."""
    do: str | None = None
    command: str | None = None


class Trial(StrEnum):
    """The result of asking Entra for a token in the app's own name."""

    TAKEN = "taken"
    REFUSED = "refused"
    NO_ANSWER = "no_answer"
    NOT_ASKED = "not_asked"
    """POSTROOM_TENANT names no directory, so there is nothing to ask for."""


class Found(msgspec.Struct, frozen=True):
    """What was read from the services."""

    vault_trouble: str | None = None
    vault_refused: bool = False
    """Whether the vault itself refused; if not, it was not reached."""
    written: bool = False
    """Whether the app has written to the vault before."""
    trial: Trial = Trial.NOT_ASKED
    trial_words: str | None = None
    versions: Sequence[CredentialVersion] = ()
    accounts: Sequence[Account] = ()
    mail: Mail | None = None
    """The newest test mail."""
    sent: bool = False
    """Whether any mail was sent, also one that is no test mail."""
    evidence: Evidence | None = None
    """The result of the search in the mailbox, if one is possible."""


def steps(
    found: Found, registration: Registration, *, proves_by: str, now: datetime
) -> Sequence[Step]:
    """The checklist, in the order in which a person works through it."""
    return (
        _settings(registration),
        _vault(found),
        _credential(found, registration, proves_by=proves_by, now=now),
        _redirect(found, registration),
        _scopes(found, registration),
        _account(found),
        _mail(found),
    )


def _settings(registration: Registration) -> Step:
    return Step(
        "settings",
        "Settings",
        StepState.DONE,
        f"All are there and sound. The directory is {registration.tenant}, the application (client) "
        f"id {registration.client_id}.",
    )


def _vault(found: Found) -> Step:
    title = "Key Vault"
    command = (
        'az role assignment create --role "Key Vault Secrets Officer" '
        "--assignee <principal id of the app's identity> --scope <id of the vault>"
    )
    if found.vault_trouble is not None and not found.vault_refused:
        return Step(
            "vault",
            title,
            StepState.OPEN,
            found.vault_trouble,
            "Look again in a minute. If it stays: in the Azure portal (portal.azure.com) > Key vaults > the "
            "vault > Overview compare the Vault URI with the setting POSTROOM_VAULT_URL, and under "
            "Networking see that the app may reach it.",
            "az keyvault show --name <name of the vault> --query properties.vaultUri",
        )
    if found.vault_trouble is not None:
        return Step(
            "vault",
            title,
            StepState.OPEN,
            found.vault_trouble,
            "In the Azure portal (portal.azure.com) > Key vaults > the vault > Access control (IAM) "
            "> Add role assignment give Key Vault Secrets Officer to the app's identity.",
            command,
        )
    if found.written:
        return Step("vault", title, StepState.DONE, "It answers, and Postroom has written into it.")
    return Step(
        "vault",
        title,
        StepState.UNSURE,
        "It answers. Whether Postroom may write into it shows when it does.",
        "Press the button: a secret that holds nothing is written. If that is refused, in the Azure "
        "portal (portal.azure.com) > Key vaults > the vault > Access control (IAM) > Add role "
        "assignment give Key Vault Secrets Officer to the app's identity.",
        command,
    )


def _credential(found: Found, registration: Registration, *, proves_by: str, now: datetime) -> Step:
    title, do, command = _how_to_prove(registration, proves_by)

    def step(state: StepState, words: str) -> Step:
        done = state is StepState.DONE
        return Step(
            "credential", title, state, words, None if done else do, None if done else command
        )

    if found.vault_trouble is not None:
        return step(StepState.UNSURE, "Not known while Key Vault does not answer.")
    enabled = [one for one in found.versions if one.enabled]
    if not enabled:
        return step(StepState.OPEN, "There is none in Key Vault yet.")
    used = next((one for one in enabled if one.in_use), enabled[0])
    named = "The managed identity" if used.kind == "managed-identity" else f"Version {used.version}"
    lasts, is_soon = _lasting(used, now)
    match found.trial:
        case Trial.TAKEN:
            state = StepState.OPEN if is_soon else StepState.DONE
            return step(state, f"{named} works: Entra has just taken it. {lasts}".strip())
        case Trial.REFUSED:
            return step(StepState.OPEN, f"Entra refuses it. {found.trial_words}")
        case Trial.NO_ANSWER:
            return step(StepState.UNSURE, f"Entra gave no answer. {found.trial_words} {lasts}")
    if used.in_use:
        state = StepState.OPEN if is_soon else StepState.DONE
        return step(state, f"{named} works: Entra took it at the last sign-in. {lasts}".strip())
    return step(
        StepState.UNSURE,
        f"{named} is there. POSTROOM_TENANT names no directory of your own in which Entra could be "
        f"asked, so the first sign-in shows whether it works. {lasts}".strip(),
    )


def _how_to_prove(registration: Registration, proves_by: str) -> tuple[str, str, str]:
    """The title, what to do, and the command line for it."""
    client_id = registration.client_id
    match proves_by:
        case "secret":
            return (
                "Client secret",
                f"{APP_MENU}Certificates & secrets > Client secrets > New client secret. Copy its "
                "Value (not its Secret ID) into the form below, with the day in the column Expires.",
                f"infra/register-app.sh --client-id {client_id} --vault <name of the vault>",
            )
        case "certificate":
            return (
                "Certificate",
                "In the Azure portal (portal.azure.com) > Key vaults > the vault > Certificates > "
                f"Generate/Import make {CLIENT_CERTIFICATE} (RSA, exportable key), open its version "
                f"and Download in CER format. {APP_MENU}Certificates & secrets > Certificates > "
                "Upload certificate, and choose that file.",
                f"az keyvault certificate create --vault-name <vault> --name {CLIENT_CERTIFICATE} "
                '--policy "$(az keyvault certificate get-default-policy)" && '
                f"az keyvault certificate download --vault-name <vault> --name {CLIENT_CERTIFICATE} "
                "--encoding PEM --file postroom.pem && "
                f"az ad app credential reset --id {client_id} --cert @postroom.pem --append "
                "--output none",
            )
        case _:
            return (
                "Managed identity as the app's credential",
                f"{APP_MENU}Certificates & secrets > Federated credentials > Add credential > "
                "Managed identity, and choose the identity that POSTROOM_IDENTITY_CLIENT_ID names.",
                f"az ad app federated-credential list --id {client_id}",
            )


def _lasting(version: CredentialVersion, now: datetime) -> tuple[str, bool]:
    """How long it is valid, and whether that is short."""
    if version.kind == "managed-identity":
        return "It does not expire.", False
    if version.expires_at is None and version.kind == "certificate":
        return "When it expires cannot be read.", False
    if version.expires_at is None:
        return "Nobody wrote down when it expires; store it again to have it watched.", False
    days = (version.expires_at - now).days
    if days < 0:
        passed = "It has expired." if version.kind == "certificate" else ""
        return passed or "The day of expiry that was written down has passed.", True
    return f"It has {days} {'day' if days == 1 else 'days'} left.", days < SOON.days


def _redirect(found: Found, registration: Registration) -> Step:
    tried = any(row.kind.is_signed_in for row in found.accounts)
    words = (
        "A mailbox is signed in. If that was through the browser, the address was right then."
        if tried
        else "Postroom cannot see what is registered, and Entra tells nobody in advance: try it."
    )
    return Step(
        "redirect",
        "Redirect URI",
        StepState.DONE if tried else StepState.UNSURE,
        words,
        f"{APP_MENU}Authentication > Add a platform (Add Redirect URI) > Web, and enter the address "
        "below, to the letter.",
        f"az ad app update --id {registration.client_id} "
        f"--web-redirect-uris {registration.redirect_uri}",
    )


# The ids of Microsoft Graph's delegated permissions.
# https://learn.microsoft.com/graph/permissions-reference
_SEND_ID = "e383f46e-2787-4529-855e-0e479a3ffac0"
_KNOW_ID = "e1fe6dd8-ba31-4d61-89e7-88639da4683d"
_GRAPH_ID = "00000003-0000-0000-c000-000000000000"


def _scopes(found: Found, registration: Registration) -> Step:
    granted = sorted({scope for row in found.accounts for scope in row.scopes} & permissions.ALL)
    return Step(
        "scopes",
        "Permissions",
        StepState.DONE if permissions.SEND in granted else StepState.UNSURE,
        f"Granted at a sign-in: {', '.join(granted)}."
        if granted
        else "What Microsoft grants shows at the first sign-in.",
        f"{APP_MENU}API permissions > Add a permission > Microsoft Graph > Delegated permissions, "
        "tick Mail.Send and User.Read, and for verified sending Mail.ReadWrite, for shared mailboxes "
        "Mail.Send.Shared (with both: Mail.ReadWrite.Shared).",
        f"az ad app permission add --id {registration.client_id} --api {_GRAPH_ID} "
        f"--api-permissions {_SEND_ID}=Scope {_KNOW_ID}=Scope",
    )


def _account(found: Found) -> Step:
    title = "The first mailbox"
    ready = [row for row in found.accounts if row.state is AccountState.READY]
    if ready:
        more = f" and {len(ready) - 1} more" if len(ready) > 1 else ""
        return Step("account", title, StepState.DONE, f"{ready[0].address} is ready{more}.")
    if found.accounts:
        return Step(
            "account",
            title,
            StepState.OPEN,
            "No mailbox is ready.",
            "Open Accounts: it says of each what is wrong and who does what.",
        )
    return Step(
        "account",
        title,
        StepState.OPEN,
        "No mailbox is signed in.",
        "Open Accounts, choose a name for the mailbox, and sign in with the account that mails are "
        "to be sent from.",
    )


def _mail(found: Found) -> Step:
    title = "The first mail"
    mail = found.mail
    if mail is None and found.sent:
        return Step(
            "mail",
            title,
            StepState.DONE,
            "Mails were sent already. A test mail shows the whole way, if you want to see it.",
        )
    if mail is None:
        return Step(
            "mail",
            title,
            StepState.OPEN,
            "No test mail was sent yet.",
            "Send one below, to an address whose inbox you can see.",
        )
    if mail.status is Status.SENT:
        return Step("mail", title, *_seen_words(mail, found.evidence))
    if mail.moves_on:
        return Step("mail", title, StepState.UNSURE, "It is under way.")
    return Step(
        "mail",
        title,
        StepState.OPEN,
        "The last test mail was not sent.",
        "Its page says why and what to do. Then send another one below.",
    )


def _seen_words(mail: Mail, evidence: Evidence | None) -> tuple[StepState, str]:
    """What is known of a sent mail besides that Microsoft accepted it."""
    if mail.delivery is not DeliveryMode.VERIFIED:
        return (
            StepState.DONE,
            "Microsoft took it. This account sends directly, so Postroom may not look into Sent "
            "Items: look yourself, or sign in again with verified sending.",
        )
    if evidence is Evidence.SENT:
        return StepState.DONE, "Sent, and its copy was just seen in the mailbox's Sent Items."
    return (
        StepState.UNSURE,
        "Microsoft took it, and its copy is not seen in the mailbox. The copy may be some minutes "
        "behind, and there is none where the account keeps no copies.",
    )


class Stage(msgspec.Struct, frozen=True):
    """A stage that the test mail has reached."""

    title: str
    at: datetime | None
    """When it was reached; None if it was not, or if the time is not known."""
    reached: bool
    words: str | None = None


LOOKED_FOR = timedelta(minutes=5)
"""How long after sending a copy is expected to appear."""


def stages(mail: Mail, evidence: Evidence | None) -> Sequence[Stage]:
    """The four stages of a test mail, in order."""
    begun = next((e.at for e in mail.events if e.status is Status.SENDING), None)
    sent = mail.status is Status.SENT
    seen = sent and evidence is Evidence.SENT
    if mail.delivery is not DeliveryMode.VERIFIED:
        words = (
            "Not looked for: an account that sends directly does not let Postroom into its mailbox. "
            "Look there yourself, or sign in again with 'Verified sending'."
        )
    else:
        words = "Its copy is there." if seen else "Not seen yet."
    return (
        Stage("Accepted", mail.accepted_at, reached=True),
        Stage("Sending", begun, reached=begun is not None),
        Stage("Sent", mail.sent_at, reached=sent),
        Stage("Seen in Sent Items", None, seen, words),
    )


def is_followed(found: Found, now: datetime) -> bool:
    """Whether another search for the test mail may show more."""
    mail = found.mail
    if mail is None:
        return False
    if mail.status is Status.SENT:
        waits = mail.delivery is DeliveryMode.VERIFIED and found.evidence is not Evidence.SENT
        return waits and mail.sent_at is not None and now - mail.sent_at < LOOKED_FOR
    return mail.moves_on
