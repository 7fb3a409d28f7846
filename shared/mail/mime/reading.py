"""Reads the raw MIME messages of callers strictly.

The headers that name people, and the subject, become fields of the `Message`. Postroom checks and
stores these fields and writes the headers from them (`rewriting`), so that what was checked is what
is sent. RFC 5322 (https://www.rfc-editor.org/rfc/rfc5322).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from shared.errors import FieldProblem
from shared.mail import header_rules
from shared.mail.address import TOO_MANY_IDN_FAULTS, Address, BadAddress, IdnDomains
from shared.mail.address_list import TooManyAddresses
from shared.mail.message import MAX_RECIPIENTS, Message
from shared.mail.mime import (
    address_header,
    encoded_words,
    header_section,
    line_ends,
    rewriting,
    structure,
)
from shared.mail.mime.header_section import BadSection, Field

MAX_TOLD = 30
"""The most problems in one answer."""

# RFC 5322, 3.6, and RFC 2045: if one of these occurs twice, readers choose different ones.
_ONCE = frozenset(
    {
        "content-disposition",
        "content-id",
        "content-transfer-encoding",
        "content-type",
        "date",
        "disposition-notification-to",
        "from",
        "in-reply-to",
        "message-id",
        "mime-version",
        "references",
        "return-receipt-to",
        "sender",
        "subject",
        "x-sender",
    }
)
_RECIPIENTS = ("to", "cc", "bcc", "x-receiver")


_PREFIX = re.compile(r"^[^\W\d_]{1,3}: ")


class _Crowded(Exception):
    def __init__(self, problem: FieldProblem) -> None:
        self.problem = problem


class _People(NamedTuple):
    """The address headers, by lower-case name."""

    found: dict[str, tuple[Address, ...]]
    named: dict[str, str]
    """The spelling of each name in the caller's message."""
    domains: IdnDomains
    """Those of all of them."""

    def get(self, name: str) -> tuple[Address, ...]:
        return self.found.get(name, ())


def read(raw: bytes) -> tuple[Message, list[FieldProblem]]:
    """A raw message of a caller: envelope and subject from its headers, and the rest.

    Every problem names its header; the message is complete only if there is no problem.
    """
    nothing = Message(sender=None, mime=raw)
    try:
        fields, body = header_section.split(raw)
    except BadSection as error:
        return nothing, [FieldProblem("body", str(error))]
    found = _refused(fields)
    try:
        people = _people(fields, found)
    except _Crowded as error:
        return nothing, [*found, error.problem][:MAX_TOLD]
    sender = next(iter(people.get("from")), None)
    found += _not_the_sender(people, sender, found)
    bcc = people.get("bcc") + _hidden(people, found)
    subject = _subject(fields, found)
    lines = _passed_on(fields, subject, found)
    parts: list[structure.Part] = []
    if not found:
        try:
            parts = structure.parts(raw, fields, body)
        except structure.BadStructure as error:
            found.append(FieldProblem(error.field, str(error)))
    if found:
        return nothing, found[:MAX_TOLD]
    message = Message(
        sender=sender,
        to=people.get("to"),
        cc=people.get("cc"),
        bcc=bcc,
        reply_to=people.get("reply-to"),
        subject=subject,
        read_receipt=bool(people.get("disposition-notification-to")),
        delivery_receipt=bool(people.get("return-receipt-to")),
        mime=rewriting.rest_of(lines, _body(raw, body, parts)),
    )
    return message, found


def _refused(fields: Iterable[Field]) -> list[FieldProblem]:
    """The headers that are not allowed, and those that occur twice."""
    found: list[FieldProblem] = []
    seen: dict[str, str] = {}
    twice: set[str] = set()
    for field in fields:
        name = field.lowered
        if name in seen:
            twice.add(name)
        elif (refusal := header_rules.refusal(name)) is not None:
            found.append(FieldProblem(field.name, refusal))
        seen.setdefault(name, field.name)
    found += [
        FieldProblem(seen[name], "is given more than once: keep one")
        for name in seen
        if name in _ONCE and name in twice
    ]
    return found


def _people(fields: Iterable[Field], found: list[FieldProblem]) -> _People:
    people = _People({}, {}, IdnDomains())
    for field in fields:
        name = field.lowered
        if name not in rewriting.READ or name == "subject":
            continue
        if people.domains.has_too_many_faults:
            found.append(FieldProblem(field.name, TOO_MANY_IDN_FAULTS))
            break
        people.named.setdefault(name, field.name)
        try:
            read = _addresses(field, people)
        except UnicodeDecodeError:
            found.append(FieldProblem(field.name, "is neither ASCII nor UTF-8: write it in UTF-8"))
        except BadAddress as error:
            people.domains.count_fault(field.text)
            found.append(FieldProblem(field.name, str(error)))
        else:
            people.found[name] = people.get(name) + read
    return people


def _addresses(field: Field, people: _People) -> tuple[Address, ...]:
    """Raises BadAddress, UnicodeDecodeError, and _Crowded for more addresses than a mail may
    have."""
    name = field.lowered
    if name in _ONCE or name == "x-receiver":
        read = _single(field, people.domains)
        _check_crowd(name, people, len(read))
        return read
    try:
        read = address_header.read(field.text, most=MAX_RECIPIENTS, domains=people.domains)
    except TooManyAddresses:
        _check_crowd(name, people, MAX_RECIPIENTS + 1)
        raise
    _check_crowd(name, people, len(read))
    return read


