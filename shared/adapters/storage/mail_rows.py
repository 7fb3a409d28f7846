"""A mail as a row of the table, and the conditions of the table's queries."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from shared.adapters.storage.table_answers import Row
from shared.mail import ids
from shared.mail.delivery_mode import DeliveryMode
from shared.mail.mail import (
    FINDING_OUT,
    Caller,
    Event,
    Mail,
    MailFilter,
    Payload,
    address_in,
    next_check_at,
)
from shared.mail.status import Status
from shared.services.mails.ports import MailSummary, Span
from shared.services.upkeep.ports import SettledMail

if TYPE_CHECKING:
    pass


CHUNK = 60 * 1024
"""Bytes of payload in one property; the service allows 64 KiB."""


LIST_CHARACTERS = 30_000
"""Characters of a list in one property; the service allows 32,768 units of UTF-16."""
LIST_CHUNKS = 4
"""Properties for a long list: 500 of the longest addresses take less than three."""
_IN_CHUNKS = '"+"'
"""The property of a list that is in chunks. The chunks of an earlier, longer list may stay in the row:
they are not read then."""


INDEXED = 100
"""Recipients of a row that the service itself can search. For a mail with more, its list is
compared."""


_TO_MORE = "to_more"


# The properties that a mail can lose when its status changes.
_CLEARED = ("lease_until", "lease_id", "reason", "help", "look_at", "draft_id", "message_id")


_COMPLEMENT = str.maketrans("0123456789abcdef", "fedcba9876543210")


_WAITS = (
    "(status eq 'queued' or status eq 'sending' or status eq 'scheduled' or status eq 'held' "
    f"or (status eq 'unknown' and reason eq '{FINDING_OUT}'))"
)


def keys_of(mail_id: str) -> tuple[str, str]:
    """Partition key and row key of a mail."""
    day = ids.time_of(mail_id)
    return f"{99999999 - int(f'{day:%Y%m%d}'):08d}", mail_id.translate(_COMPLEMENT)


def id_of(row: str) -> str:
    """The mail id of a row key."""
    return row.translate(_COMPLEMENT)


def stamp(moment: datetime) -> str:
    """A time as text of fixed width. Such texts sort as the times do."""
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
        "recipient_count": mail.recipient_count,
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
    entity |= _list("recipients", mail.recipients)
    if mail.former_recipients:
        entity |= _list("former_recipients", mail.former_recipients)
    entity |= _index(mail)
    for index, chunk in enumerate(_chunks(mail.payload.inline)):
        entity[f"payload{index:02d}"] = chunk
    return {name: value for name, value in entity.items() if value is not None}


def _index(mail: Mail) -> dict[str, bool]:
    """Properties for queries, because the service cannot search in lists."""
    addresses = list(dict.fromkeys(map(address_in, mail.recipients)))
    names = [_indexed("tag", tag) for tag in mail.tags]
    names += [_indexed("to", address) for address in addresses[:INDEXED]]
    if len(addresses) > INDEXED:
        names.append(_TO_MORE)
    return dict.fromkeys(names, True)


def _indexed(kind: str, value: str) -> str:
    """The name of a property that only rows with this value have. A name has only letters and
    digits, so different values can have the same name; the caller then compares the list itself."""
    return f"{kind}_{hashlib.sha256(value.encode()).hexdigest()[:16]}"


def without_payload(mail: Mail) -> dict[str, Any]:
    """A mail's row for a merge. A property without a value is written as empty text, because a
    merge keeps properties that it does not get."""
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
        recipients=texts_of(entity, "recipients"),
        recipient_count=entity.get("recipient_count", 0),
        former_recipients=texts_of(entity, "former_recipients"),
        subject=entity.get("subject", ""),
        tags=texts_of(entity, "tags"),
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
            files=texts_of(entity, "files"),
        ),
        events=tuple(
            Event(_moment(at), Status(status), reason)
            for at, status, reason in json.loads(entity.get("events", "[]"))
        ),
    )


def glimpse(entity: Mapping[str, Any]) -> MailSummary:
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


def settled_of(entity: Row) -> SettledMail:
    blobs = (*filter(None, [entity.get("blob")]), *json.loads(entity.get("files") or "[]"))
    return SettledMail(
        id_of(str(entity["RowKey"])),
        Status(entity["status"]),
        blobs,
        entity.etag,
    )


def ranges_of(span: Span) -> tuple[str, ...]:
    """The keys from `since` on, as conditions that use the service's index. Keys run backwards in
    time, and a condition on row keys narrows the range only within one partition."""
    day = partition_of(span.since)
    whole_day = f"PartitionKey eq '{day}' and RowKey le '{row_of(span.since)}~'"
    # No id has a later time than this, unless a clock is wrong by more than 30 minutes.
    newest = max(span.until, span.before) + timedelta(minutes=30)
    if partition_of(newest) == day:
        return (whole_day,)
    return (whole_day, f"PartitionKey lt '{day}'")


def waits(span: Span, held_for: str | None) -> str:
    """The condition for waiting mails. The table service allows 15 comparisons; with those of the
    keys these are 11."""
    if held_for is not None:
        return f"status eq 'held' and account eq '{held_for}'"
    return (
        f"{_WAITS} and (RowKey gt '{row_of(span.before)}~' or "
        f"(look_at gt '{stamp(span.after)}' and look_at le '{stamp(span.until)}'))"
    )


def row_of(moment: datetime) -> str:
    """The beginning of the row keys of all ids of a moment."""
    return ids.new_id(moment, bytes)[:13].translate(_COMPLEMENT)


def position_in(cursor: str | None) -> tuple[int, tuple[str, str] | None]:
    return (int(cursor[0]), token_of(cursor[1:] or None)) if cursor else (0, None)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def texts_of(entity: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The texts of a list that `_list` wrote."""
    text = entity.get(name, "[]")
    if text == _IN_CHUNKS:
        text = b"".join(entity.get(chunk, b"") for chunk in chunks_of(name))
    return tuple(json.loads(text))


