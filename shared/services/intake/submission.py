"""Accepting a mail: an order becomes a row in the ledger and a wake-up. HTTP and the queue both use
it. A mail is durable before it is answered with "accepted"."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec
from msgspec.structs import replace

from shared.errors import AlreadyExists, AnswerLost, FieldProblem, RequestRejected
from shared.mail import ids
from shared.mail.account import Account
from shared.mail.composing import sender_of
from shared.mail.delivery_mode import mode_for
from shared.mail.mail import Caller, Event, Mail
from shared.mail.message import Importance, Message
from shared.mail.shown_recipients import shown
from shared.mail.status import WAITING, Status
from shared.services.clock import Clock
from shared.services.delivery.pacing import Pacing
from shared.services.intake.idempotency import Idempotency
from shared.services.intake.mail_document import Order
from shared.services.intake.order_checks import CheckedOrder, OrderChecks
from shared.services.mails.content_store import ContentStore
from shared.services.mails.packing import Packed
from shared.services.mails.ports import Ledger
from shared.services.mails.wake_ups import MailWakeUps
from shared.telemetry import event


class Receipt(msgspec.Struct, frozen=True):
    """The result of a request to send."""

    mail: Mail
    etag: str | None = None
    """The row's ETag, if this call wrote the row."""
    replayed: bool = False
    """The same key came with the same document before; this is the mail of that request."""
    account: Account | None = None
    """The account that will send the mail, if this call chose it."""
    dry_run: bool = False
    """The mail was only checked; nothing was stored."""
    message: Message | None = None
    """The checked order without the account's defaults; only of a dry run."""
    warnings: tuple[FieldProblem, ...] = ()
    """The parts of the mail that Microsoft may drop; only of a request over HTTP."""


