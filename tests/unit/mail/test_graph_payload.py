"""The request that sends a message, and whether it fits."""

from __future__ import annotations

import base64
import email
import json
import re
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.address import Address
from shared.mail.graph_payload import (
    MAX_MIME_BYTES,
    MAX_REQUEST_BYTES,
    fits_one_request,
    send_request,
)
from shared.mail.key_names import KEY_PROPERTY
from shared.mail.message import Attachment, Importance, Message, needs_mime
from tests.fakes import NOW

KEY = "01a01f0a-da00-72d3-a652-e44da7f29e26"
SENDER = Address("billing@contoso.com", "Billing")
SMALL = Message(sender=None, to=(Address("ada@example.com"),), subject="Hi", text="Hello")

quick = settings(deadline=None, derandomize=True, max_examples=8)


def sent(message: Message) -> dict[str, object]:
    request = send_request(message, SENDER, KEY, NOW)
    assert request.content_type == "application/json"
    found: dict[str, object] = json.loads(request.body)
    return found


def test_a_rich_mail_is_exactly_the_json_that_graph_documents() -> None:
    message = Message(
        sender=Address("ignored@contoso.com"),
        to=(Address("ada@example.com", "Ada Ö"), Address("bob@example.com")),
        cc=(Address("cc@example.com"),),
        bcc=(Address("bcc@example.com"),),
        reply_to=(Address("help@contoso.com", "Help"),),
        subject="Your <invoice> \U0001f4ce",
        html='<img src="cid:logo">',
        attachments=(
            Attachment("i.pdf", b"\x00\xff\x10", "application/pdf"),
            Attachment("logo.png", b"png", "image/png", "logo"),
        ),
        headers=(("X-Ref", "7"),),
        importance=Importance.HIGH,
        read_receipt=True,
        delivery_receipt=True,
        save_to_sent_items=False,
    )

    assert sent(message) == {
        "message": {
            "subject": "Your <invoice> \U0001f4ce",
            "body": {"contentType": "html", "content": '<img src="cid:logo">'},
            "toRecipients": [
                {"emailAddress": {"address": "ada@example.com", "name": "Ada Ö"}},
                {"emailAddress": {"address": "bob@example.com"}},
            ],
            "ccRecipients": [{"emailAddress": {"address": "cc@example.com"}}],
            "bccRecipients": [{"emailAddress": {"address": "bcc@example.com"}}],
            "replyTo": [{"emailAddress": {"address": "help@contoso.com", "name": "Help"}}],
            "from": {"emailAddress": {"address": "billing@contoso.com", "name": "Billing"}},
            "singleValueExtendedProperties": [{"id": KEY_PROPERTY, "value": KEY}],
            "importance": "high",
            "isReadReceiptRequested": True,
            "isDeliveryReceiptRequested": True,
            "internetMessageHeaders": [{"name": "X-Ref", "value": "7"}],
            "attachments": [
                {
                    "@odata.type": "#microsoft.graph.fileAttachment",
                    "name": "i.pdf",
                    "contentType": "application/pdf",
                    "contentBytes": "AP8Q",
                },
                {
                    "@odata.type": "#microsoft.graph.fileAttachment",
                    "name": "logo.png",
                    "contentType": "image/png",
                    "contentBytes": "cG5n",
                    "contentId": "logo",
                    "isInline": True,
                },
            ],
        },
        "saveToSentItems": False,
    }


def test_a_plain_mail_says_nothing_that_is_not_needed() -> None:
    assert sent(SMALL) == {
        "message": {
            "subject": "Hi",
            "body": {"contentType": "text", "content": "Hello"},
            "toRecipients": [{"emailAddress": {"address": "ada@example.com"}}],
            "from": {"emailAddress": {"address": "billing@contoso.com", "name": "Billing"}},
            "singleValueExtendedProperties": [{"id": KEY_PROPERTY, "value": KEY}],
        },
        "saveToSentItems": True,
    }


