"""Closes what html leaves open if it would swallow the text behind it.

A comment, a tag, and an element with raw content go on until their own end, however much text
follows. Which elements have raw content depends on whether the reader runs scripts (noscript) and
on the svg and math around them, so html is read in each of these ways. Elements that are hidden
only by style or attribute are not considered.
https://html.spec.whatwg.org/multipage/parsing.html#tokenization
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable

import msgspec

from shared.mail.open_elements import OpenElements

_RAW = frozenset(["style", "script", "textarea", "title", "xmp", "iframe", "noembed", "noframes"])
_PAGE = frozenset(["body", "html"])
_ENDLESS = frozenset(["plaintext", "frameset"])
"""Elements that no end tag closes, or that take the place of the body."""

_NAME = r"[a-z][^\s/>]*+"


def _attributes(unended: str) -> str:
    """A pattern for the attributes of a tag; `unended` ends a quoted value that has no end."""
    return (
        r"(?:[\s/]*+=?[^\s/>=]++"
        rf"(?:\s*+=\s*+(?:\"[^\"]*+(?:\"|{unended})|'[^']*+(?:'|{unended})|(?![\"'])[^\s>]*+))?+"
        r"|[\s/]*+=)*+[\s/]*+"
    )


_WHOLE = _attributes(r"\Z") + ">"
_UNENDED = _attributes(r"(\Z)")
_TOKEN = re.compile(
    rf"<(?:/({_NAME}){_WHOLE}|({_NAME}){_WHOLE}|([/!]>)|!--|!\[CDATA\[|[!?]|/?[a-z]|/)",
    re.IGNORECASE,
)
"""What can begin a tag or a comment. Three groups match what is complete: an end tag (by its name),
a start tag (by its name), and markup that stands for nothing (`</>`, `<!>`)."""
_END_TAG, _START_TAG, _NOTHING = 1, 2, 3
_TAG = re.compile(f"</?{_NAME}{_UNENDED}", re.IGNORECASE)
"""A tag without an end, because a quoted value in it has no end."""
_COMMENT_END = re.compile(r"-->|--!>")
_SHORT_COMMENT = re.compile(r"<!---?>")
_FOREIGN = re.compile(r"<(?:svg|math)", re.IGNORECASE)
_NOSCRIPT = re.compile(r"<noscript", re.IGNORECASE)
_MOST_CLOSERS = 16
_ESCAPE = "&lt;"


class _Reading(msgspec.Struct):
    """The result of one way of reading."""

    closer: str = ""
    """Closes what is still open at the end; empty if that is ordinary content."""
    escapes: set[int] = msgspec.field(default_factory=set)
    """Where a tag begins that cannot be closed. It is changed to text."""
    ends: dict[str, dict[int, OpenElements]] = msgspec.field(default_factory=dict)
    """Where `body` and `html` elements end, with the elements that are open there."""
    open: OpenElements = msgspec.field(default_factory=OpenElements)
    at: int = 0
    """Where the unread rest begins: at the end, or at the start of what `closer` ends."""


class _Nearest:
    """Finds the next match of a pattern. All calls together take one pass over the text."""

    def __init__(self, pattern: re.Pattern[str], text: str) -> None:
        self._pattern, self._text = pattern, text
        self._found: re.Match[str] | None = pattern.search(text)

    def after(self, at: int) -> int:
        """The position of the next match at or behind `at`, or the length of the text."""
        while self._found is not None and self._found.start() < at:
            self._found = self._pattern.search(self._text, at)
        return len(self._text) if self._found is None else self._found.start()


class _RawContent:
    """Finds the ends of elements with raw content, in one pass over the text for each name."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.length = len(text)
        self._ends: dict[str, _Nearest] = {}

    def end(self, name: str, at: int) -> int | None:
        """Where the content that begins at `at` ends; None if a comment in a script disables some
        of its end tags."""
        if name not in self._ends:
            self._ends[name] = self._nearest(rf"</{name}(?=[\s/>])")
        end = self._ends[name].after(at)
        if name == "script":
            if "<!--" not in self._ends:
                self._ends["<!--"] = self._nearest("<!--")
            if self._ends["<!--"].after(at) < end:
                return None
        return end

    def _nearest(self, pattern: str) -> _Nearest:
        return _Nearest(re.compile(pattern, re.IGNORECASE), self._text)


def cost(markup: str) -> int:
    """The cost of reading html, as the number of tags times the number of ways of reading."""
    return markup.count("<") * len(list(_senders(markup)))


