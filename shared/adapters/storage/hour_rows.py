"""The counts of each hour, in partition `hours` of table `waiting`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.mail.status import Status
from shared.services.mails.ports import Hour

if TYPE_CHECKING:
    from shared.adapters.storage.table_service import Table

_HOURS = "hours"
_KEY = "!%Y-%m-%dT%H"
# Because of this mark `WaitingTable.mail_ids` does not take the row for a waiting mail.


class HourRows:
    """Implements `mails.ports.Hours`."""

    def __init__(self, table: Callable[[], Table]) -> None:
        self._table = table

    def read(self, since: datetime) -> Sequence[Hour]:
        """See `Hours`."""
        condition = f"PartitionKey eq '{_HOURS}' and RowKey ge '{_key(since)}'"
        return [
            Hour(
                datetime.strptime(row["RowKey"], _KEY).replace(tzinfo=UTC),
                {Status(name): count for name, count in json.loads(row["counts"]).items()},
            )
            for row in self._table().rows("reading the counts", condition)
        ]

    def write(self, hour: Hour) -> None:
        """See `Hours`."""
        row = {
            "PartitionKey": _HOURS,
            "RowKey": _key(hour.begins),
            "counts": json.dumps({s.value: n for s, n in hour.counts.items()}),
        }
        self._table().upsert("writing the counts", row)

    def forget(self, before: datetime) -> None:
        """See `Hours`."""
        condition = f"PartitionKey eq '{_HOURS}' and RowKey lt '{_key(before)}'"
        rows = self._table().rows("looking for old counts", condition, select=["RowKey"])
        old = [(_HOURS, str(row["RowKey"]), row.etag) for row in rows]
        self._table().remove_unchanged("forgetting old counts", old)


def _key(begins: datetime) -> str:
    return begins.astimezone(UTC).strftime(_KEY)
