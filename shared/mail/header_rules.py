"""What may stand in a header of a mail: the names that are refused, with the remedy of each, the
names whose values are written byte for byte, and the names that Microsoft may drop.

The headers that every message has (`From`, `To`, `Content-Type`, …) are refused among the further
headers of a mail document, and read by `shared.mail.mime.reading` in raw MIME.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from shared.errors import FieldProblem
from shared.mail.address import has_control_characters

ONE_CLICK = "List-Unsubscribe=One-Click"
_OF_URLS = frozenset(
    {"list-archive", "list-help", "list-owner", "list-post", "list-subscribe", "list-unsubscribe"}
)
_URLS = re.compile(
    r"\s*+<[^<>\s]++>(?:\s*+\([^()]*+\))?+(?:\s*+,\s*+<[^<>\s]++>(?:\s*+\([^()]*+\))?+)*+\s*+"
)

MAX_HEADER_VALUE = 8192
MAX_LINE = 998
"""Characters of a line of a message (RFC 5322, 2.1.1)."""
MAX_WORD = MAX_LINE - 1
"""Characters without a space between them: they stand on one line, behind one space."""
MAX_SPACES = 40
"""Spaces in a row: a line is folded at a word only."""
MAX_LIST_ID = 255
"""RFC 2919, 3."""

SET_BY_POSTROOM = "is set by Postroom: leave it out"
FOR_SERVERS = "is for mail servers to write: leave it out"
_OF_THE_BODY = "is written by Postroom from text, html and attachments: leave it out"


class Rule(NamedTuple):
    """Why a header is refused."""

    remedy: str
    in_raw: bool = True
    """Whether raw MIME may not have it either."""


def _field(name: str) -> Rule:
    return Rule(f"has a field of its own: use {name}", in_raw=False)


_RULES = {
    "from": _field("from"),
    "to": _field("to"),
    "cc": _field("cc"),
    "bcc": _field("bcc"),
    "reply-to": _field("reply_to"),
    "subject": _field("subject"),
    "importance": _field("importance"),
    "disposition-notification-to": _field("read_receipt"),
    "return-receipt-to": _field("delivery_receipt"),
    "date": Rule(SET_BY_POSTROOM, in_raw=False),
    "message-id": Rule(SET_BY_POSTROOM, in_raw=False),
    "sender": Rule("is written by Microsoft: use from", in_raw=False),
    "mime-version": Rule(_OF_THE_BODY, in_raw=False),
    "content-type": Rule(_OF_THE_BODY, in_raw=False),
    "content-transfer-encoding": Rule(_OF_THE_BODY, in_raw=False),
    "content-disposition": Rule(_OF_THE_BODY, in_raw=False),
    "content-id": Rule(_OF_THE_BODY, in_raw=False),
    "auto-submitted": Rule(
        "is removed by Microsoft, so it cannot be sent: to ask for no automatic answers give "
        "'X-Auto-Response-Suppress: OOF, AutoReply, RN, NRN'"
    ),
    "mail-reply-to": Rule("is not supported: use reply_to"),
    "mail-followup-to": Rule("is not supported: use reply_to"),
    "errors-to": Rule(
        "is not supported: Microsoft sends reports to the mailbox that sends the mail"
    ),
    "x-confirm-reading-to": Rule("is not supported: use read_receipt"),
    "x-receiver": Rule("is a recipient to some mail servers: use bcc", in_raw=False),
    "x-sender": Rule("is a sender to some mail servers: use from", in_raw=False),
    "thread-topic": Rule("is a second subject: use subject", in_raw=False),
    "mail-copies-to": Rule("is not supported: use cc"),
    "read-receipt-to": Rule("is not supported: use read_receipt"),
    "x-reading-confirmation": Rule("is not supported: use read_receipt"),
    "return-receipt-requested": Rule("is not supported: use delivery_receipt"),
    "x-errors-to": Rule(
        "is not supported: Microsoft sends reports to the mailbox that sends the mail"
    ),
    "x-reply-to": Rule("is not supported: use reply_to"),
    "author": Rule("is shown as a second sender by some mail programs (RFC 9057): use from"),
    "original-from": Rule("is a second sender to some mail programs: use from"),
    "x-original-from": Rule("is a second sender to some mail programs: use from"),
    "original-recipient": Rule(FOR_SERVERS),
    "x-envelope-from": Rule(FOR_SERVERS),
    "x-ms-tnef-correlator": Rule(FOR_SERVERS),
    "x-envelope-to": Rule(FOR_SERVERS),
    "x-microsoft-original-message-id": Rule(FOR_SERVERS),
    "x-postroom-key": Rule(SET_BY_POSTROOM),
    "received": Rule(FOR_SERVERS),
    "return-path": Rule(FOR_SERVERS),
    "dkim-signature": Rule(FOR_SERVERS),
    "delivered-to": Rule(FOR_SERVERS),
    "x-original-to": Rule(FOR_SERVERS),
    "envelope-to": Rule(FOR_SERVERS),
    "apparently-to": Rule(FOR_SERVERS),
    "authentication-results": Rule(FOR_SERVERS),
    "x-originatororg": Rule(FOR_SERVERS),
    "x-eopattributedmessage": Rule(FOR_SERVERS),
}
# Another envelope, and what Exchange tells itself: spam verdicts, who has been authenticated.
# https://learn.microsoft.com/defender-office-365/message-headers-eop-mdo
_FOR_SERVERS_PREFIXES = (
    "resent-",
    "x-ms-exchange-",
    "x-microsoft-exchange-",
    "x-forefront-antispam-",
    "x-microsoft-antispam",
    "x-ms-journal-",
    "arc-",
)


class Form(Enum):
    """How the value of a header is written."""

    TEXT = "text"
    """Words for people: encoded (RFC 2047) where they are not plain ASCII."""
    LITERAL = "literal"
    """Ids, URLs and keywords: byte for byte, folded at spaces only. RFC 2047, 5 allows encoded words
    in none of them."""
    LIST_ID = "list-id"
    """`Name <id>`: the name is text, the id is literal (RFC 2919)."""


_FORMS = {
    "list-id": Form.LIST_ID,
    **dict.fromkeys(
        (
            "in-reply-to",
            "references",
            "message-id",
            "original-message-id",
            "supersedes",
            "list-archive",
            "list-help",
            "list-owner",
            "list-post",
            "list-subscribe",
            "list-unsubscribe",
            "list-unsubscribe-post",
            "archived-at",
            "content-base",
            "content-location",
            "content-language",
            "accept-language",
            "feedback-id",
            "precedence",
            "priority",
            "sensitivity",
            "expires",
            "x-auto-response-suppress",
            "x-msmail-priority",
            "x-priority",
        ),
        Form.LITERAL,
    ),
}

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,76}")
_NO_ASCII = re.compile(r"[^ -~]")
_ENCODED_WORD = re.compile(r"=\?[^? ]{1,100}\?[bBqQ]\?[^? ]*+\?=")
_LIST_ID = re.compile(r"(?P<name>[^<>]*)<(?P<id>[^<> ]*)>")


def refusal(name: str) -> str | None:
    """Why a header of this name is refused in raw MIME as well as in a mail document, with the
    remedy; None where raw MIME may have it."""
    rule = _rule(name)
    return rule.remedy if rule is not None and rule.in_raw else None


def refusal_in_document(name: str) -> str | None:
    """Why a header of this name is refused among the `headers` of a mail document, with the remedy;
    None where it may be given."""
    rule = _rule(name)
    return rule.remedy if rule is not None else None


def _rule(name: str) -> Rule | None:
    lowered = name.lower()
    if lowered.startswith(_FOR_SERVERS_PREFIXES):
        return Rule(FOR_SERVERS)
    return _RULES.get(lowered)


def reserved_names() -> tuple[str, ...]:
    """Every name that a mail document may not give, in lower case; prefixes are left out."""
    return tuple(_RULES)


def form_of(name: str) -> Form:
    """How the value of a header of this name is written."""
    return _FORMS.get(name.lower(), Form.TEXT)


def problems_of(headers: tuple[tuple[str, str], ...]) -> list[FieldProblem]:
    """What is wrong with the further headers of a mail document."""
    found: list[FieldProblem] = []
    seen: set[str] = set()
    for name, value in headers:
        if not _HEADER_NAME.fullmatch(name):
            # The name is the caller's, and may itself be hostile: only a plain token is shown.
            found.append(
                FieldProblem("headers", "has a name that is no header name, such as X-Ref")
            )
            continue
        fault = refusal_in_document(name) or _value_fault(name, value)
        if name.lower() in seen:
            fault = "is given more than once: keep one"
        if fault is not None:
            found.append(FieldProblem(f"headers.{name}", fault))
        seen.add(name.lower())
    return found


def _value_fault(name: str, value: str) -> str | None:
    if len(value) > MAX_HEADER_VALUE:
        return f"has more than {MAX_HEADER_VALUE} characters: shorten it"
    if has_control_characters(value):
        return "must not hold line breaks or control characters: remove them"
    form = form_of(name)
    if form is Form.TEXT:
        return None
    if form is Form.LITERAL:
        return literal_fault(value) or _list_fault(name.lower(), value)
    found = list_id_parts(value)
    if found is None:
        return "must be an id in angle brackets, with a name before it or none"
    if len(found[1]) > MAX_LIST_ID:
        return f"has an id of more than {MAX_LIST_ID} characters: shorten it"
    return literal_fault(found[1])


def _list_fault(lowered: str, value: str) -> str | None:
    """Why a value is not what mail programs read in a header of a mailing list, or None.

    RFC 2369, 2: URLs in angle brackets; of `List-Post` also NO. RFC 8058, 3.1: one keyword.
    """
    if lowered == "list-unsubscribe-post" and value.strip() != ONE_CLICK:
        return f"must be {ONE_CLICK}: mail programs read nothing else"
    if lowered not in _OF_URLS or _URLS.fullmatch(value):
        return None
    if lowered == "list-post" and value.strip().upper().startswith("NO"):
        return None
    return (
        "must be URLs in angle brackets, with commas between them: mail programs read nothing else"
    )


def literal_fault(value: str) -> str | None:
    """Why a value cannot be written byte for byte, or None where it can."""
    if _NO_ASCII.search(value):
        return "holds ids, URLs or keywords, which are plain ASCII: percent-encode what is not"
    if _ENCODED_WORD.search(value):
        return (
            "holds an encoded word (RFC 2047), which mail programs would decode: percent-encode its "
            "question marks"
        )
    if any(len(word) > MAX_WORD for word in value.split(" ")):
        return f"has more than {MAX_WORD} characters without a space: shorten the URL or id"
    if " " * (MAX_SPACES + 1) in value:
        return f"has more than {MAX_SPACES} spaces in a row: remove them"
    return None


def list_id_parts(value: str) -> tuple[str, str] | None:
    """Name, which may be empty, and id of a `List-Id`; None where it has another form."""
    found = _LIST_ID.fullmatch(value.strip())
    if found is None or not found["id"]:
        return None
    name = found["name"].strip()
    if len(name) >= 2 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return name, found["id"]
