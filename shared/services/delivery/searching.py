"""Searching for a mail whose answer was lost: whether it was sent, and what follows."""

from __future__ import annotations

from collections.abc import Callable

from shared.mail.account import Account
from shared.mail.after_attempt import AttemptRules
from shared.mail.known_errors.account import why_held
from shared.mail.mail import Mail
from shared.mail.outcome import Evidence, Outcome, SearchResult, Verdict
from shared.mail.search_plan import DECIDING_SEARCH, failed_unsent
from shared.mail.status import Status
from shared.services.clock import Clock
from shared.services.delivery.concurrency import PLACE_SECONDS, ConcurrencyLimiter
from shared.services.delivery.delivery_result import DeliveryResult, result_of
from shared.services.delivery.ledger_writes import LedgerWrites
from shared.services.delivery.mailboxes import Mailboxes
from shared.services.delivery.sending import MAILBOX_BUSY, FindingOut, Removal
from shared.services.delivery.settling import log_outcome
from shared.services.mails.content_store import ContentStore
from shared.services.mails.ports import Versioned
from shared.services.mails.wake_ups import MailWakeUps
from shared.telemetry import event

_EVIDENCE_OF = {
    Removal.REMOVED: Evidence.DRAFT,
    Removal.MISSING: Evidence.NOTHING,
    Removal.UNDONE: Evidence.UNSEEN,
}


class Searching:
    """Finds out what became of mails."""

    def __init__(
        self,
        *,
        finding: FindingOut,
        mailboxes: Mailboxes,
        concurrency: ConcurrencyLimiter,
        rules: AttemptRules,
        writes: LedgerWrites,
        wake_ups: MailWakeUps,
        content: ContentStore,
        clock: Clock,
    ) -> None:
        self._finding = finding
        self._mailboxes = mailboxes
        self._concurrency = concurrency
        self._rules = rules
        self._writes = writes
        self._wake_ups = wake_ups
        self._content = content
        self._clock = clock

    def search(self, found: Versioned, number: int) -> DeliveryResult:
        """Search for a mail, and write what was found. `number` counts the searches, from 1. If
        several workers search at the same time, one write counts."""
        mail = found.mail
        result = self._in_its_mailbox(mail, lambda account: self._finding.find_out(account, mail))
        unsent = result.evidence is Evidence.DRAFT and number >= DECIDING_SEARCH
        reason = self._rules.why_not_again(mail, self._clock()) if unsent else None
        if reason is not None:
            result = self._without_draft(mail)
        if reason is not None and result.evidence is Evidence.DRAFT:
            after = failed_unsent(mail, self._clock(), reason)
        else:
            after = self._rules.search_plan.after(mail, result, number, self._clock())
        if self._writes.write(after, found.etag) is None:
            return DeliveryResult.LEFT
        event(
            "mail_looked_for",
            mail_id=mail.mail_id,
            account=mail.account,
            sight=result.evidence.value,
            status=after.status.value,
            reason=after.reason,
            looks=number,
        )
        if after.moves_on:
            self._wake_ups.enqueue(after)
        else:
            log_outcome(after, result.outcome or Outcome(Verdict.UNKNOWN, after.reason))
        if after.status is Status.SENT:
            self._content.drop(*mail.payload.blobs)
        return result_of(after)

    def _without_draft(self, mail: Mail) -> SearchResult:
        """Remove a mail's draft, so that a worker that stopped and continues cannot send it later.
        The draft counts as not sent only if it was removed."""

        def removed(account: Account) -> SearchResult:
            done, trouble = self._finding.remove_draft(account, str(mail.draft_id))
            return SearchResult(_EVIDENCE_OF[done], trouble)

        return self._in_its_mailbox(mail, removed)

    def _in_its_mailbox(self, mail: Mail, ask: Callable[[Account], SearchResult]) -> SearchResult:
        account = self._mailboxes.own_account_of(mail)
        if account is None:
            gone = Outcome(Verdict.HOLD_ACCOUNT, "account_gone", why_held(None))
            return SearchResult(Evidence.UNSEEN, gone)
        with self._concurrency.of(account, PLACE_SECONDS) as place:
            if place:
                return ask(account)
        return SearchResult(Evidence.UNSEEN, MAILBOX_BUSY)
