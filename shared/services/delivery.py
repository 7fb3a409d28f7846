"""Delivering: what a worker does when it hears the bell.

Claim by one conditional write, send, write the outcome. The lease, not the queue's lock, decides
who sends; a worker that died is found by its lease running out, and its mail is never simply sent
again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.errors import AnswerLost, LostRace, Refused, RemoteError
from shared.mail import ids, problems
from shared.mail.account import Account, AccountState
from shared.mail.backoff import (
    LONGEST_ASKED_SECONDS,
    Jitter,
    Patience,
    is_exhausted,
    seconds_until_next,
)
from shared.mail.mail import Mail
from shared.mail.outcome import Outcome, Verdict
from shared.mail.status import SETTLED, Status, may_follow
from shared.services import outbox_message as messages
from shared.services.document import read_json
from shared.services.outbox_message import OutboxMessage
from shared.services.packing import Packed, unpack
from shared.services.ports import Accounts, Bell, Clock, Ledger, Payloads, Versioned
from shared.services.sending import Sending, lease_end_allows
from shared.services.submission import Submission
from shared.telemetry import event

GRACE_SECONDS = 120.0
"""A mail that is due and has waited this long has lost its bell."""

MOST_RUNG = 500

WRITES = 3
"""A write whose answer was lost, and that had no effect, is made so many times."""


class Heard(StrEnum):
    """What came of a bell. None of them is an error."""

    SENT = "sent"
    LATER = "later"
    HELD = "held"
    UNKNOWN = "unknown"
    FAILED = "failed"
    LEFT = "left"
    """Nothing to do: gone, settled, or another worker has it."""


class Delivery:
    """Delivers mails."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        payloads: Payloads,
        bell: Bell,
        accounts: Accounts,
        submission: Submission,
        sending: Callable[[Account], Sending],
        clock: Clock,
        jitter: Jitter,
        random: ids.RandomBytes,
        patience: Patience,
        lease_seconds: int,
        send_seconds: int,
    ) -> None:
        self._ledger = ledger
        self._payloads = payloads
        self._bell = bell
        self._accounts = accounts
        self._submission = submission
        self._sending = sending
        self._clock = clock
        self._jitter = jitter
        self._random = random
        self._patience = patience
        self._lease = timedelta(seconds=lease_seconds)
        self._send_seconds = send_seconds

    def hear(self, message: OutboxMessage) -> Heard:
        """Deal with one message of the queue `outbox`.

        Raises only where the ledger itself cannot be reached; the message then comes back.
        """
        document = messages.document_in(message.body)
        if document is None:
            return self._unreadable(
                message, "unreadable_message", "is neither JSON nor base64 of it"
            )
        mail_id = messages.mail_id_in(document)
        if mail_id is not None:
            return self.deliver(mail_id) if ids.is_id(mail_id) else Heard.LEFT
        return self._take_in(message, document)

    def deliver(self, mail_id: str) -> Heard:
        """Send a mail of the ledger, if it is due and nobody else has it."""
        found = self._ledger.get(mail_id)
        if found is None:
            return Heard.LEFT
        mail, now = found.mail, self._clock()
        if mail.status is Status.SENDING:
            return self._abandoned(found) if mail.lease_has_run_out(now) else Heard.LEFT
        if mail.status not in (Status.QUEUED, Status.SCHEDULED, Status.HELD):
            return Heard.LEFT
        if mail.due_at > now:
            self._submission.ring(mail)
            return Heard.LATER
        account = self._account(mail)
        if account is None or not account.can_send_at(now):
            # What is cached may be older than a sign-in that has just released this mail.
            account = self._account(mail, fresh=True)
        if account is None or not account.can_send_at(now):
            return self._hold(found, account)
        claimed = self._claimed(mail, account, now)
        etag = self._write(claimed, found.etag)
        return self._send(Versioned(claimed, etag), account) if etag else Heard.LEFT

    def ring_again(self) -> int:
        """Ring for mails whose bell was lost, whose worker died, or whose account is well again.

        Returns for how many.
        """
        now = self._clock()
        overdue = list(self._ledger.overdue(now, GRACE_SECONDS, MOST_RUNG))
        for account in self._accounts.all(fresh=True):
            if account.can_send_at(now):
                overdue += self._ledger.held(account.alias, MOST_RUNG)
        for mail_id in overdue:
            self._bell.ring(mail_id)
        if overdue:
            event("rung_again", count=len(overdue))
        return len(overdue)

    def release(self, account: Account) -> int:
        """Ring for the mails that are held for an account. Returns for how many."""
        held = self._ledger.held(account.alias, MOST_RUNG)
        for mail_id in held:
            self._bell.ring(mail_id)
        if held:
            event("mails_released", account=account.alias, released=len(held))
        return len(held)

    def bury(self, message: OutboxMessage) -> Heard:
        """Deal with one message of `outbox-poison`: the host gave up after repeated failures.

        The host copies nothing but the body, so a whole mail is known again by its content only;
        one that the ledger may never have seen is written down as failed, never sent.
        """
        document = messages.document_in(message.body)
        mail_id = None if document is None else messages.mail_id_in(document)
        if mail_id is None:
            return self._unreadable(
                message,
                "poisoned",
                "could not be processed after several attempts. It may be in the ledger already: "
                "look for it before trying again",
            )
        found = self._ledger.get(mail_id) if ids.is_id(mail_id) else None
        if found is None or found.mail.status not in (Status.QUEUED, Status.SCHEDULED):
            # A held or unknown mail keeps its own story; one that is being sent has its lease.
            return Heard.LEFT
        mail = found.mail.poisoned(self._clock())
        self._write(mail, found.etag)
        event(
            "mail_poisoned",
            level=logging.ERROR,
            mail_id=mail_id,
            status=mail.status.value,
        )
        return Heard.FAILED if mail.status is Status.FAILED else Heard.LATER

    def _take_in(self, message: OutboxMessage, document: bytes) -> Heard:
        mail_id = ids.id_of_message(message.message_id, message.inserted_at)
        try:
            order = read_json(document, self._clock())
            if order.dry_run:
                raise Refused(problems.INVALID_MAIL, "dry_run has no meaning on the queue.")
            receipt = self._submission.take_in(order, mail_id, self._first_status)
        except Refused as refused:
            return self._refused(message, mail_id, refused)
        mail = receipt.mail
        if receipt.replayed:
            return self.deliver(mail.mail_id)
        if mail.status is Status.HELD:
            return Heard.HELD
        if mail.status is not Status.SENDING:
            return Heard.LATER
        if receipt.etag is None or receipt.account is None:
            return Heard.LEFT
        return self._send(Versioned(mail, receipt.etag), receipt.account)

    def _first_status(self, mail: Mail, account: Account, now: datetime) -> Mail:
        if account.can_send_at(now):
            return self._claimed(mail, account, now)
        return mail.moved(Status.HELD, now, reason=account.reason, help=_why_held(account))

    def _refused(self, message: OutboxMessage, mail_id: str, refused: Refused) -> Heard:
        told = "; ".join(f"{problem.field} {problem.message}" for problem in refused.errors)
        self._submission.record_failure(
            mail_id,
            message.body,
            refused.kind.code,
            f"{refused.detail} {told or refused.help}"[:2000],
        )
        return Heard.FAILED

    def _unreadable(self, message: OutboxMessage, reason: str, what: str) -> Heard:
        mail_id = ids.id_of_message(message.message_id, message.inserted_at)
        self._submission.record_failure(
            mail_id, message.body, reason, f"The queue message {what}. Its raw text is kept."
        )
        return Heard.FAILED

    def _account(self, mail: Mail, *, fresh: bool = False) -> Account | None:
        for account in self._accounts.all(fresh=fresh):
            if account.alias == mail.account:
                return account
        return None

    def _claimed(self, mail: Mail, account: Account, now: datetime) -> Mail:
        return mail.moved(
            Status.SENDING,
            now,
            lease_until=now + self._lease,
            lease_id=self._random(8).hex(),
        )

    def _hold(self, found: Versioned, account: Account | None) -> Heard:
        if found.mail.status is Status.HELD:
            return Heard.HELD
        reason = account.reason if account is not None else "account_gone"
        held = found.mail.moved(Status.HELD, self._clock(), reason=reason, help=_why_held(account))
        self._write(held, found.etag)
        event("mail_held", mail_id=held.mail_id, account=held.account, reason=reason)
        return Heard.HELD

    def _abandoned(self, found: Versioned) -> Heard:
        account = self._account(found.mail)
        way = self._sending(account) if account is not None else None
        outcome = (
            way.find_out(account, found.mail.mail_id)
            if way is not None
            else Outcome(Verdict.UNKNOWN, "worker_lost", "Look into the mailbox's Sent Items.")
        )
        return self._settle(found, account, outcome)

    def _send(self, claimed: Versioned, account: Account) -> Heard:
        mail = claimed.mail
        try:
            packed = self._content(mail)
        except (RemoteError, ValueError):
            outcome = Outcome(
                Verdict.AGAIN, "payload_unreadable", "The mail's content could not be read."
            )
            return self._settle(claimed, account, outcome)
        lease_until = mail.lease_until or self._clock()
        outcome = self._sending(account).send(
            account,
            packed,
            mail.mail_id,
            lease_end_allows(lease_until, self._send_seconds, self._clock),
        )
        return self._settle(claimed, account, outcome)

    def _content(self, mail: Mail) -> Packed:
        if mail.payload.inline is not None:
            return unpack(mail.payload.inline)
        if mail.payload.blob is not None:
            return unpack(self._payloads.get(mail.payload.blob))
        return Packed()

    def _settle(self, claimed: Versioned, account: Account | None, outcome: Outcome) -> Heard:
        """Write what became of an attempt; the account first where its state follows from it."""
        mail, now = claimed.mail, self._clock()
        match outcome.verdict:
            case Verdict.SENT:
                after, heard = (
                    mail.moved(Status.SENT, now, request_id=outcome.request_id),
                    Heard.SENT,
                )
            case Verdict.UNKNOWN:
                after, heard = self._moved(mail, Status.UNKNOWN, outcome), Heard.UNKNOWN
            case Verdict.AGAIN:
                after, heard = self._again(mail, outcome)
            case Verdict.HOLD_ACCOUNT | Verdict.NEEDS_SIGN_IN:
                if account is not None:
                    self._try_to_mark(account, outcome)
                after, heard = self._moved(mail, Status.HELD, outcome), Heard.HELD
            case _:
                after, heard = self._moved(mail, Status.FAILED, outcome), Heard.FAILED
        self._write(after, claimed.etag)
        self._tell(after, outcome)
        if heard is Heard.SENT and account is not None and account.state is AccountState.HELD:
            self._try_to_mark(account, outcome)
        if after.status is Status.QUEUED:
            self._submission.ring(after)
        if heard is Heard.SENT and mail.payload.blob is not None:
            self._drop(mail.payload.blob)
        return heard

    def _moved(self, mail: Mail, status: Status, outcome: Outcome) -> Mail:
        return mail.moved(
            status,
            self._clock(),
            reason=outcome.reason,
            help=outcome.help,
            request_id=outcome.request_id,
        )

    def _again(self, mail: Mail, outcome: Outcome) -> tuple[Mail, Heard]:
        now = self._clock()
        wait = seconds_until_next(mail.attempts, outcome.retry_after, self._jitter)
        next_try = now + timedelta(seconds=wait)
        if is_exhausted(self._patience, mail.attempts, _first_attempt(mail, now), next_try):
            gave_up = replace(
                outcome,
                help=f"Given up after {mail.attempts} attempts. {outcome.help or ''}".strip(),
            )
            return self._moved(mail, Status.FAILED, gave_up), Heard.FAILED
        later = replace(self._moved(mail, Status.QUEUED, outcome), due_at=next_try)
        return later, Heard.LATER

    def _try_to_mark(self, account: Account, outcome: Outcome) -> None:
        try:
            self._mark(account, outcome)
        except (LostRace, RemoteError):
            # The mail is held all the same; the next attempt of any mail marks the account.
            event("account_not_marked", level=logging.WARNING, account=account.alias)

    def _mark(self, account: Account, outcome: Outcome) -> None:
        """Put the account into the state that the answer implies; one alert per change."""
        until = None
        match outcome.verdict:
            case Verdict.NEEDS_SIGN_IN:
                state = AccountState.NEEDS_SIGN_IN
            case Verdict.SENT:
                state = AccountState.READY
            case _:
                state = AccountState.HELD
                wait = min(outcome.retry_after or 900.0, LONGEST_ASKED_SECONDS)
                until = self._clock() + timedelta(seconds=wait)
        for current in self._accounts.all(fresh=True):
            if current.alias != account.alias or current.account_id != account.account_id:
                continue
            if current.state is AccountState.NEEDS_SIGN_IN or (
                current.signed_in_at != account.signed_in_at
            ):
                return  # known already, or signed in again while this attempt was under way
            if state is AccountState.READY and not current.can_send_at(self._clock()):
                return  # another mail of the account has met a new limit meanwhile
            if current.state is not state and state is not AccountState.READY:
                event(
                    "account_cannot_send",
                    level=logging.ERROR,
                    account=account.alias,
                    account_state=state.value,
                    reason=outcome.reason,
                )
            self._accounts.save(
                replace(current, state=state, reason=outcome.reason, held_until=until)
            )

    def _write(self, mail: Mail, etag: str) -> str | None:
        """Write under the ETag; returns the new one, or None where another worker was first.

        A write whose answer was lost, and that the storage client repeated, looks like a lost race
        to itself: the row tells whether it is ours.
        """
        for _ in range(WRITES):
            try:
                return self._ledger.update(mail, etag)
            except (LostRace, AnswerLost):
                found = self._ledger.get(mail.mail_id)
            if found is None:
                return None
            if _is_same_move(found.mail, mail):
                return found.etag
            if found.etag != etag:
                if mail.status is not Status.SENT or not may_follow(found.mail.status, Status.SENT):
                    if mail.status is not Status.SENDING:
                        # A claim that came second is no news; an outcome that did is.
                        event("outcome_superseded", level=logging.WARNING, mail_id=mail.mail_id)
                    return None
                # Somebody declared this worker dead meanwhile. What Graph answered is stronger.
                mail = found.mail.moved(Status.SENT, mail.updated_at, request_id=mail.request_id)
                etag = found.etag
        raise AnswerLost("storage", "the ledger did not confirm what became of a mail")

    def _drop(self, blob: str) -> None:
        try:
            self._payloads.delete(blob)
        except RemoteError:
            event("payload_left_behind", level=logging.WARNING)

    def _tell(self, mail: Mail, outcome: Outcome) -> None:
        quiet = mail.status in (Status.SENT, Status.QUEUED)
        event(
            f"mail_{mail.status.value}" if mail.status is not Status.QUEUED else "mail_again",
            level=logging.INFO if quiet else logging.WARNING,
            mail_id=mail.mail_id,
            account=mail.account,
            attempts=mail.attempts,
            reason=outcome.reason,
            retry_after=outcome.retry_after,
            request_id=outcome.request_id,
        )


def _why_held(account: Account | None) -> str:
    if account is None:
        return "The account of this mail is not there any more: link it again on /accounts."
    if account.state is AccountState.NEEDS_SIGN_IN:
        return "An administrator signs the mailbox in again on /accounts; the mail goes then."
    return "The account is held; the mail goes by itself when that ends."


def _is_same_move(found: Mail, wanted: Mail) -> bool:
    return (
        found.status is wanted.status
        and found.updated_at == wanted.updated_at
        and found.lease_id == wanted.lease_id
    )


def _first_attempt(mail: Mail, now: datetime) -> datetime:
    """When the attempts under way began: what lies before a hold, or before a person's retry, does
    not count against the mail."""
    began = now
    for step in reversed(mail.events):
        if step.status in SETTLED:
            break
        if step.status is Status.SENDING:
            began = step.at
    return began
