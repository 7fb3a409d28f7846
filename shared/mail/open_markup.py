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

from shared.mail.open_elements import OpenElements

_RAW = frozenset(["style", "script", "textarea", "title", "xmp", "iframe", "noembed", "noframes"])
_PAGE = frozenset(["body", "html"])
_ENDLESS = frozenset(["plaintext", "frameset"])
"""Elements that no end tag ends, or that take the body's place."""

_TOKEN = re.compile(
    r"<(?:(?:/([a-z][^\s/>]*+)|([a-z][^\s/>]*+))[^\"'<>]*+>"
    r"|[/!]>|!--|!\[CDATA\[|[!?]|/?[a-z]|/)",
    re.IGNORECASE,
)
"""What may begin a tag or a comment; whole where it is a tag without quotes, with its name: such a tag
ends at the next `>`. `</>` and `<!>` are nothing."""
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


class _Reading(msgspec.Struct):
    """What one way of reading found."""

    closer: str = ""
    """Ends what is still open at the end; empty where that is plain content."""
    escapes: set[int] = msgspec.field(default_factory=set)
    """Where a tag begins that cannot be closed."""
    ends: dict[str, set[int]] = msgspec.field(default_factory=dict)
    """Where `body` and `html` elements end."""
    open: OpenElements = msgspec.field(default_factory=OpenElements)
    at: int = 0
    """Where what is not read yet begins: at the end, or where what `closer` ends begins."""


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


def cost(markup: str) -> int:
    """How long it takes to read html, as a number of tags that are each read in one way."""
    return markup.count("<") * len(list(_senders(markup)))


def split_at_end(markup: str) -> tuple[str, str]:
    """What stands before the end of the body, or all where no end tag is written, and the rest. What is
    put between the two is content that is shown."""
    senders = list(_senders(markup))
    readings = [_read(markup, raw) for raw in senders]
    escapes = set[int]().union(*(one.escapes for one in readings))
    if escapes:
        markup = _escaped(markup, sorted(escapes))
        readings = [_read(markup, raw) for raw in senders]
    at = _end(readings, len(markup))
    before, behind = markup[:at], markup[at:]
    if behind:
        readings = [_read(before, raw) for raw in senders]
    return before + _closers(before, senders, readings), behind


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


def _closers(markup: str, senders: list[frozenset[str]], readings: list[_Reading]) -> str:
    """What closes all that the html, read as it is, leaves open."""
    added = ""
    for _ in range(_MOST_CLOSERS):
        closer = next((one.closer for one in readings if one.closer), "")
        if not closer:
            break
        added += closer
        for one, raw in zip(readings, senders, strict=True):
            _read_on(markup + added, raw, one)
    return added + "".join(dict.fromkeys(one.open.end_tags() for one in readings))


def _senders(markup: str) -> Iterable[frozenset[str]]:
    """The elements whose content is no markup, in each way that the html may be read."""
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
    """Read from where `found` ends: only what is new, and what was not complete."""
    found.closer = ""
    raw_ends: dict[str, _Nearest] = {}
    at, opened = found.at, found.open
    search, unusual = _TOKEN.search, raw | _ENDLESS | _PAGE
    while (token := search(text, at)) is not None:
        # Most tags have no attributes: this is what a long html takes its time with.
        ended, started = token.groups()
        if ended is not None and (name := ended.lower()) not in unusual:
            opened.end(name)
            at = token.end()
        elif started is not None and (name := started.lower()) not in unusual:
            opened.start(name)
            at = token.end()
        elif token[0] in ("</>", "<!>"):
            at = token.end()
        else:
            found.at = token.start()
            at = _after(text, found.at, raw, raw_ends, found)
            if found.closer:
                return
    found.at = len(text)


def _after(
    text: str,
    start: int,
    raw: frozenset[str],
    raw_ends: dict[str, _Nearest],
    found: _Reading,
) -> int:
    """Read what begins at `start`; returns where what follows begins."""
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
    return _tag(text, tag, raw, raw_ends, found)


def _tag(
    text: str,
    tag: re.Match[str],
    raw: frozenset[str],
    raw_ends: dict[str, _Nearest],
    found: _Reading,
) -> int:
    """Read one tag, and the content that belongs to it; returns where what follows begins."""
    start, at = tag.span()
    slash, name = tag[1], tag[2].lower()
    if tag[5] is None:
        found.closer = '">' if tag[3] is not None else "'>" if tag[4] is not None else ">"
    elif slash and name in _PAGE:
        found.ends.setdefault(name, set()).add(start)
    elif slash:
        found.open.end(name)
    if slash or found.closer:
        return at
    if name in _ENDLESS:
        found.escapes.add(start)
    elif name in raw:
        return _raw_content(text, start, at, name, raw_ends, found)
    else:
        found.open.start(name)
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
