"""The fields of a mail document that put the mail into a thread: `in_reply_to` and `references`."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from shared.errors import FieldProblem
from shared.mail import ids
from shared.mail.threads import MAX_REFERENCES

MAX_TEXT = 8192
"""The most characters of all references together."""

_SHOWN = "as a Message-ID header has it: id@host between angle brackets"
# The text between the angle brackets: RFC 5322, 3.6.4, without comments and folding.
_BARE = re.compile(r"[!-;=?-~]{1,900}")


class Thread(msgspec.Struct, frozen=True):
    """The place of a mail in a thread."""

    in_reply_to: str | None = None
    """A Message-ID with its angle brackets."""
    answers: str | None = None
    """The id of the mail of Postroom that it answers; the ledger has that mail's Message-ID."""
    references: tuple[str, ...] = ()


def read_thread(
    in_reply_to: str | None, references: str | Sequence[str] | None, found: list[FieldProblem]
) -> Thread:
    """Read both fields. Their problems are added to `found`. An answer without references refers to
    the message that it answers (RFC 5322, 3.6.4)."""
    text = (in_reply_to or "").strip()
    if ids.is_id(text.lower()):
        return Thread(None, text.lower(), _references(references, found))
    answered = _message_id(text, "in_reply_to", found) if text else None
    return Thread(answered, None, _references(references, found) or tuple(filter(None, [answered])))


def _references(given: str | Sequence[str] | None, found: list[FieldProblem]) -> tuple[str, ...]:
    entries = [given] if isinstance(given, str) else list(given or ())
    if len(entries) > MAX_REFERENCES or sum(map(len, entries)) > MAX_TEXT:
        found.append(_crowded())
        return ()
    read: list[str] = []
    for index, entry in enumerate(entries):
        at = "references" if isinstance(given, str) else f"references[{index}]"
        for word in entry.split():
            message_id = _message_id(word, at, found)
            if message_id is None:
                break
            read.append(message_id)
    if len(read) > MAX_REFERENCES:
        found.append(_crowded())
        return ()
    return tuple(read)


def _crowded() -> FieldProblem:
    return FieldProblem(
        "references",
        f"has more than {MAX_REFERENCES} Message-IDs or {MAX_TEXT} characters: keep the first and "
        "the newest",
    )


def _message_id(text: str, at: str, found: list[FieldProblem]) -> str | None:
    """A Message-ID with its angle brackets, which a caller may leave out."""
    bare = text[1:-1] if text[:1] == "<" and text[-1:] == ">" else text
    left, sign, right = bare.rpartition("@")
    if not (left and sign and right) or not _BARE.fullmatch(bare):
        what = "is no Message-ID and no mail's id" if at == "in_reply_to" else "is no Message-ID"
        if len(text.split()) > 1 and at == "in_reply_to":
            what = "has several Message-IDs where one is taken: 'references' takes more"
        found.append(FieldProblem(at, f"{what}: write it {_SHOWN}"))
        return None
    return f"<{bare}>"
