"""Accepting a mail: from a valid order to a row in the ledger and a wake-up.

HTTP and the queue meet here. Whatever is answered with "accepted" is durable.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from shared.errors import AlreadyExists, AnswerLost, FieldProblem, RemoteError, RequestRejected
from shared.mail import ids, invitation, limits, problems
from shared.mail.account import Account, AccountState
from shared.mail.address import Address
from shared.mail.choice import choose
from shared.mail.composing import compose, refuse_overrides, sender_of, with_sent_items
from shared.mail.delivery_mode import DeliveryMode, mode_for
from shared.mail.known_errors.account import why
from shared.mail.mail import Caller, Event, Mail, Payload
from shared.mail.message import Attachment, Importance, Message, StoredFile
from shared.mail.status import WAITING, Status
from shared.services.accounts.ports import Accounts
from shared.services.clock import Clock
from shared.services.delivery.pacing import Pacing
from shared.services.intake.mail_document import Order, internal_key
from shared.services.intake.outbox_message import LONGEST_DELAY
from shared.services.intake.ports import IdempotencyKeys, KeyClaim, WakeUps
from shared.services.intake.readable_parts import NOTHING, ReadableParts, Recipient
from shared.services.mails.packing import Packed, pack
from shared.services.mails.ports import Files, Ledger, Payloads, Versioned
from shared.services.upkeep.ports import WaitingIndex
from shared.telemetry import event

INLINE_BYTES = 480 * 1024
"""A packed payload up to this size stays in the ledger row (1 MiB at most); above, a blob."""

NEW = timedelta(minutes=5)
"""A mail whose id is older when it is written is noted as waiting first: see `WaitingIndex`."""

RECIPIENT_ROOM = 16_000
"""Characters of recipients that a ledger row keeps for people to see."""

_NO_MAIL = "is the id of no mail that is still in the ledger: give the Message-ID instead"
_NO_MESSAGE_ID = (
    "is the id of a mail whose Message-ID is not known yet: wait until GET /api/mails/{id} has a "
    "message_id, or give the Message-ID itself"
)
_NEVER_A_MESSAGE_ID = (
    "is the id of a mail whose Message-ID Postroom does not learn, because its account does not verify "
    "what it sends: give the Message-ID itself, from the copy in Sent Items"
)


class Receipt(msgspec.Struct, frozen=True):
    """What became of a request to send."""

    mail: Mail
    etag: str | None = None
    """The row's ETag, where this call wrote it."""
    replayed: bool = False
    """The same key came with the same document before; this is the mail of that time."""
    account: Account | None = None
    """Which will carry the mail, where this call chose it."""
    dry_run: bool = False
    """Checked only: nothing was stored."""
    message: Message | None = None
    """What was checked, without the account's defaults; of a dry run only."""
    warnings: tuple[FieldProblem, ...] = ()
    """What of the mail may not arrive; of a request over HTTP only."""


