"""The name by which programs open a file, however its name is written.

Programs differ in what they remove from a name: white space and dots at its ends, invisible
characters, quotation marks. Rules about names therefore compare what is left without all of them.
"""

from __future__ import annotations

import binascii
import re
import unicodedata
from urllib.parse import unquote

ENVELOPE = "winmail.dat"
"""The name by which Outlook knows a file with an envelope of its own (MS-OXTNEF)."""
_CALENDARS = (".ics", ".vcs", ".ical", ".icalendar", ".ifb")
_SIGNED = (".p7m",)

_IGNORED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})
"""Unicode categories of characters that are not seen in a name."""
_ENCODED_WORD = re.compile(r"=\?[^?\s]*+\?([bq])\?([^?\s]*+)\?=", re.IGNORECASE)
_PIECE = re.compile(
    r"""(?:file)?name\*(\d{1,4})\*?\s*+=\s*+("(?:[^"\\]|\\.)*+"|[^;\s]*+)""",
    re.IGNORECASE | re.DOTALL,
)
"""One piece of a name in several parameters (RFC 2231, 3)."""


def opened_as(name: str) -> str:
    """A name in the form in which names are compared."""
    text = unicodedata.normalize("NFKC", name).casefold()
    seen = "".join(sign for sign in text if unicodedata.category(sign) not in _IGNORED)
    return seen.translate({ord(sign): None for sign in "\"'\\"}).rstrip(".")


def is_envelope(name: str) -> bool:
    """Whether Outlook may open the file as an envelope."""
    return opened_as(name).lstrip(".").startswith(ENVELOPE)


def is_calendar(name: str) -> bool:
    """Whether programs open the file as a calendar."""
    return opened_as(name).endswith(_CALENDARS)


def is_signed(name: str) -> bool:
    """Whether programs open the file as a signed or encrypted message (RFC 8551, 3.2.1)."""
    return opened_as(name).endswith(_SIGNED)


def names_in(header: bytes) -> str:
    """All that programs may read as a file name in a header field of a part, in one text: as it is
    written, percent-encoded, in encoded words, and put together from several parameters. For rules
    that look for a name in it; takes a time in proportion to the field.
    """
    text = header.decode("utf-8", "replace")
    pieces = sorted((int(number), value) for number, value in _PIECE.findall(text))
    together = "".join(value.rpartition("''")[2] for _, value in pieces)
    words = _ENCODED_WORD.sub(_decoded, text)
    written = (text, together, words, words.replace("_", " "))
    return "\n".join(opened_as(unquote(each)) for each in written)


def has_calendar_name(names: str) -> bool:
    """Whether one of the names of `names_in` is that of a calendar."""
    return any(ending in names for ending in _CALENDARS)


def has_signed_name(names: str) -> bool:
    """Whether one of the names of `names_in` is that of a signed or encrypted message."""
    return any(ending in names for ending in _SIGNED)


def _decoded(word: re.Match[str]) -> str:
    """The text of an encoded word (RFC 2047), whatever its charset: the names are ASCII."""
    content = word[2].encode("ascii", "ignore")
    try:
        if word[1].lower() == "b":
            return (
                binascii.a2b_base64(content + b"==").replace(b"\0", b"").decode("utf-8", "replace")
            )
        return binascii.a2b_qp(content, header=True).decode("utf-8", "replace")
    except binascii.Error:
        return word[0]
