"""Idempotency keys in table `keys`: one insert-if-absent claims a key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.adapters.storage import RowVersion, delete_unchanged, translated
from shared.errors import AlreadyExists, LostRace
from shared.services.ports import KEY_LIFETIME, KeyClaim

if TYPE_CHECKING:
    from azure.data.tables import TableClient


class KeysTable:
    """Fulfils `ports.IdempotencyKeys`."""

    def __init__(self, client: Callable[[], TableClient]) -> None:
        self._client = client

    def claim(self, key: str, claim: KeyClaim) -> KeyClaim:
        """See `IdempotencyKeys`. The key itself is the caller's text and is stored as a digest."""
        partition, digest = _keys_of(key)
        row = {
            "PartitionKey": partition,
            "RowKey": digest,
            "mail_id": claim.mail_id,
            "document_hash": claim.document_hash,
            "claimed_at": claim.claimed_at.isoformat(),
        }
        try:
            with translated("claiming an idempotency key"):
                self._client().create_entity(row)
        except AlreadyExists:
            return self._held(row, claim)
        return claim

    def find(self, key: str) -> KeyClaim | None:
        """See `IdempotencyKeys`."""
        try:
            with translated("looking for an idempotency key"):
                return _claim_in(self._client().get_entity(*_keys_of(key)))
        except LostRace:
            return None

    def forget_expired(self, now: datetime, most: int) -> int:
        """See `Expiring`. Claims are read in the order of their partitions."""
        expired = (now - KEY_LIFETIME - timedelta(hours=1)).isoformat()
        gone = 0
        with translated("looking for expired keys"):
            pages = (
                self._client()
                .query_entities(f"claimed_at lt '{expired}'", select=["PartitionKey", "RowKey"])
                .by_page()
            )
            for page in pages:
                partitions: dict[str, list[RowVersion]] = {}
                for row in page:
                    key = (str(row["PartitionKey"]), str(row["RowKey"]))
                    partitions.setdefault(key[0], []).append((*key, str(row.metadata["etag"])))
                gone += sum(
                    len(delete_unchanged(self._client(), rows)) for rows in partitions.values()
                )
                if gone >= most:
                    break
        return gone

    def _held(self, row: Mapping[str, Any], claim: KeyClaim) -> KeyClaim:
        from azure.core import MatchConditions
        from azure.data.tables import UpdateMode

        with translated("reading an idempotency key"):
            entity = self._client().get_entity(row["PartitionKey"], row["RowKey"])
        holder = _claim_in(entity)
        if holder.holds_at(claim.claimed_at):
            return holder
        try:
            with translated("renewing an idempotency key"):
                self._client().update_entity(
                    row,
                    mode=UpdateMode.REPLACE,
                    etag=entity.metadata["etag"],
                    match_condition=MatchConditions.IfNotModified,
                )
        except LostRace:
            # Another caller renewed it in this moment; its claim is the one that counts.
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
