"""Sign-ins under way in table `flows`: taken once. A row holds nothing secret."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from shared.adapters.storage import delete_unchanged, translated
from shared.errors import LostRace

if TYPE_CHECKING:
    from azure.data.tables import TableClient

_PARTITION = "flow"


class FlowsTable:
    """Fulfils `ports.Flows`."""

    def __init__(self, client: Callable[[], TableClient]) -> None:
        self._client = client

    def open(self, state_hash: str, expires_at: datetime) -> None:
        """See `Flows`."""
        with translated("opening a sign-in"):
            self._client().create_entity(
                {
                    "PartitionKey": _PARTITION,
                    "RowKey": state_hash,
                    "expires_at": expires_at.isoformat(),
                }
            )

    def forget_expired(self, now: datetime, most: int) -> int:
        """See `Expiring`. There are few: those of sign-ins that nobody finished."""
        expired = (now - timedelta(hours=1)).isoformat()
        with translated("looking for expired sign-ins"):
            rows = self._client().query_entities(
                f"PartitionKey eq '{_PARTITION}' and expires_at lt '{expired}'",
                select=["RowKey"],
            )
            found = [
                (_PARTITION, str(row["RowKey"]), str(row.metadata["etag"]))
                for row in islice(rows, most)
            ]
        return len(delete_unchanged(self._client(), found))

    def take(self, state_hash: str) -> datetime | None:
        """See `Flows`. The conditional delete is what lets only one of two callbacks win.

        It goes as a transaction of one: the SDK's plain delete takes "there is no such row" for
        success, and so would let both win.
        """
        from azure.core import MatchConditions

        try:
            with translated("taking a sign-in"):
                entity = self._client().get_entity(_PARTITION, state_hash)
                condition = {
                    "etag": entity.metadata["etag"],
                    "match_condition": MatchConditions.IfNotModified,
                }
                self._client().submit_transaction([("delete", entity, condition)])
        except LostRace:
            return None
        return datetime.fromisoformat(str(entity["expires_at"]))
