"""The charset and the compression of a body: a declared charset is used, or refused by name;
nothing is guessed.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping

from shared.errors import FieldProblem, RequestRejected
from shared.mail import problems
from shared.mail.problems import ProblemKind
from shared.services.intake.text_encoding import UTF_16_LE, encoding_of

_BOM = codecs.BOM_UTF8
_LONGEST_HEADER = 1024
"""Characters of a Content-Type: a boundary has at most 70 (RFC 2046, 5.1.1)."""

# Names of charsets from the IANA registry, each with Python's codec.
# https://www.iana.org/assignments/character-sets
_CODECS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}
_TAKEN = "utf-8, us-ascii, iso-8859-1, windows-1252, utf-16, utf-16le and utf-16be"
# No client escapes another character, and a Windows path contains backslashes.
_ESCAPED = re.compile(r'\\(["\\])')
_C1 = re.compile(rb"[\x80-\x9f]")
# RFC 9110, 5.6.6. The quantifiers are possessive, so that the pattern never backtracks.
_PARAMETER = re.compile(
    r"""\s*+;\s*+(?:(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]++)=
    (?:(?P<token>[!#$%&'*+.^_`|~0-9A-Za-z:/=?@()\[\]{},-]++)|"(?P<quoted>(?:[^"\\]|\\.)*+)"))?+""",
    re.VERBOSE | re.DOTALL,
)


def media_type(header: str) -> str:
    """The media type of a Content-Type, in lower case; empty if the header is too long."""
    if len(header) > _LONGEST_HEADER:
        return ""
    return header.partition(";")[0].strip().lower()


def parameters(header: str) -> dict[str, str] | None:
    """The parameters after the first `;` of a header, by their names in lower case; None if they
    cannot be read or one occurs twice (RFC 9110, 5.6.6)."""
    found: dict[str, str] = {}
    at = len(header.partition(";")[0])
    while at < len(header.rstrip()):
        part = _PARAMETER.match(header, at)
        if part is None:
            return None
        at = part.end()
        name = (part["name"] or "").lower()
        if not name:
            continue
        if name in found:
            return None
        quoted = part["quoted"]
        found[name] = part["token"] if quoted is None else _ESCAPED.sub(r"\1", quoted)
    return found


def refuse_compressed(headers: Mapping[str, str]) -> None:
    """Raise RequestRejected for a body that has a Content-Encoding (RFC 9110, 8.4)."""
    coding = headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity"):
        raise _refused(
            "Content-Encoding",
            f"is {_shown(coding)}: send the body as it is, without compressing it",
            problems.UNSUPPORTED_ENCODING,
        )


def utf8_json(body: bytes, content_type: str, field: str = "body") -> bytes:
    """A JSON text in UTF-8, without byte order mark, from any charset that is read. Raises
    RequestRejected for another charset, and for bytes that are not in the declared one.

    `field` is the name of the body in an error. The charset of JSON is UTF-8 unless the
    Content-Type names another (RFC 8259, 8.1).
    """
    charset = _charset_in(content_type, field)
    codec = _CODECS.get(charset or "utf-8")
    if codec is None:
        raise _unknown(charset or "", field)
    if codec == "utf-8":
        return _utf8(body, charset, field)
    if codec == "latin-1" and _C1.search(body):
        raise _not_in(field, charset, "declare windows-1252 if that is what it is")
    if codec == "utf-16":
        codec = _byte_order(body)
    try:
        text = body.decode(codec)
    except UnicodeDecodeError:
        raise _not_in(field, charset, "send it in UTF-8, or declare what it is in") from None
    return text.removeprefix("\ufeff").encode()


def message_bytes(body: bytes, content_type: str) -> bytes:
    """A raw message, without byte order mark. Raises RequestRejected for a declared charset that
    does not extend ASCII: a message consists of bytes, and its parts name their own charsets."""
    charset = _charset_in(content_type, "body")
    if charset not in (None, "utf-8", "utf8", "us-ascii", "ascii"):
        raise _refused(
            "Content-Type",
            f"says charset={_shown(charset or '')}: a raw message is sent as it is, and its own parts "
            "say their charsets; leave the parameter out",
            problems.UNSUPPORTED_ENCODING,
        )
    if charset in ("us-ascii", "ascii") and not body.isascii():
        raise _not_in("body", charset, "leave the parameter out", problems.INVALID_REQUEST)
    _refuse_wide(body, "body", "send a raw message byte for byte")
    return body.removeprefix(_BOM)


def _utf8(body: bytes, charset: str | None, field: str) -> bytes:
    _refuse_wide(
        body,
        field,
        "send UTF-8" if charset else "send UTF-8, or say charset=utf-16 in the Content-Type",
    )
    return body[len(_BOM) :] if body.startswith(_BOM) else body


def _refuse_wide(body: bytes, field: str, remedy: str) -> None:
    """Refuse UTF-16 and UTF-32: their byte order marks, or a zero byte among the first two. JSON
    and header lines begin with ASCII characters."""
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in body[:2]:
        raise _refused(
            field, f"is in UTF-16 or UTF-32, not in UTF-8: {remedy}", problems.UNSUPPORTED_ENCODING
        )


def _byte_order(body: bytes) -> str:
    """The kind of UTF-16: by the byte order mark, else by the zero byte of JSON's first
    character."""
    return "utf-16-le" if encoding_of(body)[0] is UTF_16_LE else "utf-16-be"


def _charset_in(content_type: str, field: str) -> str | None:
    """The charset that a Content-Type declares, in lower case. Raises RequestRejected if it cannot
    be read."""
    found = parameters(content_type)
    if found is None:
        where = "Content-Type" if field == "body" else field
        raise _refused(
            where,
            "has parameters that cannot be read: write it as application/json; charset=utf-8",
            problems.UNSUPPORTED_CONTENT_TYPE,
        )
    charset = found.get("charset", "").strip().lower()
    return charset or None


def _unknown(charset: str, field: str) -> RequestRejected:
    return _refused(
        "Content-Type" if field == "body" else field,
        f"says charset={_shown(charset)}, which is not read: use one of {_TAKEN}",
        problems.UNSUPPORTED_ENCODING,
    )


def _not_in(
    field: str,
    charset: str | None,
    remedy: str,
    kind: ProblemKind = problems.INVALID_JSON,
) -> RequestRejected:
    return _refused(
        field, f"has bytes that are not in the declared charset {charset}: {remedy}", kind
    )


def _shown(word: str) -> str:
    return re.sub(r"[^\w.:+-]", "?", word[:40], flags=re.ASCII)


def _refused(field: str, message: str, kind: ProblemKind) -> RequestRejected:
    return RequestRejected(kind, f"{field} {message}.", [FieldProblem(field, message)])
