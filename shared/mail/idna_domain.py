"""Domains beyond ASCII in their ASCII form, as Python's codec `idna` has them (RFC 3490, RFC 3491).

The codec looks each character up in eleven tables and searches the label again for each of its
characters. Here the answers are kept for each character, and a label is read once for each different
character, so that a mail with hundreds of such domains costs little. A test compares the results with
those of the codec. Only the characters of Unicode's first plane are
converted: a domain with others can be written in its xn-- form.
"""

from __future__ import annotations

import re
import stringprep
import unicodedata
from functools import lru_cache

MOST_CHARACTER = "\uffff"
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
"""What separates labels (RFC 3490, 3.1)."""
_ACE = "xn--"
_LONGEST_LABEL = 63
_DIGITS = "abcdefghijklmnopqrstuvwxyz0123456789"

_PLAIN, _RIGHT_TO_LEFT, _LEFT_TO_RIGHT, _PROHIBITED = range(4)
_KEPT = 0x10000
"""Characters whose answers are kept: all of the first plane."""


def to_ascii(domain: str) -> str | None:
    """The domain in ASCII; None if it is not a domain, or has characters beyond the first plane."""
    if max(domain, default="") > MOST_CHARACTER:
        return None
    labels = _DOTS.split(domain)
    trailing = "." if not labels[-1] else ""
    converted = [_label(label) for label in (labels[:-1] if trailing else labels)]
    known = [label for label in converted if label is not None]
    return ".".join(known) + trailing if len(known) == len(converted) else None


def _label(label: str) -> str | None:
    """ToASCII (RFC 3490, 4.1) of one label."""
    if not label.isascii():
        prepared = _prepared(label)
        if prepared is None:
            return None
        label = prepared
    if not label.isascii():
        if label.lower().startswith(_ACE):
            return None
        label = _ACE + _punycode(label)
    return label if 0 < len(label) <= _LONGEST_LABEL else None


def _prepared(label: str) -> str | None:
    """Nameprep (RFC 3491) of a label; None if it is prohibited."""
    # The standard was made for Unicode 3.2.
    text = unicodedata.ucd_3_2_0.normalize("NFKC", "".join(map(_mapped, label)))
    kinds = [_kind(character) for character in text]
    if _PROHIBITED in kinds:
        return None
    if _RIGHT_TO_LEFT in kinds:
        ends = {kinds[0], kinds[-1]}
        if _LEFT_TO_RIGHT in kinds or ends != {_RIGHT_TO_LEFT}:
            return None
    return text


def _punycode(label: str) -> str:
    """A label in Punycode (RFC 3492, 6.3)."""
    points = list(map(ord, label))
    written = [character for character in label if character < "\x80"]
    basic = done = len(written)
    if basic:
        written.append("-")
    delta, bias, current = 0, 72, 0x80
    for point in sorted({point for point in points if point >= current}):
        delta += (point - current) * (done + 1)
        for other in points:
            if other < point:
                delta += 1
            elif other == point:
                rest, position = delta, 36
                while rest >= (threshold := min(max(position - bias, 1), 26)):
                    rest, digit = divmod(rest - threshold, 36 - threshold)
                    written.append(_DIGITS[threshold + digit])
                    position += 36
                written.append(_DIGITS[rest])
                bias = _adapted(delta, done + 1, is_first=done == basic)
                delta = 0
                done += 1
        delta += 1
        current = point + 1
    return "".join(written)


def _adapted(delta: int, length: int, *, is_first: bool) -> int:
    """The next bias (RFC 3492, 6.1)."""
    delta = delta // 700 if is_first else delta // 2
    delta += delta // length
    steps = 0
    while delta > 455:
        delta //= 35
        steps += 36
    return steps + 36 * delta // (delta + 38)


@lru_cache(maxsize=_KEPT)
def _mapped(character: str) -> str:
    """Tables B.1 and B.2 of RFC 3454."""
    return "" if stringprep.in_table_b1(character) else stringprep.map_table_b2(character)


@lru_cache(maxsize=_KEPT)
def _kind(character: str) -> int:
    """Whether tables C.1.2, C.2.2 and C.3 to C.9 prohibit it, and its direction by D.1 and D.2."""
    if any(
        is_in(character)
        for is_in in (
            stringprep.in_table_c12,
            stringprep.in_table_c22,
            stringprep.in_table_c3,
            stringprep.in_table_c4,
            stringprep.in_table_c5,
            stringprep.in_table_c6,
            stringprep.in_table_c7,
            stringprep.in_table_c8,
            stringprep.in_table_c9,
        )
    ):
        return _PROHIBITED
    if stringprep.in_table_d1(character):
        return _RIGHT_TO_LEFT
    return _LEFT_TO_RIGHT if stringprep.in_table_d2(character) else _PLAIN