class Submission:
    """Accepts mails."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        payloads: Payloads,
        files: Files,
        keys: IdempotencyKeys,
        wake_ups: WakeUps,
        accounts: Accounts,
        pacing: Pacing,
        waiting: WaitingIndex,
        clock: Clock,
        random: ids.RandomBytes,
        max_mail_bytes: int,
        mask: bool = False,
    ) -> None:
        self._ledger = ledger
        self._payloads = payloads
        self._files = files
        self._keys = keys
        self._wake_ups = wake_ups
        self._accounts = accounts
        self._pacing = pacing
        self._waiting = waiting
        self._clock = clock
        self._random = random
        self._max_mail_bytes = max_mail_bytes
        self._mask = mask

    @property
    def masks(self) -> bool:
        """Whether what callers wrote is masked in the ledger."""
        return self._mask

    def accept(self, order: Order) -> Receipt:
        """Accept a mail that came over HTTP, and enqueue a wake-up for it.

        Raises RequestRejected, and then nothing was stored. Once the ledger has the mail this succeeds
        even if the wake-up cannot be enqueued: after an error the caller would send again, and the
        timer enqueues a wake-up anyway.
        """
        if not order.message.headers and order.message.mime is None:
            return self._accept(order)
        from shared.mail import header_warnings

        # Made first: a fault in it must not hide that the mail was stored.
        warnings = header_warnings.warnings_of(order.message)
        return replace(self._accept(order), warnings=warnings)

    def _accept(self, order: Order) -> Receipt:
        try:
            order, account, sender = self.check(order)
        except RequestRejected:
            # What has changed since says nothing about a mail that was accepted then.
            earlier = self.earlier(order)
            if earlier is None:
                raise
            if order.dry_run:
                return replace(earlier, dry_run=True)
            _log_acceptance(earlier)
            return earlier
        now = self._clock()
        mail = self._new(order, account, sender, ids.new_id(now, self._random), Caller.HTTP, now)
        if order.dry_run:
            claim = self._claim_of(order)
            self._refuse_conflict(claim, order)
            earlier = self._replayed(claim, order)
            if earlier is not None:
                return replace(earlier, dry_run=True)
            return Receipt(mail, account=account, dry_run=True, message=order.message)
        receipt = self._store(order, mail, sender, lambda new: self.with_slot(new, account))
        if receipt.mail.status in WAITING and receipt.mail.attempts == 0:
            self.enqueue(receipt.mail)
        _log_acceptance(receipt)
        return receipt

    def refuse_taken_key(self, order: Order) -> None:
        """Raise RequestRejected (409) for a key that stands for another document."""
        self._refuse_conflict(self._claim_of(order), order)

    def _claim_of(self, order: Order) -> KeyClaim | None:
        return self._keys.find(order.claimed_key) if order.claimed_key is not None else None

    def _refuse_conflict(self, claim: KeyClaim | None, order: Order) -> None:
        if claim is None or claim.document_hash == order.document_hash:
            return
        if claim.holds_at(self._clock()):
            raise key_conflict()

    def check(self, order: Order) -> tuple[Order, Account, Address]:
        """The order with its files looked at, the account that will carry the mail, and the From
        it will have. Raises RequestRejected where it cannot be accepted; stores nothing."""
        account, sender = self._account_for(order)
        refuse_signed_out(account)
        order = self._with_files(self._in_thread(_settled(order, account)))
        self.check_size(order.message, account, sender)
        return order, account, sender

    def check_size(self, message: Message, account: Account, sender: Address) -> None:
        """Raise RequestRejected for a mail that this account cannot send, its defaults included: 413 for its
        size, 422 for an invitation that is not from the mail's sender to a recipient."""
        given = (message, sender)
        is_checked = limits.may_be_above(message, self._max_mail_bytes)
        if is_checked:
            # Before anything is done with the text: that takes a time that grows with it.
            limits.check(message, sender, account, self._max_mail_bytes, self._clock())
        limits.check_markup(message, account)
        message, sender = compose(message, sender, account)
        invitation.refuse_wrong(message, sender)
        if not is_checked or message is not given[0] or sender != given[1]:
            limits.check(message, sender, account, self._max_mail_bytes, self._clock())

    def find(self, key: str) -> list[Mail]:
        """The mails that an idempotency key stands for: one mostly; none; two where `a/2` is both
        a caller's own key and the third place in the batch `a`."""
        batch, slash, index = key.rpartition("/")
        names = [key]
        if slash and batch and index.isascii() and index.isdigit() and len(index) < 4:
            names.append(internal_key(batch, int(index)))
        claims = [claim for claim in map(self._keys.find, names) if claim is not None]
        found = [self._ledger.get(claim.mail_id) for claim in claims]
        return [row.mail for row in found if row is not None]

    def take_in(
        self, order: Order, mail_id: str, claim: Callable[[Mail, Account, datetime], Mail]
    ) -> Receipt:
        """Accept a mail that came as a storage message, whose id was made from the message's.

        `claim` turns the new mail into what the first write shall say, usually already claimed by
        this worker: acceptance and claim are one write. Raises RequestRejected; the ledger then knows
        nothing of the mail.
        """
        now = self._clock()
        try:
            account, sender = self._account_for(order)
            order = self._with_files(self._in_thread(_settled(order, account)))
            self.check_size(order.message, account, sender)
        except RequestRejected:
            earlier = self.earlier(order)
            if earlier is None:
                raise
            _log_acceptance(earlier)
            return earlier
        mail = self._new(order, account, sender, mail_id, Caller.QUEUE, now)

        def begun(new: Mail) -> Mail:
            return claim(new, account, now) if new.status is Status.QUEUED else new

        receipt = replace(self._store(order, mail, sender, begun), account=account)
        waits = receipt.mail.status in (Status.SCHEDULED, Status.QUEUED)
        if waits and not receipt.replayed:
            self.enqueue(receipt.mail)
        _log_acceptance(receipt)
        return receipt

    def record_failure(
        self,
        mail_id: str,
        raw: bytes,
        reason: str,
        help_text: str,
        parts: ReadableParts = NOTHING,
    ) -> Mail:
        """Write down a queue message that cannot become a mail, with its raw text, and with what could
        be read of it, masked where the setting says so: by that people find it."""
        now = self._clock()
        packed = pack(Packed(raw=raw))
        mail = Mail(
            mail_id=mail_id,
            status=Status.FAILED,
            accepted_at=now,
            updated_at=now,
            due_at=now,
            caller=Caller.QUEUE,
            account=parts.account if parts.account_is_alias or not self._mask else None,
            sender="".join(self.shown([parts.sender])) if parts.sender else "",
            recipients=self._shown_parts(parts.recipients),
            recipient_count=parts.recipient_count,
            subject="" if self._mask else parts.subject,
            size=len(packed),
            reason=reason,
            help=help_text,
            tags=parts.labels.tags,
            metadata=parts.labels.metadata,
            payload=Payload(inline=packed),
            events=(Event(now, Status.FAILED, reason),),
        )
        try:
            self._ledger.insert(mail)
        except AlreadyExists:
            return mail
        event(
            "mail_failed",
            level=logging.WARNING,
            mail_id=mail_id,
            caller=Caller.QUEUE.value,
            reason=reason,
        )
        return mail

    def note_if_old(self, mail: Mail) -> None:
        """Note a mail that is about to be written as waiting, where the sweep may have passed the
        time of its id: see `WaitingIndex`."""
        if mail.next_check_at and self._clock() - ids.time_of(mail.mail_id) > NEW:
            self._waiting.note(mail.mail_id, mail.next_check_at)

    def enqueue(self, mail: Mail, after_seconds: float = 0.0) -> None:
        """Enqueue a wake-up for a mail when it is due, or later. If that fails, the timer does it."""
        delay = max(after_seconds, (mail.due_at - self._clock()).total_seconds())
        try:
            self._wake_ups.enqueue(mail.mail_id, min(max(0.0, delay), LONGEST_DELAY))
        except RemoteError:
            event("bell_failed", level=logging.WARNING, mail_id=mail.mail_id)

    def shown(self, recipients: Sequence[str]) -> tuple[str, ...]:
        """Recipients as the ledger keeps them for people to see: masked where the setting says
        so, and as many as the row can hold."""
        return _shown(recipients, mask=self._mask)

    def _shown_parts(self, recipients: Sequence[Recipient]) -> tuple[str, ...]:
        """As `shown`; what does not read as an address could be anything, and is left out of what is
        masked."""
        return self.shown([one.text for one in recipients if one.is_address or not self._mask])

    def _account_for(self, order: Order) -> tuple[Account, Address]:
        """Choose by what is cached; ask the table before refusing, so that a sign-in or a change of
        the account counts at once everywhere."""
        try:
            found = _chosen(order, self._accounts.all())
            if found[0].state is not AccountState.NEEDS_SIGN_IN:
                return found
        except RequestRejected:
            pass
        return _chosen(order, self._accounts.all(fresh=True))

    def _new(
        self,
        order: Order,
        account: Account,
        sender: Address,
        mail_id: str,
        caller: Caller,
        now: datetime,
    ) -> Mail:
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
            sender=str(sender_of(order.message, sender, account)),
            recipients=self.shown(recipients),
            recipient_count=len(recipients),
            subject="" if self._mask else order.message.subject,
            tags=order.tags,
            metadata=order.metadata,
            urgent=order.message.importance is Importance.HIGH,
            idempotency_key=order.idempotency_key,
            document_hash=order.document_hash,
            events=(Event(now, status),),
        )

    def with_slot(self, mail: Mail, account: Account) -> Mail:
        """Due at the slot of its mailbox, as far as that is known now."""
        if mail.status is not Status.QUEUED:
            return mail
        slot = self._pacing.slot(account, urgent=mail.urgent)
        return self.with_reason(replace(mail, due_at=max(mail.due_at, slot)), account)

    def with_slot_today(self, mail: Mail, account: Account) -> Mail | None:
        """A mail that waits for another day, due today; None if the daily cap has no free place today."""
        slot = self._pacing.slot_today(account, urgent=mail.urgent)
        return replace(mail, due_at=slot, reason=None, help=None) if slot is not None else None

    def with_reason(self, mail: Mail, account: Account) -> Mail:
        """A mail that has its slot, with the reason where it is not today's."""
        cap = account.defaults.daily_cap
        if cap is None or not self._pacing.is_capped(account, mail.due_at):
            return mail
        return mail.capped(cap)

    def give_back_slot(self, mail: Mail, account: Account) -> None:
        """Let another mail have the slot of one that will not go then."""
        if mail.waits_its_turn(self._clock()):
            self._pacing.give_back(account, mail.due_at)

    def _store(
        self, order: Order, mail: Mail, sender: Address, begun: Callable[[Mail], Mail]
    ) -> Receipt:
        """Write a new mail, as `begun` makes of it; or find the one that its key stands for."""
        if order.claimed_key is not None:
            claimed = self._keys.claim(
                order.claimed_key,
                KeyClaim(mail.mail_id, order.document_hash, mail.accepted_at),
            )
            if claimed.document_hash != order.document_hash:
                raise key_conflict()
            if claimed.mail_id != mail.mail_id:
                earlier = self._ledger.get(claimed.mail_id)
                if earlier is not None:
                    return Receipt(earlier.mail, replayed=True)
                # The first caller took the key and has not written the mail (yet, or ever: it may
                # have died). Writing it under the same id is right in both cases.
                mail = replace(mail, mail_id=claimed.mail_id)
        mail = begun(mail)
        mail, message = self._with_files_apart(mail, order.message)
        mail = self.with_payload(mail, Packed(message, sender, saves_copy=order.saves_copy))
        self.note_if_old(mail)
        try:
            return Receipt(mail, etag=self._ledger.insert(mail))
        except (AlreadyExists, AnswerLost):
            found = self._ledger.get(mail.mail_id)
            if found is None:
                raise
            for blob in set(mail.payload.blobs) - set(found.mail.payload.blobs):
                self.drop(blob)
            # Our own write, whose answer was lost or which the storage client repeated, is no
            # replay: it carries this very acceptance.
            ours = found.mail.accepted_at == mail.accepted_at and (
                found.mail.lease_id == mail.lease_id
            )
            return Receipt(found.mail, etag=found.etag, replayed=not ours)

    def drop(self, blob: str) -> None:
        """Remove a payload that no row refers to."""
        try:
            self._payloads.delete(blob)
        except RemoteError:
            event("payload_left_behind", level=logging.WARNING)

    def with_payload(self, mail: Mail, content: Packed, *, own_name: bool = False) -> Mail:
        """The mail with its content: for the row, or stored as a blob already. Files that are kept
        apart stay.

        With `own_name` no other call ever writes a blob of that name, whatever its content: whoever
        then loses the race for the row may drop it.
        """
        packed = pack(content)
        files = content.message.attachments if content.message is not None else ()
        size = len(packed) + sum(
            file.size for file in files if isinstance(file.content, StoredFile)
        )
        if len(packed) <= INLINE_BYTES:
            return replace(mail, size=size, payload=replace(mail.payload, inline=packed, blob=None))
        name = _blob_name(mail, packed)
        if own_name:
            name = f"{name}-{self._random(8).hex()}"
        self._payloads.put(name, packed)
        return replace(mail, size=size, payload=replace(mail.payload, inline=None, blob=name))

    def earlier(self, order: Order) -> Receipt | None:
        """The mail that the order's key stands for already, with the same document; None for an
        order that is new. What is checked of a new one may have changed since the first time: its
        file is gone, its account signed out, its sender not allowed any more."""
        return self._replayed(self._claim_of(order), order)

    def _replayed(self, claim: KeyClaim | None, order: Order) -> Receipt | None:
        if claim is None or claim.document_hash != order.document_hash:
            return None
        found = self._ledger.get(claim.mail_id) if claim.holds_at(self._clock()) else None
        return None if found is None else Receipt(found.mail, replayed=True)

    def _in_thread(self, order: Order) -> Order:
        """The order with the Message-ID of the mail that it answers, where it names one by its id.
        Raises RequestRejected where that mail or its Message-ID is not known."""
        if order.answers is None:
            return order
        found = self._ledger.get(order.answers)
        message_id = found.mail.message_id if found is not None else None
        if message_id is None:
            raise RequestRejected(
                problems.INVALID_MAIL,
                "The mail that this one answers cannot be named in it.",
                [FieldProblem("in_reply_to", _why_not_answered(found))],
            )
        message = replace(
            order.message,
            in_reply_to=message_id,
            references=order.message.references or (message_id,),
        )
        return replace(order, message=message)

    def _with_files(self, order: Order) -> Order:
        """The order with what is known of the files that the caller has in storage: looked at
        once, each as it stands now. Raises RequestRejected for one that is not there."""
        found: list[Attachment] = []
        missing: list[FieldProblem] = []
        for index, item in enumerate(order.message.attachments):
            file = item.content
            if isinstance(file, StoredFile):
                seen = self._files.head(file.container, file.name)
                if seen is None:
                    missing.append(
                        FieldProblem(
                            f"attachments[{index}].blob",
                            f"is not in the container {file.container}: put the file there first",
                        )
                    )
                item = replace(item, content=seen or file)
            found.append(item)
        if missing:
            raise RequestRejected(
                problems.ATTACHMENT_MISSING, "The mail names a file that is not there.", missing
            )
        return replace(order, message=replace(order.message, attachments=tuple(found)))

    def _with_files_apart(self, mail: Mail, message: Message) -> tuple[Mail, Message]:
        """The mail and its message, with large files stored as blobs of their own."""
        attachments = []
        names = []
        for item in message.attachments:
            if not _is_packed(item):
                content = item.in_memory
                kept = self._files.keep(_blob_name(mail, content), content)
                names.append(kept.name)
                item = replace(item, content=kept)
            attachments.append(item)
        mail = replace(mail, payload=replace(mail.payload, files=tuple(dict.fromkeys(names))))
        return mail, replace(message, attachments=tuple(attachments))


