"""What the hourly watch has reported, in a row of its own in table `accounts`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from shared.mail.expiry import Expiry
from shared.services.upkeep.ports import Remembered

if TYPE_CHECKING:
    from shared.adapters.storage.table_service import Table

_PARTITION, _ROW = "watch", "credential"


class WatchRows:
    """Implements `upkeep.ports.WatchMemory`."""

    def __init__(self, table: Callable[[], Table]) -> None:
        self._table = table

    def recall(self) -> Remembered:
        """See `WatchMemory`."""
        row = self._table().get("reading what the watch has reported", _PARTITION, _ROW)
        if row is None:
            return Remembered()
        if "version" not in row:
            return Remembered(None, row.etag)
        expires_at = row.get("expires_at")
        credential = Expiry(
            kind=row["kind"],
            version=row["version"],
            expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
            told=row.get("told"),
            owed=row.get("owed"),
        )
        return Remembered(credential, row.etag)

    def remember(self, remembered: Remembered) -> Remembered:
        """See `WatchMemory`."""
        what = "writing what the watch has reported"
        etag = self._table().save(what, _row(remembered.credential), remembered.etag)
        return replace(remembered, etag=etag)


def _row(credential: Expiry | None) -> dict[str, Any]:
    row: dict[str, Any] = {"PartitionKey": _PARTITION, "RowKey": _ROW}
    if credential is None:
        return row
    row |= {"kind": credential.kind, "version": credential.version}
    if credential.expires_at is not None:
        row["expires_at"] = credential.expires_at.isoformat()
    if credential.told is not None:
        row["told"] = credential.told
    if credential.owed is not None:
        row["owed"] = credential.owed
    return row
