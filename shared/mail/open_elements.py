"""Finds the elements that html leaves open and that can hide what follows.

Parsers ignore many end tags, such as `</details>` within a `template` or a table cell, or
`</video>` after an open `div`. Which ones depends on all open elements and on the parser's age.
This module counts an element as closed only if every parser agrees, which means that it is the
innermost open one. All others count as open and get one more end tag at the end of the html;
parsers ignore an end tag of an element that is not open.
https://html.spec.whatwg.org/multipage/parsing.html#parsing-main-inbody
"""

from __future__ import annotations

_UNSHOWN = frozenset(
    [
        "template",
        "select",
        "datalist",
        "object",
        "audio",
        "video",
        "canvas",
        "dialog",
        "details",
        "rp",
        "progress",
        "meter",
        "applet",
        "desc",
        "foreignobject",
        "annotation-xml",
    ]
)
"""Elements whose content is not shown, or is shown only in part or only on request."""
_OPTIONAL = frozenset(["p", "li", "dt", "dd"])
"""Elements that the end of their parent closes. None of them is a boundary of a scope."""
_OTHERS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "button",
        "caption",
        "center",
        "colgroup",
        "dir",
        "div",
        "dl",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hgroup",
        "listing",
        "main",
        "marquee",
        "menu",
        "nav",
        "noscript",
        "ol",
        "pre",
        "search",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
        "iframe",
        "noembed",
        "noframes",
        "script",
        "style",
        "textarea",
        "title",
        "xmp",
        "mi",
        "mo",
        "mn",
        "ms",
        "mtext",
    ]
)
"""Other elements that make a parser ignore the end tags of elements around them.
https://html.spec.whatwg.org/multipage/parsing.html#special"""
_FOLLOWED = _UNSHOWN | _OPTIONAL | _OTHERS
_AROUND = frozenset(["ul", "ol", "dl", "div", "details", "dialog", "select", "section", "article"])
"""Elements whose end closes the optional ones in them."""
_MOST_OPTIONAL = 8


_Open = tuple[str, "_Open"] | None
"""The innermost open element, linked to those around it. Two places with the same open elements
share them."""


class OpenElements:
    """The elements that are open after the tags read so far. A tag, and a copy, takes constant
    time."""

    __slots__ = ("_open",)

    def __init__(self, already: _Open = None) -> None:
        self._open = already

    def copy(self) -> OpenElements:
        """The elements that are open here; later tags do not change the copy."""
        return OpenElements(self._open)

    def start(self, name: str) -> None:
        """Read a start tag; `name` is in lower case."""
        if name not in _FOLLOWED:
            return
        if name in _OPTIONAL and self._open is not None and self._open[0] == name:
            # The second one closes the first.
            return
        self._open = (name, self._open)

    def end(self, name: str) -> None:
        """Read an end tag; `name` is in lower case."""
        if self._open is None or name not in _FOLLOWED:
            return
        if self._open[0] == name:
            self._open = self._open[1]
        elif name in _AROUND:
            self._end_around(name)

    def _end_around(self, name: str) -> None:
        around = self._open
        for _ in range(_MOST_OPTIONAL):
            if around is None:
                return
            inner, around = around
            if inner == name:
                self._open = around
            if inner not in _OPTIONAL:
                return

    def end_tags(self) -> str:
        """The end tags of the open elements that can hide what follows; empty if there are none."""
        names: list[str] = []
        needed = 0
        around = self._open
        while around is not None:
            name, around = around
            names.append(name)
            if name in _UNSHOWN:
                needed = len(names)
        return "".join(f"</{name}>" for name in names[:needed])
