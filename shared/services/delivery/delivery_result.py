"""What a wake-up led to."""

from __future__ import annotations

from enum import StrEnum

from shared.mail.mail import Mail
from shared.mail.status import Status


class DeliveryResult(StrEnum):
    """What a wake-up led to. None of them is an error."""

    SENT = "sent"
    LATER = "later"
    HELD = "held"
    UNKNOWN = "unknown"
    FAILED = "failed"
    LEFT = "left"
    """Nothing was done: the mail is not there, needs no worker any more, or belongs to another
    worker."""


_RESULTS = {
    Status.SENT: DeliveryResult.SENT,
    Status.QUEUED: DeliveryResult.LATER,
    Status.HELD: DeliveryResult.HELD,
    Status.UNKNOWN: DeliveryResult.UNKNOWN,
    Status.FAILED: DeliveryResult.FAILED,
}


def result_of(mail: Mail) -> DeliveryResult:
    """The result of an attempt or a search that left the mail in this state."""
    return _RESULTS[mail.status]
