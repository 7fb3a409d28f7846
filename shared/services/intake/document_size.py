"""Limits of a JSON document that are checked before it is read. Millions of texts, or long texts
with characters beyond Latin-1, take many times their size in memory."""

from __future__ import annotations

import re

from shared.errors import FieldProblem, RequestRejected
from shared.mail import problems
from shared.services.json_reading import longest_name, may_be_wide

MAX_TEXTS = 20_000
"""The most names and texts in a mail. 500 recipients with names and all other fields have about
7,000."""

MAX_WIDE = 8 * 1024 * 1024
"""The most characters of a mail with characters beyond ASCII, without the content of attachments.
Microsoft accepts 4 MB of text and html; addresses, headers and file names have less than half of
that."""

LONGEST_NAME = 65_536
"""The most bytes in the name of a field, a header or an entry. No name that is accepted has as
many."""
_LARGE = 256 * 1024

_CONTENT = re.compile(rb'"(?<=[:,\[\s]")[A-Za-z0-9+/=\\_-]{1024,}+"')
"""A whole text in base64, in which some programs escape characters. No backslash stands before the
quotation mark that begins a text."""
_SAVED = len(rb"\u0041") - 1
"""How many bytes more than its character an escape with one or two backslashes has."""
_ESCAPE = re.compile(rb"\\(?:u[0-9A-Fa-f]{4}|.)", re.DOTALL)


def refuse_crumbs(raw: bytes, most: int) -> None:
    """Reject a document with more names and texts than this. Each quotation mark that is not
    escaped begins or ends one. A quotation mark after an escaped backslash is missed; its text
    still counts as a half."""
    if raw.count(b'"') > 2 * most and raw.count(b'"') - raw.count(b'\\"') > 2 * most:
        raise RequestRejected(
            problems.INVALID_MAIL,
            "The document has more names and texts than are taken.",
            [FieldProblem("body", f"has more than {most} names and texts: send less in it")],
        )


def refuse_wide(raw: bytes) -> None:
    """Reject a mail with more text than a mail can have, or with a field name that is too long.

    A text with one character beyond Latin-1 takes two or four bytes for each of its characters. The
    content of attachments is ASCII, which takes one. A name that is no field is copied into an
    error several times.
    """
    if len(raw) <= _LARGE or not may_be_wide(raw):
        return
    rest = _CONTENT.sub(_without_ascii, raw)
    if _characters(rest) > MAX_WIDE:
        raise RequestRejected(
            problems.MAIL_TOO_LARGE,
            f"The document has more than {MAX_WIDE} characters beside the content of attachments.",
            [FieldProblem("body", "has more text than a mail can have: send less")],
            help="Shorten the text and the html, or send a part of them as an attachment.",
        )
    if longest_name(rest) > LONGEST_NAME:
        raise RequestRejected(
            problems.INVALID_MAIL,
            "The document has a field with a very long name.",
            [FieldProblem("body", f"has a name of more than {LONGEST_NAME} bytes: shorten it")],
        )


def _characters(raw: bytes) -> int:
    """The characters of a document, if each byte is one. If there are too many in any case, a
    smaller number."""
    least = len(raw) - _SAVED * raw.count(b"\\")
    if least > MAX_WIDE:
        return least
    unescaped, escapes = _ESCAPE.subn(b"", raw)
    return len(unescaped) + escapes


def _without_ascii(content: re.Match[bytes]) -> bytes:
    text = content[0]
    return text if may_be_wide(text) else b'""'
