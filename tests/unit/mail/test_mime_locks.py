"""The locks of an account (`overridable`) hold for raw MIME as they hold for JSON."""

from __future__ import annotations

import pytest

from shared.errors import RequestRejected
from shared.mail.account import Account
from shared.mail.address import Address
from shared.mail.composing import compose, refuse_overrides
from shared.mail.defaults import Defaults
from shared.mail.mime import writing
from shared.mail.mime.reading import read
from tests.fakes import NOW, account_of
from tests.mime_fields import fields_of

DESK = Address("desk@contoso.com", "Desk")
LOCKED = account_of(
    defaults=Defaults(display_name="Billing", reply_to=(DESK,), overridable=frozenset())
)
OWN = LOCKED.address
DNT = "Disposition-Notification-To"


def refused_fields(raw: bytes, account: Account = LOCKED) -> list[str]:
    """The fields that acceptance refuses, whichever of its rules does."""
    message, problems = read(raw)
    if problems:
        return [problem.field for problem in problems]
    try:
        refuse_overrides(message, account, saves_copy=None)
    except RequestRejected as error:
        return [problem.field for problem in error.errors]
    return []


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        ([f"From: CEO <{OWN}>"], "from"),
        ([f"From: {OWN} (CEO)"], "from"),
        ([f"From: =?utf-8?q?CEO?= <{OWN}>"], "from"),
        ([f"From: CEO: {OWN};"], "From"),
        ([f"From: {OWN}", f"From: CEO <{OWN}>"], "From"),
        ([f"From: {OWN}", f"Sender: CEO <{OWN}>"], "Sender"),
        ([f"From: {OWN}", f"Sender: {OWN} (CEO)"], "Sender"),
        ([f"Sender: {OWN}"], "Sender"),
        ([f"From: {OWN}", f"X-Sender: CEO <{OWN}>"], "X-Sender"),
        ([f"From: {OWN}", f"Resent-From: CEO <{OWN}>"], "Resent-From"),
        (["Reply-To: evil@e.example"], "reply_to"),
        (["Reply-To: desk@contoso.com, evil@e.example"], "reply_to"),
        (["Reply-To: Desk <desk@contoso.com>", "Reply-To: evil@e.example"], "reply_to"),
        (["Reply-To: (evil@e.example"], "Reply-To"),
        (["Reply-To: evil@e.example;"], "Reply-To"),
        (["Reply-To: evil@e.example@"], "Reply-To"),
        (["Reply-To: <evil@e.example> <desk@contoso.com>"], "Reply-To"),
        (["Mail-Reply-To: evil@e.example"], "Mail-Reply-To"),
        (["Mail-Followup-To: evil@e.example"], "Mail-Followup-To"),
        (["Errors-To: evil@e.example"], "Errors-To"),
        (["Return-Path: evil@e.example"], "Return-Path"),
        (["Resent-Reply-To: evil@e.example"], "Resent-Reply-To"),
        ([f"From: {OWN}", f"{DNT}: evil@e.example"], DNT),
        ([f"From: {OWN}", f"{DNT}: {OWN}, evil@e.example"], DNT),
        ([f"From: {OWN}", f"{DNT}: CEO <{OWN}>"], DNT),
        ([f"{DNT}: {OWN}"], DNT),
        ([f"From: {OWN}", "Return-Receipt-To: evil@e.example"], "Return-Receipt-To"),
        (["X-Confirm-Reading-To: evil@e.example"], "X-Confirm-Reading-To"),
        (["X-MS-Exchange-Organization-AuthAs: Internal"], "X-MS-Exchange-Organization-AuthAs"),
        (["Content-Type: application/ms-tnef"], "Content-Type"),
        (["List-Post: <mailto:evil@e.example>"], "List-Post"),
        (["Author: CEO <ceo@contoso.com>"], "Author"),
        (["Original-From: CEO <ceo@contoso.com>"], "Original-From"),
        (["Followup-To: evil.group"], "Followup-To"),
        (["X-Pmrqc: evil@e.example"], "X-Pmrqc"),
        (["Notice-Requested-Upon-Delivery-To: e@e.example"], "Notice-Requested-Upon-Delivery-To"),
        (["References: <a@b.co> =?utf-8?q?=3Cevil=40e=2Eexample=3E?="], "References"),
        (["In-Reply-To: =?us-ascii?b?PGFAYi5jbz4=?="], "In-Reply-To"),
        (["Content-Type: application/octet-stream; name=WinMail.dat"], "Content-Type"),
        (["Content-Disposition: attachment; filename=winmail.DAT"], "Content-Disposition"),
        (
            ["Content-Disposition: attachment; filename*=utf-8''winmail%2Edat"],
            "Content-Disposition",
        ),
        (['Content-Disposition: attachment; filename="winmail\\.dat"'], "Content-Disposition"),
        (
            ['Content-Disposition: attachment; filename*1=".dat"; filename*0="winmail"'],
            "Content-Disposition",
        ),
        (
            ['Content-Type: application/octet-stream; name="=?utf-8?B?d2lubWFpbC5kYXQ=?="'],
            "Content-Type",
        ),
        (["Content-Type: text/calendar; method=REQUEST"], "body"),
        (["Content-Type: text/x-vcal"], "body"),
        (["Content-Type: application/octet-stream; method=REQUEST; name=invite.ics"], "body"),
        (["Content-Disposition: attachment; filename*=utf-8''invite%2Eics"], "body"),
        (["Content-Type: application/pkcs7-mime; smime-type=signed-data"], "body"),
        (["Content-Type: application/x-pkcs7-mime; smime-type=enveloped-data"], "body"),
        (["Content-Type: application/octet-stream; name=smime.p7m"], "body"),
        ([f"Content-Description: {'x' * 999}"], "Content-Description"),
    ],
)
def test_nothing_in_raw_mime_overrides_what_is_locked(lines: list[str], field: str) -> None:
    raw = "\r\n".join(("To: ada@contoso.com", *lines, "", "x")).encode()

    assert refused_fields(raw) == [field]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], []),
        ([f"From: {OWN}"], []),
        ([f"From: Billing <{OWN}>", f"Sender: {OWN.upper()}"], []),
        (["Reply-To: Desk <desk@contoso.com>"], []),
        ([f"From: {OWN}", f"{DNT}: {OWN}"], [DNT]),
        ([f"From: {OWN}", f"Return-Receipt-To: <{OWN}>"], ["Return-Receipt-To"]),
    ],
)
def test_what_is_as_the_account_has_it_is_sent_with_the_accounts_values(
    lines: list[str], expected: list[str]
) -> None:
    raw = "\r\n".join(("To: ada@contoso.com", *lines, "", "x")).encode()
    assert refused_fields(raw) == []

    message = read(raw)[0]
    message, sender = compose(message, message.sender or Address(OWN), LOCKED)
    sent = fields_of(writing.compose(message, sender, "key", NOW))

    assert sent == [
        ("X-Postroom-Key", "key"),
        ("From", f"Billing <{OWN}>"),
        ("To", "ada@contoso.com"),
        ("Reply-To", "Desk <desk@contoso.com>"),
        *((name, OWN) for name in expected),
        ("Message-ID", "<postroom.key@contoso.com>"),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "Auto-Submitted",
        "Mail-Reply-To",
        "Mail-Followup-To",
        "Errors-To",
        "Received",
        "Return-Path",
        "Delivered-To",
        "X-Original-To",
        "Envelope-To",
        "Apparently-To",
        "Resent-To",
        "Resent-Bcc",
        "DKIM-Signature",
        "X-MS-Exchange-Organization-SCL",
        "X-Postroom-Key",
    ],
)
def test_a_header_that_may_not_be_given_is_refused_once_with_its_remedy(name: str) -> None:
    raw = f"To: a@b.example\r\n{name}: a@b.example\r\n{name.upper()}: x\r\n\r\nx".encode()

    _, problems = read(raw)

    assert [problem.field for problem in problems] == [name]
    assert ":" in problems[0].message


@pytest.mark.parametrize(
    "name", ["Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "References"]
)
def test_a_header_of_which_readers_take_one_is_refused_twice(name: str) -> None:
    raw = f"To: a@b.example\r\n{name}: <1@x>\r\n{name.lower()}: <2@x>\r\n\r\nx".encode()

    assert [problem.field for problem in read(raw)[1]] == [name]


def test_an_answer_names_no_more_than_thirty_headers() -> None:
    raw = "".join(f"Resent-{number}: x\r\n" for number in range(1000)) + "To: a@b.example\r\n\r\nx"

    assert len(read(raw.encode())[1]) == 30
