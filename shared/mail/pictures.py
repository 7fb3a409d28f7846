"""Finds the pictures that the html of a mail shows by `cid:` (RFC 2392)."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from msgspec.structs import replace

from shared.mail.character_references import decoded

if TYPE_CHECKING:
    from shared.mail.message import Message

_SCHEME = re.compile("cid:", re.IGNORECASE)
_REFERENCES = re.compile(r'cid:[^\s"<>]++')
"""References with the text behind them, up to a character that is never part of an id."""
_END = r"(?=[\n'\")`,;\\]|\Z)"
"""Characters that end a reference in CSS and in quotes, but can also be part of an id."""
_ENCODED_LINE_END = re.compile("%0a", re.IGNORECASE)


def with_shown_only(message: Message) -> Message:
    """The message without the content ids that its html does not show: such an attachment becomes
    an ordinary file. Mail programs hide inline attachments, so nobody would see it otherwise."""
    ids = {item.content_id for item in message.attachments if item.content_id is not None}
    if not ids:
        return message
    shown = shown_ids(message.html or "", ids)
    return replace(
        message,
        attachments=tuple(
            item
            if item.content_id is None or item.content_id in shown
            else replace(item, content_id=None)
            for item in message.attachments
        ),
    )


def shown_ids(markup: str, ids: Collection[str]) -> frozenset[str]:
    """The ids that the html names by `cid:`. Ids are case-sensitive (RFC 2392). Character
    references and percent-encoding are decoded.

    The time is proportional to the length of the html times the number of ids (a mail has at most
    100): each id is searched as a fixed text.
    """
    if _SCHEME.search(markup) is None and "&" not in markup:
        return frozenset()
    # One reference on each line. Only the scheme may be in upper case.
    text = "\n".join(_REFERENCES.findall(_SCHEME.sub("cid:", decoded(markup))))
    found = _named(text, ids)
    if "%" in text and len(found) < len(ids):
        from urllib.parse import unquote

        found |= _named(unquote(_ENCODED_LINE_END.sub("%20", text)), set(ids) - found)
    return frozenset(found)


def _named(references: str, ids: Collection[str]) -> set[str]:
    return {one for one in ids if _is_named(references, "cid:" + _SCHEME.sub("cid:", one))}


def _is_named(references: str, reference: str) -> bool:
    if reference not in references:
        return False
    return re.search(re.escape(reference) + _END, references) is not None
