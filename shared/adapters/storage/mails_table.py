"""The ledger in table `mails`.

Keys run backwards in time, so that the order in which the table service lists rows is newest first
(`docs/decisions/0002-ledger-keys.md`): the partition is a day counted down, the row the id with
each hexadecimal digit complemented.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from shared.adapters.storage.table_service import Row, RowVersion
from shared.mail import ids
from shared.mail.delivery_mode import DeliveryMode
from shared.mail.mail import (
    FINDING_OUT,
    Caller,
    Event,
    Mail,
    MailFilter,
    MailPage,
    Payload,
    address_in,
    next_check_at,
)
from shared.mail.status import Status
from shared.services.mails.ports import Hour, MailSummary, Span, Versioned, WaitingPage
from shared.services.upkeep.ports import SettledMail, SettledPage

if TYPE_CHECKING:
    from shared.adapters.storage.table_service import Table

CHUNK = 60 * 1024
"""Bytes of payload in one property; the service allows 64 KiB."""

PAGES_A_CALL = 10
"""A filter that few mails match may need many storage pages for one of ours; the cursor goes on."""
SIFTED = 500
SECONDS_SIFTED = 0.1
"""So long a call goes on to storage pages of so many rows where it looks for a part of an address."""
INDEXED = 100
"""Recipients of a row that the service itself can find; whoever writes to more is looked at."""
_TO_MORE = "to_more"

# What a mail can lose on its way from status to status.
_CLEARED = ("lease_until", "lease_id", "reason", "help", "look_at", "draft_id", "message_id")

_COMPLEMENT = str.maketrans("0123456789abcdef", "fedcba9876543210")
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
    "recipients",
    "recipient_count",
    "former_recipients",
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


# The fewer, the sooner: what a list shows.
_SIFTED = [
    *("RowKey", "status", "accepted_at", "updated_at", "due_at", "caller", "account", "reason"),
    *("recipients", "recipient_count", "subject", "tags"),
]
_GLIMPSED = ["RowKey", "status", "account", "reason", "due_at", "updated_at", "lease_until"]
_WAITS = (
    "(status eq 'queued' or status eq 'sending' or status eq 'scheduled' or status eq 'held' "
    f"or (status eq 'unknown' and reason eq '{FINDING_OUT}'))"
)


class MailsTable:
    """Fulfils `mails.ports.Ledger`."""

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
        """See `Ledger`. A payload that stays is not written again; only a replaced row loses it."""
        keeps_payload = mail.payload.inline is not None and not new_payload
        what = "changing a mail"
        if keeps_payload:
            return self._table().merge(what, _without_payload(mail), etag)
        return self._table().replace(what, to_row(mail), etag)

    def page(self, wanted: MailFilter, size: int, cursor: str | None) -> MailPage:
        """See `Ledger`. One storage page may hold fewer matches than `size`; several are read."""
        if wanted.is_part_of_address:
            return self._sifted(wanted, size, cursor)
        token, after = _bookmark(cursor)
        found: list[Mail] = []
        for _ in range(PAGES_A_CALL):
            rows, token = self._rows(wanted, _LISTED, size - len(found), token)
            mails = [mail for mail in map(from_row, rows) if wanted.admits(mail)]
            found += [mail for mail in mails if after is None or keys_of(mail.mail_id) > after]
            if token is None or len(found) >= size:
                break
        return MailPage(found, _cursor(token))

    def _sifted(self, wanted: MailFilter, size: int, cursor: str | None) -> MailPage:
        """A page of what the service cannot look for: large storage pages of few columns are looked
        through, and the cursor then says behind which row of one to go on."""
        stop = time.monotonic() + SECONDS_SIFTED
        token, after = _bookmark(cursor)
        found: list[Mail] = []
        last: tuple[str, str] | None = None
        for _ in range(PAGES_A_CALL):
            rows, following = self._rows(wanted, _SIFTED, SIFTED, token)
            for row in rows:
                last = keys_of(id_of(str(row["RowKey"])))
                if after is not None and last <= after:
                    continue
                if wanted.finds(_texts(row, "recipients")) and wanted.admits(mail := from_row(row)):
                    found.append(mail)
                if len(found) >= size:
                    return MailPage(found, _cursor(token, last), _moment_of(last))
            token, after = following, None
            if token is None or time.monotonic() >= stop:
                break
        return MailPage(found, _cursor(token), _moment_of(last) if token and last else None)

    def _rows(
        self,
        wanted: MailFilter,
        columns: Sequence[str],
        most: int,
        start: tuple[str, str] | None,
    ) -> tuple[Sequence[Row], tuple[str, str] | None]:
        """A storage page, and where the next one begins."""
        page = self._table().page(
            "listing mails", _condition(wanted), select=columns, size=most, start=start
        )
        return page.rows, page.next

    def count(self, since: datetime, until: datetime, most: int | None = None) -> Hour:
        """See `MailCounter`."""
        condition = (
            f"PartitionKey eq '{_partition(since)}' and RowKey gt '{_row_of(until)}~' "
            f"and RowKey le '{_row_of(since)}~'"
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
        return _glimpse(row) if row else None

    def waiting(
        self, span: Span, most: int, cursor: str | None = None, *, held_for: str | None = None
    ) -> WaitingPage:
        """See `Ledger`."""
        ranges = _ranges(span)
        at, token = _place(cursor)
        found: list[MailSummary] = []
        for _ in range(PAGES_A_CALL):
            page = self._table().page(
                "looking for waiting mails",
                f"{ranges[at]} and {_waits(span, held_for)}",
                select=_GLIMPSED,
                size=max(1, min(1000, most - len(found))),
                start=token,
            )
            found += map(_glimpse, page.rows)
            token = page.next
            if token is None:
                at += 1
                if at == len(ranges):
                    return WaitingPage(found, None)
            if len(found) >= most:
                break
        return WaitingPage(found, f"{at}{_cursor(token) or ''}")

    def settled(
        self, statuses: frozenset[Status], since: datetime, before: datetime, cursor: str | None
    ) -> SettledPage:
        """See `Archive`."""
        wanted = " or ".join(f"status eq '{status.value}'" for status in sorted(statuses))
        page = self._table().page(
            "looking for settled mails",
            # Days count down, and nothing changes before it is accepted.
            f"PartitionKey ge '{_partition(before)}' and ({wanted}) and "
            f"updated_at ge '{stamp(since)}' and updated_at lt '{stamp(before)}'",
            select=["PartitionKey", "RowKey", "status", "blob", "files"],
            size=1000,
            start=_token(cursor),
        )
        return SettledPage([_settled(row) for row in page.rows], _cursor(page.next))

    def remove(self, mails: Sequence[SettledMail]) -> Sequence[SettledMail]:
        """See `Archive`. Where a transaction was repeated that had taken effect, its rows are gone and
        not named."""
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
        """Ask for a row that is never there. Raises RemoteError where the table service does not
        answer, and LostRace where there is no such table."""
        self._table().page("looking for the ledger", "PartitionKey eq '0' and RowKey eq '0'")


def keys_of(mail_id: str) -> tuple[str, str]:
    """Partition and row of a mail."""
    day = ids.time_of(mail_id)
    return f"{99999999 - int(f'{day:%Y%m%d}'):08d}", mail_id.translate(_COMPLEMENT)


def id_of(row: str) -> str:
    """The mail id behind a row key."""
    return row.translate(_COMPLEMENT)


def stamp(moment: datetime) -> str:
    """A time as text of fixed width, so that texts compare as times do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def to_row(mail: Mail) -> dict[str, Any]:
    """A mail as a table entity. Properties without a value are left out."""
    partition, row = keys_of(mail.mail_id)
    entity: dict[str, Any] = {
        "PartitionKey": partition,
        "RowKey": row,
        "status": mail.status.value,
        "accepted_at": stamp(mail.accepted_at),
        "updated_at": stamp(mail.updated_at),
        "due_at": stamp(mail.due_at),
        "caller": mail.caller.value,
        "account": mail.account,
        "account_id": mail.account_id,
        "sender": mail.sender,
        "recipients": _json(mail.recipients),
        "recipient_count": mail.recipient_count,
        "former_recipients": _json(mail.former_recipients) if mail.former_recipients else None,
        "subject": mail.subject,
        "tags": _json(mail.tags) if mail.tags else None,
        "metadata": _json(mail.metadata) if mail.metadata else None,
        "size": mail.size,
        "urgent": mail.urgent or None,
        "attempts": mail.attempts,
        "lease_until": stamp(mail.lease_until) if mail.lease_until else None,
        "lease_id": mail.lease_id,
        "look_at": stamp(mail.next_check_at) if mail.next_check_at else None,
        "delivery": mail.delivery.value,
        "saves_copy": mail.saves_copy,
        "draft_id": mail.draft_id,
        "message_id": mail.message_id,
        "message_id_given": mail.message_id_given or None,
        "looks": mail.search_count,
        "sent_at": stamp(mail.sent_at) if mail.sent_at else None,
        "reason": mail.reason,
        "help": mail.help,
        "request_id": mail.request_id,
        "idempotency_key": mail.idempotency_key,
        "document_hash": mail.document_hash,
        "blob": mail.payload.blob,
        "files": _json(mail.payload.files) if mail.payload.files else None,
        "events": _json([(stamp(e.at), e.status.value, e.reason) for e in mail.events]),
    }
    entity |= _index(mail)
    for index, chunk in enumerate(_chunks(mail.payload.inline)):
        entity[f"payload{index:02d}"] = chunk
    return {name: value for name, value in entity.items() if value is not None}


