"""Interfaces for what accepting a mail needs besides the ledger: idempotency keys, and the queue.

`shared.adapters` implements them. Every implementation raises only errors of `shared.errors`:
NotSent if a call had no effect, AnswerLost if that is not known, LostRace if a condition did not
hold.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from typing import Protocol
else:
    # For the type checker alone: real protocols cost time at each cold start.
    Protocol = object


KEY_LIFETIME = timedelta(hours=24)


class KeyClaim(msgspec.Struct, frozen=True):
    """An idempotency key in use: the mail that it stands for, and the document that it came
    with."""

    mail_id: str
    document_hash: str
    claimed_at: datetime

    def holds_at(self, now: datetime) -> bool:
        """Whether the key is still in use: for 24 hours."""
        return now - self.claimed_at <= KEY_LIFETIME


class IdempotencyKeys(Protocol):
    """Table `keys`."""

    def claim(self, key: str, claim: KeyClaim) -> KeyClaim:
        """Claim a key. Returns the claim that holds it: this one, or an earlier one. A claim older
        than 24 hours is replaced."""
        ...

    def find(self, key: str) -> KeyClaim | None:
        """The claim that holds a key, of any age; None if the key was never claimed."""
        ...


class WakeUps(Protocol):
    """Queue `outbox`: tells a worker to look at a mail in the ledger."""

    def enqueue(self, mail_id: str, after_seconds: float = 0) -> None:
        """Enqueue a wake-up for a mail, now or later (at most seven days)."""
        ...
