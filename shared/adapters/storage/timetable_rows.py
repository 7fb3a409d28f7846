"""Timetables of the mailboxes, in rows of their own in table `accounts`, so that sending never
conflicts with a change of the account itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from shared.mail.pace import Timetable

if TYPE_CHECKING:
    from shared.adapters.storage.table_service import Table

TIMETABLES = "pace"
"""The partition."""


class TimetableRows:
    """Implements `delivery.ports.Timetables`."""

    def __init__(self, table: Callable[[], Table]) -> None:
        self._table = table

    def read(self, account_id: str) -> tuple[Timetable, str | None]:
        """See `Timetables`."""
        row = self._table().get("reading a timetable", TIMETABLES, account_id)
        return (timetable_of(row), row.etag) if row else (Timetable(), None)

    def write(self, account_id: str, timetable: Timetable, etag: str | None) -> str:
        """See `Timetables`."""
        row = {
            "PartitionKey": TIMETABLES,
            "RowKey": account_id,
            "next_at": timetable.next_at.isoformat(),
        }
        if timetable.given:
            row["given"] = json.dumps({day.isoformat(): n for day, n in timetable.given})
        if timetable.resting_until is not None:
            row["resting_until"] = timetable.resting_until.isoformat()
        return self._table().save("writing a timetable", row, etag)

    def forget(self, account_id: str) -> None:
        """See `Timetables`."""
        self._table().remove("removing a timetable", TIMETABLES, account_id)


def timetable_of(row: Mapping[str, Any]) -> Timetable:
    """A timetable from its row."""
    rest = row.get("resting_until")
    return Timetable(
        next_at=datetime.fromisoformat(row["next_at"]),
        resting_until=datetime.fromisoformat(rest) if rest else None,
        given=tuple(
            (date.fromisoformat(day), int(count))
            for day, count in json.loads(row.get("given", "{}")).items()
        ),
    )
