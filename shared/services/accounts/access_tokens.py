"""Access tokens for accounts: kept in memory, refreshed by one thread at a time per account.

The grant (refresh token) stays in Key Vault and is read only when an access token has to be
fetched. Microsoft hands out a new refresh token at each use and lets the old one live, so it is
written back when the stored one is older than a day: often enough to outrun its 90 days, rarely
enough that versions, which a vault never forgets, do not pile up.
https://learn.microsoft.com/entra/identity-platform/refresh-tokens
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from threading import Lock

import msgspec
from msgspec.structs import replace

from shared import telemetry
from shared.errors import (
    ConsentRequired,
    CredentialRefused,
    LostRace,
    NotSent,
    PostroomError,
    RemoteError,
    RemoteRefused,
)
from shared.mail import known_errors
from shared.mail.account import DISCONNECTING, HOLDER_GONE, Account, AccountKind, AccountState
from shared.mail.backoff import bounded
from shared.services.accounts.ports import Accounts
from shared.services.clock import Clock
from shared.services.sign_in.ports import Grant, IdentityPlatform, StoredSecret, Vault

GOOD_FOR = timedelta(minutes=5)
"""A token with less life than this is not handed out: a send may take minutes."""
STORED_FOR = timedelta(days=1)

# How long a refusal is passed on to whoever asks next, so that many mails of one account do not
# hammer Entra with a request that has just failed.
_REMEMBER_CONSENT = timedelta(seconds=60)
_REMEMBER_CREDENTIAL = timedelta(seconds=10)
_REMEMBER_TRANSIENT = timedelta(seconds=2)
GRANTS = "postroom-grant-"
SECOND_CHANCE_AFTER = timedelta(seconds=60)
SPREADING = timedelta(minutes=10)
"""How long an app's credential that Entra does not know is taken for one that it does not know yet:
a new federated credential takes some minutes.
https://learn.microsoft.com/entra/workload-id/workload-identity-federation-create-trust
"""
_SPREADING_PAUSE = timedelta(seconds=30)


def grant_secret(account: Account) -> str:
    """The name of the vault secret that holds the refresh token of an account's last sign-in.

    Key Vault may copy and log names: this one is opaque, never an address.
    """
    return f"{GRANTS}{account.grant or account.account_id}"


class _Slot(msgspec.Struct):
    """What is known about one account's token. Replaced fields, guarded by `lock`."""

    lock: Lock = msgspec.field(default_factory=Lock)
    token: str | None = None
    usable_until: datetime | None = None
    signed_in_at: datetime | None = None
    """The sign-in that the rest of the slot belongs to: a new one makes it void."""
    trouble: PostroomError | None = None
    trouble_until: datetime | None = None
    doubted_at: datetime | None = None
    """When Entra first gave an answer that may be a passing one."""

    def usable(self, account: Account, now: datetime) -> str | None:
        fresh = self.usable_until is not None and now < self.usable_until
        return self.token if fresh and self.signed_in_at == account.signed_in_at else None


