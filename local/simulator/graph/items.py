"""The content of a mailbox: addresses, attachments, messages. Only values; `state` has the
rules."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

PROPERTY_ID = re.compile(
    r"(?P<type>String|Integer|Boolean|Binary|SystemTime|Long|Short|Float|Double|Currency|CLSID"
    r"|ApplicationTime)"
    r" (?:(?P<tag>0x[0-9a-f]{1,4})"
    r"|\{(?P<guid>[0-9a-f-]{36})\} (?:Name (?P<name>.+)|Id (?P<id>0x[0-9a-f]+)))",
    re.IGNORECASE,
)
"""The three forms of an extended property's id [res: extended-properties-overview]."""

INTERNET_HEADERS = "00020386-0000-0000-c000-000000000046"
"""PS_INTERNET_HEADERS: a message's headers as named properties [MS-OXCMAIL 2.2.3.2.29]."""
KEY_HEADER = "x-postroom-key"
ITEM_CLASS = "String 0x001A"
SEARCH_KEY = "Binary 0x300B"
REPORTED_SEARCH_KEY = "Binary 0x0025"


@dataclass(frozen=True)
class Address:
    """One mailbox in a message. Addresses are compared without case."""

    address: str
    name: str = ""

    @property
    def key(self) -> str:
        return self.address.casefold()


FILE = "#microsoft.graph.fileAttachment"
ITEM = "#microsoft.graph.itemAttachment"


@dataclass(frozen=True)
class Attachment:
    """A file or a message in a message. Copies of a message share it with its content; that of an
    attached message is its MIME source."""

    name: str
    content: bytes
    modified: datetime
    content_type: str = "application/octet-stream"
    is_inline: bool = False
    content_id: str | None = None
    kind: str = FILE
    id: str = field(default_factory=lambda: new_id())

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass
class Message:
    """One stored item. `html` and `text` are both set only if the client sent MIME."""

    created: datetime
    modified: datetime
    folder: str = "drafts"
    id: str = field(default_factory=lambda: new_id())
    immutable_id: str = field(default_factory=lambda: new_immutable_id())
    change_key: str = field(default_factory=lambda: new_change_key())
    internet_message_id: str = field(default_factory=lambda: new_internet_message_id())
    conversation_id: str = field(default_factory=lambda: new_id())
    search_key: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    received: datetime | None = None
    sent: datetime | None = None
    subject: str = ""
    html: str | None = None
    text: str | None = None
    from_: Address | None = None
    sender: Address | None = None
    to: list[Address] = field(default_factory=list)
    cc: list[Address] = field(default_factory=list)
    bcc: list[Address] = field(default_factory=list)
    reply_to: list[Address] = field(default_factory=list)
    importance: str = "normal"
    categories: list[str] = field(default_factory=list)
    flag: dict[str, object] = field(default_factory=lambda: {"flagStatus": "notFlagged"})
    inference: str = "focused"
    read_receipt: bool = False
    delivery_receipt: bool | None = False
    is_draft: bool = True
    is_read: bool = True
    headers: list[tuple[str, str]] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)
    multi_properties: dict[str, list[str]] = field(default_factory=dict)
    attachments: list[Attachment] = field(default_factory=list)
    mime: bytes | None = None
    """The source from the client or from transport; None if it was made from JSON."""
    hidden: bool = False
    """Taken by transport: no request finds it until it has moved."""
    misses_left: int = 0
    given_key: str | None = None
    """The client's key in its MIME, also if the mailbox dropped the header: no request shows it,
    but deliveries do."""

    @property
    def recipients(self) -> list[Address]:
        return [*self.to, *self.cc, *self.bcc]

    @property
    def size(self) -> int:
        """Bytes: of the MIME source, or of text and attachments of a message from JSON."""
        if self.mime is not None:
            return len(self.mime)
        text = "".join((self.subject, self.html or "", self.text or ""))
        return len(text.encode()) + sum(len(one.content) for one in self.attachments)

    def touch(self, now: datetime) -> None:
        """Record a change; `@odata.etag` changes with it."""
        self.modified = now
        self.change_key = new_change_key()

    def recompose(self) -> None:
        """Drop the MIME source after a change to the message; only custom headers stay."""
        if self.mime is not None:
            self.mime = None
            self.headers = [one for one in self.headers if is_custom(one[0])]

    def copied(self, folder: str, now: datetime) -> Message:
        """The same mail as another item: new ids, same key property and internetMessageId."""
        return replace(
            self,
            id=new_id(),
            immutable_id=new_immutable_id(),
            change_key=new_change_key(),
            folder=folder,
            created=now,
            modified=now,
            is_draft=False,
            hidden=False,
            misses_left=0,
            properties=dict(self.properties),
            multi_properties=dict(self.multi_properties),
            headers=list(self.headers),
        )


