"""The accounts of an installation, and how one of them is found."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from shared.mail.account import (
    DISCONNECTING,
    HOLDER_GONE,
    NOT_GRANTED_SHARED,
    Account,
    AccountKind,
    AccountState,
)
from shared.mail.permissions import SEND_SHARED


class AccountList(tuple[Account, ...]):
    """Accounts, in the order of the table. An alias or an account id is one account's at most."""

    __slots__ = ()

    def by_alias(self, alias: str | None) -> Account | None:
        """The account that has this alias now."""
        return next((account for account in self if account.alias == alias), None)

    def by_id(self, account_id: str | None) -> Account | None:
        """The mailbox, whatever alias it has now."""
        return next((account for account in self if account.account_id == account_id), None)

    def reached_through(self, holder: Account) -> AccountList:
        """The shared mailboxes that are reached by this account."""
        return AccountList(account for account in self if account.through == holder.account_id)


def with_holders(accounts: Iterable[Account]) -> AccountList:
    """The accounts, each shared mailbox with the values that it takes from its holder: the
    permissions, their date, and whether a person must sign in.

    The same values in a shared mailbox's own row are ignored. The holder's next sign-in therefore
    repairs both in one write.
    """
    rows = AccountList(accounts)
    return AccountList(
        _reached_by(row, rows.by_id(row.through)) if row.kind is AccountKind.SHARED else row
        for row in rows
    )


def _reached_by(account: Account, holder: Account | None) -> Account:
    if account.reason == DISCONNECTING:
        return account
    if holder is None:
        return replace(
            account, state=AccountState.NEEDS_SIGN_IN, reason=HOLDER_GONE, scopes=frozenset()
        )
    taken = replace(
        account,
        authority=holder.authority,
        scopes=holder.scopes,
        signed_in_at=holder.signed_in_at,
        holder_alias=holder.alias,
    )
    if holder.state is AccountState.NEEDS_SIGN_IN:
        return replace(taken, state=holder.state, reason=holder.reason, held_until=None)
    if SEND_SHARED not in holder.scopes:
        return replace(taken, state=AccountState.NEEDS_SIGN_IN, reason=NOT_GRANTED_SHARED)
    if account.state is AccountState.NEEDS_SIGN_IN:
        return replace(taken, state=AccountState.READY, reason=None)
    return taken
