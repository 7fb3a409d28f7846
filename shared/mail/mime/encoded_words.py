"""Decodes the encoded words of header fields in linear time (RFC 2047).

A word that cannot be decoded is refused: written again as text, no mail program would decode it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator

# The charsets of mail. Python also has codecs that are not charsets, that take time which grows
# with the square of the length, or that make text which cannot be encoded again.
_CHARSET = re.compile(
    r"utf-?8|iso[-_]?8859-\d{1,2}|(windows-|cp)(125\d|874|932|949)|koi8-[ru]|iso-2022-(jp|kr)"
    r"|euc-jp|gb18030",
    re.IGNORECASE,
)
# Names that stand for a larger charset in practice, as browsers and mail programs read them
# (https://encoding.spec.whatwg.org/#names-and-labels), and names that Python does not know.
_READ_AS = {
    **dict.fromkeys(
        ("ascii", "us-ascii", "ansi_x3.4-1968", "iso-8859-1", "iso8859-1", "latin1", "latin-1"),
        "cp1252",
    ),
    **dict.fromkeys(("iso-8859-9", "iso8859-9", "latin5"), "cp1254"),
    **dict.fromkeys(("iso-8859-11", "iso8859-11", "tis-620"), "cp874"),
    **dict.fromkeys(("iso-8859-8-i", "iso-8859-8-e"), "iso-8859-8"),
    **dict.fromkeys(("gb2312", "gb_2312-80", "gbk", "x-gbk", "cp936"), "gb18030"),
    **dict.fromkeys(
        ("shift_jis", "shift-jis", "sjis", "x-sjis", "ms_kanji", "windows-31j"), "cp932"
    ),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "ksc5601", "ksc_5601"), "cp949"),
    **dict.fromkeys(("big5", "big5-hkscs", "x-x-big5"), "big5hkscs"),
    **dict.fromkeys(("macintosh", "x-mac-roman"), "mac-roman"),
    "koi8": "koi8-r",
    "unicode-1-1-utf-8": "utf-8",
}
# A language may follow the charset after an asterisk (RFC 2231, 5).
_WORD = re.compile(
    r"=\?(?P<charset>[^?*\s]{1,40})(?:\*[^?\s]{0,40})?\?(?P<encoding>[bBqQ])\?(?P<text>[^?\s]*)\?="
)
_LIKE_A_WORD = re.compile(r"=\?[^?\s]{1,80}\?[bBqQ]\?[^?]*+\?=")
_Q_BYTE = re.compile(rb"=([0-9A-Fa-f]{2})")


class BadWord(ValueError):
    """An encoded word that cannot be decoded. The text says what to do."""

    def __init__(self) -> None:
        super().__init__(
            "has an encoded word (RFC 2047) that cannot be read: encode it from UTF-8, without "
            "spaces in it"
        )


def is_word(text: str) -> bool:
    """Whether a text is one encoded word and nothing else."""
    return _WORD.fullmatch(text) is not None


def decoded(text: str) -> str:
    """A text with its encoded words decoded; white space between two of them is removed. Raises
    BadWord."""
    if "=?" not in text:
        return text
    found: list[str] = []
    run: list[re.Match[str]] = []
    end = 0
    for word in _WORD.finditer(text):
        between = text[end : word.start()]
        if between.strip(" \t\r\n") or not run:
            found += [_decoded_run(run), without_words(between)]
            run = []
        run.append(word)
        end = word.end()
    return "".join((*found, _decoded_run(run), without_words(text[end:])))


def without_words(text: str) -> str:
    """A text that has no encoded word, unchanged. Raises BadWord for one that has, or almost has."""
    if _LIKE_A_WORD.search(text):
        # Some programs decode what is written almost as a word.
        raise BadWord
    return text


def _decoded_run(run: list[re.Match[str]]) -> str:
    """Decode adjacent words. Those with the same charset are decoded together, because some
    programs split a character between two words."""
    if not run:
        return ""
    try:
        return "".join(content.decode(charset, "strict") for charset, content in _by_charset(run))
    except (LookupError, ValueError) as error:
        raise BadWord from error


def _by_charset(run: Iterable[re.Match[str]]) -> Iterator[tuple[str, bytes]]:
    current = ""
    contents: list[bytes] = []
    for word in run:
        charset = word["charset"].lower()
        charset = _READ_AS.get(charset, charset)
        if charset not in _READ_AS.values() and not _CHARSET.fullmatch(charset):
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
