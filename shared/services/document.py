"""The mail document: what callers write, in HTTP bodies and queue messages alike.

The types here validate requests and are what `GET /api/openapi.json` is made from. Unknown fields
are refused by name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from threading import BoundedSemaphore
from typing import Annotated, Literal

import msgspec

from shared.errors import FieldProblem, Refused
from shared.mail import problems
from shared.mail.address import Address, BadAddress, has_control_characters, make, parse
from shared.mail.message import (
    Attachment,
    Importance,
    Message,
    StoredFile,
    problems_of,
    too_many,
)
from shared.services import labels
from shared.services.decoding import MAX_TOLD, decode
from shared.services.ports import Clock

MAX_KEY = 256
MAX_TEXTS = 20_000
"""Names and texts in a document: 500 recipients with names, and whatever else one can hold, are
about 7,000. To read millions of them takes a hundred times their own size of memory."""
MAX_BLOB_NAME = 1024
CALLERS_CONTAINER = "attachments"
"""The one container that callers may name files of."""
FARTHEST = timedelta(days=366)

Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=labels.LONGEST_TAG)]


class AddressObject(msgspec.Struct, forbid_unknown_fields=True):
    """An address in two fields."""

    email: str
    name: str | None = None


AddressField = str | AddressObject
AddressesField = str | AddressObject | list[str | AddressObject]


class AttachmentDocument(msgspec.Struct, forbid_unknown_fields=True):
    """One file: its content, or the name of a blob that holds it."""

    filename: str
    content: bytes | None = None
    """On the wire base64: standard alphabet, with padding, without line breaks."""
    blob: str | None = None
    """`attachments/<name>`: only that container is ever read."""
    content_type: str = "application/octet-stream"
    content_id: str | None = None


class MailDocument(msgspec.Struct, forbid_unknown_fields=True, rename={"from_": "from"}):
    """One mail."""

    account: str | None = None
    from_: AddressField | None = None
    to: AddressesField = []
    cc: AddressesField = []
    bcc: AddressesField = []
    reply_to: AddressesField = []
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: list[AttachmentDocument] = []
    headers: dict[str, str] = {}
    importance: Literal["low", "normal", "high"] = "normal"
    tags: Annotated[list[Tag], msgspec.Meta(max_length=labels.MAX_TAGS)] = []
    metadata: dict[str, str] = {}
    scheduled_at: datetime | None = None
    save_to_sent_items: bool | None = None
    signature: bool | None = None
    read_receipt: bool = False
    delivery_receipt: bool = False
    idempotency_key: str | None = None
    dry_run: bool = False


class Limits(msgspec.Struct, frozen=True):
    """What a request to send may ask for."""

    max_bytes: int
    clock: Clock
    waiting: BoundedSemaphore = msgspec.field(default_factory=BoundedSemaphore)
    """Places for callers that wait for an outcome, each of which holds a thread."""


class Order(msgspec.Struct, frozen=True):
    """A mail document, read and found sound: what to send, by whom, when."""

    message: Message
    account: str | None
    tags: tuple[str, ...]
    metadata: tuple[tuple[str, str], ...]
    scheduled_at: datetime | None
    idempotency_key: str | None
    dry_run: bool
    document_hash: str
    saves_copy: bool | None = None
    """What the caller said of Sent Items; None leaves it to the account."""
    place: str | None = None
    """Stands for the key where that was made from a batch's, or for Postroom's own mail: no caller's
    own key can equal it."""

    @property
    def claimed_key(self) -> str | None:
        """What is taken in the table of keys, so that the same order is one mail."""
        return self.place or self.idempotency_key


_decoder = msgspec.json.Decoder(MailDocument)


def read_json(
    raw: bytes, now: datetime, *, key: str | None = None, files: Sequence[Attachment] = ()
) -> Order:
    """Read a JSON document. `key` is the Idempotency-Key header, `files` come beside the document.

    Raises Refused, naming every field that is wrong.
    """
    found: list[FieldProblem] = []
    document = _decode(raw, len(files), found)
    message = _message(document, files, found)
    labels.check(document.tags, document.metadata, found)
    idempotency_key = _key(document.idempotency_key, key, found)
    scheduled_at = read_due(document.scheduled_at, now, found)
    _add_untold(problems_of(message), found)
    _refuse_if(found)
    return Order(
        message=message,
        account=document.account,
        tags=tuple(document.tags),
        metadata=tuple(document.metadata.items()),
        scheduled_at=scheduled_at,
        idempotency_key=idempotency_key,
        dry_run=document.dry_run,
        document_hash=_hash(document, files),
        saves_copy=document.save_to_sent_items,
    )


def read_mime(raw: bytes, *, key: str | None = None) -> Order:
    """Read a raw RFC 5322 message. Raises Refused, naming every header that is wrong."""
    from shared.mail.mime import reading

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


def _decode(raw: bytes, files: int, found: list[FieldProblem]) -> MailDocument:
    """The document; without the fields that are not understood, which are added to `found`."""
    refuse_crumbs(raw, MAX_TEXTS)
    document = decode(raw, _decoder, "a mail", found)
    if document is None:
        raise _refusal(found)
    _refuse_if(_crowded(document, files))
    if not found:
        json.loads(raw, object_pairs_hook=_once_each)
    return document


def refuse_crumbs(raw: bytes, most: int) -> None:
    """Refuse what no document can be, before it is read: a quotation mark that is not escaped begins or
    ends a name or a text. One behind a backslash that is itself escaped is missed; its text still
    counts as half."""
    if raw.count(b'"') - raw.count(b'\\"') > 2 * most:
        raise Refused(
            problems.INVALID_MAIL,
            "The document has more names and texts than are taken.",
            [FieldProblem("body", f"has more than {most} names and texts: send less in it")],
        )


def _crowded(document: MailDocument, files: int) -> list[FieldProblem]:
    """The lists that are too long, found before anything is done for each of their entries."""
    found = too_many(
        recipients=sum(map(_length, (document.to, document.cc, document.bcc))),
        reply_to=_length(document.reply_to),
        attachments=len(document.attachments) + files,
        headers=len(document.headers),
    )
    if len(document.metadata) > labels.MAX_METADATA:
        found.append(FieldProblem("metadata", f"has more than {labels.MAX_METADATA} entries"))
    return found


def _length(value: AddressesField) -> int:
    return len(value) if isinstance(value, list) else 1


def _once_each(pairs: list[tuple[str, object]]) -> None:
    """JSON leaves open which of two equal names counts: the decoder takes the last, and the first
    would be ignored in silence."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise Refused(
                problems.INVALID_MAIL,
                "The mail document has a field twice.",
                [FieldProblem(name[:80], "is given more than once: keep one")],
            )
        seen.add(name)


