"""How large a mail may be: every limit, who sets it, and how it can be raised.

    one request    Graph takes 4 MB, or 2.2 MB as MIME: for accounts without Mail.ReadWrite, for
                   mails that are not saved to Sent Items, and for raw MIME
    one body       the same numbers, for the text and html of a mail whose files are uploaded
                   apart
    one file       what an upload session takes
    all files      Outlook.com's limit, for personal accounts
    one mail       POSTROOM_MAX_MAIL_BYTES, to be set to the mailbox's own message size limit

The readers of HTTP requests and queue messages check the size of those.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from shared.errors import FieldProblem, RequestRejected
from shared.mail import problems
from shared.mail.account import Account, AccountKind
from shared.mail.address import Address
from shared.mail.delivery_mode import DeliveryMode, mode_for
from shared.mail.graph_payload import (
    MAX_MIME_BYTES,
    MAX_REQUEST_BYTES,
    encoded_length,
    fits_one_request,
    without_files,
)
from shared.mail.message import Message, needs_mime

MEGABYTE = 1024 * 1024

MAX_FILE_BYTES = 150 * MEGABYTE
"""One upload session. https://learn.microsoft.com/graph/outlook-large-attachments"""

MAX_PERSONAL_BYTES = 25 * MEGABYTE
"""All files of a mail from a personal account, before encoding.

https://support.microsoft.com/office/sending-limits-in-outlook-com-279ee200-594c-40f0-9ec8-bb6af7735c2e
"""

SEPARATE_BYTES = 3_000_000
"""A file of this size or more does not fit into one Graph request as base64. It is stored apart
from the rest of its mail, and streamed."""

MAX_TAGS = 300_000
"""Tags of html that gets a signature. It takes up to a second to find which elements are left open.
Html with svg, math or noscript is read in two or three ways, and its tags count two or three
times."""
MAX_BATCH_TAGS = 3 * MAX_TAGS
"""The same limit for all mails of one request: a hundred newsletters of 100 KB have about
200,000."""
_MOST_WAYS = 3
_FEW_TAGS = 1000

_MOST_HEADERS = 256 * 1024
"""The limit for raw MIME before Postroom rewrites it. Rewritten MIME may be shorter."""

CHUNK_BYTES = 12 * 320 * 1024
"""The size in which a file is read and uploaded: below 4 MB, the most that an upload session takes
at once, and a multiple of the 320 KiB that Graph's other upload sessions ask for."""


VERIFIED_BOX = "Verified sending and large attachments"
"""The label on the sign-in form on /accounts of the choice that asks for Mail.ReadWrite."""


class Excess(msgspec.Struct, frozen=True):
    """A limit that a mail exceeds."""

    field: str
    limit: int
    """Bytes."""
    whose: str
    """A sentence: which limit, how much it is, and who sets it."""
    remedy: str


def goes_direct(message: Message, account: Account) -> bool:
    """Whether the mail goes by `sendMail`, in one request: the account may not write drafts, or the
    mail shall leave no copy in Sent Items, which a draft always does."""
    return mode_for(account, saves_copy=message.save_to_sent_items) is DeliveryMode.DIRECT


def check(
    message: Message, sender: Address, account: Account, max_mail_bytes: int, now: datetime
) -> None:
    """Raise RequestRejected (413) with every limit that the mail exceeds, the lowest first."""
    found = excesses(message, sender, account, max_mail_bytes, now)
    if found:
        lowest = found[0]
        raise RequestRejected(
            problems.MAIL_TOO_LARGE,
            lowest.whose,
            [
                FieldProblem(
                    one.field,
                    f"is above {one.limit} bytes: see 'detail' and 'help'"
                    if one is lowest
                    else f"is above {one.limit} bytes too. {one.whose} {one.remedy}",
                )
                for one in found
            ],
            help=lowest.remedy,
        )


def check_raw(raw: bytes) -> None:
    """Raise RequestRejected (413) for raw MIME that no account can send. The MIME is not read
    yet."""
    if len(raw) > MAX_MIME_BYTES + _MOST_HEADERS:
        raise RequestRejected(
            problems.MAIL_TOO_LARGE,
            f"Microsoft takes raw MIME in one request of at most {MAX_MIME_BYTES} bytes in base64; this "
            f"message has {len(raw)} before it is encoded.",
            [FieldProblem("body", f"is above {MAX_MIME_BYTES} bytes: see 'help'")],
            help="The same mail as a JSON document may be larger, with its files as attachments.",
        )


