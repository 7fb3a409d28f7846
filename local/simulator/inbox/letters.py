"""Chooses and words what the pages show of the mail that arrived."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from local.simulator.graph.delivery import Letter
from local.simulator.graph.items import Address, Message
from local.simulator.graph.plain import plain_text

PAGE_LENGTH = 50
PREVIEW_LENGTH = 120
LARGEST_INLINE_IMAGE = 4 * 1024 * 1024
IMAGE_TYPES = {"image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml", "image/bmp"}


@dataclass(frozen=True)
class Listing:
    """One page of the list, newest first."""

    letters: Sequence[Letter]
    total: int
    older_than: int | None
    """The number of the last mail shown, if there are older ones."""


def listing(letters: Sequence[Letter], who: str, before: int | None) -> Listing:
    """The mails that `who` got or sent; any part of an address or a name matches."""
    wanted = who.strip().casefold()
    found = [one for one in reversed(letters) if not wanted or wanted in _people(one)]
    rest = [one for one in found if before is None or one.number < before]
    shown = rest[:PAGE_LENGTH]
    return Listing(shown, len(found), shown[-1].number if len(rest) > len(shown) else None)


def _people(letter: Letter) -> str:
    author = [letter.message.from_] if letter.message.from_ else []
    return " ".join(f"{one.name} {one.address}" for one in (*author, *letter.recipients)).casefold()


def addresses(letters: Iterable[Letter], most: int = 200) -> list[str]:
    """The addresses that got mail, as suggestions for the filter."""
    found = {one.address.lower() for letter in letters for one in letter.recipients}
    return sorted(found)[:most]


def subject(message: Message) -> str:
    return message.subject.strip() or "(no subject)"


def spelled(people: Iterable[Address]) -> str:
    return ", ".join(
        f"{one.name} <{one.address}>" if one.name and one.name != one.address else one.address
        for one in people
    )


def called(one: Address | None) -> str:
    return (one.name or one.address) if one else "unknown"


def preview(message: Message) -> str:
    text = message.text if message.text is not None else plain_text(message.html or "")
    return " ".join(text.split())[:PREVIEW_LENGTH]


def when(moment: datetime) -> str:
    """A time in this machine's own time zone."""
    return moment.astimezone().strftime("%d %b %Y, %H:%M:%S")


def briefly(moment: datetime) -> str:
    """The time of a mail of today, the day of an older one."""
    local, today = moment.astimezone(), datetime.now().astimezone()
    return local.strftime("%H:%M:%S" if local.date() == today.date() else "%d %b %Y")


def size(count: int) -> str:
    if count < 1024:
        return f"{count} bytes"
    if count < 1024 * 1024:
        return f"{count / 1024:.1f} KB"
    return f"{count / 1024 / 1024:.1f} MB"


def with_inline_images(message: Message) -> str:
    """The HTML part with its `cid:` images as data URLs, because the frame may load nothing."""
    images = {
        one.content_id: one
        for one in message.attachments
        if one.content_id
        and one.content_type.lower() in IMAGE_TYPES
        and len(one.content) <= LARGEST_INLINE_IMAGE
    }

    def data_url(found: re.Match[str]) -> str:
        image = images.get(found[1]) or images.get(unquote(found[1]))
        if image is None:
            return found[0]
        return (
            f"data:{image.content_type.lower()};base64,{base64.b64encode(image.content).decode()}"
        )

    return re.sub(r"(?i)\bcid:([^\"'\s)>]+)", data_url, message.html or "")


def file_name(name: str, fallback: str) -> str:
    """A name without a path, control characters and characters that end a header."""
    base = re.split(r"[/\\]", name)[-1]
    kept = re.sub(r"[\x00-\x1f\x7f\"*:<>?|]", "_", base).strip(" .")
    return kept[:120] or fallback
