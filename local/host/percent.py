"""Percent-encoding as Kestrel and ASP.NET read it: what is not UTF-8 stays as it was sent."""

from __future__ import annotations

import re
from collections.abc import Iterator

_RUN = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_LONGEST = 4


def decoded(text: str, *, keep: frozenset[int] = frozenset()) -> str:
    """Decode once. `keep`: bytes that stay encoded, such as 0x2F for a slash in a path."""
    return _RUN.sub(lambda run: "".join(_characters(run[0], keep)), text)


def pairs(query: str) -> Iterator[tuple[str, str]]:
    """Names and values of a query, in order, with empty ones."""
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            yield decoded(name.replace("+", " ")), decoded(value.replace("+", " "))


def _characters(run: str, keep: frozenset[int]) -> Iterator[str]:
    raw = bytes.fromhex(run.replace("%", ""))
    at = 0
    while at < len(raw):
        character = None if raw[at] in keep else _character(raw, at)
        size = 1 if character is None else len(character.encode())
        yield run[3 * at : 3 * (at + size)] if character is None else character
        at += size


def _character(raw: bytes, at: int) -> str | None:
    for size in range(1, _LONGEST + 1):
        try:
            return raw[at : at + size].decode()
        except UnicodeDecodeError:
            continue
    return None
