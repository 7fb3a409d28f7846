"""Closes what html leaves open and would swallow whatever stands behind it.

A comment, a tag, and the elements whose content is no markup go on until their own end, however much
follows. Which elements those are depends on whether the reader runs scripts (noscript) and on svg and
math around them, so html is read in each of these ways. What only hides by style or attribute
is not looked at.
https://html.spec.whatwg.org/multipage/parsing.html#tokenization
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

_RAW = frozenset(["style", "script", "textarea", "title", "xmp", "iframe", "noembed", "noframes"])
_UNSHOWN = frozenset(
    ["template", "select", "datalist", "object", "audio", "video", "canvas", "dialog", "details"]
)
"""Elements that readers show nothing of, or only when asked."""
_ENDLESS = frozenset(["plaintext", "frameset"])
"""Elements that no end tag ends, or that take the body's place."""

_TOKEN = re.compile(r"<(?:!--|!\[CDATA\[|[!?]|/?[a-z]|/)", re.IGNORECASE)
_TAG = re.compile(
    r"<(/?)([a-z][^\s/>]*+)"
    r"(?:[\s/]*+=?[^\s/>=]++"
    r"(?:\s*+=\s*+(?:\"[^\"]*+(?:\"|(\Z))|'[^']*+(?:'|(\Z))|(?![\"'])[^\s>]*+))?+"
    r"|[\s/]*+=)*+"
    r"[\s/]*+(>)?",
    re.IGNORECASE,
)
"""A tag: its name, where a quoted value has no end, and its end."""
_COMMENT_END = re.compile(r"-->|--!>")
_SHORT_COMMENT = re.compile(r"<!---?>")
_FOREIGN = re.compile(r"<(?:svg|math)", re.IGNORECASE)
_NOSCRIPT = re.compile(r"<noscript", re.IGNORECASE)
_MOST_CLOSERS = 16
_MOST_UNSHOWN = 1000


class _Reading(msgspec.Struct):
    """What one way of reading found."""

    closer: str = ""
    """Ends what is still open at the end; empty where that is plain content."""
    escapes: set[int] = msgspec.field(default_factory=set)
    """Where a tag begins that cannot be closed."""
    ends: dict[str, set[int]] = msgspec.field(default_factory=dict)
    """Where `body` and `html` elements end."""
    unshown: list[str] = msgspec.field(default_factory=list)
    """Elements that are open and show nothing of their content."""


class _Nearest:
    """Finds the next place of something, in one pass over the text however often it is asked."""

    def __init__(self, pattern: re.Pattern[str], text: str) -> None:
        self._pattern, self._text = pattern, text
        self._found: re.Match[str] | None = pattern.search(text)

    def after(self, at: int) -> int:
        """Its place at or behind `at`, or the length of the text."""
        while self._found is not None and self._found.start() < at:
            self._found = self._pattern.search(self._text, at)
        return len(self._text) if self._found is None else self._found.start()


def split_at_end(markup: str) -> tuple[str, str]:
    """What stands before the end of the body, or all where no end tag is written, and the rest. What is
    put between the two is content that is shown."""
    readings = [_read(markup, raw) for raw in _ways(markup)]
    escapes = set[int]().union(*(one.escapes for one in readings))
    if escapes:
        markup = _escaped(markup, sorted(escapes))
        readings = [_read(markup, raw) for raw in _ways(markup)]
    at = _end(readings, len(markup))
    if any(one.unshown or (one.closer and at == len(markup)) for one in readings):
        return markup[:at] + _closers(markup[:at]), markup[at:]
    return markup[:at], markup[at:]


def _escaped(markup: str, tags: Iterable[int]) -> str:
    pieces: list[str] = []
    last = 0
    for at in tags:
        pieces += (markup[last:at], "&lt;")
        last = at + 1
    return "".join((*pieces, markup[last:]))


def _end(readings: list[_Reading], length: int) -> int:
    """Where the body ends however it is read: before its end tag, or that of html."""
    for name in ("body", "html"):
        first, *others = (one.ends.get(name, set()) for one in readings)
        if found := first.intersection(*others):
            return max(found)
    return length


def _closers(markup: str) -> str:
    added = ""
    for _ in range(_MOST_CLOSERS):
        readings = [_read(markup + added, raw) for raw in _ways(markup)]
        closer = next((one.closer for one in readings if one.closer), "")
        if not closer:
            unshown = max((one.unshown for one in readings), key=len)
            return added + "".join(f"</{name}>" for name in reversed(unshown))
        added += closer
    return added


def _ways(markup: str) -> Iterable[frozenset[str]]:
    """The elements whose content is no markup, in each way that the html may be read."""
    yield _RAW
    if _NOSCRIPT.search(markup):
        yield _RAW | {"noscript"}
    if _FOREIGN.search(markup):
        yield frozenset()


def _read(text: str, raw: frozenset[str]) -> _Reading:
    found, at = _Reading(), 0
    raw_ends: dict[str, _Nearest] = {}
    while (token := _TOKEN.search(text, at)) is not None:
        start, kind = token.start(), token[0].lower()
        if kind == "<!--":
            short = _SHORT_COMMENT.match(text, start)
            end = short or _COMMENT_END.search(text, start + 4)
            if end is None:
                found.closer = "-->"
                return found
            at = end.end()
        elif kind == "<![cdata[":
            found.escapes.add(start)
            at = start + 1
        elif kind in ("<!", "<?", "</"):
            at = text.find(">", start) + 1
            if not at:
                found.closer = ">"
                return found
        else:
            at = _tag(text, start, raw, raw_ends, found)
            if found.closer:
                return found
    return found


def _tag(
    text: str, start: int, raw: frozenset[str], raw_ends: dict[str, _Nearest], found: _Reading
) -> int:
    """Read one tag, and the content that belongs to it; returns where what follows begins."""
    tag = _TAG.match(text, start)
    if tag is None:  # never: a token that begins a tag has a name
        return start + 1
    slash, name, at = tag[1], tag[2].lower(), tag.end()
    if tag[5] is None:
        found.closer = '">' if tag[3] is not None else "'>" if tag[4] is not None else ">"
    elif slash and name in ("body", "html"):
        found.ends.setdefault(name, set()).add(start)
    elif slash and name in found.unshown:
        found.unshown.remove(name)
    if slash or found.closer:
        return at
    if name in _ENDLESS:
        found.escapes.add(start)
    elif name in _UNSHOWN:
        if len(found.unshown) < _MOST_UNSHOWN:
            found.unshown.append(name)
    elif name in raw:
        return _raw_content(text, start, at, name, raw_ends, found)
    return at


def _raw_content(
    text: str, start: int, at: int, name: str, raw_ends: dict[str, _Nearest], found: _Reading
) -> int:
    if name not in raw_ends:
        raw_ends[name] = _Nearest(re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE), text)
        raw_ends["<!--"] = raw_ends.get("<!--") or _Nearest(re.compile("<!--"), text)
    end = raw_ends[name].after(at)
    if name == "script" and raw_ends["<!--"].after(at) < end:
        # Within a comment in a script not every end tag ends it.
        found.escapes.add(start)
        return at
    if end == len(text):
        found.closer = f"</{name}>"
    return end
