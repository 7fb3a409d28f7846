"""What the use cases need of accounts: their rows, their checks, and their access tokens.

Interfaces, which `shared.adapters` fulfils. Every implementation raises only errors of
`shared.errors`: NotSent where a call had no effect, AnswerLost where that is not known, LostRace
where a condition did not hold.
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
        """Every account. May be some seconds old unless `fresh`."""
        ...

    def save(self, account: Account) -> Account:
        """Insert (`etag` None) or replace under the account's ETag; returns it with the new one.

        Raises LostRace where another change came first.
        """
        ...


class CheckRecord(msgspec.Struct, frozen=True):
    """The last check of an account, and what is known to be wrong with it: what was told."""

    check: Check
    known: tuple[str, ...] = ()
    """The names of troubles (`Finding.trouble`)."""
    etag: str | None = None


class Checks(Protocol):
    """Table `accounts`: what checks have found, in rows of their own, so that a check and a sign-in
    do not fight."""

    def find(self, account_id: str) -> CheckRecord | None:
        """The last check of an account."""
        ...

    def all(self) -> Sequence[CheckRecord]:
        """That of every account that was ever checked."""
        ...

    def save(self, record: CheckRecord) -> CheckRecord:
        """Insert (`etag` None) or replace under the ETag; returns it with the new one. Raises
        LostRace."""
        ...

    def remove(self, account_id: str) -> None:
        """Remove; removing what is not there is harmless."""
        ...


class DisconnectedMailbox(msgspec.Struct, frozen=True):
    """Which mailbox had an alias until it was disconnected. Nothing else is kept of it."""

    alias: str
    account_id: str
    """Connected again under the alias, it gets this id back, and with it the mails that wait."""
    tenant_id: str
    object_id: str
    departed_at: datetime
    kind: AccountKind | None = None
    """None in rows of before it was kept, as the hash is empty there."""
    address_hash: str = ""
    """By which a mailbox is known that was never looked up, so that it has no object id."""

    @classmethod
    def of(cls, account: Account, now: datetime) -> DisconnectedMailbox:
        """What is kept of an account."""
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
    """Every account as it stood at one moment."""

    accounts: AccountList
    version: str | None
    """Moves on with every account that is registered or disconnected; None before the first one."""
    disconnected: Sequence[DisconnectedMailbox] = ()


class AccountRemoval(Protocol):
    """Table `accounts`, for taking mailboxes out."""

    def snapshot(self) -> AccountsSnapshot:
        """The accounts as they stand now, never older."""
        ...

    def save(self, account: Account) -> Account:
        """See `Accounts`."""
        ...

    def remove_account(
        self, account: Account, snapshot: AccountsSnapshot, new_default: str | None, now: datetime
    ) -> None:
        """In one step: remove the row, keep who had the alias, and make `new_default` (an alias of the
        snapshot) the default.

        Raises LostRace where a row was changed, or any account was registered or disconnected, since the
        snapshot was read; then nothing was done.
        """
        ...


class AccountRegister(Protocol):
    """Table `accounts`, for signing mailboxes in: what holds for all accounts together, such as
    one alias for a mailbox and one default, is decided on a snapshot that cannot have changed."""

    def snapshot(self) -> AccountsSnapshot:
        """The accounts as they stand now, never older."""
        ...

    def register(self, account: Account, snapshot: AccountsSnapshot, *beside: Account) -> Account:
        """Insert (`etag` None) or replace under the account's ETag; returns it with the new one.
        Those `beside` it are written along with it, or none is.

        Raises LostRace where the row was changed, or any account was registered since the snapshot was
        read; then nothing was written.
        """
        ...


class Profile(msgspec.Struct, frozen=True):
    """Who a token speaks for, from `GET /me`."""

    object_id: str
    address: str
    display_name: str


class Tokens(Protocol):
    """Access tokens for accounts; the hot path costs nothing remote."""

    def access_token(self, account: Account) -> str:
        """A token that is good for at least some minutes.

        Raises ConsentRequired, CredentialRefused, or NotSent (transient).
        """
        ...

    def forget(self, account: Account, access_token: str) -> None:
        """Drop a token that Graph refused, so that the next call gets another."""
        ...

    def renew(self, account: Account) -> Grant:
        """Ask Microsoft for a token now, whatever is at hand or was refused a moment ago, and keep
        the grant alive by it. Raises as `access_token` does."""
        ...