def _index(mail: Mail) -> dict[str, bool]:
    """What a service that cannot look into lists is asked for instead."""
    addresses = list(dict.fromkeys(map(address_in, mail.recipients)))
    names = [_indexed("tag", tag) for tag in mail.tags]
    names += [_indexed("to", address) for address in addresses[:INDEXED]]
    if len(addresses) > INDEXED:
        names.append(_TO_MORE)
    return dict.fromkeys(names, True)


def _indexed(kind: str, value: str) -> str:
    """A property that only rows with this value have. Names are letters and digits, values are not;
    whoever meets a name made from another value looks at the list itself."""
    return f"{kind}_{hashlib.sha256(value.encode()).hexdigest()[:16]}"


def _without_payload(mail: Mail) -> dict[str, Any]:
    """A mail's row for a merge: what has no value any more is written as empty text, since a merge
    leaves alone what it is not given."""
    row = to_row(replace(mail, payload=replace(mail.payload, inline=None)))
    return {**dict.fromkeys(_CLEARED, ""), **row}


def from_row(entity: Mapping[str, Any]) -> Mail:
    """A mail from its table entity."""
    inline = b"".join(entity[name] for name in sorted(entity) if name.startswith("payload"))
    return Mail(
        mail_id=id_of(str(entity["RowKey"])),
        status=Status(entity["status"]),
        accepted_at=_moment(entity["accepted_at"]),
        updated_at=_moment(entity["updated_at"]),
        due_at=_moment(entity["due_at"]),
        caller=Caller(entity["caller"]),
        account=entity.get("account"),
        account_id=entity.get("account_id"),
        sender=entity.get("sender", ""),
        recipients=_texts(entity, "recipients"),
        recipient_count=entity.get("recipient_count", 0),
        former_recipients=_texts(entity, "former_recipients"),
        subject=entity.get("subject", ""),
        tags=_texts(entity, "tags"),
        metadata=tuple((n, v) for n, v in json.loads(entity.get("metadata", "[]"))),
        size=entity.get("size", 0),
        urgent=entity.get("urgent", False),
        attempts=entity.get("attempts", 0),
        lease_until=_moment(entity["lease_until"]) if entity.get("lease_until") else None,
        lease_id=entity.get("lease_id") or None,
        delivery=DeliveryMode(entity.get("delivery", DeliveryMode.DIRECT)),
        saves_copy=entity.get("saves_copy", True),
        draft_id=entity.get("draft_id") or None,
        message_id=entity.get("message_id") or None,
        message_id_given=entity.get("message_id_given", False),
        search_count=entity.get("looks", 0),
        sent_at=_moment(entity["sent_at"]) if "sent_at" in entity else None,
        reason=entity.get("reason") or None,
        help=entity.get("help") or None,
        request_id=entity.get("request_id"),
        idempotency_key=entity.get("idempotency_key"),
        document_hash=entity.get("document_hash"),
        payload=Payload(
            inline=inline or None,
            blob=entity.get("blob"),
            files=_texts(entity, "files"),
        ),
        events=tuple(
            Event(_moment(at), Status(status), reason)
            for at, status, reason in json.loads(entity.get("events", "[]"))
        ),
    )