def split_at_end(markup: str) -> tuple[str, str]:
    """The html before the end of the body (or all of it, if no end tag is written), and the rest.
    Text put between the two parts is shown.

    Each way of reading takes one pass. If one way reads text where another reads a tag, the tag
    counts as open and is closed once more.
    """
    senders = list(_senders(markup))
    readings = [_read(markup, raw) for raw in senders]
    escapes = sorted(set[int]().union(*(one.escapes for one in readings)))
    name, at = _end(readings)
    if at is None:
        escaped = _escaped(markup, escapes)
        for one in readings:
            one.at += (len(_ESCAPE) - 1) * bisect_left(escapes, one.at)
        return escaped + _closers(escaped, senders, readings), ""
    first = bisect_left(escapes, at)
    before = _escaped(markup[:at], escapes[:first])
    behind = _escaped(markup[at:], [place - at for place in escapes[first:]])
    return before + _end_tags(one.ends[name][at] for one in readings), behind


def _escaped(markup: str, tags: Iterable[int]) -> str:
    pieces: list[str] = []
    last = 0
    for at in tags:
        pieces += (markup[last:at], _ESCAPE)
        last = at + 1
    return "".join((*pieces, markup[last:]))


def _end(readings: list[_Reading]) -> tuple[str, int | None]:
    """Where the body ends in every way of reading: the name (body or html) and position of its end
    tag."""
    for name in ("body", "html"):
        first, *others = (one.ends.get(name, {}) for one in readings)
        if found := set[int](first).intersection(*others):
            return name, max(found)
    return "", None


def _closers(markup: str, senders: list[frozenset[str]], readings: list[_Reading]) -> str:
    """The text that closes everything that the html leaves open, in any way of reading."""
    added = ""
    for _ in range(_MOST_CLOSERS):
        closer = next((one.closer for one in readings if one.closer), "")
        if not closer:
            break
        added += closer
        for one, raw in zip(readings, senders, strict=True):
            _read_on(markup + added, raw, one)
    return added + _end_tags(one.open for one in readings)


def _end_tags(ways: Iterable[OpenElements]) -> str:
    return "".join(dict.fromkeys(one.end_tags() for one in ways))


def _senders(markup: str) -> Iterable[frozenset[str]]:
    """The elements with raw content, for each way in which the html may be read."""
    yield _RAW
    if _NOSCRIPT.search(markup):
        yield _RAW | {"noscript"}
    if _FOREIGN.search(markup):
        yield frozenset()


def _read(text: str, raw: frozenset[str]) -> _Reading:
    found = _Reading()
    _read_on(text, raw, found)
    return found


def _read_on(text: str, raw: frozenset[str], found: _Reading) -> None:
    """Continue to read from the end of `found`: only new text, and what was not complete."""
    found.closer = ""
    content = _RawContent(text)
    at, opened = found.at, found.open
    search, unusual = _TOKEN.search, raw | _ENDLESS
    while (token := search(text, at)) is not None:
        # Long html spends most of its time here.
        kind, at = token.lastindex, token.end()
        if kind == _START_TAG:
            name = token[_START_TAG].lower()
            if name not in unusual:
                opened.start(name)
                continue
            found.at = token.start()
            at = _unusual(name, found.at, at, content, found)
        elif kind == _END_TAG:
            name = token[_END_TAG].lower()
            if name in _PAGE:
                found.ends.setdefault(name, {})[token.start()] = opened.copy()
            else:
                opened.end(name)
        elif kind is None:
            found.at = token.start()
            at = _after(text, found.at, found)
        if found.closer:
            return
    found.at = len(text)


def _after(text: str, start: int, found: _Reading) -> int:
    """Read what begins at `start` and is not a complete tag; returns where the rest begins."""
    if text.startswith("<!--", start):
        short = _SHORT_COMMENT.match(text, start)
        end = short or _COMMENT_END.search(text, start + 4)
        found.closer = "" if end is not None else "-->"
        return len(text) if end is None else end.end()
    if text[start : start + 9].lower() == "<![cdata[":
        found.escapes.add(start)
        return start + 1
    tag = _TAG.match(text, start)
    if tag is None:
        at = text.find(">", start) + 1
        found.closer = "" if at else ">"
        return at
    found.closer = '">' if tag[1] is not None else "'>" if tag[2] is not None else ">"
    return tag.end()


def _unusual(name: str, start: int, at: int, content: _RawContent, found: _Reading) -> int:
    """Continue after a start tag whose content is raw, or which nothing closes."""
    if name in _ENDLESS:
        found.escapes.add(start)
        return start + 1
    end = content.end(name, at)
    if end is None:
        found.escapes.add(start)
        return start + 1
    if end == content.length:
        found.closer = f"</{name}>"
    return end
