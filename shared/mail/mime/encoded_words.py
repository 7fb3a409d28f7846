"""Decodes the encoded words of header fields in linear time (RFC 2047).

A word stays unchanged if its charset is not a charset of mail, or if its bytes are not valid in
that charset.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator

# The charsets of mail. Python also has codecs that are not charsets, that take time which grows
# with the square of the length, or that make text which cannot be encoded again.
_CHARSET = re.compile(
    r"utf-?8|(us-)?ascii|iso[-_]?8859-\d{1,2}|latin-?1|(windows-|cp)(125\d|874)|koi8-[ru]"
    r"|iso-2022-(jp|kr)|shift[-_]jis|euc-(jp|kr)|ks_c_5601-1987|gb2312|gbk|gb18030|big5",
    re.IGNORECASE,
)
# A language may follow the charset after an asterisk (RFC 2231, 5).
_WORD = re.compile(
    r"=\?(?P<charset>[^?*\s]{1,40})(?:\*[^?\s]{0,40})?\?(?P<encoding>[bBqQ])\?(?P<text>[^?\s]*)\?="
)
_Q_BYTE = re.compile(rb"=([0-9A-Fa-f]{2})")


def is_word(text: str) -> bool:
    """Whether a text is one encoded word and nothing else."""
    return _WORD.fullmatch(text) is not None


def decoded(text: str) -> str:
    """A text with its encoded words decoded; white space between two of them is removed."""
    if "=?" not in text:
        return text
    found: list[str] = []
    run: list[re.Match[str]] = []
    end = 0
    for word in _WORD.finditer(text):
        between = text[end : word.start()]
        if between.strip(" \t\r\n") or not run:
            found += [_decoded_run(text, run), between]
            run = []
        run.append(word)
        end = word.end()
    return "".join((*found, _decoded_run(text, run), text[end:]))


def _decoded_run(text: str, run: list[re.Match[str]]) -> str:
    """Decode adjacent words. Those with the same charset are decoded together, because some
    programs split a character between two words."""
    if not run:
        return ""
    try:
        return "".join(content.decode(charset, "strict") for charset, content in _by_charset(run))
    except (LookupError, ValueError):
        return text[run[0].start() : run[-1].end()]


def _by_charset(run: Iterable[re.Match[str]]) -> Iterator[tuple[str, bytes]]:
    current = ""
    contents: list[bytes] = []
    for word in run:
        charset = word["charset"].lower()
        if not _CHARSET.fullmatch(charset):
            raise LookupError(charset)
        if charset != current and contents:
            yield current, b"".join(contents)
            contents = []
        current = charset
        contents.append(_content(word["encoding"], word["text"]))
    yield current, b"".join(contents)


def _content(encoding: str, text: str) -> bytes:
    """The bytes of one word. Raises ValueError."""
    raw = text.encode("ascii")
    if encoding in "qQ":
        return _Q_BYTE.sub(lambda found: bytes.fromhex(found[1].decode()), raw.replace(b"_", b" "))
    try:
        return base64.b64decode(raw + b"=" * (-len(raw) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error
