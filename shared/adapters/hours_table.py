"""What was counted hour by hour, in partition `hours` of table `waiting`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.adapters.storage import delete_unchanged, translated
from shared.mail.status import Status
from shared.services.ports import Hour

if TYPE_CHECKING:
    from azure.data.tables import TableClient

_HOURS = "hours"
_KEY = "!%Y-%m-%dT%H"
# The mark keeps it out of what `WaitingTable.mail_ids` takes for waiting mails.


class HoursTable:
    """Fulfils `ports.Hours`."""

    def __init__(self, client: Callable[[], TableClient]) -> None:
        self._client = client

    def read(self, since: datetime) -> Sequence[Hour]:
        """See `Hours`."""
        with translated("reading what was counted"):
            rows = self._client().query_entities(
                f"PartitionKey eq '{_HOURS}' and RowKey ge '{_key(since)}'"
            )
            return [
                Hour(
                    datetime.strptime(row["RowKey"], _KEY).replace(tzinfo=UTC),
                    {Status(name): count for name, count in json.loads(row["counts"]).items()},
                )
                for row in rows
            ]

    def write(self, hour: Hour) -> None:
        """See `Hours`."""
        with translated("writing what was counted"):
            self._client().upsert_entity(
                {
                    "PartitionKey": _HOURS,
                    "RowKey": _key(hour.begins),
                    "counts": json.dumps({s.value: n for s, n in hour.counts.items()}),
                }
            )

    def forget(self, before: datetime) -> None:
        """See `Hours`."""
        condition = f"PartitionKey eq '{_HOURS}' and RowKey lt '{_key(before)}'"
        with translated("looking for old counts"):
            old = [
                (_HOURS, str(row["RowKey"]), str(row.metadata["etag"]))
                for row in self._client().query_entities(condition, select=["RowKey"])
            ]
        delete_unchanged(self._client(), old)


def _key(begins: datetime) -> str:
    return begins.astimezone(UTC).strftime(_KEY)
