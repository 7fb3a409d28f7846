"""Replies to a message, and forwarded messages.

[api: message-reply], [api: message-replyall], [api: message-forward], and the same with a draft.
The words that separate an answer from the quoted message are made up.
"""

from __future__ import annotations

import html
from datetime import datetime
from email.utils import format_datetime
from typing import Literal

from local.simulator.graph.items import Address, Message
from local.simulator.graph.plain import plain_text

Kind = Literal["reply", "replyAll", "forward"]

IN_REPLY_TO = "String 0x1042"
REFERENCES = "String 0x1039"
"""The properties from which `compose` writes the headers of a thread."""

PREFIX: dict[Kind, str] = {"reply": "RE: ", "replyAll": "RE: ", "forward": "FW: "}


def answer_to(
    original: Message, kind: Kind, comment: str, own: frozenset[str], now: datetime
) -> Message:
    """A draft of an answer. `own` are the addresses of the mailbox, in lower case."""
    result = Message(created=now, modified=now)
    result.subject = PREFIX[kind] + _without_prefix(original.subject)
    result.importance = original.importance
    result.conversation_id = original.conversation_id
    result.properties = {
        IN_REPLY_TO: original.internet_message_id,
        REFERENCES: _references(original),
    }
    if original.html is not None:
        result.html = _quoted_html(original, comment)
    else:
        result.text = _quoted_text(original, comment)
    if kind == "forward":
        result.attachments = list(original.attachments)
        return result
    result.attachments = [one for one in original.attachments if one.is_inline]
    result.to = answered(original, own)
    if kind == "replyAll":
        result.to += _not_in(original.to, result.to, own)
        result.cc = _not_in(original.cc, result.to, own)
    return result


def _not_in(those: list[Address], named: list[Address], own: frozenset[str]) -> list[Address]:
    taken = {one.key for one in named} | own
    return [one for one in those if one.key not in taken]


def answered(original: Message, own: frozenset[str]) -> list[Address]:
    """To whom a reply goes: `replyTo` before `from` (RFC 5322, 3.6.2); a reply to a mail of one's
    own goes to its recipients, as in Outlook."""
    if original.from_ is not None and original.from_.key in own:
        return list(original.to)
    if original.reply_to:
        return list(original.reply_to)
    return [original.from_] if original.from_ else []


def _without_prefix(subject: str) -> str:
    for prefix in ("re:", "fw:", "fwd:"):
        if subject.lower().startswith(prefix):
            return subject[len(prefix) :].lstrip()
    return subject


def _references(original: Message) -> str:
    before = original.properties.get(REFERENCES) or next(
        (value for name, value in original.headers if name.lower() == "references"), ""
    )
    return f"{before} {original.internet_message_id}".strip()


def _lines(original: Message) -> list[tuple[str, str]]:
    return [
        ("From", _people([original.from_] if original.from_ else [])),
        ("Sent", format_datetime(original.sent or original.created)),
        ("To", _people(original.to)),
        ("Cc", _people(original.cc)),
        ("Subject", original.subject),
    ]


def _people(those: list[Address]) -> str:
    return "; ".join(f"{one.name} <{one.address}>" if one.name else one.address for one in those)


def _quoted_html(original: Message, comment: str) -> str:
    head = "<br>".join(
        f"<b>{name}:</b> {html.escape(value)}" for name, value in _lines(original) if value
    )
    above = f"<div>{html.escape(comment)}</div>" if comment else ""
    return f"{above}<hr><div>{head}</div><br>{original.html}"


def _quoted_text(original: Message, comment: str) -> str:
    head = "\r\n".join(f"{name}: {value}" for name, value in _lines(original) if value)
    text = original.text if original.text is not None else plain_text(original.html or "")
    return f"{comment}\r\n\r\n________________________________\r\n{head}\r\n\r\n{text}"
