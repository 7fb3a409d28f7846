"""Parts of a mail that can name somebody else to answer to, or another sender.

An account that lets no mail give `reply_to` or a display name of its own does not send them unchecked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shared.mail import file_names, invitation
from shared.mail.message import Message
from shared.mail.mime import header_section, structure
from shared.mail.mime.structure import Part

_SEALED = ("application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted")
"""Signed or encrypted content with headers of its own inside (RFC 8551, 3.1; RFC 9788)."""


def calendars_of(message: Message) -> Sequence[str]:
    """The fields with calendars whose organizer Postroom does not check: `body` for raw MIME, and
    attachments that are no invitations."""
    if message.mime is not None:
        return _body_if(
            message.mime,
            lambda part: (
                invitation.is_calendar_type(part.content_type)
                or file_names.has_calendar_name(part.names)
            ),
        )
    return [
        f"attachments[{index}]"
        for index, item in enumerate(message.attachments)
        if invitation.is_calendar(item) and invitation.method_of(item) not in invitation.METHODS
    ]


def sealed_in(message: Message) -> Sequence[str]:
    """The fields with signed or encrypted content that cannot be read without a certificate's
    program: `body` for raw MIME, and attachments."""
    if message.mime is not None:
        return _body_if(
            message.mime,
            lambda part: part.content_type in _SEALED or file_names.has_signed_name(part.names),
        )
    return [
        f"attachments[{index}]"
        for index, item in enumerate(message.attachments)
        if item.content_type.partition(";")[0].strip().lower() in _SEALED
        or file_names.is_signed(item.filename)
    ]


def _body_if(raw: bytes, matches: Callable[[Part], bool]) -> Sequence[str]:
    try:
        fields, body = header_section.split_part(raw)
        parts = structure.parts(raw, fields, body)
    except ValueError:
        return ("body",)  # an earlier version read it less strictly: it may have one
    return ("body",) if any(map(matches, parts)) else ()
