"""The JSON documents of calls that change a mail, read strictly.

The types in this module validate requests, and `GET /api/openapi.json` is made from them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeVar

import msgspec

from shared.errors import FieldProblem, RequestRejected
from shared.mail import problems
from shared.mail.address import IdnDomains
from shared.mail.message import too_many
from shared.services.intake.address_fields import AddressesField, read_addresses
from shared.services.intake.mail_document import read_due
from shared.services.json_reading import MAX_TOLD, decode, repeated_name
from shared.services.mails.change_rules import Recipients
from shared.services.mails.changes import Decision

MAX_BYTES = 512 * 1024
"""The most bytes: 500 recipients with long names."""


class RescheduleDocument(msgspec.Struct, forbid_unknown_fields=True):
    """When to send: a time; null means now."""

    scheduled_at: datetime | None


class RetryDocument(msgspec.Struct, forbid_unknown_fields=True):
    """The changes for this attempt. Any of to, cc and bcc replaces all three."""

    to: AddressesField | None = None
    cc: AddressesField | None = None
    bcc: AddressesField | None = None
    account: str | None = None


class ResolveDocument(msgspec.Struct, forbid_unknown_fields=True):
    """What a person found out: the mail was sent; or it was not, and will be sent again."""

    decision: Literal["sent", "send_again"]


class NothingDocument(msgspec.Struct, forbid_unknown_fields=True):
    """For calls without a body."""


T = TypeVar("T", bound=msgspec.Struct)


def read_reschedule(raw: bytes, now: datetime) -> datetime | None:
    """The new time; None for now. Raises RequestRejected."""
    found: list[FieldProblem] = []
    due = read_due(decoded(raw, RescheduleDocument).scheduled_at, now, found)
    if found:
        raise RequestRejected(problems.INVALID_REQUEST, "The time cannot be taken.", found)
    return due


def read_retry(raw: bytes) -> tuple[Recipients | None, str | None]:
    """The recipients and the account, if they are given. Raises RequestRejected."""
    document = decoded(raw, RetryDocument)
    found: list[FieldProblem] = []
    domains = IdnDomains()
    recipients = Recipients(
        to=read_addresses("to", document.to, found, domains=domains),
        cc=read_addresses("cc", document.cc, found, domains=domains),
        bcc=read_addresses("bcc", document.bcc, found, domains=domains),
    )
    count = len(recipients.to) + len(recipients.cc) + len(recipients.bcc)
    found += too_many(recipients=count, reply_to=0)
    if found:
        raise RequestRejected(
            problems.INVALID_REQUEST, "A recipient cannot be taken.", found[:MAX_TOLD]
        )
    # A blank cc or bcc counts as left out, as in a mail. A blank to is a list without recipients.
    changes = document.to is not None or count > 0
    return recipients if changes else None, document.account


def read_resolve(raw: bytes) -> Decision:
    """The decision. Raises RequestRejected."""
    return Decision(decoded(raw, ResolveDocument).decision)


def read_nothing(raw: bytes) -> None:
    """Raise RequestRejected if the document is not empty."""
    decoded(raw, NothingDocument)


def decoded(raw: bytes, kind: type[T]) -> T:
    """A document of this type. Raises RequestRejected, which names every wrong field."""
    found: list[FieldProblem] = []
    document = decode(raw, msgspec.json.Decoder(kind), "this request", found)
    if document is None or found:
        raise RequestRejected(
            problems.INVALID_REQUEST,
            "The request has a field that is not understood.",
            found[:MAX_TOLD],
        )
    twice = repeated_name(raw)
    if twice is not None:
        raise RequestRejected(
            problems.INVALID_REQUEST,
            "The request has a field twice.",
            [FieldProblem(twice, "is given more than once: keep one")],
        )
    return document
