"""The language of `$filter` and `$orderby`: comparisons, text functions, `any`, `in`, `and`, `or`,
`not`, parentheses.

A `Schema` says which properties and operators a resource has. Whatever else a filter contains is
refused by its name and never ignored. https://learn.microsoft.com/graph/filter-query-parameter
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from local.simulator.graph.errors import BadRequest, GraphError
from local.simulator.graph.query_errors import NotSupported, printable

Predicate = Callable[[Any], bool]

MOST_TOKENS = 1000
DEEPEST = 30

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')"
    r"|(?P<time>\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d)?)?)"
    r"|(?P<number>-?\d+)"
    r"|(?P<name>[A-Za-z_@$][\w./@$]*)"
    r"|(?P<mark>[(),:]))"
)

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}

_TEXT: dict[str, Callable[[str, str], bool]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": lambda value, part: part in value,
}

_OTHER_FUNCTIONS = frozenset(
    [
        "tolower",
        "toupper",
        "trim",
        "length",
        "indexof",
        "substring",
        "concat",
        "year",
        "month",
        "day",
        "hour",
        "minute",
        "second",
        "date",
        "time",
        "now",
        "round",
        "floor",
        "ceiling",
        "isof",
        "cast",
        "matchespattern",
    ]
)
"""Functions of OData that neither Graph documents for these resources nor the simulator has."""


@dataclass(frozen=True)
class Property:
    """One property that a filter may name. Texts are compared without case, unless `exact`."""

    kind: type
    read: Callable[[Any], object]
    exact: bool = False

    def value(self, item: object) -> object:
        """The item's value as it is compared."""
        return self.folded(self.read(item))

    def folded(self, value: object) -> object:
        return value.casefold() if isinstance(value, str) and not self.exact else value


@dataclass(frozen=True)
class Collection:
    """A property with several values, for `any`."""

    items: Callable[[Any], Iterable[object]]
    element: Mapping[str, Property]
    """The properties of one value; the empty name stands for the value itself."""


@dataclass(frozen=True)
class Schema:
    """What filters of one resource may contain."""

    name: str
    """The type, as errors name it."""
    properties: Mapping[str, Property]
    collections: Mapping[str, Collection]
    operators: frozenset[str]
    """Of `startswith`, `endswith`, `contains`, `in`, `any`."""
    refusal: Callable[[str], GraphError]
    """The error for an operator of OData's that the resource does not have."""
    not_simulated: frozenset[str] = frozenset()
    """Properties that Graph has and that no filter of the simulator can use."""
    refused: frozenset[str] = frozenset()
    """Collections of which Graph itself refuses conditions."""
    special: Mapping[str, Callable[[Parser], Predicate]] = field(default_factory=dict)
    """Parsers of conditions with rules of their own, by `collection/any` in lower case."""

    def find(self, name: str) -> tuple[str, Property]:
        """A property with its own spelling of its name. Raises BadRequest or NotSupported."""
        for known, found in self.properties.items():
            if known.lower() == name.lower():
                return known, found
        head = name.partition("/")[0].lower()
        if head in {one.lower() for one in self.refused}:
            raise self.refusal(head)
        if head in {one.lower() for one in (*self.not_simulated, *self.collections)}:
            raise NotSupported(f"a condition on {printable(name)}")
        raise self.no_property(name)

    def no_property(self, name: str) -> BadRequest:
        return BadRequest(f"Could not find a property named '{name}' on type '{self.name}'.")


@dataclass
class Filter:
    """A parsed `$filter`: its predicate, the properties in it in order, and its operators."""

    keeps: Predicate
    properties: list[str]
    operators: set[str]


def parse(text: str, schema: Schema) -> Filter:
    """Raises a GraphError for what the resource does not have."""
    parser = Parser(_tokens(text), schema)
    keeps = parser.disjunction()
    parser.end()
    return Filter(keeps, parser.properties, parser.operators)


