"""Non-delivery reports as Exchange writes them (graph-mail.md 6.1), and the addresses that cause
them.

Some addresses always bounce, at any domain: see `MAGIC`. `bounce+5.7.708@...` bounces with the
status in its name.
"""

from __future__ import annotations

import base64
import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from local.simulator.graph.compose import encoded, headers_of
from local.simulator.graph.items import (
    ITEM_CLASS,
    REPORTED_SEARCH_KEY,
    Address,
    Message,
    new_internet_message_id,
)
from local.simulator.graph.mime import read

EXCHANGE_USER = "MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e"

TEXTS = {
    "5.1.1": "550 5.1.1 The email account that you tried to reach does not exist.",
    "5.1.8": "550 5.1.8 Access denied, bad outbound sender.",
    "5.1.10": "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
    "5.1.92": "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
    "5.2.2": "554 5.2.2 mailbox full",
    "5.7.1": "550 5.7.1 Message rejected by the recipient's policy.",
    "5.7.232": "550 5.7.232 Your message can't be sent because your trial tenant has exceeded its "
    "daily limit for sending email to external recipients.",
    "5.7.233": "550 5.7.233 Your message can't be sent because your tenant exceeded its daily limit "
    "for sending email to external recipients.",
}

MAGIC = {"bounce": "5.1.1", "mailbox-full": "5.2.2", "blocked": "5.7.1", "tenant-limit": "5.7.233"}

_NAMED_STATUS = re.compile(r"bounce\+(5\.\d{1,3}\.\d{1,3})")


@dataclass(frozen=True)
class Bounce:
    """One recipient that transport refused, with the status."""

    recipient: Address
    status: str

    @property
    def diagnostic(self) -> str:
        return TEXTS.get(self.status, f"550 {self.status} Message rejected.")


def magic_status(address: str) -> str | None:
    """The status with which this address bounces, or None for an ordinary one."""
    user = address.partition("@")[0].lower()
    named = _NAMED_STATUS.fullmatch(user)
    return named[1] if named else MAGIC.get(user)


def report(original: Message, bounces: list[Bounce], domain: str, now: datetime) -> Message:
    """The message that Exchange puts into the sender's Inbox."""
    result = read(_source(original, bounces, domain, now), now)
    result.folder = "inbox"
    result.is_draft = False
    result.is_read = False
    result.sent = result.received = now
    result.sender = result.from_
    result.conversation_id = original.conversation_id
    result.properties = {
        ITEM_CLASS: "REPORT.IPM.Note.NDR",
        REPORTED_SEARCH_KEY: base64.b64encode(original.search_key).decode(),
    }
    return result


def _source(original: Message, bounces: list[Bounce], domain: str, now: datetime) -> bytes:
    boundary = uuid.uuid4().hex
    to = original.sender or original.from_ or Address("unknown@localhost")
    head = [
        f"From: Microsoft Outlook <{EXCHANGE_USER}@{domain}>",
        f"To: <{to.address}>",
        f"Subject: {_subject(original)}",
        f"Date: {format_datetime(now)}",
        f"Message-ID: {new_internet_message_id()}",
        f"In-Reply-To: {original.internet_message_id}",
        f"References: {original.internet_message_id}",
        "Auto-Submitted: auto-replied",
        "X-MS-Exchange-Message-Is-Ndr:",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status; boundary="{boundary}"',
    ]
    parts = [
        ("text/plain; charset=utf-8", _explanation(bounces)),
        ("message/delivery-status", _status(bounces, domain)),
        ("text/rfc822-headers; charset=utf-8", _original_headers(original)),
    ]
    body = "".join(f"--{boundary}\nContent-Type: {kind}\n\n{text}\n" for kind, text in parts)
    whole = "\n".join(head) + f"\n\n{body}--{boundary}--\n"
    return whole.replace("\n", "\r\n").encode()


def _subject(original: Message) -> str:
    return encoded(f"Undeliverable: {original.subject}")


def _explanation(bounces: list[Bounce]) -> str:
    lines = [f"{one.recipient.address}\n{one.diagnostic}\n" for one in bounces]
    return "Your message couldn't be delivered.\n\n" + "\n".join(lines)


def _status(bounces: list[Bounce], domain: str) -> str:
    blocks = [
        f"Final-Recipient: rfc822;{one.recipient.address}\nAction: failed\n"
        f"Status: {one.status}\nDiagnostic-Code: smtp;{one.diagnostic}\n"
        for one in bounces
    ]
    return f"Reporting-MTA: dns;{domain}\n\n" + "\n".join(blocks)


def _original_headers(original: Message) -> str:
    pairs = headers_of(original)
    return "\n".join(f"{name}: {' '.join(value.split())}" for name, value in pairs)