class Submission:
    """Accepts mails. `mask`: the texts of callers are masked in the ledger."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        checks: OrderChecks,
        idempotency: Idempotency,
        content: ContentStore,
        wake_ups: MailWakeUps,
        pacing: Pacing,
        clock: Clock,
        random: ids.RandomBytes,
        mask: bool = False,
    ) -> None:
        self._ledger = ledger
        self._checks = checks
        self._idempotency = idempotency
        self._content = content
        self._wake_ups = wake_ups
        self._pacing = pacing
        self._clock = clock
        self._random = random
        self._mask = mask

    def accept(self, order: Order) -> Receipt:
        """Accept a mail that came over HTTP, and enqueue a wake-up for it. Raises RequestRejected;
        then nothing was stored.

        If the ledger has the mail, this succeeds even if the wake-up cannot be enqueued: after an
        error the caller would send again, and the timer enqueues a wake-up anyway.
        """
        # It is made first: an error here must not hide that the mail was stored.
        warnings = _warnings_of(order.message)
        try:
            checked = self._checks.check(order, refuses_signed_out=True)
        except RequestRejected as refused:
            receipt = self._accepted_before(order, refused)
        else:
            receipt = self._accept(checked)
        return replace(receipt, warnings=warnings) if warnings else receipt

    def check(self, order: Order) -> CheckedOrder | None:
        """Check a mail that `accept_checked` will accept; None if its key already stands for a mail
        with the same document. Raises RequestRejected if it would be rejected."""
        try:
            checked = self._checks.check(order, refuses_signed_out=True)
            self._idempotency.refuse_taken(order)
        except RequestRejected:
            # A repeated order finds its mail, even if it would be rejected today.
            if self._idempotency.earlier(order) is None:
                raise
            return None
        return checked

    def accept_checked(self, checked: CheckedOrder) -> Receipt:
        """The same as `accept`, for an order that `check` has just checked."""
        warnings = _warnings_of(checked.order.message)
        return replace(self._accept(checked), warnings=warnings)

    def take_in(
        self, order: Order, mail_id: str, claim: Callable[[Mail, Account, datetime], Mail]
    ) -> Receipt:
        """Accept a mail that came as a storage message. Its id is made from the message's id.

        `claim` turns the new mail into what the first write says: usually it is already claimed by
        this worker, so that acceptance and claim are one write. Raises RequestRejected; then the
        ledger does not have the mail.
        """
        now = self._clock()
        try:
            checked = self._checks.check(order, refuses_signed_out=False)
        except RequestRejected as refused:
            return self._accepted_before(order, refused)
        mail = self._new(checked, mail_id, Caller.QUEUE, now)

        def begun(new: Mail) -> Mail:
            return claim(new, checked.account, now) if new.status is Status.QUEUED else new

        receipt = replace(self._store(checked, mail, begun), account=checked.account)
        waits = receipt.mail.status in (Status.SCHEDULED, Status.QUEUED)
        if waits and not receipt.replayed:
            self._wake_ups.enqueue(receipt.mail)
        _log_acceptance(receipt)
        return receipt

    def _accepted_before(self, order: Order, refused: RequestRejected) -> Receipt:
        """The mail that the key of a rejected order stands for. A mail that was accepted stays
        accepted, even if its order would be rejected today. Raises `refused` if there is no such
        mail."""
        earlier = self._idempotency.earlier(order)
        if earlier is None:
            raise refused
        receipt = Receipt(earlier, replayed=True, dry_run=order.dry_run)
        if not order.dry_run:
            _log_acceptance(receipt)
        return receipt

    def _accept(self, checked: CheckedOrder) -> Receipt:
        order, account, now = checked.order, checked.account, self._clock()
        mail = self._new(checked, ids.new_id(now, self._random), Caller.HTTP, now)
        if order.dry_run:
            earlier = self._idempotency.checked(order)
            if earlier is not None:
                return Receipt(earlier, replayed=True, dry_run=True)
            return Receipt(mail, account=account, dry_run=True, message=order.message)
        receipt = self._store(checked, mail, lambda new: self._pacing.with_slot(new, account))
        if receipt.mail.status in WAITING and receipt.mail.attempts == 0:
            self._wake_ups.enqueue(receipt.mail)
        _log_acceptance(receipt)
        return receipt

    def _new(self, checked: CheckedOrder, mail_id: str, caller: Caller, now: datetime) -> Mail:
        order, account = checked.order, checked.account
        due = max(order.scheduled_at or now, now)
        status = Status.SCHEDULED if due > now else Status.QUEUED
        recipients = [str(address) for address in order.message.recipients]
        return Mail(
            mail_id=mail_id,
            status=status,
            accepted_at=now,
            updated_at=now,
            due_at=due,
            caller=caller,
            account=account.alias,
            account_id=account.account_id,
            delivery=mode_for(account, saves_copy=order.message.save_to_sent_items),
            saves_copy=order.message.save_to_sent_items,
            message_id_given=_has_message_id(order.message),
            sender=str(sender_of(order.message, checked.sender, account)),
            recipients=shown(recipients, mask=self._mask),
            recipient_count=len(recipients),
            subject="" if self._mask else order.message.subject,
            tags=order.tags,
            metadata=order.metadata,
            urgent=order.message.importance is Importance.HIGH,
            idempotency_key=order.idempotency_key,
            document_hash=order.document_hash,
            events=(Event(now, status),),
        )

    def _store(self, checked: CheckedOrder, mail: Mail, begun: Callable[[Mail], Mail]) -> Receipt:
        """Write a new mail, changed by `begun`; or find the mail that its key stands for."""
        order = checked.order
        mail, earlier = self._idempotency.claim(order, mail)
        if earlier is not None:
            return Receipt(earlier, replayed=True)
        mail, message = self._content.keep_large_files(begun(mail), order.message)
        packed = Packed(message, checked.sender, saves_copy=order.saves_copy)
        mail = self._content.keep(mail, packed)
        self._wake_ups.note_if_old(mail)
        try:
            return Receipt(mail, etag=self._ledger.insert(mail))
        except (AlreadyExists, AnswerLost):
            found = self._ledger.get(mail.mail_id)
            if found is None:
                raise
            self._content.drop(*(set(mail.payload.blobs) - set(found.mail.payload.blobs)))
            # This is our own write, whose answer was lost or which the storage client repeated: it
            # has the same time of acceptance, so it is no replay.
            ours = found.mail.accepted_at == mail.accepted_at and (
                found.mail.lease_id == mail.lease_id
            )
            return Receipt(found.mail, etag=found.etag, replayed=not ours)


def _warnings_of(message: Message) -> tuple[FieldProblem, ...]:
    if not message.headers and message.mime is None:
        return ()
    from shared.mail import header_warnings

    return header_warnings.warnings_of(message)


def _has_message_id(message: Message) -> bool:
    if message.mime is None:
        return False
    from shared.mail.mime import header_section

    return header_section.has_message_id(message.mime)


def _log_acceptance(receipt: Receipt) -> None:
    event(
        "mail_accepted" if not receipt.replayed else "mail_replayed",
        mail_id=receipt.mail.mail_id,
        account=receipt.mail.account,
        caller=receipt.mail.caller.value,
        bytes=receipt.mail.size,
    )
