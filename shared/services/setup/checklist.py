"""How far the set-up of Postroom has come.

It is read from the services each time, so nothing is lost if a person leaves the page, and a step
that breaks later is open again. `Found` has what was read; `steps` decides what it means and asks
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import urlencode

from msgspec.structs import replace

from shared.errors import (
    ConsentRequired,
    CredentialRefused,
    FieldProblem,
    PostroomError,
    RemoteRefused,
    RequestRejected,
)
from shared.mail import problems
from shared.mail.guid import TYPED_GUID
from shared.mail.mail import Mail
from shared.services.accounts.ports import Accounts
from shared.services.clock import Clock
from shared.services.setup.deadline import Deadline
from shared.services.setup.setup_mail import SetupMail
from shared.services.setup.steps import Found, Step, Trial, steps
from shared.services.sign_in.ports import (
    AppCredentialStatus,
    CredentialVersion,
    Grant,
    StoredSecret,
)
from shared.services.sign_in.registration import REDIRECT_CHECK_STATE, Registration

CLIENT_SECRET = "postroom-client-secret"  # noqa: S105 - its name in the vault
WRITE_CHECK = "postroom-setup-check"
"""A secret with no meaning: if it exists, the app may write to the vault."""
PATIENCE_SECONDS = 6.0
"""Seconds that the page waits for the vault, Entra and the mailbox together."""
_SHARED_AUTHORITIES = ("common", "organizations", "consumers")
_LEAST_SECRET = 16
_MOST_SECRET = 512


class SecretStore(Protocol):
    """The parts of Key Vault that the set-up needs."""

    def get(self, name: str) -> StoredSecret | None:
        """See `sign_in.ports.Vault`."""
        ...

    def set(
        self,
        name: str,
        value: str,
        tags: Mapping[str, str] | None = None,
        *,
        expires_at: datetime | None = None,
    ) -> StoredSecret:
        """See `sign_in.ports.Vault`; with when the value ceases to be good, which the vault notes down."""
        ...


class AppIdentityPlatform(Protocol):
    """The parts of Entra that the set-up needs."""

    def app_grant(self, authority: str) -> Grant:
        """See `sign_in.ports.IdentityPlatform`."""
        ...


class Checklist:
    """Reads how far the set-up is, and stores what a person enters."""

    def __init__(
        self,
        *,
        registration: Registration,
        proves_by: str,
        vault: SecretStore,
        credential: AppCredentialStatus,
        identity: AppIdentityPlatform,
        accounts: Accounts,
        setup_mail: SetupMail,
        clock: Clock,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.registration = registration
        self.proves_by = proves_by
        self._vault = vault
        self._credential = credential
        self._identity = identity
        self._accounts = accounts
        self._setup_mail = setup_mail
        self._clock = clock
        self._patience_seconds = patience_seconds

    def head(self) -> Found:
        """Ask all services now. Raises if storage does not answer; the errors of the vault and of
        Entra are part of the result."""
        patience = Deadline(self._patience_seconds)
        accounts, mail = self._accounts.all(fresh=True), self._setup_mail.newest()
        found = Found(
            accounts=accounts, mail=mail, sent=mail is None and self._setup_mail.any_sent()
        )
        signed_in = any(row.kind.is_signed_in for row in accounts)
        try:
            written, versions = patience.ask("vault", lambda: self._of_the_vault(signed_in))
        except PostroomError as error:
            found = _without_vault(found, error)
        else:
            found = replace(found, written=written, versions=versions)
            trial, words = self._tried(patience)
            found = replace(found, trial=trial, trial_words=words)
            # Only now is it known which version Entra accepted.
            if trial is Trial.TAKEN:
                try:
                    versions = patience.ask("vault", self._credential.describe)
                except PostroomError as error:
                    found = _without_vault(found, error)
                else:
                    found = replace(found, versions=versions)
        evidence = self._setup_mail.evidence(
            mail, accounts, lambda look: patience.ask("mailbox", look)
        )
        return replace(found, evidence=evidence)

    def _of_the_vault(self, signed_in: bool) -> tuple[bool, Sequence[CredentialVersion]]:
        """Whether the app has written to the vault, and which credentials of the app the vault
        has."""
        written = signed_in or self._vault.get(WRITE_CHECK) is not None
        return written, self._credential.describe()

    def steps(self) -> tuple[Found, Sequence[Step], datetime]:
        """What was read, the checklist that follows from it, and the time."""
        found, now = self.head(), self._clock()
        return found, steps(found, self.registration, proves_by=self.proves_by, now=now), now

    def try_vault(self) -> None:
        """Write the secret with no meaning. Raises RemoteError if the app may not write."""
        self._vault.set(WRITE_CHECK, "written by /setup")

    def keep_secret(self, value: str, expires_on: str) -> None:
        """Put the client secret into Key Vault, with its expiry. Raises RequestRejected, which
        never quotes it, and RemoteError; after AnswerLost it may have been stored."""
        if self.proves_by != "secret":
            used = {"certificate": "a certificate", "managed-identity": "its managed identity"}
            raise RequestRejected(
                problems.INVALID_REQUEST,
                f"This app uses {used[self.proves_by]} and no client secret.",
                help="Nothing is to be done. To use a secret, set POSTROOM_CREDENTIAL to secret.",
            )
        expires_at, value = read_expiry(expires_on, self._clock()), value.strip()
        refuse_what_is_no_secret(value)
        self._vault.set(CLIENT_SECRET, value, expires_at=expires_at)

    def send_test(self, address: str, account: str | None) -> Mail:
        """Accept the test mail. Raises RequestRejected."""
        return self._setup_mail.send(address, account)

    def _tried(self, patience: Deadline) -> tuple[Trial, str | None]:
        if self.registration.tenant.lower() in _SHARED_AUTHORITIES:
            return Trial.NOT_ASKED, None
        try:
            patience.ask("entra", lambda: self._identity.app_grant(self.registration.tenant))
        except (CredentialRefused, ConsentRequired) as error:
            return Trial.REFUSED, str(error)
        except PostroomError as error:
            return Trial.NO_ANSWER, str(error)
        return Trial.TAKEN, None


def _without_vault(found: Found, error: PostroomError) -> Found:
    return replace(found, vault_trouble=str(error), vault_refused=isinstance(error, RemoteRefused))


def read_expiry(text: str, now: datetime) -> datetime:
    """The moment at which the typed day begins in the first time zone. Raises RequestRejected."""
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
    """Raise RequestRejected for a text that cannot be a client secret. Quotes nothing of it."""
    if TYPED_GUID.fullmatch(value):
        raise _wrong(
            "secret",
            "is the Secret ID (a GUID): copy the column Value. Entra shows it only right after "
            "the secret was made; if it is hidden by now, make a new one",
        )
    if not _LEAST_SECRET <= len(value) <= _MOST_SECRET or not re.fullmatch(r"[\x21-\x7e]+", value):
        raise _wrong(
            "secret", "is not a client secret's value: copy the whole column Value, and only that"
        )


def _wrong(field: str, message: str) -> RequestRejected:
    name = {"secret": "The client secret", "expires": "The day of expiry"}[field]
    return RequestRejected(
        problems.INVALID_REQUEST,
        f"{name} {message}.",
        [FieldProblem(field, message)],
        help="Nothing was stored.",
    )


def redirect_check_url(registration: Registration) -> str:
    """A request to Entra that needs nothing from the person and comes back at once if the redirect
    URI is right. For an address that is not registered, Entra shows AADSTS50011 on its own page,
    which Postroom cannot see."""
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
