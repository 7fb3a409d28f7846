"""The table of headers: who is refused where, and with which remedy."""

from __future__ import annotations

import re

import pytest

from shared.mail import header_rules
from shared.mail.header_rules import refusal, refusal_in_document, reserved_names
from shared.mail.mime import reading
from shared.services.intake.mail_document import MailDocument

SERVERS = [
    "Received",
    "X-Microsoft-Original-Message-ID",
    "Return-Path",
    "Delivered-To",
    "X-Original-To",
    "Envelope-To",
]
EVERYWHERE = [
    *SERVERS,
    "Apparently-To",
    "Resent-To",
    "X-MS-Exchange-Organization-SCL",
    "X-Microsoft-Exchange-Forest-A",
    "Auto-Submitted",
    "Mail-Reply-To",
    "Mail-Followup-To",
    "Errors-To",
    "X-Confirm-Reading-To",
    "X-Postroom-Key",
]


@pytest.mark.parametrize("name", reserved_names())
def test_a_refusal_says_what_to_do_in_words_that_powershell_shows(name: str) -> None:
    text = refusal_in_document(name.upper())

    assert text is not None
    assert re.search(r": (leave|use|to ask|Microsoft sends)", text)
    assert "<" not in text


@pytest.mark.parametrize("name", reserved_names())
def test_a_remedy_names_a_field_that_a_mail_has(name: str) -> None:
    found = re.search(r"use (\w+)", refusal_in_document(name) or "")

    assert found is None or found[1] in MailDocument.__struct_encode_fields__


@pytest.mark.parametrize("name", EVERYWHERE)
def test_a_header_of_this_kind_is_refused_in_raw_mime_as_in_a_document(name: str) -> None:
    assert refusal(name) is not None
    assert refusal(name) == refusal_in_document(name)

    _, problems = reading.read(f"To: a@b.example\r\n{name}: x\r\n\r\nx".encode())
    assert [(one.field, one.message) for one in problems] == [(name, refusal(name))]


@pytest.mark.parametrize("name", ["From", "To", "Subject", "Date", "Message-ID", "Content-Type"])
def test_a_header_that_every_message_has_is_refused_in_a_document_only(name: str) -> None:
    assert refusal(name) is None
    assert refusal_in_document(name) is not None


@pytest.mark.parametrize("name", ["X-Ref", "List-Id", "References", "Precedence", "Comments"])
def test_other_headers_may_be_given(name: str) -> None:
    assert refusal_in_document(name) is None


def test_a_list_id_is_a_name_and_an_id() -> None:
    assert header_rules.list_id_parts(' "A \\"B\\"" <a.b> ') == ('A "B"', "a.b")
    assert header_rules.list_id_parts("<a.b>") == ("", "a.b")
    assert header_rules.list_id_parts("a.b") is None


@pytest.mark.parametrize(
    "name",
    [
        "Author",
        "Original-From",
        "X-Original-From",
        "Original-Recipient",
        "X-Envelope-From",
        "X-MS-TNEF-Correlator",
    ],
)
def test_a_header_that_names_another_sender_or_envelope_is_refused_in_each_way(name: str) -> None:
    assert header_rules.refusal(name) is not None
    assert header_rules.refusal_in_document(name) == header_rules.refusal(name)
