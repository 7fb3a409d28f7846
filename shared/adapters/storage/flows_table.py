"""Sign-ins under way, in table `flows`. Each can be taken once. A row holds no secret."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from shared.errors import LostRace

if TYPE_CHECKING:
    from shared.adapters.storage.table_service import Table

_PARTITION = "flow"


class FlowsTable:
    """Implements `sign_in.ports.Flows`."""

    def __init__(self, table: Callable[[], Table]) -> None:
        self._table = table

    def open(self, state_hash: str, expires_at: datetime) -> None:
        """See `Flows`."""
        row = {
            "PartitionKey": _PARTITION,
            "RowKey": state_hash,
            "expires_at": expires_at.isoformat(),
        }
        self._table().insert("opening a sign-in", row)

    def forget_expired(self, now: datetime, most: int) -> int:
        """See `Expiring`. There are few: only sign-ins that nobody finished."""
        expired = (now - timedelta(hours=1)).isoformat()
        rows = self._table().rows(
            "looking for expired sign-ins",
            f"PartitionKey eq '{_PARTITION}' and expires_at lt '{expired}'",
            select=["RowKey"],
        )
        found = [(_PARTITION, str(row["RowKey"]), row.etag) for row in islice(rows, most)]
        return len(self._table().remove_unchanged("forgetting expired sign-ins", found))

    def take(self, state_hash: str) -> datetime | None:
        """See `Flows`. Of two callbacks, only one can succeed, because the delete is
        conditional."""
        what = "taking a sign-in"
        row = self._table().get(what, _PARTITION, state_hash)
        if row is None:
            return None
        try:
            self._table().remove(what, _PARTITION, state_hash, row.etag)
        except LostRace:
            return None
        return datetime.fromisoformat(str(row["expires_at"]))