def may_be_above(message: Message, max_mail_bytes: int) -> bool:
    """Whether a mail can exceed a limit, by the sizes that its caller gave. Nothing is read for
    it."""
    return _encoded_size(message) > min(max_mail_bytes, MAX_MIME_BYTES // 2)


def tags_of(message: Message) -> int:
    """How many tags count for `MAX_TAGS`; 0 if the mail gets no signature. If html has few tags,
    they count as if it were read in each way, because the exact count is not needed then."""
    if message.html is None or not message.signature:
        return 0
    tags = message.html.count("<")
    if tags <= _FEW_TAGS:
        return tags * _MOST_WAYS
    from shared.mail import open_markup

    return open_markup.cost(message.html)


def check_markup(message: Message, account: Account) -> None:
    """Raise RequestRejected (413) for html with too many tags to put a signature under it."""
    if not account.defaults.has_signature or tags_of(message) <= MAX_TAGS:
        return
    raise RequestRejected(
        problems.MAIL_TOO_LARGE,
        f"The account '{account.alias}' puts a signature under each mail, and html may have at most "
        f"{MAX_TAGS} tags then; those of html with svg, math or noscript count more than once.",
        [FieldProblem("html", f"has more than {MAX_TAGS} tags: send fewer")],
        help="Send a part of it as an attachment, or set 'signature' to false where the account allows "
        "that.",
    )


def excesses(
    message: Message, sender: Address, account: Account, max_mail_bytes: int, now: datetime
) -> Sequence[Excess]:
    """Every limit that the mail exceeds, the lowest first. A file in storage counts by its size."""
    found = [one for one in (request_excess(message, sender, account, now),) if one is not None]
    files = sum(item.size for item in message.attachments)
    if account.kind is AccountKind.PERSONAL and files > MAX_PERSONAL_BYTES:
        found.append(
            Excess(
                "attachments",
                MAX_PERSONAL_BYTES,
                f"Outlook.com takes files of {MAX_PERSONAL_BYTES} bytes in all in a mail from a "
                f"personal account; these have {files}.",
                "Send fewer or smaller attachments, a link to them, or use a work account.",
            )
        )
    mail = _encoded_size(message)
    if mail > max_mail_bytes:
        found.append(
            Excess(
                "attachments" if message.attachments else "body",
                max_mail_bytes,
                f"A mail may have {max_mail_bytes} bytes (POSTROOM_MAX_MAIL_BYTES), attachments in "
                f"base64 included; this one has {mail}.",
                "Send fewer or smaller attachments, or a link to them. An operator raises the "
                "setting, if the mailbox's own message size limit in Exchange is higher.",
            )
        )
    found += [
        Excess(
            f"attachments[{index}]",
            MAX_FILE_BYTES,
            f"Microsoft takes files of at most {MAX_FILE_BYTES} bytes; this one has {item.size}.",
            "Split the file, or send a link to it.",
        )
        for index, item in enumerate(message.attachments)
        if item.size > MAX_FILE_BYTES
    ]
    return sorted(found, key=lambda one: one.limit)


def request_excess(
    message: Message, sender: Address, account: Account, now: datetime
) -> Excess | None:
    """The limit of one Graph request if the mail exceeds it, else None.

    Sending must check it again: the account may have been signed in with fewer permissions since.
    """
    direct = goes_direct(message, account)
    whole = direct or message.mime is not None
    if fits_one_request(message if whole else without_files(message), sender, now):
        return None
    limit = MAX_MIME_BYTES if needs_mime(message) else MAX_REQUEST_BYTES
    if not whole:
        return Excess(
            "html" if message.html is not None else "text",
            limit,
            f"Microsoft takes the text of a mail in one request of at most {limit} bytes"
            f"{_AS_MIME if needs_mime(message) else ''}.",
            "Shorten the text, or send a part of it as an attachment.",
        )
    return Excess(
        "attachments" if message.attachments else "body",
        limit,
        f"The account '{account.alias}' sends this mail in one request of at most {limit} bytes, "
        f"attachments in base64 included{_AS_MIME if needs_mime(message) else ''}. "
        f"{_why_whole(message, account)}",
        f"Send fewer or smaller attachments, or a link to them. {_what_raises(message, account)}",
    )


_AS_MIME = (
    " (it goes as MIME, whose limit is lower: text and html together, headers other than x-…, "
    "in_reply_to or references, an invitation, or raw MIME)"
)


def _why_whole(message: Message, account: Account) -> str:
    if message.mime is not None:
        return "Raw MIME cannot be sent in parts."
    if not account.can_write_drafts:
        return "It was signed in without Mail.ReadWrite, which larger mails need."
    return "It leaves no copy in Sent Items, and only a mail with a copy goes in parts."


def _what_raises(message: Message, account: Account) -> str:
    if message.mime is not None:
        return "The same mail as a JSON document may be larger, with its files as attachments."
    lacking = []
    if not message.save_to_sent_items:
        lacking.append("leave save_to_sent_items true")
    if not account.can_write_drafts:
        lacking.append(
            f"have an administrator sign the account in again on /accounts with the box "
            f"'{VERIFIED_BOX}' ticked (it asks for Mail.ReadWrite, to which an administrator of the "
            "tenant may have to consent)"
        )
    return f"To send larger mails, {' and '.join(lacking)}."


def _encoded_size(message: Message) -> int:
    texts = sum(
        len(text.encode("utf-8", "replace")) for text in (message.text, message.html) if text
    )
    files = sum(encoded_length(item.size) for item in message.attachments)
    return texts + len(message.mime or b"") + files