class TokenSource:
    """Fulfils `accounts.ports.Tokens`."""

    def __init__(
        self, identity: IdentityPlatform, vault: Vault, accounts: Accounts, clock: Clock
    ) -> None:
        self._identity = identity
        self._vault = vault
        self._accounts = accounts
        self._clock = clock
        self._slots: dict[str, _Slot] = {}

    def access_token(self, account: Account) -> str:
        """A token good for five minutes or more; costs nothing remote while one is at hand.

        A shared mailbox has its holder's, and an app-only one a token in the app's own name.
        Raises ConsentRequired (and then the account that was signed in is marked `needs-sign-in`),
        CredentialRefused, or NotSent, which changes nothing.
        """
        account = self._holder(account)
        slot = self._slots.setdefault(account.account_id, _Slot())
        with slot.lock:
            now = self._clock()
            token = slot.usable(account, now)
            if token is not None:
                return token
            if slot.signed_in_at != account.signed_in_at:
                slot.trouble = slot.doubted_at = None
            slot.signed_in_at = account.signed_in_at
            if slot.trouble and slot.trouble_until and now < slot.trouble_until:
                raise slot.trouble.with_traceback(None)
            return self._fetch(account, slot, now).access_token

    def forget(self, account: Account, access_token: str) -> None:
        """Drop a token that Graph refused; one that another thread has replaced is kept."""
        slot = self._slots.get(account.grant_id)
        if slot is not None:
            with slot.lock:
                if slot.token == access_token:
                    slot.token = slot.usable_until = None

    def renew(self, account: Account) -> Grant:
        """See `Tokens`. What was refused a moment ago is asked anew."""
        account = self._holder(account)
        slot = self._slots.setdefault(account.account_id, _Slot())
        with slot.lock:
            if slot.signed_in_at != account.signed_in_at:
                slot.doubted_at = None
            slot.signed_in_at = account.signed_in_at
            return self._fetch(account, slot, self._clock())

    def _holder(self, account: Account) -> Account:
        """The account whose token it is: of a shared mailbox, the one that it is reached by."""
        if account.through is None:
            return account
        for fresh in (False, True):
            holder = self._accounts.all(fresh=fresh).by_id(account.through)
            if holder is not None:
                return holder
        raise ConsentRequired(
            HOLDER_GONE, "The account that this mailbox is reached by is not there any more."
        )

    def _fetch(self, account: Account, slot: _Slot, now: datetime) -> Grant:
        slot.token = slot.usable_until = None
        app_only = account.kind is AccountKind.APP
        try:
            grant = (self._app_only if app_only else self._refresh)(account, slot, now)
        except (ConsentRequired, CredentialRefused, NotSent) as error:
            passing = _still_spreading(error, slot, now)
            slot.trouble = passing or error
            slot.trouble_until = now + _remembered(slot.trouble)
            if passing is not None:
                raise passing from error
            raise
        slot.trouble = slot.doubted_at = None
        slot.token = grant.access_token
        slot.usable_until = now + _usable_for(grant.expires_in_seconds)
        return grant

    def _app_only(self, account: Account, slot: _Slot, now: datetime) -> Grant:
        """A token in the app's own name. A refusal marks nothing: no sign-in would mend it."""
        try:
            return self._identity.app_grant(account.authority)
        except ConsentRequired as error:
            self._doubt(slot, now, error)
            raise

    def _refresh(self, account: Account, slot: _Slot, now: datetime) -> Grant:
        account, stored = self._stored(account)
        try:
            grant = self._identity.refresh(account.authority, stored.value, sorted(account.scopes))
        except ConsentRequired as error:
            # Another instance, or a new sign-in, may have stored a newer grant meanwhile.
            current, newer = self._stored(self._as_it_is_now(account))
            same = grant_secret(current) == grant_secret(account)
            if same and newer.version == stored.version:
                self._give_up(account, slot, now, error)
                raise
            account, stored = current, newer
            try:
                grant = self._identity.refresh(
                    account.authority, stored.value, sorted(account.scopes)
                )
            except ConsentRequired as second:
                self._give_up(account, slot, now, second)
                raise
        self._keep(account, stored, grant, now)
        return grant

    def _stored(self, account: Account) -> tuple[Account, StoredSecret]:
        """The grant of an account, and the account as it was signed in with that grant."""
        try:
            stored = self._vault.get(grant_secret(account))
            if stored is None:
                # What is known of the account may be older than its last sign-in.
                account = self._as_it_is_now(account)
                stored = self._vault.get(grant_secret(account))
        except RemoteRefused as error:
            raise CredentialRefused(error.code or "vault_refused", str(error)) from error
        if stored is None:
            self._mark(account, "no_grant")
            raise ConsentRequired("no_grant", "No grant is stored for this mailbox.")
        return account, stored

    def _as_it_is_now(self, account: Account) -> Account:
        """The account's row, however it was signed in since; as it was known where it is gone."""
        return self._accounts.all(fresh=True).by_id(account.account_id) or account

    def _keep(self, account: Account, stored: StoredSecret, grant: Grant, now: datetime) -> None:
        """Write a rotated refresh token back, unless somebody stored a newer one.

        Key Vault has no conditional write; looking once more leaves a small window, and what would
        be lost in it is a token no better than the one that overwrites it, since each sign-in has a
        secret name of its own. Where the account was signed in anew or disconnected meanwhile, what
        was written here belongs to no account, and is removed.
        """
        if grant.refresh_token in (None, stored.value) or now - stored.created_at < STORED_FOR:
            return
        name = grant_secret(account)
        try:
            newest = self._vault.get(name)
            if newest is not None and newest.version == stored.version:
                self._vault.set(name, str(grant.refresh_token))
                if not any(
                    grant_secret(row) == name and row.reason != DISCONNECTING
                    for row in self._accounts.all(fresh=True)
                ):
                    self._vault.remove(name)
        except RemoteError as error:
            # The stored token still works; the next refresh tries again.
            telemetry.event(
                "grant_not_stored",
                level=logging.WARNING,
                account=account.alias,
                system=error.system,
            )

    def _give_up(
        self, account: Account, slot: _Slot, now: datetime, error: ConsentRequired
    ) -> None:
        self._doubt(slot, now, error)
        self._mark(account, error.code)

    @staticmethod
    def _doubt(slot: _Slot, now: datetime, error: ConsentRequired) -> None:
        """Raise NotSent for an answer that has been seen to pass, the first time."""
        if known_errors.find(error.code).retry is known_errors.Retry.ONCE:
            slot.doubted_at = slot.doubted_at or now
            wait = (slot.doubted_at + SECOND_CHANCE_AFTER - now).total_seconds()
            if wait > 0:
                raise NotSent("entra", str(error), retry_after=wait) from error

    def _mark(self, account: Account, code: str) -> None:
        """Put the account into `needs-sign-in`, once, and say so once."""
        for _ in range(3):
            try:
                fresh = self._same_sign_in(account)
                if fresh is None or fresh.state is AccountState.NEEDS_SIGN_IN:
                    return
                self._accounts.save(
                    replace(fresh, state=AccountState.NEEDS_SIGN_IN, reason=code, held_until=None)
                )
            except LostRace:
                continue
            except RemoteError as error:
                # Whoever asks for a token next gets the same refusal and marks it then.
                telemetry.event(
                    "account_not_marked",
                    level=logging.WARNING,
                    account=account.alias,
                    system=error.system,
                )
                return
            telemetry.event(
                "account_needs_sign_in", level=logging.ERROR, account=account.alias, code=code
            )
            return

    def _same_sign_in(self, account: Account) -> Account | None:
        """The account's row as it stands now, unless it was signed in anew or removed."""
        row = self._accounts.all(fresh=True).by_id(account.account_id)
        return row if row is not None and row.signed_in_at == account.signed_in_at else None


