"""How far setting Postroom up has come: read from the world each time, so that nothing is lost by
leaving the page, and a step that breaks later is open again.

What is found out is in `Found`; what it means, in `steps`, which asks nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol
from urllib.parse import urlencode

import msgspec

from shared.errors import ConsentRequired, CredentialRefused, FieldProblem, PostroomError, Refused
from shared.mail import permissions, problems
from shared.mail.account import Account, AccountState
from shared.mail.mail import Mail, MailFilter
from shared.mail.outcome import Look, Sight
from shared.mail.status import Status
from shared.mail.way import Way
from shared.services.document import read_json
from shared.services.patience import Patience
from shared.services.ports import (
    Accounts,
    AppCredentialStatus,
    Clock,
    CredentialVersion,
    Grant,
    Ledger,
    StoredSecret,
)
from shared.services.registration import REDIRECT_CHECK_STATE, Registration
from shared.services.submission import Submission

CLIENT_SECRET = "postroom-client-secret"  # noqa: S105 - its name in the vault
CLIENT_CERTIFICATE = "postroom-client-certificate"
WRITE_CHECK = "postroom-setup-check"
"""A secret that holds nothing: that it is there proves that the app may write."""
TEST_TAG = "setup"
SOON = timedelta(days=30)
PATIENCE_SECONDS = 6.0
"""How long the page may wait for the vault, Entra and the mailbox together."""
APP_MENU = (
    "In the Entra admin centre (entra.microsoft.com) > Entra ID > App registrations > "
    "All applications > Postroom's app > "
)
_SHARED_AUTHORITIES = ("common", "organizations", "consumers")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LEAST_SECRET = 16
_MOST_SECRET = 512


class StepState(StrEnum):
    """How a step stands."""

    DONE = "done"
    OPEN = "open"
    UNSURE = "unsure"
    """Nobody can be asked, or whoever can did not answer."""


@dataclass(frozen=True)
class Step:
    """One line of the checklist."""

    name: str
    title: str
    state: StepState
    found: str
    """What is known, in words."""
    do: str | None = None
    command: str | None = None


class Trial(StrEnum):
    """What came of asking Entra for a token in the app's own name."""

    TAKEN = "taken"
    REFUSED = "refused"
    NO_ANSWER = "no_answer"
    NOT_ASKED = "not_asked"
    """Without a directory of its own, there is nothing to ask for."""


@dataclass(frozen=True)
class Found:
    """The world as it was found."""

    vault_trouble: str | None = None
    written: bool = False
    """Whether the app has written into the vault before."""
    trial: Trial = Trial.NOT_ASKED
    trial_words: str | None = None
    versions: Sequence[CredentialVersion] = ()
    accounts: Sequence[Account] = ()
    mail: Mail | None = None
    """The newest test mail."""
    sight: Sight | None = None
    """What a look into the mailbox found, where one is possible."""


class SecretStore(Protocol):
    """What setting up needs of Key Vault."""

    def get(self, name: str) -> StoredSecret | None:
        """See `ports.Vault`."""
        ...

    def set(
        self,
        name: str,
        value: str,
        tags: Mapping[str, str] | None = None,
        *,
        expires_at: datetime | None = None,
    ) -> StoredSecret:
        """See `ports.Vault`; with when the value ceases to be good, which the vault notes down."""
        ...


class AppIdentityPlatform(Protocol):
    """What setting up needs of Entra."""

    def app_grant(self, authority: str) -> Grant:
        """See `ports.IdentityPlatform`."""
        ...


class LooksForMail(Protocol):
    """What setting up needs of verified sending."""

    def find_out(self, account: Account, mail: Mail) -> Look:
        """Look into the mailbox for a mail."""
        ...


