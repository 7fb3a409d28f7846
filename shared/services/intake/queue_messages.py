"""Handling of queue messages: wake-ups, mail documents, unreadable messages, and poisoned
messages."""

from __future__ import annotations

import logging
from datetime import timedelta

from shared.errors import LostRace, RequestRejected
from shared.mail import ids, problems
from shared.mail.status import Status
from shared.services.clock import Clock
from shared.services.delivery.delivery import Delivery
from shared.services.delivery.delivery_result import DeliveryResult
from shared.services.intake import outbox_message as messages
from shared.services.intake import queue_wording as wording
from shared.services.intake.failed_messages import FailedMessages
from shared.services.intake.mail_document import read_json
from shared.services.intake.message_text import unwrap
from shared.services.intake.outbox_message import OutboxMessage
from shared.services.intake.readable_parts import readable_parts
from shared.services.intake.submission import Submission
from shared.services.mails.ports import Ledger, Versioned
from shared.telemetry import event


class Outbox:
    """Handles the messages of the queues `outbox` and `outbox-poison`."""

    def __init__(
        self,
        ledger: Ledger,
        submission: Submission,
        failed: FailedMessages,
        delivery: Delivery,
        clock: Clock,
        remembers: timedelta,
    ) -> None:
        """`remembers`: how long, at least, the ledger keeps the row of a message."""
        self._ledger = ledger
        self._submission = submission
        self._failed = failed
        self._delivery = delivery
        self._clock = clock
        self._remembers = remembers

    def handle(self, message: OutboxMessage) -> DeliveryResult:
        """Handle one message of the queue `outbox`. Raises only if the ledger cannot be reached;
        the message then comes again."""
        found = unwrap(message.body)
        if found.fault is not None:
            return self._write_failure(
                message,
                "unreadable_message",
                wording.help_for_unreadable(found.fault),
                document=None,
            )
        mail_id = messages.mail_id_in(found.content)
        if mail_id is not None:
            if ids.is_id(mail_id):
                return self._delivery.deliver(mail_id)
            event("wake_up_unreadable", level=logging.WARNING)
            return DeliveryResult.LEFT
        return self._take_in(message, found.content)

    def record_poisoned(self, message: OutboxMessage) -> DeliveryResult:
        """Handle one message of `outbox-poison`, which the host gave up on after repeated failures.

        A mail that waits goes on waiting, and the timer enqueues a wake-up for it
        (docs/decisions/0009-poisoned-wake-ups.md). The host copies only the body of a message, so a
        mail document is recognised by its content alone. A document that the ledger may never have
        had is recorded as failed and is never sent.
        """
        document = unwrap(message.body).document
        mail_id = None if document is None else messages.mail_id_in(document)
        if mail_id is None:
            return self._write_failure(message, "poisoned", wording.POISONED, document)
        found = self._ledger.get(mail_id) if ids.is_id(mail_id) else None
        if found is None or found.mail.status not in (Status.QUEUED, Status.SCHEDULED):
            # A mail that is held, unknown or finished stays as it is. The lease of a mail that is
            # being sent runs out.
            return DeliveryResult.LEFT
        mail = found.mail.poisoned(self._clock())
        try:
            self._ledger.update(mail, found.etag)
        except LostRace:
            return DeliveryResult.LEFT  # Another worker has changed it, and that change counts.
        event(
            "mail_poisoned",
            level=logging.ERROR,
            mail_id=mail_id,
            status=mail.status.value,
        )
        return DeliveryResult.FAILED if mail.status is Status.FAILED else DeliveryResult.LATER

    def _take_in(self, message: OutboxMessage, document: bytes) -> DeliveryResult:
        mail_id = _mail_id_of(message)
        if self._clock() - message.inserted_at >= self._remembers:
            return self._too_old(message, mail_id, document)
        try:
            order = read_json(document, self._clock())
            if order.dry_run:
                raise RequestRejected(problems.INVALID_MAIL, "dry_run has no meaning on the queue.")
            receipt = self._submission.take_in(order, mail_id, self._delivery.claim_or_hold)
        except RequestRejected as refused:
            return self._write_failure(
                message,
                refused.kind.code,
                wording.help_for(refused, mask=self._failed.mask),
                document,
            )
        mail = receipt.mail
        if receipt.replayed:
            return self._delivery.deliver(mail.mail_id)
        if mail.status is Status.HELD:
            return DeliveryResult.HELD
        if mail.status is not Status.SENDING:
            return DeliveryResult.LATER
        if receipt.etag is None or receipt.account is None:
            return DeliveryResult.LEFT
        return self._delivery.send_claimed(Versioned(mail, receipt.etag), receipt.account)

    def _too_old(self, message: OutboxMessage, mail_id: str, document: bytes) -> DeliveryResult:
        """A second delivery is recognised by its mail's row, which retention may have removed."""
        if self._ledger.get(mail_id) is not None:
            return self._delivery.deliver(mail_id)
        return self._write_failure(message, "message_too_old", wording.TOO_OLD, document)

    def _write_failure(
        self, message: OutboxMessage, reason: str, help_text: str, document: bytes | None
    ) -> DeliveryResult:
        self._failed.record(
            _mail_id_of(message), message.body, reason, help_text, readable_parts(document)
        )
        return DeliveryResult.FAILED


def _mail_id_of(message: OutboxMessage) -> str:
    return ids.id_of_message(message.message_id, message.inserted_at)