def ordering(orderby: str, schema: Schema) -> list[tuple[str, Property, bool]]:
    """The properties of `$orderby`, each with whether it descends."""
    keys = []
    for one in orderby.split(","):
        name, _, direction = one.strip().partition(" ")
        if direction.strip().lower() not in ("", "asc", "desc"):
            raise invalid()
        known, found = schema.find(name)
        keys.append((known, found, direction.strip().lower() == "desc"))
    return keys


def ordered(items: Sequence[Any], keys: Sequence[tuple[str, Property, bool]]) -> list[Any]:
    """The items in order; those without a value come first."""
    result = list(items)
    for _, key, descending in reversed(keys):
        result.sort(key=lambda item: _sortable(key.value(item)), reverse=descending)
    return result


def _sortable(value: object) -> tuple[bool, Any]:
    return (False, "") if value is None else (True, value)


def invalid() -> BadRequest:
    """A filter that is no OData."""
    return BadRequest("Invalid filter clause")


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position = 0
    text = text.strip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None or len(tokens) == MOST_TOKENS:
            raise invalid()
        tokens.append((found.lastgroup or "", found[found.lastgroup or 0]))
        position = found.end()
    return tokens


class Parser:
    """Recursive descent over the tokens; each method moves `_at` behind what it has read."""

    def __init__(self, tokens: list[tuple[str, str]], schema: Schema) -> None:
        self._tokens = tokens
        self._schema = schema
        self._at = 0
        self._depth = 0
        self._element: tuple[str, Mapping[str, Property]] | None = None
        """Inside `any`: the variable, and the properties of what it stands for."""
        self.properties: list[str] = []
        self.operators: set[str] = set()

    def end(self) -> None:
        if self._at != len(self._tokens):
            raise invalid()

    def disjunction(self) -> Predicate:
        self._depth += 1
        if self._depth > DEEPEST:
            raise invalid()
        parts = [self._conjunction()]
        while self.accept("or"):
            parts.append(self._conjunction())
        self._depth -= 1
        return lambda item: any(part(item) for part in parts)

    def _conjunction(self) -> Predicate:
        parts = [self._factor()]
        while self.accept("and"):
            parts.append(self._factor())
        return lambda item: all(part(item) for part in parts)

    def _factor(self) -> Predicate:
        negations = 0
        while self.accept("not"):
            self.operators.add("not")
            negations += 1
        inner = self._positive()
        return inner if negations % 2 == 0 else lambda item: not inner(item)

    def _positive(self) -> Predicate:
        if self.accept("("):
            inner = self.disjunction()
            self.expect("(", ")")
            return inner
        name = self.read("name")
        if self._peek() == ("mark", "("):
            return self._call(name)
        return self._comparison(name)

    def _call(self, name: str) -> Predicate:
        """A function, or a condition on a collection."""
        head, _, last = name.rpartition("/")
        if head and last.lower() in ("any", "all"):
            return self._any(head, last.lower())
        function = name.lower()
        if function in _TEXT:
            return self._text_function(function)
        if function in _OTHER_FUNCTIONS:
            raise self._schema.refusal(function)
        raise BadRequest(f"An unknown function with name '{name}' was found.")

    def _comparison(self, name: str) -> Predicate:
        known = self._property(name)
        sign = self.read("name").lower()
        if sign in ("in", "has"):
            return self._member(known, sign)
        compare = _COMPARE.get(sign)
        if compare is None:
            raise invalid()
        self.operators.add(sign)
        literal = self._literal(known)
        if literal is None and sign not in ("eq", "ne"):
            raise invalid()
        return lambda item: _holds(compare, known.value(item), literal)

    def _member(self, known: Property, sign: str) -> Predicate:
        self._require(sign)
        self.expect(sign, "(")
        choices = [self._literal(known)]
        while self.accept(","):
            choices.append(self._literal(known))
        self.expect(sign, ")")
        return lambda item: known.value(item) in choices

    def _text_function(self, function: str) -> Predicate:
        self._require(function)
        self.expect(function, "(")
        known = self._property(self.read("name"))
        self.expect(function, ",")
        wanted = str(known.folded(unquoted(self.read("text"))))
        self.expect(function, ")")
        if known.kind is not str:
            raise invalid()
        holds = _TEXT[function]
        return lambda item: holds(str(known.value(item) or ""), wanted)

    def _any(self, name: str, quantifier: str) -> Predicate:
        special = self._schema.special.get(f"{name.lower()}/{quantifier}")
        if special is not None:
            return special(self)
        if name.lower() in {one.lower() for one in self._schema.refused}:
            raise self._schema.refusal(f"{name}/{quantifier}")
        collection = self._collection(name)
        self._require(quantifier)
        self.expect(quantifier, "(")
        if self.accept(")"):
            return lambda item: any(True for _ in collection.items(item))
        variable = self.read("name")
        self.expect(quantifier, ":")
        outer, self._element = self._element, (variable, collection.element)
        inner = self.disjunction()
        self._element = outer
        self.expect(quantifier, ")")
        return lambda item: any(inner(one) for one in collection.items(item))

    def _collection(self, name: str) -> Collection:
        if self._element is not None:
            raise NotSupported("any within any")
        for known, found in self._schema.collections.items():
            if known.lower() == name.lower():
                self.properties.append(known)
                return found
        self._schema.find(name)
        raise BadRequest(f"The property '{name}' is not a collection.")

    def _property(self, name: str) -> Property:
        if name.lower().endswith("/$count"):
            raise NotSupported("$count within a filter")
        if self._element is None:
            known, found = self._schema.find(name)
            self.properties.append(known)
            return found
        variable, element = self._element
        head, _, rest = name.partition("/")
        if head != variable or rest not in element:
            raise self._schema.no_property(name)
        return element[rest]

    def _require(self, sign: str) -> None:
        self.operators.add(sign)
        if sign not in self._schema.operators:
            raise self._schema.refusal(sign)

    def _literal(self, known: Property) -> object:
        kind, raw = self._peek()
        self._at += 1
        value = literal(kind, raw)
        if value is not None and type(value) is not known.kind:
            raise invalid()
        return known.folded(value)

    def value_text(self) -> str:
        """A literal of any kind, as text."""
        kind, raw = self._peek()
        self._at += 1
        if kind not in ("text", "time", "number", "name"):
            raise invalid()
        return unquoted(raw) if kind == "text" else raw

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")

    def accept(self, word: str) -> bool:
        """Read this word or mark, if it comes next."""
        kind, token = self._peek()
        if kind != "text" and token.lower() == word.lower():
            self._at += 1
            return True
        return False

    def expect(self, after: str, word: str) -> None:
        """Read this word or mark. Raises BadRequest if another one comes next."""
        if not self.accept(word):
            raise BadRequest(f"Invalid filter clause near '{after}': expected '{word}'")

    def read(self, kind: str) -> str:
        """Read the next token, which must be of this kind."""
        found, token = self._peek()
        if found != kind:
            raise invalid()
        self._at += 1
        return token


def _holds(compare: Callable[[Any, Any], bool], value: object, wanted: object) -> bool:
    """A comparison with null is true only for `eq null`, `ne` and the like."""
    if (value is None or wanted is None) and compare not in (operator.eq, operator.ne):
        return False
    return compare(value, wanted)


def unquoted(text: str) -> str:
    """The value of an OData string."""
    return text[1:-1].replace("''", "'")


def literal(kind: str, raw: str) -> object:
    """The value of a literal; None for `null`. Raises BadRequest if it is none."""
    if kind == "text":
        return unquoted(raw)
    if kind == "number":
        return int(raw)
    if kind == "name" and raw.lower() in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[raw.lower()]
    if kind == "time":
        try:
            when = datetime.fromisoformat(raw)
        except ValueError as error:
            raise invalid() from error
        return when if when.tzinfo else when.replace(tzinfo=UTC)
    raise invalid()
