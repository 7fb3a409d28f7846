"""The Content-Type of raw messages and their parts, read strictly (RFC 2045, 5.1; RFC 2046, 5.1).

A value that two readers may interpret as different types is refused: what one reader shows as text,
another may open as a multipart. `type/subtype` and parameters without comments are read. Values
without quotes may contain what mail programs write although RFC 2045 requires quotes:
`type=text/html`, `name=my file.pdf`. The boundary is the exception: it must have the form of RFC
2046, in one parameter, and nothing around it may look like another boundary.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from shared.mail.file_names import ENVELOPE

_TOKEN = rb"[!#$%&'*+.^_`{|}~0-9A-Za-z-]++"
_SPACE = rb"(?:(?:\r\n)?[ \t])*+"
_TYPE = re.compile(_SPACE + rb"(" + _TOKEN + rb"/" + _TOKEN + rb")" + _SPACE)
_PARAMETER = re.compile(
    rb";"
    + _SPACE
    + rb"(?:(?P<name>"
    + _TOKEN
    + rb")"
    + _SPACE
    + rb"="
    + _SPACE
    # Bytes that are not ASCII count as letters of a name.
    + rb'(?:"(?P<quoted>(?:[^"\\]|\\.)*+)"|(?P<plain>[^\s;,"()<>\\]++(?:[ \t]++[^\s;,"()<>\\]++)*+)))?'
    + _SPACE,
    re.DOTALL,
)
_BOUNDARY = re.compile(rb"(?! )[0-9A-Za-z'()+_,./:=? -]{1,70}(?<! )")
_PLAIN_BOUNDARY = re.compile(rb"[0-9A-Za-z+_.-]{1,70}")
# Headers in a signed part that a mail program shows instead of those of the message: RFC 9788, the
# drafts before it, and RFC 8551, 3.1.
_OF_PROTECTED_HEADERS = frozenset({"hp", "protected-headers", "forwarded"})

_ENVELOPES = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
"""`winmail.dat`: it contains a sender, recipients and a subject of its own (MS-OXTNEF, 2.1.3)."""
ENVELOPE_FILE = f"is {ENVELOPE}, which has an envelope of its own: send the files that it holds"
_ELSEWHERE = frozenset({"message/partial", "message/external-body"})


_Parameter = tuple[str, bytes, bool]
"""Name in lower case, value, and whether the value is in quotes."""


class BadContentType(ValueError):
    """A Content-Type that is refused. The text says what is wrong and what to do."""


class ContentType(NamedTuple):
    """The facts of a part's Content-Type."""

    kind: str
    """`type/subtype` in lower case."""
    boundary: bytes | None
    """Set for a multipart, and only for that."""


def read(value: bytes) -> ContentType:
    """Read a folded value, whose lines end with CR LF. Raises BadContentType."""
    found = _TYPE.match(value)
    if found is None or value[found.end() : found.end() + 1] not in (b"", b";"):
        raise BadContentType(
            "is not a type such as text/plain, with parameters such as '; charset=utf-8' or none, "
            "and without comments: correct it"
        )
    kind = found[1].decode("ascii").lower()
    if (fault := refusal(kind)) is not None:
        raise BadContentType(fault)
    parameters = _parameters(value, found.end())
    boundaries = [each for each in parameters if each[0].startswith("boundary")]
    if not kind.startswith("multipart/"):
        if boundaries:
            raise BadContentType("has a boundary but is not a multipart: leave the boundary out")
        return ContentType(kind, None)
    return ContentType(kind, _boundary(parameters, boundaries))


def _boundary(parameters: list[_Parameter], boundaries: list[_Parameter]) -> bytes:
    """The boundary of a multipart. Raises BadContentType if other readers may find another one."""
    if len(boundaries) != 1 or boundaries[0][0] != "boundary":
        raise BadContentType("is a multipart without a boundary in one parameter: give one")
    _, boundary, is_quoted = boundaries[0]
    if not (_BOUNDARY if is_quoted else _PLAIN_BOUNDARY).fullmatch(boundary):
        raise BadContentType(
            "has a boundary that is not 1 to 70 letters, digits and signs of RFC 2046, in quotes "
            "where it holds other signs than +_.-: choose another"
        )
    if b"=?" in boundary or boundary.startswith(b"'"):
        raise BadContentType(
            "has a boundary that some readers decode, with '=?' or in apostrophes: choose another"
        )
    # Some readers split at each semicolon, or take a backslash literally, and so read inside
    # quotes.
    for _, other, _ in parameters:
        if other is not boundary and (b"\\" in other or b"boundary" in other.lower()):
            raise BadContentType(
                "is a multipart with a backslash or the word boundary in another parameter: leave "
                "it out"
            )
    return boundary


def refusal(kind: str) -> str | None:
    """Why a type (`type/subtype` in lower case) is never sent, with the remedy, or None."""
    if kind in _ENVELOPES:
        return (
            f"is {kind} (winmail.dat), which has an envelope of its own: send the files that it "
            "holds"
        )
    if kind in _ELSEWHERE:
        return f"is {kind}, whose content is in another place: send the content itself"
    return None


def _parameters(value: bytes, at: int) -> list[_Parameter]:
    """Name in lower case, value, and whether it is in quotes, for each parameter."""
    found: list[_Parameter] = []
    while at < len(value):
        parameter = _PARAMETER.match(value, at)
        if parameter is None:
            raise BadContentType(
                "has parameters that cannot be read: write them as '; charset=utf-8', without comments"
            )
        at = parameter.end()
        if parameter["name"] is None:
            # The semicolon behind the last parameter, or two in a row.
            continue
        name = parameter["name"].decode("ascii").lower()
        if name.partition("*")[0] in _OF_PROTECTED_HEADERS:
            raise BadContentType(
                f"has the parameter '{name}', which replaces the message's headers by those "
                "of the part: sign the message without protected headers"
            )
        quoted = parameter["quoted"]
        found.append((name, parameter["plain"] if quoted is None else quoted, quoted is not None))
    return found