def _message(
    document: MailDocument, files: Sequence[Attachment], found: list[FieldProblem]
) -> Message:
    def addresses(name: str, value: AddressesField) -> tuple[Address, ...]:
        many = value if isinstance(value, list) else [value]
        at = (lambda i: f"{name}[{i}]") if isinstance(value, list) else (lambda _: name)
        return read_addresses(many, at, found)

    sender = None
    if document.from_ is not None:
        read = read_addresses([document.from_], lambda _: "from", found)
        sender = read[0] if read else None
    return Message(
        sender=sender,
        to=addresses("to", document.to),
        cc=addresses("cc", document.cc),
        bcc=addresses("bcc", document.bcc),
        reply_to=addresses("reply_to", document.reply_to),
        subject=document.subject,
        text=document.text,
        html=document.html,
        attachments=(*_attachments(document.attachments, found), *files),
        headers=tuple(document.headers.items()),
        importance=Importance(document.importance),
        read_receipt=document.read_receipt,
        delivery_receipt=document.delivery_receipt,
        save_to_sent_items=document.save_to_sent_items is not False,
        signature=document.signature is not False,
    )


def read_addresses(
    values: Sequence[AddressField], at: Callable[[int], str], found: list[FieldProblem]
) -> tuple[Address, ...]:
    """Read addresses; what is wrong with one is added to `found`, under the name `at` gives it."""
    read: list[Address] = []
    for index, value in enumerate(values):
        try:
            if isinstance(value, str):
                read.append(parse(value))
            else:
                read.append(make(value.email.strip(), (value.name or "").strip()))
        except BadAddress as error:
            found.append(FieldProblem(at(index), str(error)))
    return tuple(read)


def _attachments(
    documents: Sequence[AttachmentDocument], found: list[FieldProblem]
) -> tuple[Attachment, ...]:
    read: list[Attachment] = []
    for index, item in enumerate(documents):
        content: bytes | StoredFile = item.content or b""
        if item.content is None and item.blob is None:
            found.append(
                FieldProblem(
                    f"attachments[{index}].content",
                    "is missing: give the file in base64, or name it by 'blob'",
                )
            )
        if item.blob is not None:
            fault = blob_fault(item.blob)
            if item.content is not None:
                fault = "is given beside 'content': give exactly one of them"
            if fault is not None:
                found.append(FieldProblem(f"attachments[{index}].blob", fault))
            content = StoredFile(CALLERS_CONTAINER, item.blob.partition("/")[2])
        read.append(Attachment(item.filename, content, item.content_type, item.content_id))
    return tuple(read)


