"""What the watch remembers: table `accounts`, in a row of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.adapters.storage import translated
from shared.errors import AlreadyExists, LostRace
from shared.mail.expiry import Expiry
from shared.services.ports import Remembered

if TYPE_CHECKING:
    from azure.data.tables import TableClient

_PARTITION, _ROW = "watch", "credential"


class WatchRows:
    """Fulfils `ports.WatchMemory`."""

    def __init__(self, client: Callable[[], TableClient]) -> None:
        self._client = client

    def recall(self) -> Remembered:
        """See `WatchMemory`."""
        try:
            with translated("reading what the watch told"):
                row = self._client().get_entity(_PARTITION, _ROW)
        except LostRace:
            return Remembered()
        etag = str(row.metadata["etag"])
        if "version" not in row:
            return Remembered(None, etag)
        expires_at = row.get("expires_at")
        credential = Expiry(
            kind=row["kind"],
            version=row["version"],
            expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
            told=row.get("told"),
            owed=row.get("owed"),
        )
        return Remembered(credential, etag)

    def remember(self, remembered: Remembered) -> Remembered:
        """See `WatchMemory`."""
        from azure.core import MatchConditions
        from azure.data.tables import UpdateMode

        row = _row(remembered.credential)
        try:
            with translated("writing what the watch told"):
                if remembered.etag is None:
                    answer = self._client().create_entity(row)
                else:
                    answer = self._client().update_entity(
                        row,
                        mode=UpdateMode.REPLACE,
                        etag=remembered.etag,
                        match_condition=MatchConditions.IfNotModified,
                    )
        except AlreadyExists as error:
            raise LostRace("another instance was first") from error
        return replace(remembered, etag=str(answer["etag"]))


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