def test_an_empty_html_is_still_html() -> None:
    message = Message(sender=None, to=SMALL.to, html="")

    assert sent(message)["message"] == {
        **sent(Message(sender=None, to=SMALL.to, text=""))["message"],  # type: ignore[dict-item]
        "body": {"contentType": "html", "content": ""},
    }


def test_the_key_property_never_changes() -> None:
    """Each new name takes a permanent slot of the mailbox's quota."""
    assert KEY_PROPERTY == "String {6f8b6a0e-3d0f-4c39-9f0c-5b1d4f7a2c11} Name PostroomKey"


def test_only_the_value_of_the_key_differs_between_mails() -> None:
    bodies = {
        re.sub(rb'"value":"[^"]*"', b"", send_request(SMALL, SENDER, key, NOW).body)
        for key in ("a", "b")
    }

    assert len(bodies) == 1


def test_mime_goes_as_base64_text() -> None:
    message = Message(sender=None, to=SMALL.to, text="Hello", html="<p>Hello</p>")

    request = send_request(message, SENDER, KEY, NOW)

    assert request.content_type == "text/plain"
    raw = email.message_from_bytes(base64.b64decode(request.body, validate=True))
    assert (raw["To"], raw["X-Postroom-Key"]) == ("ada@example.com", KEY)


def limit_of(message: Message) -> int:
    return (MAX_MIME_BYTES + 2) // 3 * 4 if needs_mime(message) else MAX_REQUEST_BYTES


@cache
def overhead(mime: bool) -> int:
    """Bytes of a request around an attachment's own base64."""
    return len(send_request(sized(0, mime), SENDER, KEY, NOW).body)


def sized(size: int, mime: bool) -> Message:
    return Message(
        sender=None,
        to=SMALL.to,
        text="Hello",
        html="<p>Hello</p>" if mime else None,
        attachments=(Attachment("n.bin", b"\x00" * size),),
    )


@quick
@given(st.integers(-400, 400), st.booleans())
def test_around_the_limit_yes_means_that_it_fits_and_no_that_it_does_not(
    offset: int, mime: bool
) -> None:
    services = limit_of(sized(0, mime)) - overhead(mime)
    # MIME is base64 twice, with a line break after each 76 characters of the inner one.
    size = int(services * 3 / 4 * (3 / 4 * 76 / 78 if mime else 1)) + offset
    message = sized(size, mime)

    fits = fits_one_request(message, SENDER, NOW)

    body = send_request(message, SENDER, KEY, NOW).body
    assert fits is (len(body) <= limit_of(message))


@pytest.mark.parametrize("character", ['"', "\x01", "\U0001f4ce", "x", "\n", "="])
@pytest.mark.parametrize("mime", [False, True])
def test_text_of_any_kind_is_never_said_to_fit_where_it_does_not(
    character: str, mime: bool
) -> None:
    """Just below the size up to which no request is written to find out, and well above it."""
    for characters in (45_500, 91_500, 400_000):
        text = character * characters
        message = Message(sender=None, to=SMALL.to, text=text, html="" if mime else None)

        fits = fits_one_request(message, SENDER, NOW)

        body = send_request(message, SENDER, KEY, NOW).body
        assert fits is (len(body) <= limit_of(message))


@pytest.mark.parametrize("mime", [False, True])
def test_what_is_far_too_large_is_not_written_to_find_out(
    mime: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("shared.mail.graph_payload.send_request")

    assert not fits_one_request(sized(3_000_001, mime), SENDER, NOW)


def test_many_small_files_with_long_names_are_counted() -> None:
    files = tuple(
        Attachment("\U0001f4ce" * 255, b"x" * 5000, content_id="c" * 255) for _ in range(8)
    )
    message = Message(sender=None, to=SMALL.to, text="a", html="b", attachments=files)

    assert fits_one_request(message, SENDER, NOW)
    assert len(send_request(message, SENDER, KEY, NOW).body) <= limit_of(message)


def test_a_body_does_not_show_in_logs() -> None:
    assert "Hello" not in repr(send_request(SMALL, SENDER, KEY, NOW))
