"""Address headers of raw messages, read strictly and in linear time (RFC 5322, 3.4; RFC 6854).

Lists of mailboxes and groups are read; a group is replaced by its members. A comment may be where
RFC 5322 allows it; it becomes a part of the display name, as mail programs show it: `Ada (Sales)
<ada@contoso.com>` has the name `Ada (Sales)`, and `root@contoso.com (Cron)` has the name `Cron`.
Encoded words are decoded only in names outside quotes (RFC 2047, 5). Names and domains may contain
letters that are not ASCII (RFC 6532). Of the obsolete forms (RFC 5322, 4), dots in names and empty
entries between commas are read. Anything else is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from shared.mail.address import Address, BadAddress, IdnDomains, has_control_characters, make
from shared.mail.address_list import (
    MAX_ADDRESSES,
    MAX_TOKENS,
    TOO_MANY_TOKENS,
    TooManyAddresses,
    comment_end,
    unquoted,
)
from shared.mail.mime import encoded_words

NO_GROUPS = (
    "has a colon outside quotes, which makes it a group ('Name: name@example.com;'): Postroom accepts "
    "no groups here; give one address, its name in quotes"
)

_TOKEN = re.compile(
    r'(?P<space>[ \t]++)|(?P<quoted>"(?:[^"\\]|\\.)*+")|(?P<atom>[^ \t"(),:;<>@\[\\\]]++)'
    r"|(?P<special>.)",
    re.DOTALL,
)
_ATOM, _QUOTED, _COMMENT = "atom", "quoted", "comment"
_WORDS = (_ATOM, _QUOTED, _COMMENT)
_SQUARE = "has a square bracket outside quotes: put the name in quotes, and a domain where an IP is"
_FAULTS = {
    '"': "has a quotation mark that is not closed: close it, or leave it out",
    "(": "has a parenthesis that is not closed: close it, or put it in quotes",
    ")": "has a parenthesis that was not opened: leave it out, or put it in quotes",
    "[": _SQUARE,
    "]": _SQUARE,
    "\\": "has a backslash outside quotes: put the name in quotes",
}
_BEHIND = (
    "has text behind an address that does not belong to it: separate addresses with commas, "
    "and put a name that holds '@' in quotes"
)


class _Token(NamedTuple):
    kind: str
    """`atom`, `quoted` or `comment`; any other token has its sign as its kind."""
    text: str
    spaced: bool
    """Whether white space is before it."""


class _Mailbox(NamedTuple):
    spec: str
    name: str
    end: int
    """The index of the token behind it."""


def read(
    value: str,
    *,
    groups: bool = True,
    most: int = MAX_ADDRESSES,
    domains: IdnDomains | None = None,
) -> tuple[Address, ...]:
    """The addresses of an unfolded header value; none for an empty one. `domains` counts those of
    all headers of a message.

    Raises BadAddress for a value in any other form, and for a group if `groups` is false. Raises
    TooManyAddresses for more than `most`. The message does not quote the value.
    """
    if has_control_characters(value.replace("\t", " ")):
        raise BadAddress("must not hold line breaks or control characters")
    tokens = _tokens(value)
    found: list[Address] = []
    domains = domains or IdnDomains()
    in_group = False
    at = 0
    while at < len(tokens):
        kind = tokens[at].kind
        if kind == ",":
            at += 1
            continue
        if kind == ";":
            at = _end_of_group(tokens, at, in_group)
            in_group = False
            continue
        words_end = _behind_words(tokens, at)
        if _kind(tokens, words_end) == ":":
            _check_group(tokens[at:words_end], allowed=groups, nested=in_group)
            in_group = True
            at = words_end + 1
            continue
        if len(found) == most:
            raise TooManyAddresses(f"has more than {most} addresses")
        mailbox = _mailbox(tokens, at, words_end)
        found.append(_made(mailbox, len(found) + 1))
        domains.add(found[-1])
        at = mailbox.end
        if _kind(tokens, at) not in ("", ",", ";"):
            raise BadAddress(_BEHIND)
    if in_group:
        raise BadAddress("has a group without an end: close it with ';', or leave the colon out")
    return tuple(found)


def _tokens(value: str) -> list[_Token]:
    found: list[_Token] = []
    spaced = False
    at = 0
    while (token := _TOKEN.match(value, at)) is not None:
        at = token.end()
        kind, text = token.lastgroup or "", token[0]
        if kind == "space":
            spaced = True
            continue
        if text == "(":
            start, at = token.start(), comment_end(value, token.start())
            if at < 0:
                raise BadAddress(_FAULTS["("])
            kind, text = _COMMENT, value[start:at]
        elif kind == "special":
            if text in _FAULTS:
                raise BadAddress(_FAULTS[text])
            kind = text
        if len(found) == MAX_TOKENS:
            raise BadAddress(TOO_MANY_TOKENS)
        found.append(_Token(kind, text, spaced))
        spaced = False
    return found


def _kind(tokens: list[_Token], at: int) -> str:
    return tokens[at].kind if at < len(tokens) else ""


def _behind_words(tokens: list[_Token], at: int) -> int:
    while _kind(tokens, at) in _WORDS:
        at += 1
    return at


def _end_of_group(tokens: list[_Token], at: int, in_group: bool) -> int:
    if not in_group:
        raise BadAddress("has a ';' that does not end a group: separate addresses with commas")
    if _kind(tokens, at + 1) not in ("", ","):
        raise BadAddress("has text behind a group: separate addresses with commas")
    return at + 1


def _check_group(name: list[_Token], *, allowed: bool, nested: bool) -> None:
    if not allowed:
        raise BadAddress(NO_GROUPS)
    if nested:
        raise BadAddress("has a group in a group, or a colon in a name: put the name in quotes")
    if all(token.kind == _COMMENT for token in name):
        raise BadAddress("has a group without a name: leave the colon out")


def _mailbox(tokens: list[_Token], start: int, words_end: int) -> _Mailbox:
    """The mailbox that begins at `start` with words up to `words_end`."""
    words = tokens[start:words_end]
    sign = _kind(tokens, words_end)
    if sign == "<":
        local_at = words_end + 1
        at = _behind_words(tokens, local_at)
        spec, comments, at = _spec(tokens, tokens[local_at:at], at)
        if _kind(tokens, at) != ">":
            raise BadAddress(
                "has an angle bracket without its pair, or more than one address in it"
            )
        at += 1
    elif sign == "@":
        spec, comments, at = _spec(tokens, words, words_end)
        words = []
    elif sign == ">":
        raise BadAddress("has an angle bracket without its pair: write the address between two")
    else:
        raise BadAddress("has a name without an address: write it as name@example.com")
    while _kind(tokens, at) == _COMMENT:
        comments.append(tokens[at])
        at += 1
    return _Mailbox(spec, _name(words, comments), at)


def _spec(tokens: list[_Token], local: list[_Token], at: int) -> tuple[str, list[_Token], int]:
    """An address whose words before the `@` are given; also its comments, and the index of the
    token behind it."""
    comments = [token for token in local if token.kind == _COMMENT]
    words = [token for token in local if token.kind != _COMMENT]
    if _kind(tokens, at) != "@":
        raise BadAddress("has no '@' in its angle brackets: write it as name@example.com")
    if len(words) != 1:
        raise BadAddress(
            "does not have exactly one word before the '@': write the address without spaces, and "
            "between angle brackets if a name comes before it"
        )
    end = _behind_words(tokens, at + 1)
    behind = tokens[at + 1 : end]
    domain = [token for token in behind if token.kind != _COMMENT]
    if not domain or domain[0].kind != _ATOM:
        raise BadAddress("has a domain that is not valid: write it as name@example.com")
    if len(domain) > 1:
        raise BadAddress(_BEHIND)
    comments += [token for token in behind if token.kind == _COMMENT]
    return f"{words[0].text}@{domain[0].text}", comments, end


def _name(words: list[_Token], comments: list[_Token]) -> str:
    """The display name: the words, then the comments in parentheses; or only the comments."""
    phrase = [token for token in words if token.kind != _COMMENT]
    if not phrase:
        return " ".join(_comment(token)[1:-1] for token in (*words, *comments)).strip()
    spaced = (token._replace(spaced=True) for token in comments)
    return _collapsed("".join(_pieces((*words, *spaced))))


def _pieces(words: Iterable[_Token]) -> list[str]:
    found: list[str] = []
    encoded: list[str] = []
    atoms: list[str] = []
    for token in words:
        is_encoded = token.kind == _ATOM and encoded_words.is_word(token.text)
        if encoded and not (is_encoded and token.spaced):
            found.append(_decoded(" ".join(encoded)))
            encoded = []
        if token.spaced and found and not encoded:
            found.append(" ")
        if is_encoded:
            encoded.append(token.text)
        elif token.kind == _QUOTED:
            found.append(_collapsed(unquoted(token.text)))
        else:
            found.append(_comment(token) if token.kind == _COMMENT else token.text)
            if token.kind == _ATOM:
                atoms.append(token.text)
    if encoded:
        found.append(_decoded(" ".join(encoded)))
    _decode(encoded_words.without_words, " ".join(atoms))
    return found


def _decoded(text: str) -> str:
    return _decode(encoded_words.decoded, text)


def _decode(decode: Callable[[str], str], text: str) -> str:
    try:
        return decode(text)
    except encoded_words.BadWord as error:
        raise BadAddress(str(error)) from error


def _comment(token: _Token) -> str:
    """A comment with its parentheses. It may contain encoded words (RFC 2047, 5)."""
    return _decoded(_collapsed(re.sub(r"\\(.)", r"\1", token.text)))


def _collapsed(text: str) -> str:
    """The text with one space for each run of white space, as after unfolding."""
    return re.sub(r"[ \t]+", " ", text).strip(" ")


def _made(mailbox: _Mailbox, number: int) -> Address:
    try:
        return make(mailbox.spec, mailbox.name)
    except BadAddress as error:
        raise BadAddress(f"{error} (address number {number})") from error
