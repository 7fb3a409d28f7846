"""Writes raw messages as they are sent: the stored envelope is written new, the rest is unchanged.

A caller's address headers and subject are read once, at acceptance, and stored in the `Message`.
Its `mime` is the rest: the other header fields and the body. The caller's own lines of headers that
name a person or hold the subject are never passed on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from shared.mail import message_ids
from shared.mail.address import Address, has_control_characters
from shared.mail.header_rules import (
    LONG_LINE,
    MAX_HEADER_VALUE,
    MAX_LINE,
    Form,
    form_of,
    has_encoded_word,
)
from shared.mail.key_names import KEY_HEADER
from shared.mail.message import Message
from shared.mail.message_ids import is_reserved, own_message_id
from shared.mail.mime import encoded_words, header_section
from shared.mail.mime.header_lines import addresses_line, text_line
from shared.mail.mime.header_section import Field

READ = frozenset(
    {
        "from",
        "sender",
        "to",
        "cc",
        "bcc",
        "reply-to",
        "subject",
        "disposition-notification-to",
        "return-receipt-to",
        "x-sender",
        "x-receiver",
    }
)
"""Header fields that are read into the `Message`; their lines are not passed on."""

# Ids, dates and URLs: they may contain no encoded word, or only in a name.
_ASCII_ALONE = frozenset({"date", "in-reply-to", "message-id", "mime-version", "references"})


class BadField(ValueError):
    """A header field that cannot be passed on. The text says what is wrong and what to do."""


def rest_of(lines: Iterable[bytes], body: bytes) -> bytes:
    """The parts of a message that are not in READ: its other fields, as `line_of` writes them, and
    the body."""
    return b"".join((*(line + b"\r\n" for line in lines), b"\r\n", body))


def line_of(field: Field) -> bytes:
    """A field that is passed on: unchanged if it is ASCII or a `Content-…` field, which belongs to
    the content. Other text is encoded (RFC 2047). Raises BadField."""
    if field.lowered == "message-id":
        _check_message_id(field.value.decode("ascii", "replace").strip())
    if field.raw.isascii() or field.lowered.startswith("content-"):
        if max(map(len, field.raw.split(b"\r\n"))) > MAX_LINE:
            raise BadField(LONG_LINE)
        if form_of(field.lowered) is Form.LITERAL and has_encoded_word(
            field.value.decode("ascii", "replace")
        ):
            raise BadField("holds ids, URLs or keywords, and an encoded word (RFC 2047): remove it")
        return field.raw
    if field.lowered in _ASCII_ALONE or field.lowered.startswith("list-"):
        raise BadField("has letters that are not ASCII: write it in ASCII, names as encoded words")
    try:
        text = encoded_words.decoded(field.text).replace("\t", " ")
    except UnicodeDecodeError as error:
        raise BadField("is neither ASCII nor UTF-8: write it in UTF-8") from error
    except encoded_words.BadWord as error:
        raise BadField(str(error)) from error
    if has_control_characters(text):
        raise BadField("must not hold line breaks or control characters")
    if len(text) > MAX_HEADER_VALUE:
        raise BadField(f"has more than {MAX_HEADER_VALUE} characters that are not all ASCII")
    return text_line(field.name, text).encode("ascii")


def _check_message_id(text: str) -> None:
    if is_reserved(text):
        raise BadField("has the form that Postroom gives its own mails: leave it out")
    if not message_ids.is_plain(text):
        # Readers may decode or join it, and get another id than the one that Postroom compares.
        raise BadField(
            "is not one id in angle brackets, such as 7@contoso.com between them, without comments, quotes and "
            "encoded words: correct it, or leave the header out"
        )


def composed(message: Message, sender: Address, key: str) -> bytes:
    """A raw message as it is sent, from `sender`, marked with `key`; with the mail's own Message-ID
    if the caller gave none.

    In mails that earlier versions accepted, `mime` is the whole message. Its envelope is removed
    here, so that for those mails, too, the stored envelope is sent.
    """
    rest = header_section.without(message.mime or b"", READ.__contains__)
    lines = [*_lines(message, sender, key)]
    if not header_section.has_message_id(rest):
        lines.append(f"Message-ID: {own_message_id(key, sender)}")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii") + rest


def _lines(message: Message, sender: Address, key: str) -> Iterator[str]:
    yield f"{KEY_HEADER}: {key}"
    people: Sequence[tuple[str, Sequence[Address]]] = (
        ("From", (sender,)),
        ("To", message.to),
        ("Cc", message.cc),
        ("Bcc", message.bcc),
        ("Reply-To", message.reply_to),
    )
    for name, addresses in people:
        if addresses:
            yield addresses_line(name, addresses)
    if message.subject:
        yield text_line("Subject", message.subject)
    if message.read_receipt:
        yield f"Disposition-Notification-To: {sender.email}"
    if message.delivery_receipt:
        yield f"Return-Receipt-To: {sender.email}"
