"""Queue messages that cannot become mails: they are written into the ledger as failed, with all
that could be read of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from shared.errors import AlreadyExists
from shared.mail.mail import Caller, Event, Mail, Payload
from shared.mail.shown_recipients import shown
from shared.mail.status import Status
from shared.services.clock import Clock
from shared.services.intake.readable_parts import NOTHING, ReadableParts, Recipient
from shared.services.mails.packing import Packed, pack
from shared.services.mails.ports import Ledger
from shared.telemetry import event


class FailedMessages:
    """Writes failed queue messages into the ledger. `mask`: the texts of callers are masked
    there."""

    def __init__(self, ledger: Ledger, clock: Clock, *, mask: bool = False) -> None:
        self._ledger = ledger
        self._clock = clock
        self.mask = mask

    def record(
        self,
        mail_id: str,
        raw: bytes,
        reason: str,
        help_text: str,
        parts: ReadableParts = NOTHING,
    ) -> Mail:
        """Write a message with its raw text and with what could be read of it, so that people find
        it. A message that is in the ledger already is not changed."""
        now = self._clock()
        packed = pack(Packed(raw=raw))
        mail = Mail(
            mail_id=mail_id,
            status=Status.FAILED,
            accepted_at=now,
            updated_at=now,
            due_at=now,
            caller=Caller.QUEUE,
            account=parts.account if parts.account_is_alias or not self.mask else None,
            sender="".join(shown([parts.sender], mask=self.mask)) if parts.sender else "",
            recipients=self._shown(parts.recipients),
            recipient_count=parts.recipient_count,
            subject="" if self.mask else parts.subject,
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

    def _shown(self, recipients: Sequence[Recipient]) -> tuple[str, ...]:
        """A text that is not an address could be anything, so it is left out of what is masked."""
        texts = [one.text for one in recipients if one.is_address or not self.mask]
        return shown(texts, mask=self.mask)
