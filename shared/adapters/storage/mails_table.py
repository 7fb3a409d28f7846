"""The ledger in table `mails`.

Keys run backwards in time, because the table service lists rows in the order of their keys and
lists must be newest first (`docs/decisions/0002-ledger-keys.md`). The partition key is a day
counted down; the row key is the id with each hexadecimal digit complemented.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from shared.adapters.storage.mail_rows import (
    bookmark,
    chunks_of,
    condition_of,
    cursor_of,
    from_row,
    glimpse,
    id_of,
    keys_of,
    moment_of,
    partition_of,
    position_in,
    ranges_of,
    row_of,
    settled_of,
    stamp,
    texts_of,
    to_row,
    token_of,
    waits,
    without_payload,
)
from shared.adapters.storage.table_answers import Row, RowVersion
from shared.mail.mail import (
    Mail,
    MailFilter,
    MailPage,
)
from shared.mail.status import Status
from shared.services.mails.ports import Hour, MailSummary, Span, Versioned, WaitingPage
from shared.services.upkeep.ports import SettledMail, SettledPage

if TYPE_CHECKING:
    from shared.adapters.storage.table_service import Table


PAGES_A_CALL = 10
"""If few mails match a filter, one page of a list may need many storage pages. After this many the
page ends, with a cursor."""
SIFTED = 500
SECONDS_SIFTED = 0.1
"""Seconds that one call searches for a part of an address, in storage pages of `SIFTED` rows."""


_LISTED = [
    "RowKey",
    "status",
    "accepted_at",
    "updated_at",
    "due_at",
    "caller",
    "account",
    "account_id",
    "sender",
    *("recipients", *chunks_of("recipients")),
    "recipient_count",
    *("former_recipients", *chunks_of("former_recipients")),
    "subject",
    "tags",
    "metadata",
    "size",
    "urgent",
    "attempts",
    "lease_until",
    "lease_id",
    "delivery",
    "saves_copy",
    "draft_id",
    "message_id",
    "message_id_given",
    "looks",
    "sent_at",
    "reason",
    "help",
    "request_id",
    "idempotency_key",
    "document_hash",
    "blob",
    "files",
    "events",
]


# Only the columns that a list shows: fewer columns are read faster.
_SIFTED = [
    *("RowKey", "status", "accepted_at", "updated_at", "due_at", "caller", "account", "reason"),
    *("recipients", *chunks_of("recipients"), "recipient_count", "subject", "tags"),
]
_GLIMPSED = ["RowKey", "status", "account", "reason", "due_at", "updated_at", "lease_until"]


class MailsTable:
    """Implements `mails.ports.Ledger`."""

    def __init__(self, table: Callable[[], Table]) -> None:
        self._table = table

    def insert(self, mail: Mail) -> str:
        """See `Ledger`."""
        return self._table().insert_own("writing a new mail", to_row(mail))

    def get(self, mail_id: str) -> Versioned | None:
        """See `Ledger`."""
        row = self._table().get("reading a mail", *keys_of(mail_id))
        return Versioned(from_row(row), row.etag) if row else None

    def update(self, mail: Mail, etag: str, *, new_payload: bool = False) -> str:
        """See `Ledger`. The payload is not written again if it stays; only replacing the row
        removes it."""
        keeps_payload = mail.payload.inline is not None and not new_payload
        what = "changing a mail"
        if keeps_payload:
            return self._table().merge(what, without_payload(mail), etag)
        return self._table().replace(what, to_row(mail), etag)

    def page(self, wanted: MailFilter, size: int, cursor: str | None) -> MailPage:
        """See `Ledger`. One storage page may have fewer matches than `size`, so several are
        read."""
        if wanted.is_part_of_address:
            return self._sifted(wanted, size, cursor)
        token, after = bookmark(cursor)
        found: list[Mail] = []
        for _ in range(PAGES_A_CALL):
            rows, token = self._rows(wanted, _LISTED, size - len(found), token)
            mails = [mail for mail in map(from_row, rows) if wanted.admits(mail)]
            found += [mail for mail in mails if after is None or keys_of(mail.mail_id) > after]
            if token is None or len(found) >= size:
                break
        return MailPage(found, cursor_of(token))

    def _sifted(self, wanted: MailFilter, size: int, cursor: str | None) -> MailPage:
        """A page of a search that the service cannot do: large storage pages with few columns are
        read and compared here. The cursor says behind which row to continue."""
        stop = time.monotonic() + SECONDS_SIFTED
        token, after = bookmark(cursor)
        found: list[Mail] = []
        last: tuple[str, str] | None = None
        for _ in range(PAGES_A_CALL):
            rows, following = self._rows(wanted, _SIFTED, SIFTED, token)
            for row in rows:
                last = keys_of(id_of(str(row["RowKey"])))
                if after is not None and last <= after:
                    continue
                if wanted.finds(texts_of(row, "recipients")) and wanted.admits(
                    mail := from_row(row)
                ):
                    found.append(mail)
                if len(found) >= size:
                    return MailPage(found, cursor_of(token, last), moment_of(last))
            token, after = following, None
            if token is None or time.monotonic() >= stop:
                break
        return MailPage(found, cursor_of(token), moment_of(last) if token and last else None)

    def _rows(
        self,
        wanted: MailFilter,
        columns: Sequence[str],
        most: int,
        start: tuple[str, str] | None,
    ) -> tuple[Sequence[Row], tuple[str, str] | None]:
        """A storage page, and where the next one begins."""
        page = self._table().page(
            "listing mails", condition_of(wanted), select=columns, size=most, start=start
        )
        return page.rows, page.next

    def count(self, since: datetime, until: datetime, most: int | None = None) -> Hour:
        """See `MailCounter`."""
        condition = (
            f"PartitionKey eq '{partition_of(since)}' and RowKey gt '{row_of(until)}~' "
            f"and RowKey le '{row_of(since)}~'"
        )
        counts: Counter[Status] = Counter()
        start: tuple[str, str] | None = None
        while True:
            page = self._table().page(
                "counting mails", condition, select=["status"], size=1000, start=start
            )
            counts.update(Status(row["status"]) for row in page.rows)
            start = page.next
            if start is None or (most is not None and counts.total() >= most):
                return Hour(since, dict(counts), start is None)

    def summary(self, mail_id: str) -> MailSummary | None:
        """See `Ledger`."""
        row = self._table().get("reading a mail", *keys_of(mail_id), select=_GLIMPSED)
        return glimpse(row) if row else None

    def waiting(
        self, span: Span, most: int, cursor: str | None = None, *, held_for: str | None = None
    ) -> WaitingPage:
        """See `Ledger`."""
        ranges = ranges_of(span)
        at, token = position_in(cursor)
        found: list[MailSummary] = []
        for _ in range(PAGES_A_CALL):
            page = self._table().page(
                "looking for waiting mails",
                f"{ranges[at]} and {waits(span, held_for)}",
                select=_GLIMPSED,
                size=max(1, min(1000, most - len(found))),
                start=token,
            )
            found += map(glimpse, page.rows)
            token = page.next
            if token is None:
                at += 1
                if at == len(ranges):
                    return WaitingPage(found, None)
            if len(found) >= most:
                break
        return WaitingPage(found, f"{at}{cursor_of(token) or ''}")

    def settled(
        self, statuses: frozenset[Status], since: datetime, before: datetime, cursor: str | None
    ) -> SettledPage:
        """See `Archive`."""
        wanted = " or ".join(f"status eq '{status.value}'" for status in sorted(statuses))
        page = self._table().page(
            "looking for settled mails",
            # Days are counted down, and a mail does not change before it is accepted.
            f"PartitionKey ge '{partition_of(before)}' and ({wanted}) and "
            f"updated_at ge '{stamp(since)}' and updated_at lt '{stamp(before)}'",
            select=["PartitionKey", "RowKey", "status", "blob", "files"],
            size=1000,
            start=token_of(cursor),
        )
        return SettledPage([settled_of(row) for row in page.rows], cursor_of(page.next))

    def remove(self, mails: Sequence[SettledMail]) -> Sequence[SettledMail]:
        """See `Archive`. If a transaction is repeated after it took effect, its rows are gone and
        are not returned."""
        days: dict[str, list[RowVersion]] = {}
        for mail in mails:
            partition, row = keys_of(mail.mail_id)
            days.setdefault(partition, []).append((partition, row, mail.etag))
        gone = {
            row
            for rows in days.values()
            for _, row, _ in self._table().remove_unchanged("removing mails", rows)
        }
        return [mail for mail in mails if keys_of(mail.mail_id)[1] in gone]

    def probe(self) -> None:
        """Ask for a row that never exists. Raises RemoteError if the table service does not answer,
        and LostRace if the table does not exist."""
        self._table().page("looking for the ledger", "PartitionKey eq '0' and RowKey eq '0'")
