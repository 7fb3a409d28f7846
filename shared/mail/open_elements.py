"""Which elements html may leave open, as far as that decides whether what follows is shown.

Parsers ignore many end tags: one of `details` within a `template` or a table cell, one of `video` behind
an open `div`. Which ones depends on all that is open and on the parser's age. Here an end tag closes an
element only where every parser agrees: where it is the innermost one that is open. All others stay,
and are closed once more at the end: parsers ignore an end tag of what is not open.
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
"""Elements that readers show nothing of, or only when asked, or only in part."""
_OPTIONAL = frozenset(["p", "li", "dt", "dd"])
"""Elements that the end of what is around them closes, and no boundary of a scope among them."""
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
"""What else makes a parser ignore the end tags of elements around it.
https://html.spec.whatwg.org/multipage/parsing.html#special"""
_FOLLOWED = _UNSHOWN | _OPTIONAL | _OTHERS
_AROUND = frozenset(["ul", "ol", "dl", "div", "details", "dialog", "select", "section", "article"])
"""Elements whose end closes the optional ones in them."""
_MOST_OPTIONAL = 8


_Open = tuple[str, "_Open"] | None
"""The innermost open element, and those around it: what is open at two places shares its elements."""


class OpenElements:
    """What is open after the tags read so far. Each tag takes constant time, and so does a copy."""

    __slots__ = ("_open",)

    def __init__(self, already: _Open = None) -> None:
        self._open = already

    def copy(self) -> OpenElements:
        """What is open here, whatever is read afterwards."""
        return OpenElements(self._open)

    def start(self, name: str) -> None:
        """Read a start tag; `name` is in small letters."""
        if name not in _FOLLOWED:
            return
        if name in _OPTIONAL and self._open is not None and self._open[0] == name:
            # The second one closes the first.
            return
        self._open = (name, self._open)

    def end(self, name: str) -> None:
        """Read an end tag; `name` is in small letters."""
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
        """What closes the elements that would not show what follows; empty where none is open."""
        names: list[str] = []
        needed = 0
        around = self._open
        while around is not None:
            name, around = around
            names.append(name)
            if name in _UNSHOWN:
                needed = len(names)
        return "".join(f"</{name}>" for name in names[:needed])