def _why_not_answered(found: Versioned | None) -> str:
    """Why a mail of ours, named by its id, cannot be answered."""
    if found is None:
        return _NO_MAIL
    return _NEVER_A_MESSAGE_ID if found.mail.delivery is DeliveryMode.DIRECT else _NO_MESSAGE_ID


def _chosen(order: Order, accounts: Sequence[Account]) -> tuple[Account, Address]:
    account, sender = choose(accounts, order.account, order.message.sender)
    refuse_overrides(order.message, account, saves_copy=order.saves_copy)
    return account, sender


def _settled(order: Order, account: Account) -> Order:
    """The order with what its account decides at acceptance, once for all."""
    message = with_sent_items(order.message, account, saves_copy=order.saves_copy)
    return replace(order, message=message)


def _has_message_id(message: Message) -> bool:
    if message.mime is None:
        return False
    from shared.mail.mime import header_section

    return header_section.has_message_id(message.mime)


def key_conflict() -> RequestRejected:
    """The refusal of a key that stands for another document."""
    return RequestRejected(
        problems.IDEMPOTENCY_CONFLICT,
        "The idempotency key stands for another document already.",
        [FieldProblem("idempotency_key", "was used with another document")],
    )


def refuse_signed_out(account: Account) -> None:
    """Raise RequestRejected (409) for an account that needs a sign-in: over HTTP the caller can be told."""
    if account.state is AccountState.NEEDS_SIGN_IN:
        row = why(account)
        raise RequestRejected(
            problems.ACCOUNT_NEEDS_SIGN_IN,
            f"The account '{account.alias}' cannot send until its mailbox is signed in again"
            f"{f' ({account.reason})' if account.reason else ''}.",
            [FieldProblem("account", "needs to be signed in again on the page /accounts")],
            help=row.words if row else None,
        )