class SettingUp:
    """Finds out how far it is, and takes what a person gives."""

    def __init__(
        self,
        *,
        registration: Registration,
        proves_by: str,
        vault: SecretStore,
        credential: AppCredentialStatus,
        identity: AppIdentityPlatform,
        accounts: Accounts,
        ledger: Ledger,
        submission: Submission,
        finding: LooksForMail,
        clock: Clock,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.registration = registration
        self.proves_by = proves_by
        self._vault = vault
        self._credential = credential
        self._identity = identity
        self._accounts = accounts
        self._ledger = ledger
        self._submission = submission
        self._finding = finding
        self._clock = clock
        self._patience_seconds = patience_seconds

    def look(self) -> Found:
        """Ask everybody now. Raises where storage does not answer; what the vault and Entra have
        to say is part of what is found."""
        patience = Patience(self._patience_seconds)
        accounts, mail = self._accounts.all(fresh=True), self._newest_test()
        found = Found(accounts=accounts, mail=mail)
        signed_in = any(row.kind.is_signed_in for row in accounts)
        try:
            written, versions = patience.ask("vault", lambda: self._of_the_vault(signed_in))
        except PostroomError as error:
            found = replace(found, vault_trouble=str(error))
        else:
            found = replace(found, written=written, versions=versions)
            trial, words = self._tried(patience)
            found = replace(found, trial=trial, trial_words=words)
            # Which version it was that Entra took is known only now.
            if trial is Trial.TAKEN:
                try:
                    versions = patience.ask("vault", self._credential.describe)
                except PostroomError as error:
                    found = replace(found, vault_trouble=str(error))
                else:
                    found = replace(found, versions=versions)
        return replace(found, sight=self._seen(mail, accounts, patience))

    def _of_the_vault(self, signed_in: bool) -> tuple[bool, Sequence[CredentialVersion]]:
        """Whether the app has written into it, and what it holds to prove the app by."""
        written = signed_in or self._vault.get(WRITE_CHECK) is not None
        return written, self._credential.describe()

    def steps(self) -> tuple[Found, Sequence[Step]]:
        """What was found, and the checklist that follows from it."""
        found = self.look()
        return found, steps(found, self.registration, proves_by=self.proves_by, now=self._clock())

    def try_vault(self) -> None:
        """Write a secret that holds nothing. Raises RemoteError where the app may not."""
        self._vault.set(WRITE_CHECK, "written by /setup")

    def keep_secret(self, value: str, expires_on: str) -> None:
        """Put the client secret into Key Vault, with the day on which it expires.

        Raises Refused, which never quotes it, and RemoteError; after an AnswerLost it may be there.
        """
        if self.proves_by != "secret":
            used = {"certificate": "a certificate", "managed-identity": "its managed identity"}
            raise Refused(
                problems.INVALID_REQUEST,
                f"This app uses {used[self.proves_by]} and no client secret.",
                help="Nothing is to be done. To use a secret, set POSTROOM_CREDENTIAL to secret.",
            )
        expires_at, value = read_expiry(expires_on, self._clock()), value.strip()
        refuse_what_is_no_secret(value)
        self._vault.set(CLIENT_SECRET, value, expires_at=expires_at)

    def send_test(self, address: str, account: str | None) -> Mail:
        """Accept the test mail. Raises Refused."""
        document = {
            "to": address.strip(),
            "subject": "Postroom works",
            "text": "This test mail was sent from Postroom's set-up page. Nothing is to be done.",
            "tags": [TEST_TAG],
            **({"account": account} if account else {}),
        }
        order = read_json(msgspec.json.encode(document), self._clock())
        return self._submission.accept(order).mail

    def _newest_test(self) -> Mail | None:
        page = self._ledger.page(MailFilter(tag=TEST_TAG), 1, None)
        return page.mails[0] if page.mails else None

    def _seen(
        self, mail: Mail | None, accounts: Sequence[Account], patience: Patience
    ) -> Sight | None:
        if mail is None or mail.status is not Status.SENT or mail.delivery is not Way.VERIFIED:
            return None
        account = next((row for row in accounts if row.account_id == mail.account_id), None)
        if account is None:
            return None
        try:
            return patience.ask("mailbox", lambda: self._finding.find_out(account, mail)).sight
        except PostroomError:
            return Sight.UNSEEN

    def _tried(self, patience: Patience) -> tuple[Trial, str | None]:
        if self.registration.tenant.lower() in _SHARED_AUTHORITIES:
            return Trial.NOT_ASKED, None
        try:
            patience.ask("entra", lambda: self._identity.app_grant(self.registration.tenant))
        except (CredentialRefused, ConsentRequired) as error:
            return Trial.REFUSED, str(error)
        except PostroomError as error:
            return Trial.NO_ANSWER, str(error)
        return Trial.TAKEN, None


def read_expiry(text: str, now: datetime) -> datetime:
    """The end of the day before the one that was typed has begun everywhere. Raises Refused."""
    try:
        at = datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise _wrong(
            "expires", "is missing or no date: copy the day in the column Expires of Entra"
        ) from None
    if at <= now:
        raise _wrong("expires", "has passed: make a new client secret in Entra")
    return at


def refuse_what_is_no_secret(value: str) -> None:
    """Raise Refused for what cannot be the value of a client secret. Quotes nothing of it."""
    if _GUID.fullmatch(value):
        raise _wrong(
            "secret",
            "is the Secret ID (a GUID): copy the column Value. Entra shows it only right after "
            "the secret was made; if it is hidden by now, make a new one",
        )
    if not _LEAST_SECRET <= len(value) <= _MOST_SECRET or not re.fullmatch(r"[\x21-\x7e]+", value):
        raise _wrong(
            "secret", "is not a client secret's value: copy the whole column Value, and only that"
        )


def _wrong(field: str, message: str) -> Refused:
    name = {"secret": "The client secret", "expires": "The day of expiry"}[field]
    return Refused(
        problems.INVALID_REQUEST,
        f"{name} {message}.",
        [FieldProblem(field, message)],
        help="Nothing was stored.",
    )


def redirect_check_url(registration: Registration) -> str:
    """A visit to Entra that asks for nothing and comes back at once, if the redirect URI is right.

    Entra answers to a registered address only; for any other it shows AADSTS50011 on its own page,
    which Postroom cannot see.
    """
    query = {
        "client_id": registration.client_id,
        "response_type": "code",
        "response_mode": "form_post",
        "redirect_uri": registration.redirect_uri,
        "scope": "openid",
        "prompt": "none",
        "state": REDIRECT_CHECK_STATE,
    }
    host, tenant = registration.authority_host, registration.tenant
    return f"{host}/{tenant}/oauth2/v2.0/authorize?{urlencode(query)}"


def steps(
    found: Found, registration: Registration, *, proves_by: str, now: datetime
) -> Sequence[Step]:
    """The checklist, in the order in which it is worked through."""
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
    """How long it is good for, and whether that is not long."""
    if version.kind == "managed-identity":
        return "It does not expire.", False
    if version.expires_at is None and version.kind == "certificate":
        return "When it expires cannot be read.", False
    if version.expires_at is None:
        return "Nobody wrote down when it expires; storing it again below does.", False
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
    if mail is None:
        return Step(
            "mail",
            title,
            StepState.OPEN,
            "No test mail was sent yet.",
            "Send one below, to an address whose inbox you can see.",
        )
    if mail.status is Status.SENT:
        return Step("mail", title, *_seen_words(mail, found.sight))
    if mail.moves_on:
        return Step("mail", title, StepState.UNSURE, "It is under way.")
    return Step(
        "mail",
        title,
        StepState.OPEN,
        "The last test mail was not sent.",
        "Its page says why and what to do. Then send another one below.",
    )


def _seen_words(mail: Mail, sight: Sight | None) -> tuple[StepState, str]:
    """What is known of a sent mail beyond that Microsoft took it."""
    if mail.delivery is not Way.VERIFIED:
        return (
            StepState.DONE,
            "Microsoft took it. This account sends directly, so Postroom may not look into Sent "
            "Items: look yourself, or sign in again with verified sending.",
        )
    if sight is Sight.SENT:
        return StepState.DONE, "Sent, and its copy was just seen in the mailbox's Sent Items."
    return (
        StepState.UNSURE,
        "Microsoft took it, and its copy is not seen in the mailbox. The copy may be some minutes "
        "behind, and there is none where the account keeps no copies.",
    )
