"""What accepting a mail needs beside the ledger: idempotency keys, and the queue.

Interfaces, which `shared.adapters` fulfils. Every implementation raises only errors of
`shared.errors`: NotSent where a call had no effect, AnswerLost where that is not known, LostRace
where a condition did not hold.
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
    """An idempotency key in use: which mail it stands for, and the document it came with."""

    mail_id: str
    document_hash: str
    claimed_at: datetime

    def holds_at(self, now: datetime) -> bool:
        """Whether the key is still taken: for 24 hours."""
        return now - self.claimed_at <= KEY_LIFETIME


class IdempotencyKeys(Protocol):
    """Table `keys`."""

    def claim(self, key: str, claim: KeyClaim) -> KeyClaim:
        """Take a key. Returns the claim that holds it: ours, or the one that was there first.

        A claim older than 24 hours is replaced.
        """
        ...

    def find(self, key: str) -> KeyClaim | None:
        """The claim that holds a key, however old; None where nobody has taken it."""
        ...


class WakeUps(Protocol):
    """Queue `outbox`: tells a worker to look at a mail in the ledger."""

    def enqueue(self, mail_id: str, after_seconds: float = 0) -> None:
        """Enqueue a wake-up for a mail, now or later (at most seven days)."""
        ...