def _glimpse(entity: Mapping[str, Any]) -> MailSummary:
    status = Status(entity["status"])
    lease = entity.get("lease_until")
    return MailSummary(
        id_of(str(entity["RowKey"])),
        status,
        entity.get("account"),
        next_check_at(
            status,
            entity.get("reason"),
            _moment(entity["due_at"]),
            _moment(entity["updated_at"]),
            _moment(lease) if lease else None,
        ),
    )


def _settled(entity: Row) -> SettledMail:
    blobs = (*filter(None, [entity.get("blob")]), *json.loads(entity.get("files") or "[]"))
    return SettledMail(
        id_of(str(entity["RowKey"])),
        Status(entity["status"]),
        blobs,
        entity.etag,
    )


def _ranges(span: Span) -> tuple[str, ...]:
    """The keys from `since` on, as conditions that the service can seek by: keys run backwards, and
    a condition on rows narrows a range of keys only within one partition."""
    day = _partition(span.since)
    whole_day = f"PartitionKey eq '{day}' and RowKey le '{_row_of(span.since)}~'"
    # No id is of a later time than this, unless a clock is that wrong.
    newest = max(span.until, span.before) + timedelta(minutes=30)
    if _partition(newest) == day:
        return (whole_day,)
    return (whole_day, f"PartitionKey lt '{day}'")


