"""The mail document: the JSON that callers write, the same in HTTP bodies and queue messages.

The types in this module validate requests, and `GET /api/openapi.json` is made from them. Unknown
fields are rejected by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from threading import BoundedSemaphore
from typing import Annotated, Any, Literal

import msgspec

from shared.errors import FieldProblem, RequestRejected
from shared.mail import problems
from shared.mail.address import IdnDomains
from shared.mail.message import (
    MAX_RECIPIENTS,
    Attachment,
    Importance,
    Message,
    problems_of,
    too_many,
)
from shared.services.clock import Clock
from shared.services.intake import labels
from shared.services.intake.address_fields import (
    AddressesField,
    AddressField,
    crowded,
    entries_of,
    read_address,
    read_addresses,
)
from shared.services.intake.document_size import MAX_TEXTS, refuse_crumbs, refuse_wide
from shared.services.intake.file_fields import ANY_FILE, AttachmentDocument, given, read_attachments
from shared.services.intake.thread_fields import Thread, read_thread
from shared.services.json_reading import (
    MAX_TOLD,
    MOST_COUNTED,
    MOST_PARTS,
    decode,
    repeated_name,
)

MAX_KEY = 256
FARTHEST = timedelta(days=366)

Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=labels.LONGEST_TAG)]


class MailDocument(msgspec.Struct, forbid_unknown_fields=True, rename={"from_": "from"}):
    """One mail. Where a field takes a list, one value is the same as a list of one. Null in a field
    or in a list is the same as leaving it out."""

    account: str | None = None
    from_: AddressField | None = None
    to: AddressesField | None = []
    cc: AddressesField | None = []
    bcc: AddressesField | None = []
    reply_to: AddressesField | None = []
    subject: str | None = ""
    text: str | None = None
    html: str | None = None
    attachments: list[AttachmentDocument | None] | AttachmentDocument | None = []
    headers: dict[str, str | None] | None = {}
    importance: Literal["low", "normal", "high"] | None = "normal"
    tags: Annotated[list[Tag | None], msgspec.Meta(max_length=labels.MAX_TAGS)] | Tag | None = []
    metadata: dict[str, str | None] | None = {}
    scheduled_at: datetime | None = None
    save_to_sent_items: bool | None = None
    signature: bool | None = None
    read_receipt: bool | None = False
    delivery_receipt: bool | None = False
    in_reply_to: str | None = None
    """The message that this mail answers: a Message-ID, or the id of a mail that was sent through
    Postroom."""
    references: list[str | None] | str | None = []
    """The Message-IDs of the thread, oldest first; in one text with spaces between them."""
    idempotency_key: str | None = None
    dry_run: bool | None = False


class Limits(msgspec.Struct, frozen=True):
    """The fields of a request to send that are not part of the mail."""

    max_bytes: int
    clock: Clock
    waiting: BoundedSemaphore = msgspec.field(default_factory=BoundedSemaphore)
    """How many callers may wait for an outcome at the same time. Each holds a thread."""


class Order(msgspec.Struct, frozen=True):
    """A mail document that was read and is valid: what to send, from which account, when."""

    message: Message
    account: str | None
    tags: tuple[str, ...]
    metadata: tuple[tuple[str, str], ...]
    scheduled_at: datetime | None
    idempotency_key: str | None
    dry_run: bool
    document_hash: str
    saves_copy: bool | None = None
    """Whether the caller wants a copy in Sent Items; None leaves it to the account."""
    answers: str | None = None
    """The id of the mail that this one answers. Its Message-ID is looked up when the mail is
    accepted."""
    place: str | None = None
    """Replaces the key if it was made from a batch's key, or if the mail is Postroom's own. No key
    of a caller can be equal to it."""

    @property
    def claimed_key(self) -> str | None:
        """What is claimed in the table of keys, so that the same order becomes one mail."""
        return self.place or self.idempotency_key


_decoder = msgspec.json.Decoder(MailDocument)
_DEFAULTS: dict[str, Any] = msgspec.to_builtins(MailDocument())


def read_json(
    raw: bytes,
    now: datetime,
    *,
    key: str | None = None,
    files: Sequence[Attachment] = (),
    most_parts: int = MOST_PARTS,
) -> Order:
    """Read a JSON document. `key` is the Idempotency-Key header; `files` come beside the document.
    All mistakes are looked for if the document has at most so many parts. Raises RequestRejected,
    which names every wrong field."""
    found: list[FieldProblem] = []
    document = _decode(raw, len(files), found, most_parts)
    references = document.references
    thread = read_thread(
        document.in_reply_to,
        references if isinstance(references, str) else _listed(references),
        found,
    )
    message = _message(document, files, thread, found)
    tags, metadata = _listed(document.tags), _given_entries(document.metadata)
    labels.check(tags, metadata, found)
    idempotency_key = _key(document.idempotency_key, key, found)
    scheduled_at = read_due(document.scheduled_at, now, found)
    _add_untold(problems_of(message), found)
    _refuse_if(found)
    return Order(
        message=message,
        account=document.account,
        tags=tuple(tags),
        metadata=tuple(metadata.items()),
        scheduled_at=scheduled_at,
        idempotency_key=idempotency_key,
        dry_run=document.dry_run is True,
        document_hash=_hash(document, files),
        saves_copy=document.save_to_sent_items,
        answers=thread.answers,
    )


def read_mime(raw: bytes, *, key: str | None = None) -> Order:
    """Read a raw RFC 5322 message. Raises RequestRejected, which names every wrong header."""
    from shared.mail.limits import check_raw
    from shared.mail.mime import reading

    check_raw(raw)
    message, found = reading.read(raw)
    if not found:
        found.extend(problems_of(message))
    idempotency_key = _key(None, key, found)
    _refuse_if(found)
    return Order(
        message=message,
        account=None,
        tags=(),
        metadata=(),
        scheduled_at=None,
        idempotency_key=idempotency_key,
        dry_run=False,
        document_hash=hashlib.sha256(raw).hexdigest(),
    )


def schema() -> tuple[dict[str, object], dict[str, object]]:
    """The JSON schema of a mail document and of the components it refers to."""
    (reference,), components = msgspec.json.schema_components(
        [MailDocument], ref_template="#/components/schemas/{name}"
    )
    return reference, components


def _decode(raw: bytes, files: int, found: list[FieldProblem], most_parts: int) -> MailDocument:
    """The document without the fields that are not known; those are added to `found`."""
    refuse_crumbs(raw, MAX_TEXTS)
    refuse_wide(raw)
    document = decode(raw, _decoder, "a mail", found, most_parts)
    if document is None:
        raise _refusal(found)
    _refuse_if(_crowded(document, files))
    twice = None if found else repeated_name(raw)
    if twice is not None:
        raise RequestRejected(
            problems.INVALID_MAIL,
            "The mail document has a field twice.",
            [FieldProblem(twice, "is given more than once: keep one")],
        )
    return document


def _crowded(document: MailDocument, files: int) -> list[FieldProblem]:
    """The fields that hold too much. They are found before any work is done for their entries.
    Addresses are counted again after they were read, because one text may hold several."""
    fields = {name: entries_of(getattr(document, name)) for name in ("to", "cc", "bcc", "reply_to")}
    replies = fields.pop("reply_to")
    found = too_many(
        recipients=sum(map(len, fields.values())),
        reply_to=len(replies),
        attachments=len(_listed(document.attachments)) + files,
        headers=len(document.headers or ()),
    )
    if not found:
        found = crowded(
            "to", [one for entries in fields.values() for one in entries], MAX_RECIPIENTS
        )
        found += crowded("reply_to", replies, MAX_RECIPIENTS)
    if len(document.metadata or ()) > labels.MAX_METADATA:
        found.append(FieldProblem("metadata", f"has more than {labels.MAX_METADATA} entries"))
    return found


def _listed(value: Any) -> Sequence[Any]:
    """The value of a field that takes a list or one value, as a list. Null counts as left out."""
    values = value if isinstance(value, list) else [value]
    return [one for one in values if one is not None]


def _given_entries(values: Mapping[str, str | None] | None) -> dict[str, str]:
    """The entries that are not null. A null entry counts as left out."""
    return {name: value for name, value in (values or {}).items() if value is not None}


def _message(
    document: MailDocument,
    files: Sequence[Attachment],
    thread: Thread,
    found: list[FieldProblem],
) -> Message:
    text, html = given(document.text), given(document.html)
    if html is None and document.text is not None:
        # The caller gave an empty text: the subject is the whole message.
        text = document.text
    domains = IdnDomains()
    return Message(
        sender=read_address("from", document.from_, "'reply_to' takes several", found),
        to=read_addresses("to", document.to, found, domains=domains),
        cc=read_addresses("cc", document.cc, found, domains=domains),
        bcc=read_addresses("bcc", document.bcc, found, domains=domains),
        reply_to=read_addresses("reply_to", document.reply_to, found, domains=domains),
        subject=document.subject or "",
        text=text,
        html=html,
        attachments=(*read_attachments(_listed(document.attachments), found), *files),
        headers=tuple(_given_entries(document.headers).items()),
        importance=Importance(document.importance or Importance.NORMAL),
        read_receipt=document.read_receipt is True,
        delivery_receipt=document.delivery_receipt is True,
        save_to_sent_items=document.save_to_sent_items is not False,
        signature=document.signature is not False,
        in_reply_to=thread.in_reply_to,
        references=thread.references,
    )


def _key(in_document: str | None, in_header: str | None, found: list[FieldProblem]) -> str | None:
    if in_document is not None and in_header is not None and in_document != in_header:
        found.append(
            FieldProblem("idempotency_key", "differs from the Idempotency-Key header: give one")
        )
    key = in_header if in_header is not None else in_document
    if key is not None and not is_key(key):
        found.append(FieldProblem("idempotency_key", KEY_FORM))
    return key


def internal_key(key: str, index: int) -> str:
    """The key of a mail without a key of its own, made from its place in the batch of `key`.

    A control character stands between the two. No key of a caller can hold it, so the third mail of
    the batch `a` is never taken for the mail with the key `a/2`.
    """
    return f"{key}\x1f{index}"


def own_place(key: str) -> str:
    """The key of a mail that Postroom itself sends. It begins with a control character, with which
    no other key can begin."""
    return f"\x1f{key}"


KEY_FORM = f"must have 1 to {MAX_KEY} printable characters, and not spaces alone"


def is_key(text: str) -> bool:
    """Whether a text can be an idempotency key."""
    return 1 <= len(text) <= MAX_KEY and text.isprintable() and bool(text.strip())


def read_due(
    scheduled_at: datetime | None, now: datetime, found: list[FieldProblem]
) -> datetime | None:
    """When to send: None if it was not given, `now` for a time in the past."""
    if scheduled_at is None:
        return None
    if scheduled_at.tzinfo is None:
        found.append(
            FieldProblem("scheduled_at", "has no time zone: write it as 2026-12-01T08:00:00Z")
        )
        return None
    if scheduled_at - now > FARTHEST:
        found.append(FieldProblem("scheduled_at", "is more than a year away"))
        return None
    return now if scheduled_at <= now else scheduled_at.astimezone(UTC)


def _add_untold(problems: Iterable[FieldProblem], found: list[FieldProblem]) -> None:
    """Add the problems of fields that have no problem yet, so that each mistake is reported once,
    by the more exact problem."""
    named = {name for problem in found for name in _names(problem)}
    for problem in problems:
        if problem.field not in named:
            found.append(problem)
            named.update(_names(problem))


def _names(problem: FieldProblem) -> tuple[str, str]:
    """The name of the field, and the name of the list that it is an entry of."""
    return problem.field, problem.field.partition("[")[0]


def _refuse_if(found: Sequence[FieldProblem]) -> None:
    if found:
        raise _refusal(found)


def _refusal(found: Sequence[FieldProblem]) -> RequestRejected:
    return RequestRejected(problems.INVALID_MAIL, _how_many(len(found)), found[:MAX_TOLD])


def _how_many(count: int) -> str:
    if count == 1:
        return "The mail has a field that cannot be accepted."
    rest = f"; the first {MAX_TOLD} are named" if count > MAX_TOLD else ""
    counted = f"more than {MOST_COUNTED}" if count > MOST_COUNTED else count
    return f"The mail has {counted} fields that cannot be accepted{rest}."


def _hash(document: MailDocument, files: Sequence[Attachment]) -> str:
    """A digest that is the same for the same document, however its JSON was written."""
    attachments = _listed(document.attachments)
    bare = [msgspec.structs.replace(item, content=None) for item in attachments]
    fields: dict[str, Any] = msgspec.to_builtins(
        # A dry run has the same digest as the document that is sent.
        msgspec.structs.replace(document, attachments=bare, idempotency_key=None, dry_run=False)
    )
    fields = {name: _DEFAULTS[name] if value is None else value for name, value in fields.items()}
    fields["tags"] = _listed(fields["tags"])
    for name in ("headers", "metadata"):
        fields[name] = _given_entries(fields[name])
    for name in ("to", "cc", "bcc", "reply_to"):
        if isinstance(fields[name], list):
            fields[name] = _listed(fields[name])
    for item in fields["attachments"]:
        item["content_type"] = item["content_type"] or ANY_FILE
    # A document without these fields keeps the digest that it had before the fields existed.
    fields["save_to_sent_items"] = document.save_to_sent_items is not False
    if document.signature is None:
        del fields["signature"]
    fields["references"] = _listed(fields["references"])
    for name in ("in_reply_to", "references"):
        if not fields[name]:
            del fields[name]
    fields["contents"] = [
        None if item.content is None else hashlib.sha256(item.content).hexdigest()
        for item in attachments
    ]
    digest = hashlib.sha256(msgspec.json.encode(fields, order="sorted"))
    for item in files:
        digest.update(repr((item.filename, item.content_type, item.content_id)).encode())
        digest.update(hashlib.sha256(item.in_memory).digest())
    return digest.hexdigest()
