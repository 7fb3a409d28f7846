"""Taking a mailbox out of Postroom, so that nothing of it can be used any more.

The order is what counts, for the process may end between any two steps:

1. The row says that the account is being disconnected: from here on nothing new is sent, and nobody
   can sign the mailbox in.
2. Waiting mails are cancelled, where that is wanted: their drafts are removed while there is a token.
3. The secret goes: every version disabled, the name deleted, and purged where the vault allows it.
4. The rows of pace and checks go, then in one transaction the account's own. What stays says which
   mailbox had the alias: the same one, connected again, gets its waiting mails back.

Whatever was done stays done, and the same call does the rest. The secret goes before the row, so none
is left that no row leads to.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from shared.errors import LostRace, RemoteRefused, RequestRejected
from shared.mail import problems
from shared.mail.account import DISCONNECTING, Account, AccountState
from shared.mail.mail import Mail, MailFilter
from shared.mail.status import Status
from shared.services.accounts.access_tokens import grant_secret
from shared.services.accounts.ports import AccountRemoval, AccountsSnapshot, Checks
from shared.services.clock import Clock
from shared.services.delivery.ports import Timetables
from shared.services.mails.changes import Changes
from shared.services.mails.ports import Ledger
from shared.services.sign_in.ports import Destruction, Shredder
from shared.telemetry import event

MOST_SECONDS = 60.0
"""Seconds after which a call ends and says how much is left: a caller waits, and Azure's front end
ends a request after 230 seconds."""
PAGE = 100
MOST_COUNTED = 1000
ATTEMPTS = 10

WAITING = (Status.SCHEDULED, Status.QUEUED, Status.HELD)


class PendingMailAction(StrEnum):
    """What to do with the mails that wait for the account."""

    HOLD = "hold"
    """They wait until the mailbox is connected again."""
    CANCEL = "cancel"


class Outlook(msgspec.Struct, frozen=True):
    """What disconnecting would do, shown before it is done."""

    account: Account
    waiting: int
    """How many mails wait, at most `MOST_COUNTED`."""
    through: tuple[str, ...]
    """Aliases of the shared mailboxes that are reached through it."""
    new_default: str | None
    """The account that becomes the default; None if none does."""

    @property
    def is_begun(self) -> bool:
        """Whether an earlier call was interrupted."""
        return self.account.reason == DISCONNECTING


class Disconnected(msgspec.Struct, frozen=True):
    """The result of disconnecting."""

    alias: str
    done: bool
    """False if waiting mails are left to cancel: the same call continues."""
    waiting: PendingMailAction
    cancelled: int = 0
    left: int = 0
    """How many waiting mails were not cancelled yet, at most `MOST_COUNTED`."""
    secret: Destruction | None = None
    """What happened to the secret; None if the account had none, or it was removed earlier."""
    taken_along: tuple[str, ...] = ()
    was_default: bool = False
    new_default: str | None = None


class Disconnecting:
    """Disconnects accounts."""

    def __init__(
        self,
        *,
        departures: AccountRemoval,
        shredder: Shredder,
        timetables: Timetables,
        checks: Checks,
        ledger: Ledger,
        changes: Changes,
        clock: Clock,
    ) -> None:
        self._departures = departures
        self._shredder = shredder
        self._timetables = timetables
        self._checks = checks
        self._ledger = ledger
        self._changes = changes
        self._clock = clock

    def outlook(self, alias: str) -> Outlook:
        """What disconnecting an account would do. Raises RequestRejected if there is no such
        account."""
        snapshot = self._departures.snapshot()
        account = _named(snapshot, alias)
        through = snapshot.accounts.reached_through(account)
        leaving = [account, *through]
        return Outlook(
            account,
            self._count(leaving),
            tuple(one.alias for one in through),
            _heir(snapshot, leaving),
        )

    def disconnect(
        self, alias: str, waiting: PendingMailAction, *, with_shared: bool = False
    ) -> Disconnected:
        """Disconnect an account. Raises RequestRejected, or RemoteError if a step failed; the same
        call then continues there."""
        snapshot = self._departures.snapshot()
        if (
            alias in {one.alias for one in snapshot.disconnected}
            and snapshot.accounts.by_alias(alias) is None
        ):
            return Disconnected(alias, True, waiting)
        account = _named(snapshot, alias)
        through = snapshot.accounts.reached_through(account)
        if through and not with_shared:
            raise _still_used(account, through)
        # The secret that the marked row names is removed. A sign-in that finished before is in that
        # row; a later one has a secret of its own.
        account, *reached = leaving = [self._mark(one) for one in (account, *through)]
        cancelled = 0
        if waiting is PendingMailAction.CANCEL:
            cancelled = self._cancel(leaving)
            left = self._count(leaving)
            if left:
                return Disconnected(alias, False, waiting, cancelled, left)
        secret = self._destroy(account)
        new_default = None
        for one in (*reached, account):
            self._timetables.forget(one.account_id)
            self._checks.remove(one.account_id)
            new_default = self._depart(one) or new_default
        event(
            "account_disconnected",
            account=account.alias,
            outcome=waiting.value,
            count=cancelled,
            kind=account.kind.value,
        )
        return Disconnected(
            alias,
            True,
            waiting,
            cancelled,
            secret=secret,
            taken_along=tuple(one.alias for one in through),
            was_default=any(one.is_default for one in leaving),
            new_default=new_default,
        )

    def _mark(self, account: Account) -> Account:
        """The marked row. If it is gone, the same call was made at the same time and was faster."""
        for _ in range(ATTEMPTS):
            row = self._departures.snapshot().accounts.by_id(account.account_id)
            if row is None or row.reason == DISCONNECTING:
                return row or account
            try:
                return self._departures.save(
                    replace(
                        row,
                        state=AccountState.NEEDS_SIGN_IN,
                        reason=DISCONNECTING,
                        held_until=None,
                    )
                )
            except LostRace:
                continue
        raise _busy(account)

    def _cancel(self, leaving: Sequence[Account]) -> int:
        """Cancel the waiting mails as long as the time lasts. Mails that cannot be cancelled now
        stay."""
        stop = self._clock() + timedelta(seconds=MOST_SECONDS)
        cancelled = 0
        for mail in self._waiting(leaving):
            if self._clock() >= stop:
                break
            try:
                self._changes.cancel(mail.mail_id)
                cancelled += 1
            except RequestRejected as refused:
                # A worker has it now, or its draft cannot be removed at the moment.
                event(
                    "mail_not_cancelled",
                    level=logging.WARNING,
                    mail_id=mail.mail_id,
                    problem=refused.kind.code,
                )
        return cancelled

    def _count(self, leaving: Sequence[Account]) -> int:
        count = 0
        for _ in self._waiting(leaving):
            count += 1
            if count == MOST_COUNTED:
                break
        return count

    def _waiting(self, leaving: Sequence[Account]) -> Iterator[Mail]:
        for account in leaving:
            cursor = None
            wanted = MailFilter(statuses=WAITING, account=account.alias)
            while True:
                page = self._ledger.page(wanted, PAGE, cursor)
                yield from (
                    mail for mail in page.mails if mail.account_id in (None, account.account_id)
                )
                cursor = page.cursor
                if cursor is None:
                    break

    def _destroy(self, account: Account) -> Destruction | None:
        if not account.kind.is_signed_in:
            return None
        try:
            return self._shredder.destroy(grant_secret(account))
        except RemoteRefused as error:
            raise RequestRejected(
                problems.SECRET_NOT_REMOVED,
                f"{error} The account cannot send any more, and its secret is still there.",
            ) from error

    def _depart(self, account: Account) -> str | None:
        """Remove the row if no account was changed since the snapshot. Returns the new default, if
        there is one."""
        for _ in range(ATTEMPTS):
            snapshot = self._departures.snapshot()
            row = snapshot.accounts.by_id(account.account_id)
            if row is None:
                return None  # the same call, made at the same time, removed it
            if row.reason != DISCONNECTING:
                raise _busy(account)
            new_default = _heir(snapshot, [row])
            try:
                self._departures.remove_account(row, snapshot, new_default, self._clock())
            except LostRace:
                continue
            return new_default
        raise _busy(account)


def _heir(snapshot: AccountsSnapshot, leaving: Sequence[Account]) -> str | None:
    """The next default: the only account that is left. If several are left, nobody knows which one
    callers without `account` mean, and mail from a wrong address is worse than a rejection."""
    gone = {one.account_id for one in leaving}
    rest = [one for one in snapshot.accounts if one.account_id not in gone]
    if len(rest) == 1 and any(one.is_default for one in leaving):
        return rest[0].alias
    return None


def _named(snapshot: AccountsSnapshot, alias: str) -> Account:
    account = snapshot.accounts.by_alias(alias)
    if account is not None:
        return account
    raise RequestRejected(problems.UNKNOWN_ALIAS, "No account has this alias.")


def _still_used(account: Account, through: Sequence[Account]) -> RequestRejected:
    names = ", ".join(f"'{one.alias}'" for one in through)
    return RequestRejected(
        problems.ACCOUNT_IN_USE,
        f"Shared mailboxes are reached through '{account.alias}': {names}.",
    )


def _busy(account: Account) -> RequestRejected:
    return RequestRejected(
        problems.UNAVAILABLE,
        f"The account '{account.alias}' was changed by others again and again.",
        retry_after=1.0,
    )
