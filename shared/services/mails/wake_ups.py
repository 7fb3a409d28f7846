"""Wake-ups for mails: the queue messages that make a worker look at a mail when it is due."""

from __future__ import annotations

import logging
from datetime import timedelta

from shared.errors import RemoteError
from shared.mail import ids
from shared.mail.mail import Mail
from shared.services.clock import Clock
from shared.services.intake.outbox_message import LONGEST_DELAY
from shared.services.intake.ports import WakeUps
from shared.services.upkeep.ports import WaitingIndex
from shared.telemetry import event

NEW = timedelta(minutes=5)
"""If a mail is written later than this after its id was made, it is first noted as waiting: see
`WaitingIndex`."""


class MailWakeUps:
    """Makes sure that a worker looks at each waiting mail again."""

    def __init__(self, wake_ups: WakeUps, waiting: WaitingIndex, clock: Clock) -> None:
        self._wake_ups = wake_ups
        self._waiting = waiting
        self._clock = clock

    def enqueue(self, mail: Mail, after_seconds: float = 0.0) -> None:
        """Enqueue a wake-up for a mail when it is due, or `after_seconds` from now if that is
        later. Never raises for storage: if this fails, the timer enqueues one."""
        delay = max(after_seconds, (mail.due_at - self._clock()).total_seconds())
        try:
            self._wake_ups.enqueue(mail.mail_id, min(max(0.0, delay), LONGEST_DELAY))
        except RemoteError:
            event("bell_failed", level=logging.WARNING, mail_id=mail.mail_id)

    def note_if_old(self, mail: Mail) -> None:
        """Note a mail as waiting before it is written, if the sweep may already have passed the
        time of its id: see `WaitingIndex`."""
        if mail.next_check_at and self._clock() - ids.time_of(mail.mail_id) > NEW:
            self._waiting.note(mail.mail_id, mail.next_check_at)
