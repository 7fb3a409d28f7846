"""`$filter` and `$orderby` of message lists, as far as senders use them (graph-mail.md 3).

The grammar is small: comparisons, `startswith`, `contains`, the extended-property `Any` form,
`and`, `or`, `not`, parentheses. Anything else is refused by name, never ignored.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from local.simulator.graph.errors import BadRequest, InefficientFilter
from local.simulator.graph.items import Message, properties_of, property_key

Predicate = Callable[[Message], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')"
    r"|(?P<time>\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d)?)?)"
    r"|(?P<number>-?\d+)"
    r"|(?P<name>[A-Za-z_@][\w./@]*)"
    r"|(?P<mark>[(),:]))"
)

_COMPARE: dict[str, Callable[[object, object], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,  # type: ignore[dict-item]  # operands are of one type: see _comparison
    "ge": operator.ge,  # type: ignore[dict-item]
    "lt": operator.lt,  # type: ignore[dict-item]
    "le": operator.le,  # type: ignore[dict-item]
}

_PROPERTIES: dict[str, Callable[[Message], object]] = {
    "id": lambda m: m.id,
    "internetMessageId": lambda m: m.internet_message_id.casefold(),
    "conversationId": lambda m: m.conversation_id,
    "isDraft": lambda m: m.is_draft,
    "isRead": lambda m: m.is_read,
    "hasAttachments": lambda m: any(not one.is_inline for one in m.attachments),
    "subject": lambda m: m.subject.casefold(),
    "importance": lambda m: m.importance,
    "from/emailAddress/address": lambda m: m.from_.key if m.from_ else "",
    "sender/emailAddress/address": lambda m: m.sender.key if m.sender else "",
    "createdDateTime": lambda m: m.created,
    "lastModifiedDateTime": lambda m: m.modified,
    "receivedDateTime": lambda m: m.received or m.created,
    "sentDateTime": lambda m: m.sent or m.created,
}

_CASELESS = {"internetMessageId", "subject", "importance"} | {
    f"{who}/emailAddress/address" for who in ("from", "sender")
}


@dataclass
class Filter:
    """A parsed `$filter`: its predicate, and the properties in it, in order."""

    keeps: Predicate
    properties: list[str] = field(default_factory=list)

    @property
    def uses_extended_properties(self) -> bool:
        return "singleValueExtendedProperties" in self.properties


def parse(text: str) -> Filter:
    """Raises BadRequest for what the simulator does not understand."""
    parser = _Parser(_tokens(text))
    keeps = parser.disjunction()
    parser.end()
    return Filter(keeps, parser.properties)


def ordering(
    orderby: str, named: list[str] | None
) -> list[tuple[Callable[[Message], object], bool]]:
    """Sort keys with their direction. The same properties must come first in `$filter`, in the same
    order.

    [api: user-list-messages]; `named` is None if there is no filter.
    """
    keys = []
    for one in orderby.split(","):
        name, _, direction = one.strip().partition(" ")
        if name not in _PROPERTIES or direction.strip().lower() not in ("", "asc", "desc"):
            raise BadRequest(f"Could not find a property named '{name}' on type 'Message'.")
        keys.append((name, direction.strip().lower() == "desc"))
    if named is not None:
        leading = list(dict.fromkeys(named))[: len(keys)]
        if leading != [name for name, _ in keys]:
            raise InefficientFilter
    return [(_PROPERTIES[name], descending) for name, descending in keys]


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, position = [], 0
    text = text.strip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise BadRequest("Invalid filter clause")
        tokens.append((found.lastgroup or "", found[found.lastgroup or 0]))
        position = found.end()
    return tokens


class _Parser:
    """Recursive descent over the tokens; each method moves `_at` behind what it has read."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self.properties: list[str] = []

    def end(self) -> None:
        if self._at != len(self._tokens):
            raise BadRequest("Invalid filter clause")

    def disjunction(self) -> Predicate:
        parts = [self._conjunction()]
        while self._accept("or"):
            parts.append(self._conjunction())
        return lambda m: any(part(m) for part in parts)

    def _conjunction(self) -> Predicate:
        parts = [self._factor()]
        while self._accept("and"):
            parts.append(self._factor())
        return lambda m: all(part(m) for part in parts)

    def _factor(self) -> Predicate:
        if self._accept("not"):
            inner = self._factor()
            return lambda m: not inner(m)
        if self._accept("("):
            inner = self.disjunction()
            self._expect("(", ")")
            return inner
        name = self._next("name")
        match name.lower():
            case "singlevalueextendedproperties/any":
                return self._extended_property()
            case "startswith" | "contains":
                return self._text_function(name.lower())
            case _:
                return self._comparison(name)

    def _comparison(self, name: str) -> Predicate:
        value_of = self._property(name)
        compare = _COMPARE.get(self._next("name"))
        kind, raw = self._literal()
        literal = _value(name, kind, raw)
        sample = value_of(_SAMPLE)
        if compare is None or type(sample) is not type(literal):
            raise BadRequest("Invalid filter clause")
        return lambda m: compare(value_of(m), literal)

    def _text_function(self, function: str) -> Predicate:
        self._expect(function, "(")
        value_of = self._property(self._next("name"))
        self._expect(function, ",")
        wanted = _unquoted(self._next("text")).casefold()
        self._expect(function, ")")
        if function == "startswith":
            return lambda m: str(value_of(m)).startswith(wanted)
        return lambda m: wanted in str(value_of(m))

    def _extended_property(self) -> Predicate:
        """`Any(ep: ep/id eq '<id>' and ep/value eq '<v>')`: names are case-sensitive, values are
        not."""
        self.properties.append("singleValueExtendedProperties")
        self._expect("Any", "(")
        variable = self._next("name").rstrip(":")
        self._accept(":")
        self._expect("Any", f"{variable}/id")
        self._expect("Any", "eq")
        wanted_key = property_key(_unquoted(self._next("text")))
        self._expect("Any", "and")
        wanted = self._extended_value(variable)
        self._expect("Any", ")")
        if wanted_key is None:
            raise BadRequest("Invalid filter clause")
        return lambda m: any(
            property_key(identifier) == wanted_key and value.casefold() == wanted
            for identifier, value in properties_of(m).items()
        )

    def _extended_value(self, variable: str) -> str:
        if self._accept("cast"):
            self._expect("cast", "(")
            self._expect("cast", f"{variable}/value")
            self._expect("cast", ",")
            self._next("name")
            self._expect("cast", ")")
        else:
            self._expect("Any", f"{variable}/value")
        self._expect("Any", "eq")
        kind, raw = self._literal()
        return (_unquoted(raw) if kind == "text" else raw).casefold()

    def _property(self, name: str) -> Callable[[Message], object]:
        if name not in _PROPERTIES:
            raise BadRequest(f"Could not find a property named '{name}' on type 'Message'.")
        self.properties.append(name)
        return _PROPERTIES[name]

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")

    def _accept(self, word: str) -> bool:
        kind, token = self._peek()
        if kind != "text" and token.lower() == word.lower():
            self._at += 1
            return True
        return False

    def _expect(self, after: str, word: str) -> None:
        if not self._accept(word):
            raise BadRequest(f"Invalid filter clause near '{after}': expected '{word}'")

    def _next(self, kind: str) -> str:
        found, token = self._peek()
        if found != kind:
            raise BadRequest("Invalid filter clause")
        self._at += 1
        return token

    def _literal(self) -> tuple[str, str]:
        kind, token = self._peek()
        self._at += 1
        return kind, token


_SAMPLE = Message(created=datetime.min, modified=datetime.min)  # noqa: DTZ901 - only its types count


def _unquoted(text: str) -> str:
    return text[1:-1].replace("''", "'")


def _value(name: str, kind: str, raw: str) -> object:
    """A literal, converted to the type of the property that it is compared with."""
    if kind == "text":
        text = _unquoted(raw)
        return text.casefold() if name in _CASELESS else text
    if kind == "name" and raw.lower() in ("true", "false"):
        return raw.lower() == "true"
    if kind == "time":
        when = datetime.fromisoformat(raw if "T" in raw else f"{raw}T00:00:00+00:00")
        return when if when.tzinfo else when.fromisoformat(f"{raw}+00:00")
    raise BadRequest("Invalid filter clause")
