"""The language of `$search`: quoted and bare words, `AND`, `OR`, `NOT`, parentheses (OData 4.01, URL
conventions, 5.1.7).

What a quoted word says is the resource's: keywords (KQL) for messages, `property:value` for
directory objects. https://learn.microsoft.com/graph/search-query-parameter
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from local.simulator.graph.errors import BadRequest

Predicate = Callable[[Any], bool]
Leaf = Callable[[str, bool], Predicate]
"""Reads one word; the second argument says whether it was quoted."""

MOST_TOKENS = 200
DEEPEST = 20

_TOKEN = re.compile(r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<mark>[()])|(?P<word>[^\s"():]+))')
_ESCAPE = re.compile(r"\\(.)")
_WORD = re.compile(r"\w+")


def parse(text: str, leaf: Leaf) -> Predicate:
    """The predicate of a `$search`. Raises BadRequest if it is none."""
    return parse_tokens(_tokens(text), leaf)


def parse_tokens(tokens: list[tuple[str, str]], leaf: Leaf) -> Predicate:
    """The same from tokens: pairs of `quoted`, `word` or `mark` with their text."""
    if len(tokens) > MOST_TOKENS:
        raise BadRequest("Invalid search clause")
    parser = _Parser(tokens, leaf)
    keeps = parser.disjunction()
    parser.end()
    return keeps


def words(text: str) -> list[str]:
    """The words of a text, to compare."""
    return _WORD.findall(text.casefold())


def has_phrase(text: str, wanted: Sequence[str], *, prefix: bool = False) -> bool:
    """Whether the words follow one another in the text; with `prefix` the last one may go on."""
    found, count = words(text), len(wanted)
    if not count:
        return False
    *first, last = wanted
    for at in range(len(found) - count + 1):
        if found[at : at + count - 1] != first:
            continue
        word = found[at + count - 1]
        if word == last or (prefix and word.startswith(last)):
            return True
    return False


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position = 0
    text = text.strip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            at = position + len(text[position:]) - len(text[position:].lstrip())
            raise BadRequest(
                f"Syntax error: character '{text[at]}' is not valid at position {at} in '{text}'."
            )
        kind = found.lastgroup or ""
        value = found[kind]
        tokens.append((kind, _ESCAPE.sub(r"\1", value) if kind == "quoted" else value))
        position = found.end()
    return tokens


class _Parser:
    """Recursive descent; words that follow one another must all be found."""

    def __init__(self, tokens: list[tuple[str, str]], leaf: Leaf) -> None:
        self._tokens = tokens
        self._leaf = leaf
        self._at = 0
        self._depth = 0

    def end(self) -> None:
        if self._at != len(self._tokens):
            raise BadRequest("Invalid search clause")

    def disjunction(self) -> Predicate:
        self._depth += 1
        if self._depth > DEEPEST:
            raise BadRequest("Invalid search clause")
        parts = [self._conjunction()]
        while self._accept(("word", "OR")):
            parts.append(self._conjunction())
        self._depth -= 1
        return lambda item: any(part(item) for part in parts)

    def _conjunction(self) -> Predicate:
        parts = [self._factor()]
        while True:
            if not self._accept(("word", "AND")) and self._peek() in _ENDS:
                break
            parts.append(self._factor())
        return lambda item: all(part(item) for part in parts)

    def _factor(self) -> Predicate:
        negations = 0
        while self._accept(("word", "NOT")):
            negations += 1
        inner = self._positive()
        return inner if negations % 2 == 0 else lambda item: not inner(item)

    def _positive(self) -> Predicate:
        if self._accept(("mark", "(")):
            inner = self.disjunction()
            if not self._accept(("mark", ")")):
                raise BadRequest("Invalid search clause")
            return inner
        kind, token = self._peek()
        if kind not in ("quoted", "word") or (kind, token) in _ENDS:
            raise BadRequest("Invalid search clause")
        self._at += 1
        return self._leaf(token, kind == "quoted")

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")

    def _accept(self, token: tuple[str, str]) -> bool:
        if self._peek() == token:
            self._at += 1
            return True
        return False


_ENDS = (("", ""), ("mark", ")"), ("word", "OR"))
