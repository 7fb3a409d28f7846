"""The index of waiting mails in table `waiting`.

Partition `time` holds the mails that must be checked by a time. A row's key is that time and the
mail's id, so that all due mails are one range. One call reads it together with the watermark and
the marks of accounts, whose keys sort before all times. Partition `held-<alias>` holds an account's
held mails, by id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from shared.adapters.storage.mail_rows import stamp
from shared.adapters.storage.table_answers import Row
from shared.adapters.storage.table_service import TRANSACTION, Step
from shared.services.clock import Clock
from shared.services.mails.ports import Span
from shared.services.upkeep.ports import Entry, HeldMark, WaitingSnapshot, Watermark

if TYPE_CHECKING:
    from shared.adapters.storage.table_service import Table

ACCOUNTS = 100
"""How many marks of accounts are read with the entries in one page."""

_TIME = "time"
_WATERMARK = "!watermark"
_MARK = "!held-"
_HELD = "held-"
_BOOKMARKS = "bookmarks"


class WaitingTable:
    """Implements `upkeep.ports.WaitingIndex`."""

    def __init__(self, table: Callable[[], Table], clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def note(self, mail_id: str, due_at: datetime) -> None:
        """See `WaitingIndex`."""
        self._table().upsert("noting a waiting mail", self._look(mail_id, due_at))

    def note_all(self, search_count: Mapping[str, datetime]) -> None:
        """See `WaitingIndex`."""
        self._put(self._look(mail_id, due_at) for mail_id, due_at in search_count.items())

    def hold_all(self, alias: str, mail_ids: Sequence[str]) -> None:
        """See `WaitingIndex`. The mark is written first, because the sweep finds the rows through
        it."""
        if not mail_ids:
            return
        what = "marking an account with held mails"
        self._table().upsert(what, self._row(_TIME, _MARK + alias))
        self._put(self._row(_HELD + alias, mail_id) for mail_id in dict.fromkeys(mail_ids))

    def snapshot(self, now: datetime, most: int) -> WaitingSnapshot:
        """See `WaitingIndex`."""
        watermark: Watermark | None = None
        held: list[HeldMark] = []
        due: list[Entry] = []
        # The text after a time in a key sorts before `~`.
        condition = f"PartitionKey eq '{_TIME}' and RowKey le '{stamp(now)}~'"
        size = min(1000, most + ACCOUNTS)
        for row in self._table().rows("looking for waiting mails", condition, size=size):
            key = str(row["RowKey"])
            if key == _WATERMARK:
                watermark = _watermark(row, row.etag)
            elif key.startswith(_MARK):
                held.append(HeldMark(key.removeprefix(_MARK), _noted_at(row), row.etag))
            elif len(due) == most:
                break
            else:
                due.append(_entry(row))
        return WaitingSnapshot(watermark, held, due)

    def of_account(self, alias: str, most: int) -> Sequence[Entry]:
        """See `WaitingIndex`. Ids are ordered by time."""
        condition, size = f"PartitionKey eq '{_HELD}{alias}'", min(most, 1000)
        rows = self._table().rows("looking for held mails", condition, size=size)
        return [_entry(row) for row in islice(rows, most)]

    def drop(self, entries: Sequence[Entry]) -> None:
        """See `WaitingIndex`."""
        partitions: dict[str, list[Entry]] = {}
        for entry in entries:
            partitions.setdefault(_keys(entry)[0], []).append(entry)
        for group in partitions.values():
            self._table().remove_unchanged(
                "removing mails from those that wait",
                [(*_keys(entry), entry.etag) for entry in group],
            )

    def unmark(self, mark: HeldMark) -> None:
        """See `WaitingIndex`."""
        key = (_TIME, _MARK + mark.alias, mark.etag)
        self._table().remove_unchanged("removing the mark of an account", [key])

    def advance(self, watermark: Watermark) -> Watermark:
        """See `WaitingIndex`."""
        what = "moving the watermark"
        row = self._row(_TIME, _WATERMARK) | {
            "noted_before": stamp(watermark.noted_before),
            "looked_until": stamp(watermark.looked_until),
        }
        if watermark.under_way is not None:
            row |= {name: stamp(moment) for name, moment in asdict(watermark.under_way).items()}
            row["cursor"] = watermark.cursor
        etag = self._table().save(what, row, watermark.etag)
        return _watermark(row, etag)

    def mail_ids(self) -> Iterator[str]:
        """See `WaitingIndex`."""
        for row in self._table().rows("reading all waiting mails", "", select=["RowKey"]):
            key = str(row["RowKey"])
            if not key.startswith("!"):
                yield key.rpartition("_")[2]

    def bookmark(self, name: str) -> str | None:
        """See `WaitingIndex`."""
        row = self._table().get("reading a bookmark", _BOOKMARKS, f"!{name}")
        place = row.get("place") if row else None
        return str(place) if place else None

    def set_bookmark(self, name: str, place: str | None) -> None:
        """See `WaitingIndex`."""
        row = {"PartitionKey": _BOOKMARKS, "RowKey": f"!{name}", "place": place or ""}
        self._table().upsert("writing a bookmark", row)

    def probe(self) -> None:
        """Ask for a row that never exists. Raises RemoteError if the table service does not answer,
        and LostRace if the table does not exist."""
        self._table().page("looking for the table", f"PartitionKey eq '{_TIME}' and RowKey eq '0'")

    def _look(self, mail_id: str, due_at: datetime) -> dict[str, Any]:
        return self._row(_TIME, f"{stamp(due_at)}_{mail_id}")

    def _row(self, partition: str, key: str) -> dict[str, Any]:
        return {"PartitionKey": partition, "RowKey": key, "noted_at": stamp(self._clock())}

    def _put(self, rows: Iterable[dict[str, Any]]) -> None:
        """Upsert rows of one partition."""
        rest = (Step("upsert", row) for row in rows)
        while steps := list(islice(rest, TRANSACTION)):
            self._table().together("noting waiting mails", steps)


def _keys(entry: Entry) -> tuple[str, str]:
    if entry.due_at is None:
        return f"{_HELD}{entry.held_for}", entry.mail_id
    return _TIME, f"{stamp(entry.due_at)}_{entry.mail_id}"


def _entry(row: Row) -> Entry:
    due, _, mail_id = str(row["RowKey"]).rpartition("_")
    return Entry(
        mail_id,
        _noted_at(row),
        row.etag,
        due_at=datetime.fromisoformat(due) if due else None,
        held_for=None if due else str(row["PartitionKey"]).removeprefix(_HELD),
    )


def _watermark(row: Mapping[str, Any], etag: str) -> Watermark:
    cursor = row.get("cursor")
    return Watermark(
        datetime.fromisoformat(row["noted_before"]),
        datetime.fromisoformat(row["looked_until"]),
        Span(*(datetime.fromisoformat(row[name]) for name in Span.__struct_fields__))
        if cursor
        else None,
        cursor,
        etag,
    )


def _noted_at(row: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(row["noted_at"]))
