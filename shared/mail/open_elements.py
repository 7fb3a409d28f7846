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


class OpenElements:
    """What is open after the tags read so far. Each tag takes constant time."""

    def __init__(self) -> None:
        self._open: list[str] = []

    def start(self, name: str) -> None:
        """Read a start tag; `name` is in small letters."""
        if name not in _FOLLOWED:
            return
        if name in _OPTIONAL and self._open and self._open[-1] == name:
            # The second one closes the first.
            return
        self._open.append(name)

    def end(self, name: str) -> None:
        """Read an end tag; `name` is in small letters."""
        if not self._open or name not in _FOLLOWED:
            return
        if self._open[-1] == name:
            self._open.pop()
        elif name in _AROUND:
            self._end_around(name)

    def _end_around(self, name: str) -> None:
        for count, inner in enumerate(reversed(self._open[-_MOST_OPTIONAL:])):
            if inner == name:
                del self._open[-count - 1 :]
            if inner not in _OPTIONAL:
                return

    def end_tags(self) -> str:
        """What closes the elements that would not show what follows; empty where none is open."""
        for index, name in enumerate(self._open):
            if name in _UNSHOWN:
                return "".join(f"</{inner}>" for inner in reversed(self._open[index:]))
        return ""