def _waits(span: Span, held_for: str | None) -> str:
    """The table service takes 15 comparisons at most: with those of the keys these are 11."""
    if held_for is not None:
        return f"status eq 'held' and account eq '{held_for}'"
    return (
        f"{_WAITS} and (RowKey gt '{_row_of(span.before)}~' or "
        f"(look_at gt '{stamp(span.after)}' and look_at le '{stamp(span.until)}'))"
    )


def _row_of(moment: datetime) -> str:
    """What the rows of a moment's ids begin with."""
    return ids.new_id(moment, bytes)[:13].translate(_COMPLEMENT)


def _place(cursor: str | None) -> tuple[int, tuple[str, str] | None]:
    return (int(cursor[0]), _token(cursor[1:] or None)) if cursor else (0, None)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _texts(entity: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return tuple(json.loads(entity.get(name, "[]")))


def _moment_of(keys: tuple[str, str]) -> datetime:
    return ids.time_of(id_of(keys[1]))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _chunks(content: bytes | None) -> Iterator[bytes]:
    for start in range(0, len(content or b""), CHUNK):
        yield (content or b"")[start : start + CHUNK]


def _condition(wanted: MailFilter) -> str:
    parts: list[str] = []
    if wanted.statuses:
        either = " or ".join(f"status eq '{status.value}'" for status in wanted.statuses)
        parts.append(f"({either})")
    for name in ("account", "reason"):
        value = getattr(wanted, name)
        if value is not None:
            parts.append(f"{name} eq '{value.replace(chr(39), chr(39) * 2)}'")
    if wanted.tag is not None:
        parts.append(f"{_indexed('tag', wanted.tag)} eq true")
    if wanted.recipient is not None and not wanted.is_part_of_address:
        parts.append(f"({_indexed('to', wanted.recipient)} eq true or {_TO_MORE} eq true)")
    if wanted.since is not None:
        parts.append(f"accepted_at ge '{stamp(wanted.since)}'")
        # Days count down: what is not older than a day has a key that is not greater.
        parts.append(f"PartitionKey le '{_partition(wanted.since)}'")
    if wanted.until is not None:
        parts.append(f"accepted_at lt '{stamp(wanted.until)}'")
        parts.append(f"PartitionKey ge '{_partition(wanted.until + timedelta(days=1))}'")
    return " and ".join(parts)


def _partition(moment: datetime) -> str:
    return f"{99999999 - int(f'{moment.astimezone(UTC):%Y%m%d}'):08d}"


def _cursor(token: tuple[str, str] | None, after: tuple[str, str] | None = None) -> str | None:
    """Where to go on: at a storage page, or behind one of its rows."""
    if not token and after is None:
        return None
    start = token or ("", "")
    place = [*start, *(after or ())]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _bookmark(cursor: str | None) -> tuple[tuple[str, str] | None, tuple[str, str] | None]:
    """The storage page that a cursor leads to, and the row of it to go on behind."""
    if cursor is None:
        return None, None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        # Unlike the standard library's reader, this one goes no deeper than what is expected.
        place = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=list[str])
    except (ValueError, msgspec.DecodeError) as error:
        raise ValueError("not a cursor of this list") from error
    start, after = place[:2], place[2:]
    from_the_top = start == ["", ""] and len(after) == 2
    if (
        len(start) != 2
        or len(after) not in (0, 2)
        or not all(map(_plain, after if from_the_top else place))
    ):
        raise ValueError("not a cursor of this list")
    token = None if from_the_top else (start[0], start[1])
    return token, (after[0], after[1]) if after else None


def _token(cursor: str | None) -> tuple[str, str] | None:
    return _bookmark(cursor)[0]


def _plain(value: str) -> bool:
    return 0 < len(value) <= 200 and value.isascii()