def _still_spreading(error: PostroomError, slot: _Slot, now: datetime) -> NotSent | None:
    """What to make of a refusal of the app's credential that passes, where it does, by itself."""
    if not isinstance(error, CredentialRefused):
        return None
    if known_errors.find(error.code).retry is not known_errors.Retry.LATER:
        return None
    slot.doubted_at = slot.doubted_at or now
    if now - slot.doubted_at >= SPREADING:
        return None
    return NotSent("entra", str(error), retry_after=_SPREADING_PAUSE.total_seconds())


def _remembered(error: PostroomError) -> timedelta:
    if isinstance(error, ConsentRequired):
        return _REMEMBER_CONSENT
    if isinstance(error, CredentialRefused):
        return _REMEMBER_CREDENTIAL
    asked = error.retry_after if isinstance(error, RemoteError) else None
    seconds = bounded(asked) if asked else None
    return timedelta(seconds=seconds) if seconds else _REMEMBER_TRANSIENT


def _usable_for(lifetime_seconds: int) -> timedelta:
    """Tokens live an hour or more; one that lives ten minutes or less is used for half its life."""
    lifetime = timedelta(seconds=lifetime_seconds)
    return lifetime - GOOD_FOR if lifetime > 2 * GOOD_FOR else lifetime / 2
