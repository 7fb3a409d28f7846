"""What a JSON document may hold, found out before it is read: to read it takes many times its size of
memory where it holds millions of texts, or long texts with signs beyond Latin-1."""

from __future__ import annotations

import re

from shared.errors import FieldProblem, RequestRejected
from shared.mail import problems
from shared.services.json_reading import longest_name, may_be_wide

MAX_TEXTS = 20_000
"""Names and texts in a mail: 500 recipients with names, and whatever else one can hold, are about
7,000."""

MAX_WIDE = 8 * 1024 * 1024
"""Characters of a mail that has signs beyond ASCII, apart from the content of attachments. Microsoft takes
4 MB of text and html; addresses, headers and names of files have less than half of that."""

LONGEST_NAME = 65_536
"""Bytes of a field's, a header's or an entry's name. None that is taken has so many."""
_LARGE = 256 * 1024

_CONTENT = re.compile(rb'"(?<=[:,\[\s]")[A-Za-z0-9+/=\\_-]{1024,}+"')
"""A whole text of base64, in which some programs escape signs. Before the quotation mark that begins a
text there is no backslash."""
_SAVED = len(rb"\u0041") - 1
"""Bytes that an escape, which has one backslash or two, has more than its character."""
_ESCAPE = re.compile(rb"\\(?:u[0-9A-Fa-f]{4}|.)", re.DOTALL)


def refuse_crumbs(raw: bytes, most: int) -> None:
    """Refuse a document with more names and texts than this: a quotation mark that is not escaped begins
    or ends one. One behind a backslash that is itself escaped is missed; its text still counts as half."""
    if raw.count(b'"') > 2 * most and raw.count(b'"') - raw.count(b'\\"') > 2 * most:
        raise RequestRejected(
            problems.INVALID_MAIL,
            "The document has more names and texts than are taken.",
            [FieldProblem("body", f"has more than {most} names and texts: send less in it")],
        )


def refuse_wide(raw: bytes) -> None:
    """Refuse a mail with more text than one can have, or with a long name of a field.

    A text with one sign beyond Latin-1 takes two or four bytes for each of its characters. The content of
    attachments is ASCII, which takes one. A name that is no field's is copied into an error several times.
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
    """Characters of a document, a byte each; where they are surely too many, fewer than it has."""
    least = len(raw) - _SAVED * raw.count(b"\\")
    if least > MAX_WIDE:
        return least
    unescaped, escapes = _ESCAPE.subn(b"", raw)
    return len(unescaped) + escapes


def _without_ascii(content: re.Match[bytes]) -> bytes:
    text = content[0]
    return text if may_be_wide(text) else b'""'
