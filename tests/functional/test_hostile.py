"""Requests made to break the reader: each is answered, and none with a 500."""

from __future__ import annotations

import base64

import pytest

from shared.adapters.storage.mails_table import MailsTable
from shared.adapters.storage.table_service import Page
from tests.fakes import FakeServices
from tests.functional.calling import list_mails, read, send
from tests.functional.test_send import FORM, MAIL_PART, form, part


class EmptyTable:
    """A table without rows."""

    def page(self, *_: object, **__: object) -> Page:
        """No rows, and no more of them."""
        return Page((), None)


@pytest.fixture
def stored(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> FakeServices:
    """A room whose ledger reads cursors as the real one does."""
    monkeypatch.setattr(services, "ledger", MailsTable(lambda: EmptyTable()))  # type: ignore[arg-type,return-value]
    return services


def cursor_of(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "é",
        "a",
        "!!",
        "[" * 3000,
        cursor_of(b"[" * 3000),
        cursor_of(b'{"a":' * 3000),
        cursor_of(b"9" * 5000),
        cursor_of(b"[]"),
        cursor_of(b'"ab"'),
        cursor_of(b'{"a":1,"b":2}'),
        cursor_of(b'["a"]'),
        cursor_of(b'["a","b","c"]'),
        cursor_of(b'["a",1]'),
        cursor_of(b'["a",""]'),
        cursor_of(b'["a","\\ud800"]'),
        cursor_of(b'["a","\xff"]'),
        cursor_of(b'["a","' + b"b" * 201 + b'"]'),
        cursor_of(b'["a","b"] x'),
    ],
)
def test_a_cursor_that_no_list_gave_out_is_refused(stored: FakeServices, cursor: str) -> None:
    answer = list_mails(cursor=cursor)

    assert (answer.status_code, read(answer)["code"]) == (400, "invalid_request")
    assert [error["field"] for error in read(answer)["errors"]] == ["cursor"]


def test_a_cursor_of_two_texts_is_read(stored: FakeServices) -> None:
    assert list_mails(cursor=cursor_of(b'["a","b"]')).status_code == 200


@pytest.mark.parametrize(
    "word",
    [
        b"=?raw_unicode_escape?q?=5Cud800?=",
        b"=?utf-8?b?7aCA?=",
        b"=?utf-7?q?+2AA-?=",
        b"\xed\xa0\x80",
        b"\xff",
    ],
)
def test_half_a_surrogate_pair_in_a_raw_message_is_no_500(
    services: FakeServices, word: bytes
) -> None:
    raw = b"To: " + word + b" <a@example.com>\r\nSubject: " + word + b"\r\n\r\nx"

    assert send(raw, "message/rfc822").status_code in (202, 422)


@pytest.mark.parametrize(
    "head",
    [
        b'name=f; filename="\xed\xa0\x80"',
        b"name=f; filename*=UTF-8''%ed%a0%80",
        b"name=f; filename*=utf-16''%00%d8",
        b"name=f; filename*=raw_unicode_escape''%5cud800",
        b"name=f; filename*=punycode''99999-zzz",
        b'name="\xed\xa0\x80"',
        b'name=f; filename="a"\r\nContent-ID: \xed\xa0\x80',
        b'name=f; filename="a"\r\nContent-Type: \xed\xa0\x80',
    ],
)
def test_a_hostile_part_of_a_form_is_no_500(services: FakeServices, head: bytes) -> None:
    raw = form(MAIL_PART, part("@", b"x").replace(b"@", head))

    assert send(raw, FORM).status_code in (202, 400, 422)


def test_a_form_of_very_many_parts_is_refused(services: FakeServices) -> None:
    answer = send(form(MAIL_PART, *[part('name=f; filename="a"', b"x")] * 2000), FORM)

    assert answer.status_code in (400, 413, 422)


@pytest.mark.parametrize("length", ["²", "9" * 5000, "-1", "x"])
def test_a_content_length_that_is_no_number_is_no_500(services: FakeServices, length: str) -> None:
    assert send(content_length=length).status_code in (202, 413)
