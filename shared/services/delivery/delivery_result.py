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
    """Nothing to do: gone, settled, or another worker has it."""


_RESULTS = {
    Status.SENT: DeliveryResult.SENT,
    Status.QUEUED: DeliveryResult.LATER,
    Status.HELD: DeliveryResult.HELD,
    Status.UNKNOWN: DeliveryResult.UNKNOWN,
    Status.FAILED: DeliveryResult.FAILED,
}


def result_of(mail: Mail) -> DeliveryResult:
    """The result of an attempt or a search after which the mail is like this."""
    return _RESULTS[mail.status]
