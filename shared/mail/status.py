"""The statuses of a mail and the ways between them."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Where a mail stands, in the mail world's words."""

    SCHEDULED = "scheduled"
    """Due later."""
    QUEUED = "queued"
    """Due now."""
    SENDING = "sending"
    """One worker holds the lease."""
    SENT = "sent"
    """Graph took it."""
    HELD = "held"
    """Nothing is wrong with the mail; its account cannot send now."""
    UNKNOWN = "unknown"
    """The request left and its answer was lost."""
    FAILED = "failed"
    """Cannot be sent as it is."""
    CANCELLED = "cancelled"
    """The caller cancelled it in time."""


# A mail that waits becomes unknown where its draft, which nobody should have sent, has gone.
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
"""Statuses that a mail leaves by itself, after a wake-up."""

SETTLED = frozenset(Status) - WAITING
"""Those that stay until a person or an account's recovery moves them, or for good."""


def may_follow(before: Status, after: Status) -> bool:
    """Whether a mail may go from one status to another."""
    return after in _NEXT[before]
