"""Pictures that the html of a mail shows by `cid:` (RFC 2392)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from shared.mail.message import Message

_LONGEST = 1000
"""Characters of a reference: an id of 255, each percent-encoded, and what stands behind it."""
_REFERENCE = re.compile(rf'cid:([^\s"<>]{{1,{_LONGEST}}})', re.IGNORECASE)
_ENDS = re.compile(r"['\")`,;\\]")
"""What ends a reference in CSS and in quotes, and may also be part of an id."""


def with_shown_only(message: Message) -> Message:
    """The message without the content ids that its html shows nowhere: such an attachment is an
    ordinary file. Mail programs hide what is inline, so that nobody would see it."""
    if all(item.content_id is None for item in message.attachments):
        return message
    shown = references(message.html or "")
    return replace(
        message,
        attachments=tuple(
            item
            if item.content_id is None or item.content_id in shown
            else replace(item, content_id=None)
            for item in message.attachments
        ),
    )


def references(markup: str) -> frozenset[str]:
    """Every content id that `cid:` in the html may name. Ids keep their case, as RFC 2392 has it;
    entities and percent-encoding are decoded."""
    if _REFERENCE.search(markup) is None and "&" not in markup:
        return frozenset()
    import html
    from urllib.parse import unquote

    found: set[str] = set()
    for match in _REFERENCE.finditer(html.unescape(markup)):
        whole = match[1]
        found.add(whole)
        for end in _ENDS.finditer(whole):
            found.add(whole[: end.start()])
    return frozenset(found.union(unquote(text) for text in found if "%" in text))
