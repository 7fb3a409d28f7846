"""Taking a mail's draft out of its mailbox before the ledger forgets it.

Whoever knows a finished draft may send it: a worker that was frozen in the middle of its request, or
a person in Outlook. Once the draft is removed, nobody can.
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
"""No worker is at work on a mail for longer: more than the host lets it be (`functionTimeout` in
host.json)."""
PASSING_SECONDS = 30.0
"""Until a caller tries again, where Microsoft names no time."""

_NOT_PASSING = frozenset({Verdict.NEEDS_SIGN_IN, Verdict.HOLD_ACCOUNT, Verdict.FAILED})


class RemovalResult(StrEnum):
    """What became of a draft."""

    REMOVED = "removed"
    """It had not been sent, and cannot be any more."""
    MISSING = "missing"
    """It is not there, as after it was sent."""
    OUT_OF_REACH = "out-of-reach"
    """Postroom cannot get into the mailbox until a person does something about it; the draft stays
    there, and no worker is left that could send it."""


class DraftRemoval:
    """Removes the drafts of mails that are cancelled, or that a retry changes."""

    def __init__(self, *, finding: FindingOut, accounts: Accounts, clock: Clock) -> None:
        self._finding = finding
        self._accounts = accounts
        self._clock = clock

    def remove_draft(self, mail: Mail) -> RemovalResult:
        """Remove the draft of a mail that no worker has. Raises RequestRejected (503) for what passes."""
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
        """The mailbox that the draft is in, whatever alias it has by now."""
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
