"""The index of waiting mails in table `waiting`.

Partition `time` holds what somebody must look at by a time: a row's key is that time and the mail's
id, so that what is due is one range, read in one call with the watermark and the accounts' marks,
whose keys lie before all times. Partition `held-<alias>` holds an account's held mails, by id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from shared.adapters.mails_table import stamp
from shared.adapters.storage import batches, delete_unchanged, translated
from shared.errors import AlreadyExists, LostRace
from shared.services.ports import Clock, Entry, Glance, HeldMark, Span, Watermark

if TYPE_CHECKING:
    from azure.data.tables import TableClient

ACCOUNTS = 100
"""Marks of so many accounts come with the entries in one page."""

_TIME = "time"
_WATERMARK = "!watermark"
_MARK = "!held-"
_HELD = "held-"
_BOOKMARKS = "bookmarks"


class WaitingTable:
    """Fulfils `ports.Waiting`."""

    def __init__(self, client: Callable[[], TableClient], clock: Clock) -> None:
        self._client = client
        self._clock = clock

    def note(self, mail_id: str, due_at: datetime) -> None:
        """See `Waiting`."""
        with translated("noting a waiting mail"):
            self._client().upsert_entity(self._look(mail_id, due_at))

    def note_all(self, looks: Mapping[str, datetime]) -> None:
        """See `Waiting`."""
        self._put(self._look(mail_id, due_at) for mail_id, due_at in looks.items())

    def hold_all(self, alias: str, mail_ids: Sequence[str]) -> None:
        """See `Waiting`. The mark comes first: it leads to the rows."""
        if not mail_ids:
            return
        with translated("marking an account with held mails"):
            self._client().upsert_entity(self._row(_TIME, _MARK + alias))
        self._put(self._row(_HELD + alias, mail_id) for mail_id in dict.fromkeys(mail_ids))

    def glance(self, now: datetime, most: int) -> Glance:
        """See `Waiting`."""
        watermark: Watermark | None = None
        held: list[HeldMark] = []
        due: list[Entry] = []
        # What comes after a time in a key is less than `~`.
        condition = f"PartitionKey eq '{_TIME}' and RowKey le '{stamp(now)}~'"
        with translated("looking for waiting mails"):
            rows = self._client().query_entities(
                condition, results_per_page=min(1000, most + ACCOUNTS)
            )
            for row in rows:
                key = str(row["RowKey"])
                if key == _WATERMARK:
                    watermark = _watermark(row, row.metadata["etag"])
                elif key.startswith(_MARK):
                    held.append(
                        HeldMark(key.removeprefix(_MARK), _noted_at(row), str(row.metadata["etag"]))
                    )
                elif len(due) == most:
                    break
                else:
                    due.append(_entry(row))
        return Glance(watermark, held, due)

    def of_account(self, alias: str, most: int) -> Sequence[Entry]:
        """See `Waiting`. Ids are ordered by time."""
        with translated("looking for held mails"):
            rows = self._client().query_entities(
                f"PartitionKey eq '{_HELD}{alias}'", results_per_page=min(most, 1000)
            )
            return [_entry(row) for row in islice(rows, most)]

    def drop(self, entries: Sequence[Entry]) -> None:
        """See `Waiting`."""
        partitions: dict[str, list[Entry]] = {}
        for entry in entries:
            partitions.setdefault(_keys(entry)[0], []).append(entry)
        for group in partitions.values():
            delete_unchanged(self._client(), [(*_keys(entry), entry.etag) for entry in group])

    def unmark(self, mark: HeldMark) -> None:
        """See `Waiting`."""
        delete_unchanged(self._client(), [(_TIME, _MARK + mark.alias, mark.etag)])

    def advance(self, watermark: Watermark) -> Watermark:
        """See `Waiting`."""
        from azure.core import MatchConditions
        from azure.data.tables import UpdateMode

        row = self._row(_TIME, _WATERMARK) | {
            "noted_before": stamp(watermark.noted_before),
            "looked_until": stamp(watermark.looked_until),
        }
        if watermark.under_way is not None:
            row |= {name: stamp(moment) for name, moment in vars(watermark.under_way).items()}
            row["cursor"] = watermark.cursor
        try:
            with translated("moving the watermark"):
                if watermark.etag is None:
                    answer = self._client().create_entity(row)
                else:
                    answer = self._client().update_entity(
                        row,
                        mode=UpdateMode.REPLACE,
                        etag=watermark.etag,
                        match_condition=MatchConditions.IfNotModified,
                    )
        except AlreadyExists as error:
            raise LostRace("moving the watermark: another sweep was first") from error
        return _watermark(row, answer["etag"])

    def mail_ids(self) -> Iterator[str]:
        """See `Waiting`."""
        with translated("reading all waiting mails"):
            for row in self._client().query_entities("", select=["RowKey"]):
                key = str(row["RowKey"])
                if not key.startswith("!"):
                    yield key.rpartition("_")[2]

    def bookmark(self, name: str) -> str | None:
        """See `Waiting`."""
        try:
            with translated("reading a bookmark"):
                place = self._client().get_entity(_BOOKMARKS, f"!{name}").get("place")
        except LostRace:
            return None
        return str(place) if place else None

    def set_bookmark(self, name: str, place: str | None) -> None:
        """See `Waiting`."""
        with translated("writing a bookmark"):
            self._client().upsert_entity(
                {"PartitionKey": _BOOKMARKS, "RowKey": f"!{name}", "place": place or ""}
            )

    def probe(self) -> None:
        """Ask for a row that is never there. Raises RemoteError where the table service does not answer, and LostRace
        where there is no such table."""
        with translated("looking for the table"):
            next(
                iter(self._client().query_entities(f"PartitionKey eq '{_TIME}' and RowKey eq '0'")),
                None,
            )

    def _look(self, mail_id: str, due_at: datetime) -> dict[str, Any]:
        return self._row(_TIME, f"{stamp(due_at)}_{mail_id}")

    def _row(self, partition: str, key: str) -> dict[str, Any]:
        return {"PartitionKey": partition, "RowKey": key, "noted_at": stamp(self._clock())}

    def _put(self, rows: Iterable[dict[str, Any]]) -> None:
        """Upsert rows of one partition."""
        for batch in batches(rows):
            with translated("noting waiting mails"):
                self._client().submit_transaction([("upsert", row) for row in batch])


def _keys(entry: Entry) -> tuple[str, str]:
    if entry.due_at is None:
        return f"{_HELD}{entry.held_for}", entry.mail_id
    return _TIME, f"{stamp(entry.due_at)}_{entry.mail_id}"


def _entry(row: Any) -> Entry:
    due, _, mail_id = str(row["RowKey"]).rpartition("_")
    return Entry(
        mail_id,
        _noted_at(row),
        str(row.metadata["etag"]),
        due_at=datetime.fromisoformat(due) if due else None,
        held_for=None if due else str(row["PartitionKey"]).removeprefix(_HELD),
    )


def _watermark(row: Mapping[str, Any], etag: object) -> Watermark:
    cursor = row.get("cursor")
    return Watermark(
        datetime.fromisoformat(row["noted_before"]),
        datetime.fromisoformat(row["looked_until"]),
        Span(*(datetime.fromisoformat(row[name]) for name in Span.__dataclass_fields__))
        if cursor
        else None,
        cursor,
        str(etag),
    )


def _noted_at(row: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(row["noted_at"]))
