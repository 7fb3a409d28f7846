"""Delivery: what a worker does when it gets a wake-up.

Claim by one conditional write, send, write the outcome. The lease, not the queue's lock, decides
who sends; a worker that died is found by its lease running out, and its mail is never simply sent
again. What becomes of a mail at every point where a worker can die: docs/delivery.md.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec.structs import replace

from shared.errors import AnswerLost, LostRace, NotSent, RemoteError
from shared.mail import ids, known_errors
from shared.mail.account import Account, AccountState
from shared.mail.address import Address
from shared.mail.backoff import (
    Jitter,
    RetryLimit,
    is_exhausted,
    seconds_until_next,
)
from shared.mail.composing import compose
from shared.mail.delivery_mode import DeliveryMode, mode_for
from shared.mail.known_errors.account import why
from shared.mail.mail import FINDING_OUT, Mail
from shared.mail.outcome import Evidence, Outcome, SearchResult, Verdict, doubted
from shared.mail.search_plan import DECIDING_SEARCH, NOT_SENT, SearchPlan, failed_unsent, refusal_of
from shared.mail.status import SETTLED, Status, may_follow
from shared.services.accounts.health import AccountHealth
from shared.services.accounts.ports import Accounts
from shared.services.clock import Clock
from shared.services.delivery.concurrency import ConcurrencyLimiter
from shared.services.delivery.mail_lease import MailLease
from shared.services.delivery.pacing import SOON, Pacing
from shared.services.delivery.sending import FindingOut, Removal, Sending
from shared.services.intake.submission import Submission
from shared.services.mails.packing import Packed, unpack
from shared.services.mails.ports import Ledger, Payloads, Versioned
from shared.telemetry import event, where

PLACE_SECONDS = 0.2
"""Seconds a worker waits for a free place among the requests for a mailbox. The mail is not claimed
meanwhile."""
BUSY_SECONDS = 5.0
"""Seconds until the next wake-up of a mail that found no free place."""

SILENCE = "answer_lost"
"""The reason of an outcome where Microsoft did not answer in time."""

WRITES = 3
"""How often a write is made whose answer was lost and that had no effect."""

SENT_AGAIN = "sent_again"
"""In the history of a mail that is sent again because of the setting: it may arrive twice."""

MAILBOX_BUSY = Outcome(
    Verdict.AGAIN, "mailbox_busy", "The mailbox is busy with others.", BUSY_SECONDS
)


class DeliveryResult(StrEnum):
    """What a wake-up led to. None of them is an error."""

    SENT = "sent"
    LATER = "later"
    HELD = "held"
    UNKNOWN = "unknown"
    FAILED = "failed"
    LEFT = "left"
    """Nothing to do: gone, settled, or another worker has it."""


_TO_SEND = frozenset({Status.QUEUED, Status.SCHEDULED, Status.HELD})
_AFTER_SEARCH = {
    Status.SENT: DeliveryResult.SENT,
    Status.QUEUED: DeliveryResult.LATER,
    Status.UNKNOWN: DeliveryResult.UNKNOWN,
    Status.FAILED: DeliveryResult.FAILED,
}
_REMOVED = {
    Removal.REMOVED: Evidence.DRAFT,
    Removal.MISSING: Evidence.NOTHING,
    Removal.UNDONE: Evidence.UNSEEN,
}


class Delivery:
    """Sends mails of the ledger, and finds out what became of them."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        payloads: Payloads,
        accounts: Accounts,
        submission: Submission,
        pacing: Pacing,
        concurrency: ConcurrencyLimiter,
        senders: Mapping[DeliveryMode, Sending],
        finding: FindingOut,
        clock: Clock,
        jitter: Jitter,
        random: ids.RandomBytes,
        patience: RetryLimit,
        lease_seconds: int,
        send_seconds: int,
        search_plan: SearchPlan,
        send_unknown_again: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ledger = ledger
        self._payloads = payloads
        self._accounts = accounts
        self._account_health = AccountHealth(accounts, clock)
        self._submission = submission
        self._pacing = pacing
        self._concurrency = concurrency
        self._senders = senders
        self._finding = finding
        self._clock = clock
        self._jitter = jitter
        self._random = random
        self._patience = patience
        self._lease = timedelta(seconds=lease_seconds)
        self._send_seconds = send_seconds
        self._search_plan = search_plan
        self._send_unknown_again = send_unknown_again
        self._sleep = sleep

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
            self._submission.enqueue(mail)
            return DeliveryResult.LATER
        return (
            self._look(found, mail.search_count + 1) if mail.finding_out else self._take(found, now)
        )

    def _take(self, found: Versioned, now: datetime) -> DeliveryResult:
        """Claim a mail that is due and send it, if its account can."""
        mail = found.mail
        account = self._account(mail)
        if account is None or not account.can_send_at(now) or not _is_its_mailbox(account, mail):
            # The cached account may be older than the sign-in that released this mail.
            account = self._account(mail, fresh=True)
        if account is not None and not _is_its_mailbox(account, mail):
            return self._fail_replaced(found)
        if account is None or not account.can_send_at(now):
            return self._hold(found, account)
        until = self._pacing.put_off(mail, account)
        if until is not None:
            return self._put_off(found, until, account)
        with self._concurrency.of(account, PLACE_SECONDS) as place:
            if not place:
                self._submission.enqueue(mail, BUSY_SECONDS * (1 + self._jitter()))
                return DeliveryResult.LATER
            claimed = self._claimed(mail, account, now)
            etag = self._write(claimed, found.etag, claiming=True)
            return self._send(Versioned(claimed, etag), account) if etag else DeliveryResult.LEFT

    def claim_or_hold(self, mail: Mail, account: Account, now: datetime) -> Mail:
        """A new mail as it is written first: claimed by this worker, due later, or held."""
        if not account.can_send_at(now):
            return mail.moved(Status.HELD, now, reason=account.reason, help=_why_held(account))
        slot = self._pacing.slot(account, urgent=mail.urgent)
        if slot > now + SOON:
            return self._submission.with_reason(mail.put_off(slot, now), account)
        return self._claimed(mail, account, now)

    def _account(self, mail: Mail, *, fresh: bool = False) -> Account | None:
        for account in self._accounts.all(fresh=fresh):
            if account.alias == mail.account:
                return account
        return None

    def _claimed(self, mail: Mail, account: Account, now: datetime) -> Mail:
        # A draft that exists is sent, even if the grant allows only sending by now.
        delivery_mode = (
            DeliveryMode.VERIFIED
            if mail.draft_id
            else mode_for(account, saves_copy=mail.saves_copy)
        )
        claimed = mail.moved(
            Status.SENDING,
            now,
            lease_until=now + self._lease,
            lease_id=self._random(8).hex(),
        )
        return replace(claimed, delivery=delivery_mode)

    def _put_off(self, found: Versioned, until: datetime, account: Account) -> DeliveryResult:
        """Its mailbox has no slot now, or Microsoft asked for a pause."""
        later = self._submission.with_reason(found.mail.put_off(until, self._clock()), account)
        if self._write(later, found.etag):
            self._submission.enqueue(later)
        return DeliveryResult.LATER

    def _hold(self, found: Versioned, account: Account | None) -> DeliveryResult:
        if found.mail.status is Status.HELD:
            return DeliveryResult.HELD
        reason = account.reason if account is not None else "account_gone"
        held = found.mail.moved(Status.HELD, self._clock(), reason=reason, help=_why_held(account))
        self._write(held, found.etag)
        event("mail_held", mail_id=held.mail_id, account=held.account, reason=reason)
        return DeliveryResult.HELD

    def _fail_replaced(self, found: Versioned) -> DeliveryResult:
        """The alias stands for another mailbox since this mail was accepted."""
        outcome = Outcome(
            Verdict.FAILED,
            "mailbox_replaced",
            "Another mailbox has this alias now, and this mail was not meant to go out from it: "
            "send it anew.",
        )
        failed = self._moved(found.mail, Status.FAILED, outcome)
        self._write(failed, found.etag)
        self._log_outcome(failed, outcome)
        return DeliveryResult.FAILED

    def _abandoned(self, found: Versioned) -> DeliveryResult:
        """A worker claimed it and died, or stood still for longer than its lease."""
        mail = found.mail
        if mail.delivery is DeliveryMode.VERIFIED and mail.draft_id is None:
            # Nothing is sent before the draft's id is in the ledger.
            again = Outcome(
                Verdict.AGAIN, "worker_lost", "The worker died before it sent anything.", 0.0
            )
            return self._settle(found, None, again)
        if mail.delivery is DeliveryMode.VERIFIED:
            # The lease is much longer than a request: no answer can come any more.
            return self._look(found, DECIDING_SEARCH)
        lost = Outcome(
            Verdict.UNKNOWN,
            "worker_lost",
            "The worker that sent this mail did not report back: look into the mailbox's Sent "
            "Items, then decide whether to send it anew.",
        )
        return self._settle(found, self._account(mail), lost)

    def _look(self, found: Versioned, number: int) -> DeliveryResult:
        """Search for a mail, and write what was found. Several workers may search: one write counts."""
        mail = found.mail
        look = self._search(mail)
        unsent = look.evidence is Evidence.DRAFT and number >= DECIDING_SEARCH
        reason = self._why_not_again(mail) if unsent else None
        if reason is not None:
            look = self._draft_removed(mail)
        if reason is not None and look.evidence is Evidence.DRAFT:
            after = failed_unsent(mail, self._clock(), reason)
        else:
            after = self._search_plan.after(mail, look, number, self._clock())
        if self._write(after, found.etag) is None:
            return DeliveryResult.LEFT
        event(
            "mail_looked_for",
            mail_id=mail.mail_id,
            account=mail.account,
            sight=look.evidence.value,
            status=after.status.value,
            reason=after.reason,
            looks=number,
        )
        if after.moves_on:
            self._submission.enqueue(after)
        else:
            self._log_outcome(after, look.outcome or Outcome(Verdict.UNKNOWN, after.reason))
        if after.status is Status.SENT:
            self._drop(mail.payload.blobs)
        return _AFTER_SEARCH[after.status]

    def _why_not_again(self, mail: Mail) -> str | None:
        """Why a mail that was not sent fails; None if it is sent again."""
        now = self._clock()
        tried_enough = is_exhausted(self._patience, mail.attempts, _first_attempt(mail, now), now)
        return refusal_of(mail) or (NOT_SENT if tried_enough else None)

    def _draft_removed(self, mail: Mail) -> SearchResult:
        """Remove a mail's draft, so that no worker that stood still can send it later. The draft that
        the search found counts as unsent only if it was removed."""

        def removed(account: Account) -> SearchResult:
            done, trouble = self._finding.remove_draft(account, str(mail.draft_id))
            return SearchResult(_REMOVED[done], trouble)

        return self._in_its_mailbox(mail, removed)

    def _search(self, mail: Mail) -> SearchResult:
        return self._in_its_mailbox(mail, lambda account: self._finding.find_out(account, mail))

    def _in_its_mailbox(self, mail: Mail, look: Callable[[Account], SearchResult]) -> SearchResult:
        account = self._account(mail)
        if account is None or not _is_its_mailbox(account, mail):
            account = self._account(mail, fresh=True)
        if account is None or not _is_its_mailbox(account, mail):
            gone = Outcome(Verdict.HOLD_ACCOUNT, "account_gone", _why_held(None))
            return SearchResult(Evidence.UNSEEN, gone)
        with self._concurrency.of(account, PLACE_SECONDS) as place:
            if place:
                return look(account)
        return SearchResult(Evidence.UNSEEN, MAILBOX_BUSY)

    def send_claimed(self, claimed: Versioned, account: Account) -> DeliveryResult:
        """Send a mail that this worker claimed, and write the outcome."""
        with self._concurrency.of(account, PLACE_SECONDS) as place:
            if place:
                return self._send(claimed, account)
        return self._settle(claimed, account, MAILBOX_BUSY)

    def _send(self, claimed: Versioned, account: Account) -> DeliveryResult:
        mail = claimed.mail
        try:
            packed = self._content(mail)
        except (RemoteError, ValueError):
            outcome = Outcome(
                Verdict.AGAIN, "payload_unreadable", "The mail's content could not be read."
            )
            return self._settle(claimed, account, outcome)
        if packed.sender is not None and not self._may_send(mail, account, packed.sender):
            outcome = Outcome(
                Verdict.FAILED,
                "sender_not_allowed",
                "The account may not send from this address any more: send the mail anew, from "
                "another one.",
            )
            known = mail.draft_id is not None
            return self._settle(claimed, account, doubted(outcome) if known else outcome)
        packed = _composed(packed, account)
        claim = MailLease(
            claimed,
            self._write,
            self._clock,
            lease_seconds=self._lease.total_seconds(),
            request_seconds=self._send_seconds,
        )
        try:
            outcome = self._senders[mail.delivery].send(account, packed, claim)
        except LostRace:
            return DeliveryResult.LEFT
        except RemoteError:
            # The ledger cannot be reached, so the outcome cannot be written.
            raise
        except Exception as error:  # noqa: BLE001 - its mail must not wait for the lease to run out
            outcome = self._broken(claim, error)
        return self._settle(claim.held, account, outcome)

    @staticmethod
    def _broken(claim: MailLease, error: Exception) -> Outcome:
        """The outcome of a fault of Postroom itself: what is still certain of the mail."""
        mail = claim.mail
        event(
            "internal_error",
            level=logging.ERROR,
            kind=type(error).__name__,
            mail_id=mail.mail_id,
            where=where(error),
        )
        verified = mail.delivery is DeliveryMode.VERIFIED
        if mail.draft_id is not None if verified else claim.may_have_asked:
            return Outcome(
                Verdict.UNKNOWN,
                "worker_failed",
                "Postroom itself failed while it sent this mail: look into the mailbox's Sent "
                "Items, then decide whether to send it anew.",
            )
        return Outcome(
            Verdict.AGAIN, "worker_failed", "Postroom itself failed before it sent this mail."
        )

    def _may_send(self, mail: Mail, account: Account, sender: Address) -> bool:
        """Whether the account owns or may use the From address. Reads the account again before it says no."""
        if account.may_send_as(sender.email):
            return True
        fresh = self._account(mail, fresh=True)
        return fresh is not None and fresh.may_send_as(sender.email)

    def _content(self, mail: Mail) -> Packed:
        if mail.payload.inline is not None:
            return unpack(mail.payload.inline)
        if mail.payload.blob is not None:
            return unpack(self._payloads.get(mail.payload.blob))
        return Packed()

    def _widen_or_narrow(self, account: Account | None, outcome: Outcome) -> None:
        answered = outcome.verdict is Verdict.SENT
        if account is not None and (answered or outcome.reason == SILENCE):
            self._concurrency.result(account, in_time=answered)

    def _settle(
        self, claimed: Versioned, account: Account | None, outcome: Outcome
    ) -> DeliveryResult:
        """Write the outcome of an attempt; the account first, if its state follows from it."""
        mail, now = claimed.mail, self._clock()
        self._widen_or_narrow(account, outcome)
        outcome = self._or_held(mail, account, outcome)
        match outcome.verdict:
            case Verdict.SENT:
                sent = mail.moved(
                    Status.SENT, now, request_id=outcome.request_id, help=_told_of(mail)
                )
                after, result = sent, DeliveryResult.SENT
            case Verdict.UNKNOWN:
                after, result = self._left_open(mail, outcome)
            case Verdict.AGAIN | Verdict.THROTTLED:
                next_try = now + timedelta(
                    seconds=seconds_until_next(mail.attempts, outcome.retry_after, self._jitter)
                )
                if outcome.verdict is Verdict.THROTTLED and account is not None:
                    self._pacing.rest(account, next_try)
                after, result = self._again(mail, outcome, next_try)
            case Verdict.HOLD_ACCOUNT | Verdict.NEEDS_SIGN_IN:
                if account is not None:
                    self._account_health.apply(account, outcome)
                after, result = self._moved(mail, Status.HELD, outcome), DeliveryResult.HELD
            case _:
                after, result = self._moved(mail, Status.FAILED, outcome), DeliveryResult.FAILED
        self._write(after, claimed.etag)
        self._log_outcome(after, outcome)
        if (
            result is DeliveryResult.SENT
            and account is not None
            and account.state is AccountState.HELD
        ):
            self._account_health.apply(account, outcome)
        if after.status is Status.QUEUED or after.finding_out:
            self._submission.enqueue(after)
        if result is DeliveryResult.SENT:
            self._drop(mail.payload.blobs)
        return result

    def _moved(self, mail: Mail, status: Status, outcome: Outcome) -> Mail:
        return mail.moved(
            status,
            self._clock(),
            reason=outcome.reason,
            help=outcome.help,
            request_id=outcome.request_id,
        )

    def _left_open(self, mail: Mail, outcome: Outcome) -> tuple[Mail, DeliveryResult]:
        """It may have been sent: Postroom searches for it, a person decides, or the setting does."""
        if mail.delivery is DeliveryMode.VERIFIED:
            return self._search_plan.begun(mail, outcome, self._clock()), DeliveryResult.UNKNOWN
        if not self._send_unknown_again:
            return self._moved(mail, Status.UNKNOWN, outcome), DeliveryResult.UNKNOWN
        again = replace(
            outcome,
            reason=SENT_AGAIN,
            help=f"It may have been sent ({outcome.reason}) and is sent again all the same, as "
            "POSTROOM_UNKNOWN says: it may arrive twice.",
        )
        wait = seconds_until_next(mail.attempts, again.retry_after, self._jitter)
        after, result = self._again(mail, again, self._clock() + timedelta(seconds=wait))
        if after.status is not Status.FAILED:
            return after, result
        return self._moved(mail, Status.UNKNOWN, outcome), DeliveryResult.UNKNOWN

    def _or_held(self, mail: Mail, account: Account | None, outcome: Outcome) -> Outcome:
        """A pause that is longer than any mail may be retried means that the account cannot send.
        Nothing is wrong with the mail."""
        outlasts = (outcome.retry_after or 0.0) > self._patience.give_up_after_seconds
        has_failed = mail.attempts >= self._patience.max_attempts or outcome.draft_is_gone
        if account is None or outcome.verdict is not Verdict.AGAIN or has_failed or not outlasts:
            return outcome
        return replace(outcome, verdict=Verdict.HOLD_ACCOUNT)

    def _again(
        self, mail: Mail, outcome: Outcome, next_try: datetime
    ) -> tuple[Mail, DeliveryResult]:
        now = self._clock()
        if outcome.draft_is_gone:
            mail = replace(mail, draft_id=None, message_id=None)
        if is_exhausted(self._patience, mail.attempts, _first_attempt(mail, now), next_try):
            gave_up = replace(
                outcome,
                verdict=Verdict.FAILED,
                help=f"Given up after {mail.attempts} attempts. {outcome.help or ''}".strip(),
            )
            if mail.draft_id is not None:
                # An earlier attempt may have sent it, and its draft has to be removed.
                return self._search_plan.begun(mail, doubted(gave_up), now), DeliveryResult.UNKNOWN
            return self._moved(mail, Status.FAILED, gave_up), DeliveryResult.FAILED
        later = replace(self._moved(mail, Status.QUEUED, outcome), due_at=next_try)
        return later, DeliveryResult.LATER

    def _write(self, mail: Mail, etag: str, *, claiming: bool = False) -> str | None:
        """Write under the ETag. Returns the new one, or None if another worker was first.

        A write whose answer was lost, and that the storage client repeated, looks like a lost race
        to itself: the row tells whether it is ours.
        """
        for attempt in range(WRITES):
            try:
                return self._ledger.update(mail, etag)
            except NotSent:
                # The wake-up repeats a claim; it does not repeat what was done since.
                if claiming or attempt + 1 == WRITES:
                    raise
                self._sleep(2.0**attempt)
                continue
            except (LostRace, AnswerLost):
                found = self._ledger.get(mail.mail_id)
            if found is None:
                return None
            if _is_same_move(found.mail, mail):
                return found.etag
            if found.etag != etag:
                if mail.status is not Status.SENT or not may_follow(found.mail.status, Status.SENT):
                    if mail.status not in (Status.SENDING, found.mail.status):
                        # A second claim or search is normal; a second outcome is reported.
                        event("outcome_superseded", level=logging.WARNING, mail_id=mail.mail_id)
                    return None
                # Another worker took this one for dead. The answer of Graph counts more.
                mail = found.mail.moved(Status.SENT, mail.updated_at, request_id=mail.request_id)
                etag = found.etag
        raise AnswerLost("storage", "the ledger did not confirm what became of a mail")

    def _drop(self, blobs: Sequence[str]) -> None:
        for blob in blobs:
            try:
                self._payloads.delete(blob)
            except RemoteError:
                event("payload_left_behind", level=logging.WARNING)

    def _log_outcome(self, mail: Mail, outcome: Outcome) -> None:
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


