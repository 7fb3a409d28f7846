"""What callers and people do with a mail that is in the ledger: cancel it, change its time, retry
it, resolve it, release it.

Each change is one conditional write. If a worker or another person changed the mail first, the
change is decided again. A mail that a worker has is not taken from it. A rejection names the status
of the mail and what is possible in it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from shared.errors import AnswerLost, LostRace, RemoteRefused, RequestRejected
from shared.mail import problems, shown_recipients
from shared.mail.choice import choose
from shared.mail.composing import compose, refuse_overrides, with_sent_items
from shared.mail.delivery_mode import mode_for
from shared.mail.mail import FINDING_OUT, Mail
from shared.mail.shown_recipients import shown
from shared.mail.status import Status
from shared.services.accounts.ports import Accounts
from shared.services.clock import Clock
from shared.services.delivery.draft_removal import DraftRemoval, RemovalResult
from shared.services.delivery.pacing import Pacing
from shared.services.intake.order_checks import OrderChecks, refuse_signed_out
from shared.services.mails.change_rules import (
    Recipients,
    addressed_of,
    afresh,
    cannot_send,
    former,
    gives_up_draft,
    gone_of,
    is_in,
    last_attempt,
    refuse_replaced,
    requested_copy,
    require,
    unreadable,
    waits_for_cap,
    where_of,
)
from shared.services.mails.content_store import ContentStore
from shared.services.mails.packing import Packed
from shared.services.mails.ports import Ledger, Versioned
from shared.services.mails.wake_ups import MailWakeUps
from shared.telemetry import event

ATTEMPTS = 5
"""How often a change is decided again after another process changed the mail."""

FIRST_LOOK = timedelta(seconds=5)
"""Seconds until Postroom searches for a mail whose draft is gone."""

DRAFT_STAYS = (
    "Its earlier draft is still in the Drafts of its mailbox, which Postroom cannot get into: do not "
    "send it from there."
)

NOT_BEGUN = frozenset({Status.SCHEDULED, Status.QUEUED, Status.HELD})
"""No worker has it and none has sent it, so it can be cancelled or get another time."""


class Decision(StrEnum):
    """What a person found out about an unknown mail."""

    SENT = "sent"
    SEND_AGAIN = "send_again"


Step = Callable[[Mail, datetime], Mail]
"""Makes the changed mail. Returns the same object if nothing has to be done."""


class Changes:
    """Changes mails that were accepted before."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        content: ContentStore,
        accounts: Accounts,
        checks: OrderChecks,
        pacing: Pacing,
        wake_ups: MailWakeUps,
        draft_removal: DraftRemoval,
        clock: Clock,
        mask: bool = False,
    ) -> None:
        """`mask`: the texts of callers are masked in the ledger."""
        self._ledger = ledger
        self._content = content
        self._accounts = accounts
        self._checks = checks
        self._pacing = pacing
        self._wake_ups = wake_ups
        self._draft_removal = draft_removal
        self._clock = clock
        self._mask = mask

    def cancel(self, mail_id: str) -> Mail:
        """Cancel a mail that no worker has yet. After this returns it will not be sent, its content
        is gone, and so is the draft of an earlier attempt. Raises RequestRejected if it is too
        late, or if the draft cannot be removed now."""

        def step(mail: Mail, now: datetime) -> Mail:
            if mail.status is Status.CANCELLED:
                return mail
            require(mail, NOT_BEGUN, "cancelled")
            return mail.moved(Status.CANCELLED, now)

        return self._change("cancel", mail_id, step)

    def reschedule(self, mail_id: str, due: datetime | None) -> Mail:
        """Change the time of a mail; None or a time in the past means now. If it already has a slot
        of its mailbox it keeps that slot. A mail that waits for the daily cap is sent today if the
        cap has a free place; otherwise it stays as it was."""

        def step(mail: Mail, now: datetime) -> Mail:
            require(mail, NOT_BEGUN, "given another time")
            at = max(due or now, now)
            status = Status.SCHEDULED if at > now else Status.QUEUED
            if status is Status.QUEUED and waits_for_cap(mail):
                return self._today(mail, now)
            if status is Status.QUEUED and mail.waits_its_turn(now):
                return mail.noted(now, "rescheduled")
            if mail.status is status:
                return replace(mail.noted(now, "rescheduled"), due_at=at, reason=None, help=None)
            return mail.moved(status, now, reason="rescheduled", due_at=at)

        return self._change("reschedule", mail_id, step)

    def retry(
        self, mail_id: str, recipients: Recipients | None = None, account: str | None = None
    ) -> Mail:
        """Try a failed or held mail again, as if it had just been accepted. It may go to other
        recipients, who replace all earlier ones, or from another account."""

        def step(mail: Mail, now: datetime) -> Mail:
            require(mail, frozenset({Status.FAILED, Status.HELD}), "retried")
            return self._retried(mail, now, recipients, account)

        return self._change("retry", mail_id, step)

    def resolve(self, mail_id: str, decision: Decision) -> Mail:
        """Resolve an unknown mail by what a person found out."""

        def step(mail: Mail, now: datetime) -> Mail:
            if decision is Decision.SENT and mail.status is Status.SENT:
                return mail
            require(mail, frozenset({Status.UNKNOWN}), "settled")
            if decision is Decision.SENT:
                sent = mail.moved(Status.SENT, now, reason="marked_sent")
                return replace(sent, sent_at=last_attempt(mail) or now)
            if mail.finding_out:
                # The copy may be found by the next search; then the mail would be sent twice.
                raise RequestRejected(
                    problems.WRONG_STATUS,
                    "Postroom is still finding out whether the mail was sent. Wait until its "
                    "reason is another one, or settle it as sent.",
                    members=where_of(mail),
                )
            self._kept(mail)
            return afresh(mail, now, "send_again")

        return self._change("resolve", mail_id, step)

    def release(self, mail_id: str) -> Mail:
        """Release a held mail whose account can send again."""

        def step(mail: Mail, now: datetime) -> Mail:
            require(mail, frozenset({Status.HELD}), "released")
            account = self._accounts.all(fresh=True).by_alias(mail.account)
            if account is None:
                raise RequestRejected(
                    problems.ACCOUNT_CANNOT_SEND,
                    "The mail's account is not there any more.",
                    help="Connect the mailbox again on /accounts, or retry the mail with another "
                    "'account'.",
                    members=where_of(mail),
                )
            refuse_replaced(mail, account)
            if not account.can_send_at(now):
                raise cannot_send(
                    account, "or retry the mail with another 'account'", where_of(mail)
                )
            return afresh(mail, now, "released")

        return self._change("release", mail_id, step)

    def _change(self, operation: str, mail_id: str, step: Step) -> Mail:
        removed: set[str] = set()
        for _ in range(ATTEMPTS):
            found = self._ledger.get(mail_id)
            if found is None:
                raise RequestRejected(problems.UNKNOWN_MAIL, "No mail has this id.")
            before = found.mail
            after = step(before, self._clock())
            if after is before:
                return before
            if gives_up_draft(before, after) and before.draft_id not in removed:
                after = self._without_draft(found, after)
                removed.add(str(before.draft_id))
            after = self._paced(before, after)
            self._wake_ups.note_if_old(after)
            if self._write(before, after, found.etag):
                self._finish(operation, before, after)
                return after
            self._drop_new(before, after)
        raise RequestRejected(
            problems.UNAVAILABLE, "The mail was changed by others again and again.", retry_after=1.0
        )

    def _without_draft(self, found: Versioned, after: Mail) -> Mail:
        """The mail after the change, when nobody can send its draft any more. Raises
        RequestRejected if it may have been sent; Postroom then searches for it."""
        before = found.mail
        try:
            failed_unsent = self._draft_removal.remove_draft(before)
        except RequestRejected:
            self._drop_new(before, after)
            raise
        if failed_unsent is RemovalResult.OUT_OF_REACH:
            return replace(after, help=DRAFT_STAYS)
        if failed_unsent is RemovalResult.REMOVED or before.status is Status.UNKNOWN:
            # A person said that this unknown mail was not sent.
            return after
        self._drop_new(before, after)
        self._find_out(found)
        raise RequestRejected(
            problems.WRONG_STATUS,
            "The mail's draft is not in its mailbox any more, as after it was sent: Postroom finds "
            "out whether it was. Ask for its status again in some minutes.",
            members=problems.standing(Status.UNKNOWN.value),
        )

    def _find_out(self, found: Versioned) -> None:
        now = self._clock()
        unsure = found.mail.moved(
            Status.UNKNOWN,
            now,
            reason=FINDING_OUT,
            help="Its draft is not in the mailbox any more, as after it was sent. Postroom looks "
            "into the mailbox at the time next_look_at.",
            due_at=now + FIRST_LOOK,
        )
        self._wake_ups.note_if_old(unsure)
        # Another process has the mail, and will also see that its draft is gone.
        if self._write(found.mail, unsure, found.etag):
            self._wake_ups.enqueue(unsure)

    def _drop_new(self, before: Mail, after: Mail) -> None:
        """Remove the content that was stored for a change that is not made."""
        if after.payload.blob not in (None, before.payload.blob):
            # The blob's name belongs to this attempt alone, so no other row refers to it.
            self._content.drop(str(after.payload.blob))

    def _today(self, mail: Mail, now: datetime) -> Mail:
        """A mail that waits for the daily cap, due today; the same mail if the cap has no free
        place."""
        account = self._accounts.all(fresh=True).by_alias(mail.account)
        let_go = account and self._pacing.with_slot_today(mail, account)
        return let_go.noted(now, "rescheduled") if let_go else mail

    def _paced(self, before: Mail, mail: Mail) -> Mail:
        """The mail with a new slot of its mailbox if it waits again. A mail that has a slot keeps
        it."""
        if waits_for_cap(before) and mail.status is Status.QUEUED:
            return mail
        if before.due_at == mail.due_at and before.waits_its_turn(mail.updated_at):
            return mail
        account = self._accounts.all().by_alias(mail.account)
        return self._pacing.with_slot(mail, account) if account is not None else mail

    def _give_back_slot(self, before: Mail, after: Mail) -> None:
        """Free the slot of a mail that was cancelled or put off."""
        if after.status is Status.QUEUED and after.due_at == before.due_at:
            return
        account = self._accounts.all().by_alias(before.account)
        if account is not None:
            self._pacing.give_back_slot(before, account)

    def _write(self, before: Mail, after: Mail, etag: str) -> bool:
        """Whether the ledger has the change. If the storage client repeated the write, the second
        one fails like a lost race; the event in the mail's history then shows that it was ours."""
        try:
            self._ledger.update(after, etag, new_payload=after.payload != before.payload)
        except (LostRace, AnswerLost):
            found = self._ledger.get(after.mail_id)
            return found is not None and is_in(found.mail, after)
        return True

    def _finish(self, operation: str, before: Mail, after: Mail) -> None:
        done = after.status in (Status.CANCELLED, Status.SENT)
        for blob in before.payload.blobs:
            if done or blob not in after.payload.blobs:
                self._content.drop(blob)
        self._give_back_slot(before, after)
        if after.status in (Status.QUEUED, Status.SCHEDULED):
            self._wake_ups.enqueue(after)
        event(
            "mail_changed",
            mail_id=after.mail_id,
            account=after.account,
            operation=operation,
            status=after.status.value,
        )

    def _retried(
        self, mail: Mail, now: datetime, recipients: Recipients | None, alias: str | None
    ) -> Mail:
        packed = self._kept(mail)
        if packed.message is None:
            raise unreadable(mail)
        addressed = addressed_of(packed.message, recipients)
        account, sender = choose(
            self._accounts.all(fresh=True),
            mail.account if alias is None else alias,
            addressed.sender,
        )
        if alias is None:
            refuse_replaced(mail, account)
        refuse_signed_out(account)
        saves_copy = requested_copy(mail, packed, account)
        refuse_overrides(addressed, account, saves_copy=saves_copy, is_retry=True)
        message = with_sent_items(addressed, account, saves_copy=saves_copy)
        self._checks.check_size(message, account, sender)
        content = msgspec.structs.replace(packed, message=message, sender=sender)
        if account.account_id != mail.account_id:
            reason = "account_changed"
        else:
            reason = "recipients_changed" if addressed is not packed.message else "retried"
        # An existing draft holds the mail as it was before, in the mailbox that it was made for.
        same = content == packed and account.account_id == mail.account_id
        after = afresh(mail, now, reason)
        after = replace(
            after,
            account=account.alias,
            account_id=account.account_id,
            sender=str(compose(message, sender, account)[1]),
            delivery=mode_for(account, saves_copy=message.save_to_sent_items),
            saves_copy=message.save_to_sent_items,
            draft_id=after.draft_id if same else None,
            message_id=after.message_id if same else None,
        )
        if addressed is not packed.message:
            addresses = [str(address) for address in message.recipients]
            after = replace(
                after,
                recipients=shown(addresses, mask=self._mask),
                recipient_count=len(addresses),
                former_recipients=shown_recipients.former(former(mail)),
            )
        if content == packed:
            return after
        return self._content.keep(after, content, own_name=True)

    def _kept(self, mail: Mail) -> Packed:
        """The content to send. Raises RequestRejected if it is gone or damaged."""
        try:
            packed = self._content.read(mail)
        except (RemoteRefused, ValueError) as error:
            raise gone_of(mail) from error
        if mail.payload.inline is None and mail.payload.blob is None:
            raise gone_of(mail)
        return packed