def _is_packed(item: Attachment) -> bool:
    return isinstance(item.content, StoredFile) or len(item.content) < limits.SEPARATE_BYTES


def _blob_name(mail: Mail, content: bytes) -> str:
    """Named by its content as well: what an earlier try left behind may have been meant for another
    sender, or have been read from another request."""
    return f"{mail.mail_id}/{hashlib.sha256(content).hexdigest()[:16]}"


def _shown(recipients: Sequence[str], *, mask: bool) -> tuple[str, ...]:
    if mask:
        recipients = [_masked(address) for address in recipients]
    return as_many_as_fit(recipients)


def as_many_as_fit(recipients: Sequence[str]) -> tuple[str, ...]:
    """The first of them, up to what a property of a row holds: 32,768 units of UTF-16."""
    shown: list[str] = []
    room = RECIPIENT_ROOM
    for address in recipients:
        room -= len(address) + 4
        if room < 0:
            break
        shown.append(address)
    return tuple(shown)


def _masked(address: str) -> str:
    spec = address.rpartition("<")[2].rstrip(">")
    local, _, domain = spec.rpartition("@")
    return f"{local[:1]}***@{domain}"


def _log_acceptance(receipt: Receipt) -> None:
    event(
        "mail_accepted" if not receipt.replayed else "mail_replayed",
        mail_id=receipt.mail.mail_id,
        account=receipt.mail.account,
        caller=receipt.mail.caller.value,
        bytes=receipt.mail.size,
    )
