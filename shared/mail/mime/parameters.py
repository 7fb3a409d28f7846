"""Writes parameters of MIME headers, so that a caller's text can only be data in them.

RFC 2045, 5.1 and RFC 2231 (https://www.rfc-editor.org/rfc/rfc2231).
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from shared.mail.media_type import quoted
from shared.mail.mime.header_lines import encoded, is_plain

MAX_PLAIN = 200
"""The longest value that is written in quotes on one line."""
MAX_VALUE = 900
"""Characters of an encoded value on one line; a longer one is continued. Outlook does not join
continued values (jstedfast/MimeKit#281), so most names are written on one long line."""
_READ_OTHERWISE = frozenset("\"\\%'*")
"""Characters that some readers wrongly interpret as quotes, escapes or RFC 2231."""
_SAFE = "!#$&+-.^_`{|}~"
"""Characters that need no encoding in an encoded value: the attribute-char of RFC 2231, 7."""


def field(name: str, value: str, parameters: Iterable[str]) -> str:
    """A MIME header, with each parameter on its own line."""
    return f"{name}: " + ";\r\n ".join((value, *parameters))


def parameters(name: str, value: str) -> list[str]:
    """A parameter, in one piece or in several that continue each other.

    Some readers decode encoded words in quotes too, join spaces, or interpret a backslash as a part
    of a path. A value that a reader could misread is therefore encoded.
    """
    if stands_for_itself(value):
        return [f"{name}={quoted(value)}"]
    text = f"utf-8''{quote(value, safe=_SAFE)}"
    if len(text) <= MAX_VALUE:
        return [f"{name}*={text}"]
    return [f"{name}*{index}*={piece}" for index, piece in enumerate(_pieces(text))]


def name_parameter(filename: str) -> str:
    """The `name` of a Content-Type, beside the `filename` of its Content-Disposition.

    It is for Outlook, which does not read RFC 2231 and shows "Untitled Attachment" without it
    (jstedfast/MimeKit#186): encoded words in quotes, as Outlook and Gmail write them.
    """
    if stands_for_itself(filename):
        return f"name={quoted(filename)}"
    return f'name="{encoded(filename, len(" name=") + 2)}"'


def stands_for_itself(value: str) -> bool:
    """Whether every reader reads a value in quotes unchanged."""
    return (
        0 < len(value) <= MAX_PLAIN
        and is_plain(value)
        and value.isprintable()
        and not _READ_OTHERWISE.intersection(value)
        and "  " not in value
        and value == value.strip(" ")
    )


def _pieces(text: str) -> Iterable[str]:
    """The text in pieces, none of which splits a percent-encoded byte."""
    start = 0
    while start < len(text):
        end = min(start + MAX_VALUE, len(text))
        if end < len(text):
            end -= next((back for back in (1, 2) if text[end - back] == "%"), 0)
        yield text[start:end]
        start = end