def blob_fault(reference: str) -> str | None:
    """What is wrong with a reference to a blob, or None where it names one of callers' files.

    Nothing that could be read as a URL, another container, another version or a path out of the
    container is let through. https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
    """
    container, _, name = reference.partition("/")
    if "://" in reference or "\\" in reference or container != CALLERS_CONTAINER:
        return (
            f"must be {CALLERS_CONTAINER}/ and the name of a blob in the container "
            f"{CALLERS_CONTAINER}, no URL and no other container"
        )
    if not 1 <= len(name) <= MAX_BLOB_NAME:
        return f"must name a blob with 1 to {MAX_BLOB_NAME} characters after {CALLERS_CONTAINER}/"
    if has_control_characters(name) or "?" in name or "#" in name:
        return (
            "must be a plain name: no control characters, and no '?' or '#', as shared access "
            "signatures and snapshots have"
        )
    if any(part in ("", ".", "..") for part in name.split("/")) or name.endswith("."):
        return "must be a plain name: no empty part, no '.' and no '..' between slashes"
    return None


def _key(in_document: str | None, in_header: str | None, found: list[FieldProblem]) -> str | None:
    if in_document is not None and in_header is not None and in_document != in_header:
        found.append(
            FieldProblem("idempotency_key", "differs from the Idempotency-Key header: give one")
        )
    key = in_header if in_header is not None else in_document
    if key is not None and not is_key(key):
        found.append(
            FieldProblem("idempotency_key", f"must have 1 to {MAX_KEY} printable characters")
        )
    return key


def place_of(key: str, index: int) -> str:
    """The key of a mail that has none of its own, by its place in the batch of `key`.

    No caller's own key can hold the control character between the two, so that the third mail of
    the batch `a` is never taken for the single mail `a/2`.
    """
    return f"{key}\x1f{index}"


def own_place(key: str) -> str:
    """The key of a mail that Postroom itself sends: neither a caller's own key nor the place in a
    batch can begin with the control character."""
    return f"\x1f{key}"


def is_key(text: str) -> bool:
    """Whether a text can be an idempotency key."""
    return 1 <= len(text) <= MAX_KEY and text.isprintable()


def read_due(
    scheduled_at: datetime | None, now: datetime, found: list[FieldProblem]
) -> datetime | None:
    """When to send: None where nothing was said, `now` for a time that has passed."""
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
    """Add problems of fields that have none yet, nor a more exact one: a mistake is told once."""
    named = {name for problem in found for name in _names(problem)}
    for problem in problems:
        if problem.field not in named:
            found.append(problem)
            named.update(_names(problem))


def _names(problem: FieldProblem) -> tuple[str, str]:
    """The field, and the list that it is an entry of."""
    return problem.field, problem.field.partition("[")[0]


def _refuse_if(found: Sequence[FieldProblem]) -> None:
    if found:
        raise _refusal(found)


def _refusal(found: Sequence[FieldProblem]) -> Refused:
    return Refused(problems.INVALID_MAIL, _how_many(len(found)), found[:MAX_TOLD])


def _how_many(count: int) -> str:
    if count == 1:
        return "The mail has a field that cannot be accepted."
    rest = f"; the first {MAX_TOLD} are named" if count > MAX_TOLD else ""
    return f"The mail has {count} fields that cannot be accepted{rest}."


def _hash(document: MailDocument, files: Sequence[Attachment]) -> str:
    """A digest that is the same for the same document, however its JSON was written."""
    contents = [item.content for item in document.attachments]
    bare = [msgspec.structs.replace(item, content=None) for item in document.attachments]
    fields: dict[str, object] = msgspec.to_builtins(
        msgspec.structs.replace(document, attachments=bare, idempotency_key=None)
    )
    # Documents keep the digest that they had before these could be left to the account.
    fields["save_to_sent_items"] = document.save_to_sent_items is not False
    if document.signature is None:
        del fields["signature"]
    fields["contents"] = [
        None if content is None else hashlib.sha256(content).hexdigest() for content in contents
    ]
    digest = hashlib.sha256(msgspec.json.encode(fields, order="sorted"))
    for item in files:
        digest.update(repr((item.filename, item.content_type, item.content_id)).encode())
        digest.update(hashlib.sha256(item.in_memory).digest())
    return digest.hexdigest()
