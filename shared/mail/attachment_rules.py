"""The rules for the attachments of a mail: filename, content type and content id."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shared.errors import FieldProblem
from shared.mail import file_names, invitation, media_type
from shared.mail.address import has_control_characters

if TYPE_CHECKING:
    from shared.mail.message import Attachment, Message

MAX_FILENAME = 255

_CONTENT_ID = re.compile(r"[!-;=?-~]{1,255}")


def problems_of(message: Message) -> list[FieldProblem]:
    """Every fault of the attachments that no account could send, field by field."""
    found: list[FieldProblem] = []
    content_ids: set[str] = set()
    for index, item in enumerate(message.attachments):
        at = f"attachments[{index}]"
        for name, fault in (
            ("filename", _filename_fault(item.filename)),
            ("content_type", _content_type_fault(item)),
            ("content_id", _content_id_fault(item.content_id, content_ids)),
        ):
            if fault is not None:
                found.append(FieldProblem(f"{at}.{name}", fault))
    return found or invitation.shape_problems(message)


def _filename_fault(filename: str) -> str | None:
    if not filename or len(filename) > MAX_FILENAME:
        return f"must have 1 to {MAX_FILENAME} characters"
    if not filename.strip():
        return "must have a character other than a space"
    if has_control_characters(filename) or "/" in filename or "\\" in filename:
        return "must be a plain name: no path, no line breaks"
    if file_names.is_envelope(filename):
        from shared.mail.mime import content_type

        return content_type.ENVELOPE_FILE
    return None


def _content_type_fault(item: Attachment) -> str | None:
    try:
        read = media_type.read(item.content_type)
    except media_type.BadMediaType as error:
        return str(error)
    if read.parameter("name") not in (None, item.filename):
        return "has a parameter 'name' that is not the filename: leave it out"
    from shared.mail.mime import content_type

    if (fault := content_type.refusal(read.kind)) is not None:
        return fault
    if read.parameter("boundary") is not None:
        return "has a parameter 'boundary', which files do not have: leave it out"
    return None


def _content_id_fault(content_id: str | None, seen: set[str]) -> str | None:
    if content_id is None:
        return None
    if not _CONTENT_ID.fullmatch(content_id):
        return "must be plain ASCII without spaces and angle brackets"
    if "=?" in content_id:
        return "must not hold '=?', which mail programs decode: choose another id"
    if content_id in seen:
        return "is given twice: each picture needs an id of its own"
    seen.add(content_id)
    return None
