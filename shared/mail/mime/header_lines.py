"""Writes header fields as lines of a message: ASCII, folded, without the line end (RFC 5322,
2.2)."""

from __future__ import annotations

import base64
import email.utils
from collections.abc import Iterable

from shared.mail.address import Address
from shared.mail.header_rules import MAX_SPACES, Form, form_of, list_id_parts, literal_fault

LINE = 76
"""The length to which header lines are folded (RFC 2047, 2)."""
LONGEST_WORD = 900
"""A word of a text that is longer does not fit on a line with a header's name (RFC 5322, 2.1.1: 998
characters)."""
_WORD_START, _WORD_END = "=?utf-8?b?", "?="
_FEWEST = 12
"""The fewest bytes of text in an encoded word: with less room, it begins on the next line."""


def addresses_line(name: str, addresses: Iterable[Address]) -> str:
    """An address header, with one address on each line."""
    used = len(name) + 2
    written: list[str] = []
    for address in addresses:
        written.append(_address(address, used))
        used = 1
    return f"{name}: " + ",\r\n ".join(written)


def _address(address: Address, used: int) -> str:
    if is_plain(address.name):
        return email.utils.formataddr((address.name, address.email))
    words = encoded(address.name, used)
    last = len(words.rpartition("\r\n")[2]) + (0 if "\r\n" in words else used)
    space = " " if last + len(address.email) + 3 <= LINE else "\r\n "
    return f"{words}{space}<{address.email}>"


def header_line(name: str, value: str) -> str:
    """A header whose value has the form for its name.

    A waiting mail may have been accepted before `shared.mail.header_rules` checked its value: a
    value that cannot be written byte for byte is written as text.
    """
    form = form_of(name)
    parts = list_id_parts(value) if form is Form.LIST_ID else None
    if parts is not None and literal_fault(parts[1]) is None and not is_plain(parts[0]):
        return f"{name}: {encoded(parts[0], len(name) + 2)}\r\n <{parts[1]}>"
    if form is Form.TEXT or literal_fault(value) is not None:
        return text_line(name, value)
    return literal_line(name, value.strip())


def text_line(name: str, text: str) -> str:
    """A header with text, folded at its spaces; encoded (RFC 2047) only if necessary."""
    if not is_plain(text) or not _stands_on_lines(text):
        return f"{name}: {encoded(text, len(name) + 2)}"
    return literal_line(name, text)


def literal_line(name: str, text: str) -> str:
    """A header with ASCII text, byte for byte, folded only at its spaces."""
    lines = [f"{name}:"]
    for index, word in enumerate(text.split(" ")):
        line = lines[-1]
        # The first word stays on the line of the name if the line can hold both.
        most = LINE if index else LINE + LONGEST_WORD
        if word and len(line) + 1 + len(word) > most:
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join(lines)


def is_plain(text: str) -> bool:
    """Whether no part of a text is, or looks like, an encoded word."""
    return text.isascii() and "=?" not in text


def _stands_on_lines(text: str) -> bool:
    """Whether a text can be folded, and is read back with the same spaces."""
    return (
        text == text.strip(" ")
        and " " * (MAX_SPACES + 1) not in text
        and all(len(word) <= LONGEST_WORD for word in text.split(" "))
    )


def encoded(text: str, used: int) -> str:
    """A text as encoded words (RFC 2047), in lines of at most 76 characters; `used` characters are
    already on the first line."""
    data = text.encode("utf-8")
    words: list[str] = []
    room = _room(used)
    fold = "" if room >= _FEWEST else "\r\n "
    room = room if room >= _FEWEST else _room(1)
    start = 0
    while start < len(data) or not words:
        end = min(start + room, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            # A character must not be split between two words.
            end -= 1
        words.append(f"{_WORD_START}{base64.b64encode(data[start:end]).decode()}{_WORD_END}")
        start, room = end, _room(1)
    return fold + "\r\n ".join(words)


def _room(used: int) -> int:
    """The bytes of text that fit into an encoded word on a line that already has `used`
    characters."""
    return (LINE - used - len(_WORD_START) - len(_WORD_END)) // 4 * 3
