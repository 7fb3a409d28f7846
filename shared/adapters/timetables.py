"""Timetables of the mailboxes: table `accounts`, beside the accounts and in rows of their own, so that
sending never competes with a change of the account itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from shared.adapters.storage import translated
from shared.errors import AlreadyExists, LostRace
from shared.mail.pace import Timetable

if TYPE_CHECKING:
    from azure.data.tables import TableClient

TIMETABLES = "pace"
"""The partition."""


class TimetableRows:
    """Fulfils `ports.Timetables`."""

    def __init__(self, client: Callable[[], TableClient]) -> None:
        self._client = client

    def read(self, account_id: str) -> tuple[Timetable, str | None]:
        """See `Timetables`."""
        try:
            with translated("reading a timetable"):
                row = self._client().get_entity(TIMETABLES, account_id)
        except LostRace:
            return Timetable(), None
        return timetable_of(row), str(row.metadata["etag"])

    def write(self, account_id: str, timetable: Timetable, etag: str | None) -> str:
        """See `Timetables`."""
        from azure.core import MatchConditions
        from azure.data.tables import UpdateMode

        row = {
            "PartitionKey": TIMETABLES,
            "RowKey": account_id,
            "next_at": timetable.next_at.isoformat(),
        }
        if timetable.given:
            row["given"] = json.dumps({day.isoformat(): n for day, n in timetable.given})
        if timetable.resting_until is not None:
            row["resting_until"] = timetable.resting_until.isoformat()
        try:
            with translated("writing a timetable"):
                if etag is None:
                    return str(self._client().create_entity(row)["etag"])
                answer = self._client().update_entity(
                    row,
                    mode=UpdateMode.REPLACE,
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
        except AlreadyExists as error:
            raise LostRace("another instance began the timetable") from error
        return str(answer["etag"])

    def forget(self, account_id: str) -> None:
        """See `Timetables`."""
        with suppress(LostRace), translated("removing a timetable"):
            self._client().delete_entity(TIMETABLES, account_id)


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
