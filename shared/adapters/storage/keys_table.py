"""Idempotency keys in table `keys`. One insert, which fails if the row exists, claims a key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.adapters.storage.table_answers import RowVersion
from shared.errors import AlreadyExists, LostRace
from shared.services.intake.ports import KEY_LIFETIME, KeyClaim

if TYPE_CHECKING:
    from shared.adapters.storage.table_service import Table


class KeysTable:
    """Implements `intake.ports.IdempotencyKeys`."""

    def __init__(self, table: Callable[[], Table]) -> None:
        self._table = table

    def claim(self, key: str, claim: KeyClaim) -> KeyClaim:
        """See `IdempotencyKeys`. The key is the caller's text, so only a digest of it is stored."""
        partition, digest = _keys_of(key)
        row = {
            "PartitionKey": partition,
            "RowKey": digest,
            "mail_id": claim.mail_id,
            "document_hash": claim.document_hash,
            "claimed_at": claim.claimed_at.isoformat(),
        }
        try:
            self._table().insert_own("claiming an idempotency key", row)
        except AlreadyExists:
            return self._held(row, claim)
        return claim

    def find(self, key: str) -> KeyClaim | None:
        """See `IdempotencyKeys`."""
        row = self._table().get("looking for an idempotency key", *_keys_of(key))
        return _claim_in(row) if row else None

    def forget_expired(self, now: datetime, most: int) -> int:
        """See `Expiring`. Reads the claims in the order of their partitions."""
        expired = (now - KEY_LIFETIME - timedelta(hours=1)).isoformat()
        gone = 0
        start: tuple[str, str] | None = None
        while True:
            page = self._table().page(
                "looking for expired keys",
                f"claimed_at lt '{expired}'",
                select=["PartitionKey", "RowKey"],
                start=start,
            )
            partitions: dict[str, list[RowVersion]] = {}
            for row in page.rows:
                key = (str(row["PartitionKey"]), str(row["RowKey"]))
                partitions.setdefault(key[0], []).append((*key, row.etag))
            for rows in partitions.values():
                gone += len(self._table().remove_unchanged("forgetting expired keys", rows))
            start = page.next
            if start is None or gone >= most:
                return gone

    def _held(self, row: Mapping[str, Any], claim: KeyClaim) -> KeyClaim:
        entity = self._table().get("reading an idempotency key", row["PartitionKey"], row["RowKey"])
        if entity is None:
            raise LostRace("reading an idempotency key: it was removed meanwhile")
        holder = _claim_in(entity)
        if holder.holds_at(claim.claimed_at):
            return holder
        try:
            self._table().replace("renewing an idempotency key", row, entity.etag)
        except LostRace:
            # Another caller renewed it at the same time, and that claim counts.
            return self._held(row, claim)
        return claim


def _keys_of(key: str) -> tuple[str, str]:
    digest = hashlib.sha256(key.encode()).hexdigest()
    return digest[:2], digest


def _claim_in(entity: Mapping[str, Any]) -> KeyClaim:
    return KeyClaim(
        str(entity["mail_id"]),
        str(entity["document_hash"]),
        datetime.fromisoformat(str(entity["claimed_at"])),
    )
