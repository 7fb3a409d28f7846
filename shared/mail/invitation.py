"""Invitations: an attachment with a calendar and a `method`. It is sent as an alternative of the
mail's text, so that calendar programs can show buttons (RFC 6047).

What Exchange makes of it is UNCONFIRMED; docs/api.md says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import FieldProblem, RequestRejected
from shared.mail import problems

if TYPE_CHECKING:
    from shared.mail.address import Address
    from shared.mail.message import Attachment, Message

CALENDARS = frozenset(
    {
        "text/calendar",
        "text/x-vcalendar",
        "text/x-calendar",
        "application/ics",
        "application/calendar",
    }
)
"""Types that programs take for a calendar; the first is the registered one."""
METHODS = ("REQUEST", "CANCEL")
"""The methods that an organizer sends to attendees (RFC 5546, 3.2)."""


def method_of(item: Attachment) -> str | None:
    """The `method` of an invitation, in upper case; None for any other file."""
    if ";" not in item.content_type:
        return None
    from shared.mail import media_type

    try:
        read = media_type.read(item.content_type)
    except media_type.BadMediaType:
        return None
    method = read.parameter("method")
    return method.upper() if method is not None and _is_calendar(read.kind, item.filename) else None


def is_calendar(item: Attachment) -> bool:
    """Whether programs open a file as a calendar, an invitation or not."""
    return _is_calendar(item.content_type.partition(";")[0].strip().lower(), item.filename)


def is_calendar_type(kind: str) -> bool:
    """Whether programs take a type (`type/subtype` in lower case) for a calendar."""
    return kind in CALENDARS or "calendar" in kind or "vcal" in kind


def _is_calendar(kind: str, filename: str) -> bool:
    from shared.mail import file_names

    return is_calendar_type(kind) or file_names.is_calendar(filename)


def invitations_of(message: Message) -> tuple[Attachment, ...]:
    """The attachments that are invitations; a valid message has at most one."""
    return tuple(item for item in message.attachments if method_of(item) is not None)


def written(item: Attachment) -> tuple[str, str]:
    """The calendar of a valid invitation as it is sent, and its method."""
    from shared.mail import calendar

    return calendar.read(item.in_memory).text, method_of(item) or ""


def shape_problems(message: Message) -> list[FieldProblem]:
    """The faults of invitations that do not depend on the sender. The calendars are not read
    here."""
    found: list[FieldProblem] = []
    first = True
    for index, item in enumerate(message.attachments):
        method = method_of(item)
        if method is None:
            continue
        fault = _shape_fault(item, method)
        if not first:
            fault = "is a second invitation: send a mail for each"
        if fault is not None:
            found.append(FieldProblem(f"attachments[{index}]", fault))
        first = False
    return found


def _shape_fault(item: Attachment, method: str) -> str | None:
    from shared.mail import media_type

    if method not in METHODS:
        return (
            f"has a method other than {', '.join(METHODS)}: leave 'method' out of its "
            "content_type to send it as an ordinary file"
        )
    charset = media_type.read(item.content_type).parameter("charset") or "utf-8"
    if charset.lower() not in ("utf-8", "us-ascii"):
        return "is an invitation in a charset other than utf-8: write it as UTF-8"
    if not isinstance(item.content, bytes):
        return "is an invitation in a blob: give it in 'content'"
    if item.content_id is not None:
        return "is an invitation with a content_id: leave it out"
    return None


def refuse_wrong(message: Message, sender: Address, *, any_name: bool = True) -> None:
    """Raise RequestRejected (422) for an invitation that is not valid, or whose organizer and
    attendees are not the `sender` and a recipient of the mail. Calendar programs then show a
    warning, or no buttons.

    `any_name`: whether the account lets a mail give the name that is shown.
    """
    found = [
        FieldProblem(f"attachments[{index}]", fault)
        for index, item in enumerate(message.attachments)
        if (method := method_of(item)) is not None
        and (fault := _fault(item, method, message, sender, any_name)) is not None
    ]
    if found:
        raise RequestRejected(
            problems.INVALID_MAIL, "The mail has an invitation that cannot be accepted.", found
        )


def _fault(
    item: Attachment, method: str, message: Message, sender: Address, any_name: bool
) -> str | None:
    from shared.mail import calendar
    from shared.mail.address import MAX_IDN_DOMAINS

    try:
        read = calendar.read(item.in_memory)
    except calendar.BadCalendar as error:
        return str(error)
    if read.method != method:
        return "has a METHOD in the file that differs from 'method' in its content_type: make them equal"
    recipients = {address.email.lower() for address in message.recipients}
    beyond = sum(not value.isascii() for event in read.events for value in event.attendees)
    if beyond > MAX_IDN_DOMAINS:
        return f"has more than {MAX_IDN_DOMAINS} ATTENDEEs beyond ASCII: write their domains in xn-- form"
    for event in read.events:
        if _mail_address(event.organizer) != sender.email.lower():
            return (
                "has an ORGANIZER that is not 'mailto:' and the address in From, which is the "
                "account's own where the mail gives none: make them equal"
            )
        if not _is_name_of(event.organizer_name, sender, any_name):
            return "has an ORGANIZER whose CN is not the name in From: make them equal, or leave CN out"
        if not any(_mail_address(value) in recipients for value in event.attendees):
            return "has no ATTENDEE that is 'mailto:' and the address of a recipient: add one"
    return None


def _is_name_of(name: str, sender: Address, any_name: bool) -> bool:
    """Whether programs may show this name for the sender. One with an `@` could pass for another address."""
    shown = name.lower()
    if shown in ("", sender.name.lower(), sender.email.lower()):
        return True
    return any_name and "@" not in shown


def _mail_address(value: str) -> str | None:
    """The address of a bare `mailto:` URL, in lower case, with its domain in ASCII."""
    from shared.mail.address import BadAddress, make

    scheme, _, text = value.partition(":")
    if scheme.lower() != "mailto":
        return None
    try:
        return make(text).email.lower()
    except BadAddress:
        return None
