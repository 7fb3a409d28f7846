"""Header fields as lines of a message: ASCII, folded, without the line end (RFC 5322, 2.2)."""

from __future__ import annotations

import email.utils
from collections.abc import Iterable
from email.header import Header

from shared.mail.address import Address

LINE = 76
"""Characters of a header line that lines are folded to (RFC 2047, 2)."""
LONGEST_WORD = 900
"""A word of a header longer than this cannot stand on a line (RFC 5322, 2.1.1: 998 characters)."""


def addresses_line(name: str, addresses: Iterable[Address]) -> str:
    """An address header, one address on each line."""
    return f"{name}: " + ",\r\n ".join(_header_address(address) for address in addresses)


def _header_address(address: Address) -> str:
    if is_plain(address.name):
        return email.utils.formataddr((address.name, address.email))
    return f"{_encoded(address.name)} <{address.email}>"


def text_line(name: str, text: str) -> str:
    """A header with text, folded at its spaces; encoded (RFC 2047) only where it must be."""
    if not is_plain(text) or any(len(word) > LONGEST_WORD for word in text.split(" ")):
        return f"{name}: {_encoded(text)}"
    first, *words = text.split(" ")
    lines = [f"{name}: {first}"]
    for word in words:
        if word and len(lines[-1]) + 1 + len(word) > LINE:
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join(lines)


def is_plain(text: str) -> bool:
    """Whether a text stands for itself: nothing in it is, or looks like, an encoded word."""
    return text.isascii() and "=?" not in text


def _encoded(text: str) -> str:
    """As encoded words of RFC 2047, each line short enough behind any header's name."""
    return Header(text, "utf-8", maxlinelen=LINE).encode(linesep="\r\n")
