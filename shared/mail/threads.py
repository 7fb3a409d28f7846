"""The headers by which mail programs show a thread (RFC 5322, 3.6.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import FieldProblem
from shared.mail.message_ids import MAX_MESSAGE_ID, is_plain

if TYPE_CHECKING:
    from shared.mail.message import Message

MAX_REFERENCES = 100

_FORM = "must be one Message-ID: plain ASCII such as id@example.com, in angle brackets"


def fault_of(text: str) -> str | None:
    """Why a text cannot be written as a Message-ID, or None if it can."""
    if len(text) > MAX_MESSAGE_ID:
        return f"has more than {MAX_MESSAGE_ID} characters: that is no Message-ID"
    if "@" not in text or not is_plain(text):
        return _FORM
    return None


def problems_of(message: Message) -> list[FieldProblem]:
    """The faults of the fields `in_reply_to` and `references`."""
    found: list[FieldProblem] = []
    if len(message.references) > MAX_REFERENCES:
        return [
            FieldProblem(
                "references",
                f"has more than {MAX_REFERENCES} Message-IDs: keep the first and the last ones",
            )
        ]
    given = [("in_reply_to", message.in_reply_to)] if message.in_reply_to is not None else []
    given += [(f"references[{index}]", text) for index, text in enumerate(message.references)]
    for name, text in given:
        fault = fault_of(text or "")
        if fault is not None:
            found.append(FieldProblem(name, fault))
    if message.in_reply_to is not None or message.references:
        found += [
            FieldProblem(f"headers.{name}", "is given by in_reply_to and references too: keep one")
            for name, _ in message.headers
            if name.lower() in ("in-reply-to", "references")
        ]
    return found


def thread_headers(message: Message) -> list[tuple[str, str]]:
    """`In-Reply-To` and `References`: the parent's references, then the parent, each once."""
    parent = message.in_reply_to
    thread = [one for one in dict.fromkeys(message.references) if one != parent]
    found = []
    if parent is not None:
        thread.append(parent)
        found.append(("In-Reply-To", parent))
    if thread:
        found.append(("References", " ".join(thread)))
    return found
