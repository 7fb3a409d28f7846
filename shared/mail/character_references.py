"""Decodes the character references of html (`&amp;`, `&#65;`) in text of any length."""

from __future__ import annotations

import re

_LONG = re.compile(r"&#([0-9]{8,}+)")
"""Decimal references with more digits than the largest character, U+10FFFF, has: 1114111."""
_MOST_DIGITS = 8


def decoded(text: str) -> str:
    """The text with its character references decoded as html does it."""
    if "&" not in text:
        return text
    import html

    return html.unescape(with_short_numbers(text))


def with_short_numbers(text: str) -> str:
    """The text with at most eight digits in each decimal character reference. The meaning stays the
    same.

    `html.unescape`, and with it `html.parser.HTMLParser`, raises ValueError for a reference of more
    digits than Python converts to a number (4300).
    https://docs.python.org/3/library/stdtypes.html#integer-string-conversion-length-limitation
    """
    return _LONG.sub(lambda found: f"&#{found[1].lstrip('0')[:_MOST_DIGITS] or '0'}", text)