def chunks_of(name: str) -> tuple[str, ...]:
    """The properties that hold a long list of this name, in order."""
    return tuple(f"{name}{index:02d}" for index in range(LIST_CHUNKS))


def _list(name: str, texts: tuple[str, ...]) -> dict[str, Any]:
    """The properties of a list of texts: one property, or several of bytes for a long list."""
    text = _json(texts)
    if len(text) <= LIST_CHARACTERS:
        return {name: text}
    chunks = list(_chunks(text.encode()))
    return {name: _IN_CHUNKS, **dict(zip(chunks_of(name), chunks, strict=False))}


def moment_of(keys: tuple[str, str]) -> datetime:
    return ids.time_of(id_of(keys[1]))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _chunks(content: bytes | None) -> Iterator[bytes]:
    for start in range(0, len(content or b""), CHUNK):
        yield (content or b"")[start : start + CHUNK]


def condition_of(wanted: MailFilter) -> str:
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
        # Days are counted down, so a later day has a smaller key.
        parts.append(f"PartitionKey le '{partition_of(wanted.since)}'")
    if wanted.until is not None:
        parts.append(f"accepted_at lt '{stamp(wanted.until)}'")
        parts.append(f"PartitionKey ge '{partition_of(wanted.until + timedelta(days=1))}'")
    return " and ".join(parts)


def partition_of(moment: datetime) -> str:
    return f"{99999999 - int(f'{moment.astimezone(UTC):%Y%m%d}'):08d}"


def cursor_of(token: tuple[str, str] | None, after: tuple[str, str] | None = None) -> str | None:
    """A cursor that continues at a storage page, or behind one row of it."""
    if not token and after is None:
        return None
    start = token or ("", "")
    place = [*start, *(after or ())]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def bookmark(cursor: str | None) -> tuple[tuple[str, str] | None, tuple[str, str] | None]:
    """The storage page of a cursor, and the row of that page behind which to continue."""
    if cursor is None:
        return None, None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        # Unlike the standard library's reader, this one does not recurse deeper than the expected
        # type.
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


def token_of(cursor: str | None) -> tuple[str, str] | None:
    return bookmark(cursor)[0]


def _plain(value: str) -> bool:
    return 0 < len(value) <= 200 and value.isascii()