def _composed(packed: Packed, account: Account) -> Packed:
    """The content with the account's defaults as they are now."""
    if packed.message is None or packed.sender is None:
        return packed
    message, sender = compose(packed.message, packed.sender, account)
    return Packed(message=message, sender=sender)


def _told_of(mail: Mail) -> str | None:
    twice = any(step.reason == SENT_AGAIN for step in mail.events)
    return "It was sent again after a lost answer: it may have arrived twice." if twice else None


def _why_held(account: Account | None) -> str:
    if account is None:
        return known_errors.find("account_gone").words
    row = why(account)
    after = "The mail goes by itself when its account can send again."
    return f"{row.words} {after}" if row else after


def _is_its_mailbox(account: Account, mail: Mail) -> bool:
    return mail.account_id is None or account.account_id == mail.account_id


def _is_same_move(found: Mail, wanted: Mail) -> bool:
    return (
        found.status is wanted.status
        and found.updated_at == wanted.updated_at
        and found.lease_id == wanted.lease_id
        and found.lease_until == wanted.lease_until
        and found.draft_id == wanted.draft_id
        and found.search_count == wanted.search_count
    )


def _first_attempt(mail: Mail, now: datetime) -> datetime:
    """When the present attempts began. Attempts before a hold, before a person's retry, or before a
    later time that the caller asked for do not count."""
    began = now
    for step in reversed(mail.events):
        settled = step.status in SETTLED and step.reason != FINDING_OUT
        if settled or step.status is Status.SCHEDULED:
            break
        if step.status is Status.SENDING:
            began = step.at
    return began
