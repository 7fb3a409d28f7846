"""Lists of addresses in one text, read strictly. Every reader of addresses uses this module.

There are two dialects. In both, a text with a part that is not understood is refused as a whole;
nothing is left out. One dialect is what people write in a mail document (`read_list`, `read_one`).
The other is what an address header of a raw message holds (`shared.mail.mime.address_header`).

The dialect of the mail document:

- `,` and `;` separate addresses, as Outlook, WordPress and forms write them. An empty entry, such
  as the one after a final `;`, is ignored.
- An entry is `name@example.com`, or a name followed by an address in angle brackets.
- A separator in quotes, in parentheses or in angle brackets belongs to the entry.
- A name in quotes is the text between the quotes, where `\\"` and `\\\\` are one character each.
  Any other name is taken as it is written, with its dots, parentheses and inner quotes: `Ada
  (Sales)`.
- An angle bracket outside quotes always encloses an address and never belongs to a name.
- A piece without an address, such as the `Doe` of `Doe, John`, is a fault: a name that contains a
  separator needs quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from shared.mail.address import (
    MAX_NAME,
    MAX_WRITTEN,
    Address,
    BadAddress,
    IdnDomains,
    has_control_characters,
    make,
)

MAX_LIST = 256 * 1024
"""Characters of one list: enough for 500 recipients with long names."""
MAX_ADDRESSES = 500
"""Addresses of one list: as many as a mail may have."""
MAX_TOKENS = 25_000
"""Words, signs and comments of one list: enough for 500 addresses, each with a name of forty
words."""
TOO_MANY_TOKENS = f"has more than {MAX_TOKENS} words and signs: send several mails"

QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
"""A quoted string (RFC 5322, 3.2.4). The pattern is possessive: an unclosed quote is found in one
pass."""

_TOKEN = re.compile(
    r'(?P<quoted>"(?:[^"\\]|\\.)*+")|(?P<brackets><[^<>]*+>)|(?P<separator>[,;])'
    r'|(?P<plain>[^",;<>(]++)|(?P<special>.)',
    re.DOTALL,
)
_IN_COMMENT = re.compile(r"[()\\]")
_QUOTE_NAMES = "put a name that holds a comma or a semicolon in quotes"


class SeveralAddresses(BadAddress):
    """The text has more than one address where only one is allowed."""


class TooManyAddresses(BadAddress):
    """The text has more addresses than a mail may have."""


def read_list(text: str) -> tuple[Address, ...]:
    """Read a text of a mail document that may hold several addresses; a blank text holds none.

    Raises BadAddress. Its message says which entry is wrong, by number, and does not quote the
    text.
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
    SeveralAddresses if there is more than one."""
    if len(text.strip()) > MAX_WRITTEN:
        raise BadAddress(f"is longer than a name of {MAX_NAME} characters and an address can be")
    found = read_list(text)
    if len(found) > 1:
        raise SeveralAddresses(f"has {len(found)} addresses, but only one is allowed: keep one")
    if not found:
        raise BadAddress("is empty: write it as name@example.com")
    return found[0]


def comment_end(text: str, start: int) -> int:
    """The position behind the comment that opens at `start`; -1 if it is not closed. Comments nest,
    and a backslash escapes a parenthesis (RFC 5322, 3.2.2)."""
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
    """The text that a quoted string encodes."""
    return re.sub(r"\\(.)", r"\1", quoted[1:-1], flags=re.DOTALL)


def _entries(text: str) -> list[tuple[str, str | None]]:
    """The entries of a list that are not blank: the text before the angle brackets and the text
    inside them, or the whole entry and None."""
    found: list[tuple[str, str | None]] = []
    start = 0
    brackets: tuple[int, int] | None = None
    for kind, token_start, token_end in _tokens(text):
        if kind == "separator":
            found += _entry(text[start:token_start], brackets, start)
            start, brackets = token_end, None
            if len(found) > MAX_ADDRESSES:
                raise TooManyAddresses(f"has more than {MAX_ADDRESSES} addresses")
        elif brackets is not None and text[token_start:token_end].strip():
            raise BadAddress(
                "has text between an address in angle brackets and the next separator: "
                "separate addresses with commas"
            )
        elif kind == "brackets":
            brackets = token_start, token_end
    return found


def _entry(
    entry: str, brackets: tuple[int, int] | None, start: int
) -> list[tuple[str, str | None]]:
    """The entry that begins at `start` of its list; empty if it is blank."""
    if brackets is None:
        return [(entry.strip(), None)] if entry.strip() else []
    opened, closed = brackets[0] - start, brackets[1] - start
    return [(entry[:opened].strip(), entry[opened + 1 : closed - 1].strip())]


def _tokens(text: str) -> Iterator[tuple[str, int, int]]:
    """Kind, start and end of each token of the text; the last one is a separator. Raises
    BadAddress."""
    at = 0
    for _ in range(MAX_TOKENS):
        token = _TOKEN.match(text, at)
        if token is None:
            yield "separator", at, at
            return
        at = token.end()
        if token.lastgroup == "special":
            at = _end_of_special(text, token.start())
        yield token.lastgroup or "", token.start(), at
    raise BadAddress(TOO_MANY_TOKENS)


def _end_of_special(text: str, at: int) -> int:
    """The position behind the parentheses that open at `at`. Raises BadAddress for any other
    sign."""
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
    domains = IdnDomains()
    for number, (text, inside) in enumerate(entries, 1):
        try:
            found.append(make(text) if inside is None else make(inside, _name(text)))
            domains.add(found[-1])
        except BadAddress as error:
            if len(entries) == 1:
                raise
            raise BadAddress(
                f"has {len(entries)} entries, and number {number} of them {error}; {_QUOTE_NAMES}"
            ) from error
    return found


def _name(written: str) -> str:
    return unquoted(written) if QUOTED.fullmatch(written) else written
