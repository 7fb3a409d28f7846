"""Interfaces for accounts: their rows, their checks, and their access tokens.

`shared.adapters` implements them. Every implementation raises only errors of `shared.errors`:
NotSent if a call had no effect, AnswerLost if that is not known, LostRace if a condition did not
hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from shared.mail.account import Account, AccountKind
from shared.mail.account_list import AccountList
from shared.services.sign_in.ports import Grant

if TYPE_CHECKING:
    from typing import Protocol

    from shared.mail.findings import Check
else:
    # For the type checker alone: real protocols cost time at each cold start.
    Protocol = object


class Accounts(Protocol):
    """Table `accounts`."""

    def all(self, *, fresh: bool = False) -> AccountList:
        """All accounts. Some seconds old at most, unless `fresh`."""
        ...

    def save(self, account: Account) -> Account:
        """Insert (`etag` None) or replace under the account's ETag. Returns it with the new one.
        Raises LostRace if another change came first."""
        ...


class CheckRecord(msgspec.Struct, frozen=True):
    """The last check of an account, and its problems that were announced."""

    check: Check
    known: tuple[str, ...] = ()
    """The names of troubles (`Finding.trouble`)."""
    etag: str | None = None


class Checks(Protocol):
    """Table `accounts`: the results of checks. Their rows are separate from the accounts' own, so
    that a check and a sign-in do not write the same row."""

    def find(self, account_id: str) -> CheckRecord | None:
        """The last check of an account."""
        ...

    def all(self) -> Sequence[CheckRecord]:
        """The last checks of all accounts."""
        ...

    def save(self, record: CheckRecord) -> CheckRecord:
        """Insert (`etag` None) or replace under the ETag; returns it with the new one. Raises
        LostRace."""
        ...

    def remove(self, account_id: str) -> None:
        """Remove; removing what is not there is harmless."""
        ...


class DisconnectedMailbox(msgspec.Struct, frozen=True):
    """Which mailbox had an alias before it was disconnected. Nothing else is kept of it."""

    alias: str
    account_id: str
    """If it is connected again under the alias, it gets this id back, and with it the mails that
    wait."""
    tenant_id: str
    object_id: str
    departed_at: datetime
    kind: AccountKind | None = None
    """None in rows that are older than this field. The hash is empty there too."""
    address_hash: str = ""
    """Identifies a mailbox that was never looked up, and so has no object id."""

    @classmethod
    def of(cls, account: Account, now: datetime) -> DisconnectedMailbox:
        """What is kept of a disconnected account."""
        return cls(
            account.alias,
            account.account_id,
            account.tenant_id,
            account.object_id,
            now,
            account.kind,
            account.address_hash,
        )


class AccountsSnapshot(msgspec.Struct, frozen=True):
    """All accounts at one moment."""

    accounts: AccountList
    version: str | None
    """Changes with every account that is registered or disconnected. None before the first one."""
    disconnected: Sequence[DisconnectedMailbox] = ()


class AccountRemoval(Protocol):
    """Table `accounts`, for disconnecting mailboxes."""

    def snapshot(self) -> AccountsSnapshot:
        """The accounts as they are now, never from memory."""
        ...

    def save(self, account: Account) -> Account:
        """See `Accounts`."""
        ...

    def remove_account(
        self, account: Account, snapshot: AccountsSnapshot, new_default: str | None, now: datetime
    ) -> None:
        """Remove the row, keep which mailbox had the alias, and make `new_default` (an alias of the
        snapshot) the default, in one transaction. Raises LostRace if a row was changed, or any
        account was registered or disconnected, since the snapshot was read; then nothing was
        done."""
        ...


class AccountRegister(Protocol):
    """Table `accounts`, for connecting mailboxes. Rules about all accounts together, such as one
    alias for a mailbox and one default, are decided on a snapshot that has not changed."""

    def snapshot(self) -> AccountsSnapshot:
        """The accounts as they are now, never from memory."""
        ...

    def register(self, account: Account, snapshot: AccountsSnapshot, *beside: Account) -> Account:
        """Insert (`etag` None) or replace under the account's ETag. Returns it with the new one.
        The accounts `beside` it are written in the same transaction. Raises LostRace if the row was
        changed, or any account was registered, since the snapshot was read; then nothing was
        written."""
        ...


class Profile(msgspec.Struct, frozen=True):
    """The owner of a token, from `GET /me`."""

    object_id: str
    address: str
    display_name: str


class Tokens(Protocol):
    """Access tokens for accounts. While a token is in memory, no call is made."""

    def access_token(self, account: Account) -> str:
        """A token that is valid for some minutes at least. Raises ConsentRequired,
        CredentialRefused, or NotSent (temporary)."""
        ...

    def forget(self, account: Account, access_token: str) -> None:
        """Forget a token that Graph refused, so that the next call gets another one."""
        ...

    def renew(self, account: Account) -> Grant:
        """Get a token from Microsoft now, whatever is in memory or was refused a moment ago. This
        also keeps the grant alive. Raises as `access_token` does."""
        ...
