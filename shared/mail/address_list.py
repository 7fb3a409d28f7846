"""Lists of addresses in one text, read strictly: every reader of addresses uses this module.

There are two dialects. In both, whatever is not understood refuses the whole text, and nothing is
left out: what people write in a mail document (`read_list`, `read_one`), and what an address header
of a raw message holds (`shared.mail.mime.address_header`).

The dialect of the mail document:

- `,` and `;` separate addresses, as Outlook, WordPress and forms write them. An empty entry, as
  after a last `;`, is no address and no fault.
- An entry is `name@example.com`, or a name followed by an address in angle brackets.
- A separator in quotes, in parentheses or in angle brackets belongs to the entry.
- A name in quotes is what stands between them, `\\"` and `\\\\` being one character each. Any other
  name is taken as it is written, with its dots, parentheses and inner quotes: `Ada (Sales)`.
- An angle bracket outside quotes always encloses an address and never belongs to a name.
- A piece without an address, such as the `Doe` of `Doe, John`, is a fault: names with a separator
  stand in quotes.
"""

from __future__ import annotations

import re

from shared.mail.address import (
    MAX_NAME,
    MAX_WRITTEN,
    Address,
    BadAddress,
    has_control_characters,
    make,
)

MAX_LIST = 256 * 1024
"""Characters of one list: room for 500 recipients with long names."""
MAX_ADDRESSES = 500
"""Addresses of one list: what a mail may have."""

QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
"""A quoted string (RFC 5322, 3.2.4). Possessive: an open quote is found out in one pass."""

_TOKEN = re.compile(
    r'(?P<quoted>"(?:[^"\\]|\\.)*+")|(?P<brackets><[^<>]*+>)|(?P<separator>[,;])'
    r'|(?P<plain>[^",;<>(]++)|(?P<special>.)',
    re.DOTALL,
)
_IN_COMMENT = re.compile(r"[()\\]")
_QUOTE_NAMES = "put a name that holds a comma or a semicolon in quotes"


class SeveralAddresses(BadAddress):
    """More than one address where one is taken."""


class TooManyAddresses(BadAddress):
    """More addresses than a mail may have."""


def read_list(text: str) -> tuple[Address, ...]:
    """Read a text of a mail document that may hold several addresses; a blank text holds none.

    Raises BadAddress. Its message says which entry is wrong, by number, and quotes nothing.
    """
    if len(text) > MAX_LIST:
        raise BadAddress(f"has more than {MAX_LIST} characters: give the addresses as a list")
    if has_control_characters(text):
        raise BadAddress("must not hold line breaks or control characters")
    entries = _entries(text)
    if not entries and text.strip():
        raise BadAddress("has separators and no address: write it as name@example.com")
    return tuple(_addresses(entries))


def read_one(text: str) -> Address:
    """Read a text of a mail document that holds one address. Raises BadAddress, and
    SeveralAddresses where there is more than one."""
    if len(text.strip()) > MAX_WRITTEN:
        raise BadAddress(f"is longer than a name of {MAX_NAME} characters and an address can be")
    found = read_list(text)
    if len(found) > 1:
        raise SeveralAddresses(f"has {len(found)} addresses where one is taken: keep one")
    if not found:
        raise BadAddress("is empty: write it as name@example.com")
    return found[0]


def comment_end(text: str, start: int) -> int:
    """Where the comment that opens at `start` ends, behind its parenthesis; -1 for one that does
    not. Comments nest, and a backslash takes its meaning from a parenthesis (RFC 5322, 3.2.2)."""
    depth = 0
    at = start
    while (found := _IN_COMMENT.search(text, at)) is not None:
        at = found.end()
        if found[0] == "\\":
            at += 1
        elif found[0] == "(":
            depth += 1
        else:
            depth -= 1
            if not depth:
                return at
    return -1


def unquoted(quoted: str) -> str:
    """What a quoted string stands for."""
    return re.sub(r"\\(.)", r"\1", quoted[1:-1], flags=re.DOTALL)


def _entries(text: str) -> list[tuple[str, str | None]]:
    """The entries of a list that are not blank: what stands before the angle brackets and what in
    them, or all of it and None."""
    found: list[tuple[str, str | None]] = []
    start = at = 0
    before: str | None = None
    inside = ""

    def finish(end: int) -> None:
        nonlocal before
        entry = text[start:end].strip()
        if before is not None:
            found.append((before, inside))
        elif entry:
            found.append((entry, None))
        before = None
        if len(found) > MAX_ADDRESSES:
            raise TooManyAddresses(f"has more than {MAX_ADDRESSES} addresses")

    while (token := _TOKEN.match(text, at)) is not None:
        at = token.end()
        kind = token.lastgroup
        if kind == "separator":
            finish(token.start())
            start = at
        elif before is not None and token[0].strip():
            raise BadAddress(
                "has something between an address in angle brackets and the next separator: "
                "separate addresses with commas"
            )
        elif kind == "brackets":
            before, inside = text[start : token.start()].strip(), token[0][1:-1].strip()
        elif kind == "special":
            at = _end_of_special(text, token.start())
    finish(len(text))
    return found


def _end_of_special(text: str, at: int) -> int:
    """Behind the parentheses that open at `at`. Raises BadAddress for any other sign."""
    sign = text[at]
    if sign == '"':
        raise BadAddress("has a quotation mark that is not closed: close it, or leave it out")
    if sign in "<>":
        raise BadAddress(
            "has an angle bracket without its pair: write the address between two of them, and put "
            "a name that holds one in quotes"
        )
    end = comment_end(text, at)
    if end < 0:
        raise BadAddress("has a parenthesis that is not closed: close it, or put it in quotes")
    if "<" in text[at:end] or ">" in text[at:end]:
        raise BadAddress("has an angle bracket in parentheses: put the name in quotes")
    return end


def _addresses(entries: list[tuple[str, str | None]]) -> list[Address]:
    found: list[Address] = []
    for number, (text, inside) in enumerate(entries, 1):
        try:
            if inside is None:
                found.append(make(text))
            else:
                found.append(make(inside, _name(text)))
        except BadAddress as error:
            if len(entries) == 1:
                raise
            raise BadAddress(
                f"has {len(entries)} entries, and number {number} of them {error}; {_QUOTE_NAMES}"
            ) from error
    return found


def _name(written: str) -> str:
    return unquoted(written) if QUOTED.fullmatch(written) else written