def _check_crowd(name: str, people: _People, more: int) -> None:
    group = _RECIPIENTS[:3] if name in _RECIPIENTS[:3] else (name,)
    if sum(len(people.get(each)) for each in group) + more <= MAX_RECIPIENTS:
        return
    if name in _RECIPIENTS:
        problem = FieldProblem(
            "to", f"has more than {MAX_RECIPIENTS} recipients with cc and bcc: send several mails"
        )
    else:
        problem = FieldProblem("reply_to", f"has more than {MAX_RECIPIENTS} addresses")
    raise _Crowded(problem)


def _single(field: Field, domains: IdnDomains) -> tuple[Address, ...]:
    """One address, and no group: a reader sees the name of a group, and the account may not have
    that name (RFC 6854 allows groups in From and Sender)."""
    try:
        read = address_header.read(field.text, groups=False, most=1, domains=domains)
    except TooManyAddresses as error:
        raise BadAddress("has more than one address: keep one") from error
    if not read:
        raise BadAddress("has no address: give one, or leave the header out")
    return read


def _not_the_sender(
    people: _People, sender: Address | None, found: Iterable[FieldProblem]
) -> list[FieldProblem]:
    """The headers that name another address or name than From."""
    told = {problem.field for problem in found}
    problems = []
    for name in ("sender", "disposition-notification-to", "return-receipt-to", "x-sender"):
        for other in people.get(name):
            header = people.named[name]
            if header in told or _is_same(sender, other):
                continue
            problems.append(
                FieldProblem(
                    header,
                    "differs from the address and the name in From: make them equal, or leave it out",
                )
            )
    return problems


def _is_same(sender: Address | None, other: Address) -> bool:
    return (
        sender is not None
        and sender.email.lower() == other.email.lower()
        and other.name in ("", sender.name)
    )


def _hidden(people: _People, found: list[FieldProblem]) -> tuple[Address, ...]:
    """The recipients of the envelope, `X-Receiver`, that no other header names. System.Net.Mail
    writes a line for each recipient into its pickup directory, and no Bcc.

    Only the recipients of the envelope shall get the mail. Graph has no envelope beside the
    headers, so a person in To, Cc or Bcc who is missing in the envelope would get the mail anyway:
    that is a fault.
    """
    envelope = people.get("x-receiver")
    if not envelope:
        return ()
    shown = [*people.get("to"), *people.get("cc"), *people.get("bcc")]
    named = {address.email.lower() for address in shown}
    wanted: dict[str, Address] = {}
    for address in envelope:
        wanted.setdefault(address.email.lower(), address)
    if not named <= wanted.keys():
        found.append(
            FieldProblem(
                people.named["x-receiver"],
                "does not name everybody in To, Cc and Bcc: add a line for each of them, or leave "
                "all of these lines out",
            )
        )
    hidden = tuple(address for email, address in wanted.items() if email not in named)
    if len(shown) + len(hidden) > MAX_RECIPIENTS:
        found.append(
            FieldProblem(
                "to",
                f"has more than {MAX_RECIPIENTS} recipients with cc and bcc: send several mails",
            )
        )
    return hidden


def _subject(fields: Iterable[Field], found: list[FieldProblem]) -> str:
    for field in fields:
        if field.lowered != "subject":
            continue
        try:
            return " ".join(encoded_words.decoded(field.text).splitlines()).replace("\t", " ")
        except UnicodeDecodeError:
            found.append(FieldProblem(field.name, "is neither ASCII nor UTF-8: write it in UTF-8"))
        except encoded_words.BadWord as error:
            found.append(FieldProblem(field.name, str(error)))
    return ""


def _passed_on(fields: Iterable[Field], subject: str, found: list[FieldProblem]) -> list[bytes]:
    """The lines of the fields that are passed on."""
    lines: list[bytes] = []
    for field in fields:
        if field.lowered in rewriting.READ or _is_blank_id(field):
            continue
        if _is_other_topic(field, subject):
            found.append(FieldProblem(field.name, "differs from Subject: leave it out"))
            continue
        try:
            lines.append(rewriting.line_of(field))
        except rewriting.BadField as error:
            found.append(FieldProblem(field.name, str(error)))
    # Text that is not ASCII becomes longer when it is encoded.
    if sum(len(line) + 2 for line in lines) > header_section.MAX_HEADER_SECTION:
        found.append(
            FieldProblem(
                "body",
                f"has more than {header_section.MAX_HEADER_SECTION} bytes of headers once they are "
                "encoded: shorten those that are not ASCII",
            )
        )
    return lines


def _is_blank_id(field: Field) -> bool:
    """Whether a field is a Message-ID without a value: Postroom then writes its own."""
    return field.lowered == "message-id" and not field.value.strip()


def _is_other_topic(field: Field, subject: str) -> bool:
    """Whether a field is a Thread-Topic that is not the subject without a prefix such as `Re:`.
    Outlook shows it as the subject of the conversation (MS-OXOMSG, 2.2.1.5)."""
    if field.lowered != "thread-topic":
        return False
    try:
        topic = encoded_words.decoded(field.value.decode("utf-8", "replace"))
    except encoded_words.BadWord:
        return True
    return topic not in (subject, _PREFIX.sub("", subject))


def _body(raw: bytes, start: int, parts: Iterable[structure.Part]) -> bytes:
    """The body with the line ends of a message (RFC 5322, 2.3)."""
    binary = [(part.start - start, part.end - start) for part in parts if part.encoding == "binary"]
    return line_ends.with_crlf(raw[start:], binary)
