"""`$search` of messages: a part of the Keyword Query Language (KQL).

Words and phrases, `AND`, `OR`, `NOT`, parentheses, a `*` at the end of a word, and the properties
of `PROPERTIES`. https://learn.microsoft.com/graph/search-query-parameter and
https://learn.microsoft.com/sharepoint/dev/general-development/keyword-query-language-kql-syntax-reference
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from local.simulator.graph import search
from local.simulator.graph.errors import BadRequest
from local.simulator.graph.items import Address, Message
from local.simulator.graph.plain import plain_text
from local.simulator.graph.query_errors import NotSupported, SearchWith, printable

MOST_RESULTS = 1000
"""[con: search-query-parameter]"""
EXCLUDED = ("filter", "orderby", "count", "skip")
"""Options that Outlook does not take beside `$search`."""

Texts = Callable[[Message], Iterable[str]]

_PROPERTY = re.compile(r"(?P<name>[A-Za-z]+):(?P<value>\S.*)", re.DOTALL)
_TOKEN = re.compile(
    r'\s*(?P<token>(?:[A-Za-z]+:)?"[^"]*"|[()]|[^\s"()]+)',
)
_OTHER_KQL = re.compile(r"^[-+]|^(?:NEAR|ONEAR|XRANK|WORDS)$|[<>=]|\.\.|\*(?=[^\"])")
"""Exclusion, proximity, ranking, comparisons, ranges, and `*` that is not at the end."""


def message_search(text: str, options: Iterable[str]) -> Callable[[Message], bool]:
    """Whether a message is found. `options` are the other query options of the request."""
    for one in options:
        if one in EXCLUDED:
            raise SearchWith("orderBy" if one == "orderby" else one)
    return search.parse(text, _leaf)


def in_order(messages: Iterable[Message]) -> list[Message]:
    """What was found, the latest sent first, as many as Graph gives at most."""
    found = sorted(messages, key=lambda one: one.sent or one.created, reverse=True)
    return found[:MOST_RESULTS]


def _leaf(text: str, quoted: bool) -> Callable[[Message], bool]:
    return search.parse_tokens(_keywords(text), _term) if quoted else _term(text, False)


def _keywords(text: str) -> list[tuple[str, str]]:
    """The words of KQL. `word` may be an operator, `quoted` is a phrase or a property."""
    tokens: list[tuple[str, str]] = []
    position = 0
    text = text.strip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise BadRequest("Invalid search clause")
        text = found["token"]
        kind = "mark" if text in "()" else "quoted" if '"' in text or ":" in text else "word"
        tokens.append((kind, text))
        position = found.end()
    return tokens


def _term(text: str, _quoted: bool) -> Callable[[Message], bool]:
    if _OTHER_KQL.search(text):
        raise NotSupported("$search with an operator of KQL")
    found = _PROPERTY.fullmatch(text)
    if found is None:
        return _phrase(text, _DEFAULT)
    name, value = found["name"].lower(), found["value"]
    if name in ("hasattachment", "hasattachments"):
        return _has_attachments(value)
    if name not in PROPERTIES:
        raise NotSupported(f"$search with {printable(name)}:")
    return _phrase(value, PROPERTIES[name])


def _phrase(text: str, texts: Texts) -> Callable[[Message], bool]:
    prefix = text.rstrip('"').endswith("*")
    wanted = search.words(text)
    return lambda message: any(
        search.has_phrase(one, wanted, prefix=prefix) for one in texts(message)
    )


def _has_attachments(value: str) -> Callable[[Message], bool]:
    if value.lower() not in ("true", "false"):
        raise BadRequest("Invalid search clause")
    wanted = value.lower() == "true"
    return lambda message: any(not one.is_inline for one in message.attachments) == wanted


def _people(*of: Callable[[Message], Iterable[Address | None]]) -> Texts:
    """Address and name of each: the alias is a word of the address."""

    def texts(message: Message) -> Iterable[str]:
        for read in of:
            for one in read(message):
                if one is not None:
                    yield one.address
                    yield one.name

    return texts


def _body(message: Message) -> Iterable[str]:
    yield message.text if message.text is not None else plain_text(message.html or "")


def _from(message: Message) -> list[Address | None]:
    return [message.from_, message.sender]


PROPERTIES: dict[str, Texts] = {
    "from": _people(_from),
    "to": _people(lambda m: m.to),
    "cc": _people(lambda m: m.cc),
    "bcc": _people(lambda m: m.bcc),
    "recipients": _people(lambda m: m.recipients),
    "participants": _people(_from, lambda m: m.recipients),
    "subject": lambda m: (m.subject,),
    "body": _body,
    "attachment": lambda m: (one.name for one in m.attachments),
    "importance": lambda m: ("medium" if m.importance == "normal" else m.importance,),
}
"""The others of Graph's table (received, sent, size, kind) are not simulated."""


def _default(message: Message) -> Iterable[Any]:
    for name in ("from", "subject", "body"):
        yield from PROPERTIES[name](message)


_DEFAULT: Texts = _default
