"""Writing the outcome of a mail, with its effects on the account, the mailbox and the content."""

from __future__ import annotations

import logging
from datetime import datetime

from shared.mail.account import Account, AccountState
from shared.mail.after_attempt import AttemptRules, moved_by
from shared.mail.known_errors.account import why_held
from shared.mail.mail import Mail
from shared.mail.outcome import Outcome, Verdict
from shared.mail.status import Status
from shared.services.accounts.health import AccountHealth
from shared.services.clock import Clock
from shared.services.delivery.concurrency import ConcurrencyLimiter
from shared.services.delivery.delivery_result import DeliveryResult, result_of
from shared.services.delivery.ledger_writes import LedgerWrites
from shared.services.delivery.pacing import Pacing
from shared.services.mails.content_store import ContentStore
from shared.services.mails.ports import Versioned
from shared.services.mails.wake_ups import MailWakeUps
from shared.telemetry import event

SILENCE = "answer_lost"
"""The reason of an outcome where Microsoft did not answer in time."""

_REPLACED = Outcome(
    Verdict.FAILED,
    "mailbox_replaced",
    "Another mailbox has this alias now, and this mail was not meant to go out from it: send it anew.",
)


class Settling:
    """Writes outcomes."""

    def __init__(
        self,
        *,
        writes: LedgerWrites,
        rules: AttemptRules,
        account_health: AccountHealth,
        pacing: Pacing,
        concurrency: ConcurrencyLimiter,
        wake_ups: MailWakeUps,
        content: ContentStore,
        clock: Clock,
    ) -> None:
        self._writes = writes
        self._rules = rules
        self._account_health = account_health
        self._pacing = pacing
        self._concurrency = concurrency
        self._wake_ups = wake_ups
        self._content = content
        self._clock = clock

    def settle(
        self, claimed: Versioned, account: Account | None, outcome: Outcome
    ) -> DeliveryResult:
        """Write the outcome of an attempt. If the account's state changes, that is written
        first."""
        mail = claimed.mail
        self._count_silence(account, outcome)
        after = self._rules.after(mail, outcome, self._clock(), has_account=account is not None)
        if account is not None and after.rest_until is not None:
            self._pacing.rest(account, after.rest_until)
        if account is not None and after.mail.status is Status.HELD:
            self._account_health.apply(account, after.outcome)
        self._writes.write(after.mail, claimed.etag)
        log_outcome(after.mail, after.outcome)
        is_sent = after.mail.status is Status.SENT
        if is_sent and account is not None and account.state is AccountState.HELD:
            self._account_health.apply(account, after.outcome)
        if after.mail.status is Status.QUEUED or after.mail.finding_out:
            self._wake_ups.enqueue(after.mail)
        if is_sent:
            self._content.drop(*mail.payload.blobs)
        return result_of(after.mail)

    def put_off(self, found: Versioned, until: datetime, account: Account) -> DeliveryResult:
        """Put a mail off: its mailbox has no slot now, or Microsoft asked for a pause."""
        later = self._pacing.with_reason(found.mail.put_off(until, self._clock()), account)
        if self._writes.write(later, found.etag):
            self._wake_ups.enqueue(later)
        return DeliveryResult.LATER

    def hold(self, found: Versioned, account: Account | None) -> DeliveryResult:
        """Hold a mail: its account cannot send now, or does not exist any more."""
        if found.mail.status is Status.HELD:
            return DeliveryResult.HELD
        reason = account.reason if account is not None else "account_gone"
        held = found.mail.moved(Status.HELD, self._clock(), reason=reason, help=why_held(account))
        self._writes.write(held, found.etag)
        event("mail_held", mail_id=held.mail_id, account=held.account, reason=reason)
        return DeliveryResult.HELD

    def fail_replaced(self, found: Versioned) -> DeliveryResult:
        """Fail a mail whose alias names another mailbox since the mail was accepted."""
        failed = moved_by(found.mail, Status.FAILED, _REPLACED, self._clock())
        self._writes.write(failed, found.etag)
        log_outcome(failed, _REPLACED)
        return DeliveryResult.FAILED

    def _count_silence(self, account: Account | None, outcome: Outcome) -> None:
        answered = outcome.verdict is Verdict.SENT
        if account is not None and (answered or outcome.reason == SILENCE):
            self._concurrency.result(account, in_time=answered)


def log_outcome(mail: Mail, outcome: Outcome) -> None:
    """Log the outcome of a mail; as a warning if a person has to act."""
    quiet = mail.moves_on or mail.status is Status.SENT
    event(
        f"mail_{mail.status.value}"
        if not mail.moves_on
        else ("mail_in_doubt" if mail.finding_out else "mail_again"),
        level=logging.INFO if quiet else logging.WARNING,
        mail_id=mail.mail_id,
        account=mail.account,
        attempts=mail.attempts,
        reason=outcome.reason,
        retry_after=outcome.retry_after,
        request_id=outcome.request_id,
    )
