"""Removing a mail's draft from its mailbox before the ledger forgets the draft's id.

A finished draft can still be sent: by a worker that stopped in the middle of its request and
continues, or by a person in Outlook. After the removal nobody can send it.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from shared.errors import RequestRejected
from shared.mail import problems
from shared.mail.account import Account
from shared.mail.mail import Mail
from shared.mail.outcome import Verdict
from shared.mail.status import Status
from shared.services.accounts.ports import Accounts
from shared.services.clock import Clock
from shared.services.delivery.sending import FindingOut, Removal

A_WORKERS_LIFE = timedelta(minutes=15)
"""No worker works on a mail for longer: the host ends a function before that (`functionTimeout` in
host.json)."""
PASSING_SECONDS = 30.0
"""Seconds until a caller should try again, where Microsoft names no time."""

_NOT_PASSING = frozenset({Verdict.NEEDS_SIGN_IN, Verdict.HOLD_ACCOUNT, Verdict.FAILED})


class RemovalResult(StrEnum):
    """What became of a draft."""

    REMOVED = "removed"
    """It was not sent, and it cannot be sent any more."""
    MISSING = "missing"
    """It is not there. A draft that was sent is not there either."""
    OUT_OF_REACH = "out-of-reach"
    """Postroom cannot open the mailbox until a person acts. The draft stays there, and no worker
    can send it any more."""


class DraftRemoval:
    """Removes the drafts of mails that are cancelled, or that a retry changes."""

    def __init__(self, *, finding: FindingOut, accounts: Accounts, clock: Clock) -> None:
        self._finding = finding
        self._accounts = accounts
        self._clock = clock

    def remove_draft(self, mail: Mail) -> RemovalResult:
        """Remove the draft of a mail that no worker has. Raises RequestRejected (503) for a
        temporary failure."""
        account = self._mailbox(mail)
        if account is None:
            return self._out_of_reach(mail)
        done, trouble = self._finding.remove_draft(account, mail.draft_id or "")
        if trouble is None:
            return RemovalResult.REMOVED if done is Removal.REMOVED else RemovalResult.MISSING
        if trouble.verdict in _NOT_PASSING:
            return self._out_of_reach(mail)
        raise _later(mail, trouble.retry_after or PASSING_SECONDS)

    def _mailbox(self, mail: Mail) -> Account | None:
        """The account of the mailbox that has the draft, also if its alias was changed."""
        return self._accounts.all(fresh=True).by_id(mail.account_id)

    def _out_of_reach(self, mail: Mail) -> RemovalResult:
        begun = [step.at for step in mail.events if step.status is Status.SENDING]
        left = A_WORKERS_LIFE - (self._clock() - max(begun, default=mail.accepted_at))
        if left > timedelta():
            raise _later(mail, left.total_seconds())
        return RemovalResult.OUT_OF_REACH


def _later(mail: Mail, seconds: float) -> RequestRejected:
    return RequestRejected(
        problems.UNAVAILABLE,
        "The mail has a draft in its mailbox that could still be sent, and it could not be removed "
        "just now: nothing was changed.",
        retry_after=seconds,
        members=problems.standing(mail.status.value),
    )
