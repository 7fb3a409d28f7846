"""Checks a signature, and puts it under the text and the html of a mail."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

from shared.mail.character_references import with_short_numbers
from shared.mail.open_markup import split_at_end

_NEVER_CLOSED = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    ]
)
"""Void elements. https://html.spec.whatwg.org/multipage/syntax.html#void-elements"""
_MAY_STAY_OPEN = frozenset(
    ["p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "colgroup", "option"]
)
"""Elements that the end of their parent closes.
https://html.spec.whatwg.org/multipage/syntax.html#optional-tags"""
_NOT_IN_A_BODY = frozenset(["html", "head", "body", "title", "base", "meta", "link"])
_ACTIVE = frozenset(
    ["script", "iframe", "object", "embed", "form", "input", "button", "textarea", "select"]
)
_UNSEEN = frozenset(["style", "script", "head", "title"])
_LINES = frozenset(
    [
        "p",
        "div",
        "tr",
        "li",
        "br",
        "table",
        "ul",
        "ol",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "blockquote",
    ]
)


def html_fault(markup: str) -> str | None:
    """The fault of a signature's html, or None if it cannot break the mail around it."""
    if markup.rfind("<!--") > markup.rfind("-->"):
        return "begins a comment that does not end: close it with -->"
    reader = _Structure()
    reader.feed(with_short_numbers(markup))
    if reader.rawdata.startswith("<"):
        return "ends within a tag: close it with >"
    reader.close()
    return reader.fault or (
        f"leaves <{reader.open[-1]}> open: close it" if reader.open_for_good else None
    )


def text_of(markup: str) -> str:
    """The words of an html signature, for mails that have only text."""
    reader = _Words()
    reader.feed(with_short_numbers(markup))
    reader.close()
    lines = [" ".join(line.split()) for line in "".join(reader.words).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def html_of(text: str) -> str:
    """A text signature as html, for mails that have only html."""
    return html.escape(text).replace("\n", "<br>\n")


def after_text(body: str, signature: str) -> str:
    """A text with the signature behind it, and an empty line between them."""
    stripped = body.rstrip("\r\n")
    return f"{stripped}\n\n{signature}\n" if stripped else f"{signature}\n"


def after_html(body: str, signature: str) -> str:
    """An html body with the signature as its last element, in a block of its own. Elements that the
    body leaves open and that would hide the signature are closed first."""
    before, behind = split_at_end(body)
    return f"{before}<div>{signature}</div>{behind}"


class _Structure(HTMLParser):
    """Follows which elements are open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fault: str | None = None

    @property
    def open_for_good(self) -> bool:
        self._close_what_may()
        return bool(self.open)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _NOT_IN_A_BODY:
            self._found(f"holds <{tag}>: give only what goes into the body of a mail")
        if tag in _ACTIVE:
            self._found(f"holds <{tag}>, which mail programs do not show: leave it out")
        if tag not in _NEVER_CLOSED:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # Html has no self-closing elements: a browser reads <div/> as <div>.
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in _NEVER_CLOSED:
            return
        while self.open and self.open[-1] != tag and self.open[-1] in _MAY_STAY_OPEN:
            self.open.pop()
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self._found(f"closes <{tag}>, which is not open there: remove it")

    def _close_what_may(self) -> None:
        while self.open and self.open[-1] in _MAY_STAY_OPEN:
            self.open.pop()

    def _found(self, fault: str) -> None:
        self.fault = self.fault or fault


class _Words(HTMLParser):
    """Collects the text that a reader sees."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in _UNSEEN
        if tag in _LINES:
            self.words.append("\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in _UNSEEN
        if tag in _LINES and tag != "br":
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(re.sub(r"\s+", " ", data))
