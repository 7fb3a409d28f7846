"""Delivery: what a worker does when it gets a wake-up.

The worker claims the mail by one conditional write, sends it, and writes the outcome. The lease,
not the queue's lock, decides which worker sends. The lease of a worker that died runs out; its mail
is not sent again before Postroom has searched for it. docs/delivery.md says what becomes of a mail
at every point where a worker can die.
"""

from __future__ import annotations

from datetime import datetime

from shared.mail.account import Account
from shared.mail.delivery_mode import DeliveryMode
from shared.mail.mail import Mail
from shared.mail.outcome import Outcome, Verdict
from shared.mail.search_plan import DECIDING_SEARCH
from shared.mail.status import Status
from shared.services.clock import Clock
from shared.services.delivery.attempts import Attempts
from shared.services.delivery.claiming import Claiming
from shared.services.delivery.concurrency import PLACE_SECONDS, ConcurrencyLimiter
from shared.services.delivery.delivery_result import DeliveryResult
from shared.services.delivery.mailboxes import Mailboxes, is_its_mailbox
from shared.services.delivery.pacing import Pacing
from shared.services.delivery.searching import Searching
from shared.services.delivery.sending import MAILBOX_BUSY
from shared.services.delivery.settling import Settling
from shared.services.mails.ports import Ledger, Versioned
from shared.services.mails.wake_ups import MailWakeUps

_TO_SEND = frozenset({Status.QUEUED, Status.SCHEDULED, Status.HELD})

# Nothing is sent before the ledger has the draft's id.
_DIED_BEFORE = Outcome(
    Verdict.AGAIN, "worker_lost", "The worker died before it sent anything.", 0.0
)
_DIED_MEANWHILE = Outcome(
    Verdict.UNKNOWN,
    "worker_lost",
    "The worker that sent this mail did not report back: look into the mailbox's Sent "
    "Items, then decide whether to send it anew.",
)


class Delivery:
    """Sends mails of the ledger, and finds out what became of them."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        mailboxes: Mailboxes,
        pacing: Pacing,
        concurrency: ConcurrencyLimiter,
        claiming: Claiming,
        attempts: Attempts,
        searching: Searching,
        settling: Settling,
        wake_ups: MailWakeUps,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._mailboxes = mailboxes
        self._pacing = pacing
        self._concurrency = concurrency
        self._claiming = claiming
        self._attempts = attempts
        self._searching = searching
        self._settling = settling
        self._wake_ups = wake_ups
        self._clock = clock

    def deliver(self, mail_id: str) -> DeliveryResult:
        """Send a mail of the ledger, or search for it, if it is due and no other worker has it."""
        found = self._ledger.get(mail_id)
        if found is None:
            return DeliveryResult.LEFT
        mail, now = found.mail, self._clock()
        if mail.status is Status.SENDING:
            return self._abandoned(found) if mail.lease_has_run_out(now) else DeliveryResult.LEFT
        if not mail.finding_out and mail.status not in _TO_SEND:
            return DeliveryResult.LEFT
        if mail.due_at > now:
            self._wake_ups.enqueue(mail)
            return DeliveryResult.LATER
        if mail.finding_out:
            return self._searching.search(found, mail.search_count + 1)
        return self._take(found, now)

    def claim_or_hold(self, mail: Mail, account: Account, now: datetime) -> Mail:
        """See `Claiming`."""
        return self._claiming.claim_or_hold(mail, account, now)

    def send_claimed(self, claimed: Versioned, account: Account) -> DeliveryResult:
        """Send a mail that this worker claimed, and write the outcome."""
        with self._concurrency.of(account, PLACE_SECONDS) as place:
            if place:
                return self._attempts.send(claimed, account)
        return self._settling.settle(claimed, account, MAILBOX_BUSY)

    def _take(self, found: Versioned, now: datetime) -> DeliveryResult:
        """Claim a mail that is due and send it, if its account can."""
        mail = found.mail
        account = self._mailboxes.account_of(mail)
        if account is None or not account.can_send_at(now) or not is_its_mailbox(account, mail):
            # The cached account may be older than the sign-in that released this mail.
            account = self._mailboxes.account_of(mail, fresh=True)
        if account is not None and not is_its_mailbox(account, mail):
            return self._settling.fail_replaced(found)
        if account is None or not account.can_send_at(now):
            return self._settling.hold(found, account)
        until = self._pacing.put_off(mail, account)
        if until is not None:
            return self._settling.put_off(found, until, account)
        with self._concurrency.of(account, PLACE_SECONDS) as place:
            if not place:
                self._wake_ups.enqueue(mail, self._claiming.busy_seconds())
                return DeliveryResult.LATER
            claimed = self._claiming.claim(found, account, now)
            return self._attempts.send(claimed, account) if claimed else DeliveryResult.LEFT

    def _abandoned(self, found: Versioned) -> DeliveryResult:
        """Its worker died, or stopped for longer than its lease."""
        mail = found.mail
        if mail.delivery is not DeliveryMode.VERIFIED:
            account = self._mailboxes.account_of(mail)
            return self._settling.settle(found, account, _DIED_MEANWHILE)
        if mail.draft_id is None:
            return self._settling.settle(found, None, _DIED_BEFORE)
        # The lease is much longer than a request, so no answer can still arrive.
        return self._searching.search(found, DECIDING_SEARCH)
