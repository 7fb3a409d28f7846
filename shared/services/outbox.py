"""What comes off the queue: bells, whole mails, noise, and what the host gave up on."""

from __future__ import annotations

import logging
from datetime import timedelta

from shared.errors import LostRace, Refused
from shared.mail import ids, problems
from shared.mail.status import Status
from shared.services import labels
from shared.services import outbox_message as messages
from shared.services.delivery import Delivery, Heard
from shared.services.document import read_json
from shared.services.outbox_message import OutboxMessage
from shared.services.ports import Clock, Ledger, Versioned
from shared.services.submission import Submission
from shared.telemetry import event


class Outbox:
    """Deals with the messages of the queues `outbox` and `outbox-poison`."""

    def __init__(
        self,
        ledger: Ledger,
        submission: Submission,
        delivery: Delivery,
        clock: Clock,
        remembers: timedelta,
    ) -> None:
        """`remembers`: for how long the ledger keeps at least what it has of a message."""
        self._ledger = ledger
        self._submission = submission
        self._delivery = delivery
        self._clock = clock
        self._remembers = remembers

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
            return self._delivery.deliver(mail_id) if ids.is_id(mail_id) else Heard.LEFT
        return self._take_in(message, document)

    def bury(self, message: OutboxMessage) -> Heard:
        """Deal with one message of `outbox-poison`: the host gave up after repeated failures.

        A mail that still waits goes on waiting, for the timer to ring
        (docs/decisions/0009-poisoned-bells.md). The host copies nothing but the body, so a whole mail is known again by its content only;
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
                document,
            )
        found = self._ledger.get(mail_id) if ids.is_id(mail_id) else None
        if found is None or found.mail.status not in (Status.QUEUED, Status.SCHEDULED):
            # A held or unknown mail keeps its own story; one that is being sent has its lease.
            return Heard.LEFT
        mail = found.mail.poisoned(self._clock())
        try:
            self._ledger.update(mail, found.etag)
        except LostRace:
            return Heard.LEFT  # somebody is at work on it: better than what we would write
        event(
            "mail_poisoned",
            level=logging.ERROR,
            mail_id=mail_id,
            status=mail.status.value,
        )
        return Heard.FAILED if mail.status is Status.FAILED else Heard.LATER

    def _take_in(self, message: OutboxMessage, document: bytes) -> Heard:
        mail_id = ids.id_of_message(message.message_id, message.inserted_at)
        if self._clock() - message.inserted_at >= self._remembers:
            return self._too_old(message, mail_id, document)
        try:
            order = read_json(document, self._clock())
            if order.dry_run:
                raise Refused(problems.INVALID_MAIL, "dry_run has no meaning on the queue.")
            receipt = self._submission.take_in(order, mail_id, self._delivery.claim_or_hold)
        except Refused as refused:
            return self._refused(message, mail_id, refused, document)
        mail = receipt.mail
        if receipt.replayed:
            return self._delivery.deliver(mail.mail_id)
        if mail.status is Status.HELD:
            return Heard.HELD
        if mail.status is not Status.SENDING:
            return Heard.LATER
        if receipt.etag is None or receipt.account is None:
            return Heard.LEFT
        return self._delivery.send_claimed(Versioned(mail, receipt.etag), receipt.account)

    def _too_old(self, message: OutboxMessage, mail_id: str, document: bytes) -> Heard:
        """A redelivery is known by its mail's row, and retention may have removed that by now."""
        if self._ledger.get(mail_id) is not None:
            return self._delivery.deliver(mail_id)
        self._submission.record_failure(
            mail_id,
            message.body,
            "message_too_old",
            "The queue message is older than mails are kept (POSTROOM_RETENTION_DAYS): it may have "
            "been sent before. Look into the mailbox's Sent Items, then send it anew if it was not.",
            labels.found_in(document),
        )
        return Heard.FAILED

    def _refused(
        self, message: OutboxMessage, mail_id: str, refused: Refused, document: bytes
    ) -> Heard:
        told = "; ".join(f"{problem.field} {problem.message}" for problem in refused.errors)
        self._submission.record_failure(
            mail_id,
            message.body,
            refused.kind.code,
            f"{refused.detail} {told or refused.help}"[:2000],
            labels.found_in(document),
        )
        return Heard.FAILED

    def _unreadable(
        self, message: OutboxMessage, reason: str, what: str, document: bytes | None = None
    ) -> Heard:
        mail_id = ids.id_of_message(message.message_id, message.inserted_at)
        self._submission.record_failure(
            mail_id,
            message.body,
            reason,
            f"The queue message {what}. Its raw text is kept.",
            labels.found_in(document),
        )
        return Heard.FAILED
