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
"""A token that ends sooner is not used: a send may take minutes."""
STORED_FOR = timedelta(days=1)

# A refusal is repeated for so long without a request, so that many mails of one account do not
# repeat a request that has just failed.
_REMEMBER_CONSENT = timedelta(seconds=60)
_REMEMBER_CREDENTIAL = timedelta(seconds=10)
_REMEMBER_TRANSIENT = timedelta(seconds=2)
GRANTS = "postroom-grant-"
SECOND_CHANCE_AFTER = timedelta(seconds=60)
SPREADING = timedelta(minutes=10)
"""For so long an app credential that Entra does not know counts as one that it does not know yet: a
new federated credential takes some minutes.

https://learn.microsoft.com/entra/workload-id/workload-identity-federation-create-trust
"""
_SPREADING_PAUSE = timedelta(seconds=30)


def grant_secret(account: Account) -> str:
    """The name of the vault secret that holds the refresh token of an account's last sign-in.

    Key Vault may copy and log names, so the name is opaque and never an address.
    """
    return f"{GRANTS}{account.grant or account.account_id}"


class _Slot(msgspec.Struct):
    """The token of one account, and the last errors. `lock` guards its fields."""

    lock: Lock = msgspec.field(default_factory=Lock)
    token: str | None = None
    usable_until: datetime | None = None
    signed_in_at: datetime | None = None
    """The sign-in that this token belongs to. After a new sign-in it is not used any more."""
    trouble: PostroomError | None = None
    trouble_until: datetime | None = None
    doubted_at: datetime | None = None
    """When Entra first gave an answer that may be temporary."""

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
        """A token that is valid for five minutes or more. As long as one is in memory, this makes
        no call.

        A shared mailbox uses its holder's token, an app-only mailbox one in the app's own name.
        Raises ConsentRequired (the account that was signed in is then marked `needs-sign-in`),
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
        """A token in the app's own name. A refusal does not mark the account, because a new sign-in
        would not help."""
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
                # The account in memory may be older than its last sign-in.
                account = self._as_it_is_now(account)
                stored = self._vault.get(grant_secret(account))
        except RemoteRefused as error:
            raise CredentialRefused(error.code or "vault_refused", str(error)) from error
        if stored is None:
            self._mark(account, "no_grant")
            raise ConsentRequired("no_grant", "No grant is stored for this mailbox.")
        return account, stored

    def _as_it_is_now(self, account: Account) -> Account:
        """The account's row as it is now; the given account if the row does not exist any more."""
        return self._accounts.all(fresh=True).by_id(account.account_id) or account

    def _keep(self, account: Account, stored: StoredSecret, grant: Grant, now: datetime) -> None:
        """Store a new refresh token, unless a newer one was stored meanwhile.

        Key Vault has no conditional write, so the secret is read again just before the write. A
        short time stays in which another token could be overwritten, but both are equally good:
        each sign-in has a secret name of its own. If the account was signed in again or
        disconnected meanwhile, no account uses what was written here, and it is removed.
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
        """Raise NotSent the first time for a refusal that is known to be temporary sometimes."""
        if known_errors.find(error.code).retry is known_errors.Retry.ONCE:
            slot.doubted_at = slot.doubted_at or now
            wait = (slot.doubted_at + SECOND_CHANCE_AFTER - now).total_seconds()
            if wait > 0:
                raise NotSent("entra", str(error), retry_after=wait) from error

    def _mark(self, account: Account, code: str) -> None:
        """Put the account into `needs-sign-in`, and log it once."""
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
                # The next request for a token gets the same refusal and marks the account then.
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
        """The account's row as it is now, unless the account was signed in again or removed."""
        row = self._accounts.all(fresh=True).by_id(account.account_id)
        return row if row is not None and row.signed_in_at == account.signed_in_at else None


def _still_spreading(error: PostroomError, slot: _Slot, now: datetime) -> NotSent | None:
    """A refusal of the app's credential as NotSent, if it is one that ends by itself."""
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
    """How long a token is used. Tokens usually live an hour or more; one that lives ten minutes or
    less is used for half of its life."""
    lifetime = timedelta(seconds=lifetime_seconds)
    return lifetime - GOOD_FOR if lifetime > 2 * GOOD_FOR else lifetime / 2
