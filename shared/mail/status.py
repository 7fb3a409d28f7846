"""The statuses of a mail and the moves between them."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """The status of a mail, in the words of the API."""

    SCHEDULED = "scheduled"
    """Due later, as the caller asked."""
    QUEUED = "queued"
    """Due now, or at the time of its slot or of its next attempt."""
    SENDING = "sending"
    """One worker has the lease."""
    SENT = "sent"
    """Graph accepted it."""
    HELD = "held"
    """The mail is not at fault; its account cannot send now."""
    UNKNOWN = "unknown"
    """Microsoft's answer left open whether the mail was sent."""
    FAILED = "failed"
    """Not sent; it cannot be sent as it is."""
    CANCELLED = "cancelled"
    """The caller or a person cancelled it before it was sent."""


# A queued mail becomes unknown if its draft is gone, though nobody should have sent it.
_NEXT: dict[Status, frozenset[Status]] = {
    Status.SCHEDULED: frozenset(
        {
            *(Status.QUEUED, Status.SENDING, Status.HELD, Status.CANCELLED, Status.FAILED),
            Status.UNKNOWN,
        }
    ),
    Status.QUEUED: frozenset(
        {
            *(Status.SCHEDULED, Status.SENDING, Status.HELD, Status.CANCELLED, Status.FAILED),
            Status.UNKNOWN,
        }
    ),
    Status.SENDING: frozenset(
        {Status.SENT, Status.QUEUED, Status.HELD, Status.UNKNOWN, Status.FAILED}
    ),
    Status.HELD: frozenset(
        {
            *(Status.SCHEDULED, Status.QUEUED, Status.SENDING, Status.CANCELLED, Status.FAILED),
            Status.UNKNOWN,
        }
    ),
    Status.UNKNOWN: frozenset({Status.SENT, Status.QUEUED, Status.FAILED}),
    Status.FAILED: frozenset({Status.QUEUED}),
    Status.SENT: frozenset(),
    Status.CANCELLED: frozenset(),
}

WAITING = frozenset({Status.SCHEDULED, Status.QUEUED, Status.SENDING})
"""The statuses that a mail leaves by itself, after a wake-up."""

ATTENTION = (Status.HELD, Status.UNKNOWN, Status.FAILED)
"""Statuses that a mail does not leave by a wake-up alone."""
SETTLED = frozenset(Status) - WAITING
"""The statuses that a mail keeps for good, or until a person or the recovery of its account moves
it."""


def may_follow(before: Status, after: Status) -> bool:
    """Whether a mail may go from one status to another."""
    return after in _NEXT[before]
