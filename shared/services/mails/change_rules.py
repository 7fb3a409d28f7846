"""The changes that are possible in each status of a mail, and their results."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec.structs import replace

from shared.errors import FieldProblem, RequestRejected
from shared.mail import problems
from shared.mail.account import Account
from shared.mail.address import Address
from shared.mail.defaults import Overridable
from shared.mail.known_errors.account import why
from shared.mail.mail import DAILY_CAP, Mail
from shared.mail.message import Message, problems_of
from shared.mail.status import Status
from shared.services.mails.packing import Packed

INSTEAD = {
    Status.SCHEDULED: "Cancel it, or give it another time with PATCH.",
    Status.QUEUED: "It is about to go: wait for the outcome, or cancel it.",
    Status.SENDING: "A worker is sending it at this moment, so it may be too late: ask for its "
    "status again in some seconds.",
    Status.SENT: "It has gone out and cannot be called back: send a new mail.",
    Status.HELD: "It waits for its account: release it, cancel it, or retry it from another "
    "account.",
    Status.UNKNOWN: "It may have been sent: look into the mailbox's Sent Items, then settle it "
    "with POST /api/mails/{id}/resolve.",
    Status.FAILED: "Nothing of it was sent: POST /api/mails/{id}/retry tries it again, also to "
    "other recipients.",
    Status.CANCELLED: "It was cancelled and its content is gone: send a new mail.",
}
"""What is possible with a mail, in words for a caller who asked for something else."""


class Recipients(msgspec.Struct, frozen=True):
    """The recipients that replace the mail's own."""

    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()


def cannot_send(
    account: Account, otherwise: str = "", members: Mapping[str, object] | None = None
) -> RequestRejected:
    """The rejection if the mails of an account are released that cannot send now. `otherwise`: what
    else the caller can do."""
    row = why(account)
    until = "GET /api/accounts says until when. " if account.held_until else ""
    remedy = f"{row.words if row else ''} {until}Its mails go by themselves then".strip()
    return RequestRejected(
        problems.ACCOUNT_CANNOT_SEND,
        f"The account '{account.alias}' is {account.state.value}"
        f"{f' ({account.reason})' if account.reason else ''}.",
        help=f"{remedy}; {otherwise}." if otherwise else f"{remedy}.",
        members=members,
    )


def waits_for_cap(mail: Mail) -> bool:
    return mail.status is Status.QUEUED and mail.reason == DAILY_CAP


def gives_up_draft(before: Mail, after: Mail) -> bool:
    """Whether the change gives up a draft that could still be sent."""
    return (
        before.draft_id is not None
        and after.draft_id != before.draft_id
        and after.status is not Status.SENT
    )


def is_in(found: Mail, ours: Mail) -> bool:
    return (
        ours.events[-1] in found.events
        and found.recipients == ours.recipients
        and found.account_id == ours.account_id
        and found.payload.blob == ours.payload.blob
    )


def require(mail: Mail, allowed: frozenset[Status], what: str) -> None:
    if mail.status not in allowed and mail.is_refused_message:
        raise unreadable(mail)
    if mail.status not in allowed:
        raise RequestRejected(
            problems.WRONG_STATUS,
            f"The mail is {mail.status.value} and cannot be {what}. {INSTEAD[mail.status]}",
            members=where_of(mail),
        )


def unreadable(mail: Mail) -> RequestRejected:
    return RequestRejected(
        problems.UNREADABLE_MAIL,
        "The ledger holds the raw text of a queue message, and no mail.",
        members=where_of(mail),
    )


def where_of(mail: Mail) -> dict[str, object]:
    return problems.standing(mail.status.value)


def afresh(mail: Mail, now: datetime, reason: str) -> Mail:
    """The mail when it waits again: due now, or at the later time that was requested. Its attempts
    are counted from zero."""
    due = max(mail.due_at, now)
    return replace(mail.moved(Status.QUEUED, now, reason=reason, due_at=due), attempts=0)


def addressed_of(message: Message, recipients: Recipients | None) -> Message:
    if recipients is None:
        return message
    if message.mime is not None:
        raise RequestRejected(
            problems.RAW_RECIPIENTS, "The mail is a raw message: its recipients are its headers."
        )
    changed = replace(message, to=recipients.to, cc=recipients.cc, bcc=recipients.bcc)
    found = problems_of(changed)
    if found:
        raise RequestRejected(
            problems.INVALID_MAIL, "The mail cannot be sent to these recipients.", found
        )
    return changed


def requested_copy(mail: Mail, packed: Packed, account: Account) -> bool | None:
    """Whether the caller wanted a copy in Sent Items; None if it did not say. For a mail of an
    earlier version the value at acceptance counts, if the account lets mails choose."""
    if packed.saves_copy is not msgspec.UNSET:
        return packed.saves_copy
    return mail.saves_copy if account.defaults.may_override(Overridable.SENT_ITEMS) else None


def former(mail: Mail) -> tuple[str, ...]:
    """The values of this attempt and of earlier ones, each once, latest first."""
    return tuple(dict.fromkeys((*mail.recipients, *mail.former_recipients)))


def refuse_replaced(mail: Mail, account: Account) -> None:
    if mail.account_id not in (None, account.account_id):
        raise RequestRejected(
            problems.MAILBOX_REPLACED,
            f"The alias '{account.alias}' stood for another mailbox when the mail was accepted.",
            [FieldProblem("account", "must be named, for the mail to go out from that mailbox")],
            members=where_of(mail),
        )


def last_attempt(mail: Mail) -> datetime | None:
    """When a worker last claimed it. If it was sent, it was sent at about that time."""
    return next((e.at for e in reversed(mail.events) if e.status is Status.SENDING), None)


def gone_of(mail: Mail) -> RequestRejected:
    return RequestRejected(
        problems.CONTENT_GONE,
        "The content of the mail cannot be read any more.",
        members=where_of(mail),
    )