def property_key(identifier: str) -> str | None:
    """The property's id in one spelling: names keep their case, GUIDs and numbers do not. None if
    malformed.

    [res: extended-properties-overview]: the name is case-sensitive; a header's name is not
    [MS-OXCPRPT 3.2.5.10].
    """
    found = PROPERTY_ID.fullmatch(identifier.strip())
    if found is None:
        return None
    kind = found["type"].capitalize()
    if found["tag"]:
        return f"{kind} 0x{int(found['tag'], 16):04x}"
    guid, name = found["guid"].lower(), found["name"]
    if name and guid == INTERNET_HEADERS:
        name = name.lower()
    last = f"Name {name}" if name else f"Id 0x{int(found['id'], 16):04x}"
    return f"{kind} {{{guid}}} {last}"


def multi_property_key(identifier: str) -> str | None:
    """The key of a property with several values, whose type is written with `Array`. None if
    malformed."""
    kind, array, rest = identifier.strip().partition("Array ")
    return property_key(f"{kind} {rest}") if array else None


def properties_of(message: Message) -> dict[str, str]:
    """The properties for filters and `$expand`: its own properties, and its custom headers by their
    names in lower case [MS-OXCPRPT 3.2.5.10], also in Sent Items."""
    headers = {
        f"String {{{INTERNET_HEADERS}}} Name {name.lower()}": value
        for name, value in message.headers
        if is_custom(name)
    }
    return headers | message.properties


def named_properties(message: Message) -> set[str]:
    """The names that take slots in the mailbox: header names and GUID properties, not tags
    (1.4)."""
    names = {f"header {name.lower()}" for name, _ in message.headers if is_custom(name)}
    keys = [property_key(one) or "" for one in message.properties]
    keys += [multi_property_key(one) or "" for one in message.multi_properties]
    return names | {key for key in keys if "{" in key}


def is_custom(header: str) -> bool:
    return header.lower().startswith("x-")


def own_key(message: Message) -> str | None:
    """The value by which a client finds its mail, from JSON or from MIME."""
    for identifier, value in message.properties.items():
        found = PROPERTY_ID.fullmatch(identifier)
        if found and found["name"] and found["type"].lower() == "string":
            return value
    return first_header(message.headers, KEY_HEADER) or message.given_key


def first_header(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    return next((value for one, value in headers if one.lower() == name.lower()), None)


def new_id() -> str:
    """A default id: it changes with every move, is case-sensitive, and ends in '=' as real ids
    do."""
    return "AAMkAD" + base64.urlsafe_b64encode(secrets.token_bytes(84)).decode() + "AAA="


def new_immutable_id() -> str:
    return "AAkALg" + base64.urlsafe_b64encode(secrets.token_bytes(54)).decode() + "="


def new_change_key() -> str:
    return "CQAAAB" + base64.urlsafe_b64encode(secrets.token_bytes(15)).decode()


def new_internet_message_id() -> str:
    part = uuid.uuid4().hex.upper()
    return f"<SIM{part[:24]}@SIM{part[24:]}.namprd01.prod.outlook.com>"
