"""The bytes of a request: in which charset they come, how compressed, and in which parts."""

from __future__ import annotations

import codecs
import gzip
import json
import time
from collections.abc import Mapping

import azure.functions as func
import pytest

import function_app
from shared.mail.message import MAX_ATTACHMENTS, Attachment, Message
from shared.services.mails.packing import unpack
from shared.web.api.request_body import read_form
from tests.fakes import FakeServices, document_of
from tests.functional.calling import change_account, read, request, send
from tests.functional.conftest import use
from tests.functional.test_send import BOUNDARY, FORM, MAIL_PART, form, part, problem

TEXT = json.dumps(document_of(subject="Größe"), ensure_ascii=False)
EURO = json.dumps(document_of(subject="5 €"), ensure_ascii=False)
RAW = b"To: ada@example.com\r\nSubject: Hi\r\n\r\nhello"


def sent(services: FakeServices) -> Message:
    found = unpack(services.ledger.mails[-1].payload.inline or b"").message
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        (codecs.BOM_UTF8 + TEXT.encode(), None),
        (codecs.BOM_UTF8 + TEXT.encode(), "utf-8"),
        (TEXT.encode(), "UTF-8"),
        (TEXT.encode(), '"utf-8"'),
        (TEXT.encode(), "utf8"),
        (TEXT.encode("utf-16"), "utf-16"),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "utf-16"),
        (TEXT.encode("utf-16-le"), "utf-16"),
        (TEXT.encode("utf-16-be"), "utf-16"),
        (TEXT.encode("utf-16-le"), "utf-16LE"),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), "utf-16le"),
        (TEXT.encode("utf-16-be"), "UTF-16BE"),
        (TEXT.encode("latin-1"), "iso-8859-1"),
        (TEXT.encode("latin-1"), "ISO-8859-1"),
        (TEXT.encode("cp1252"), "windows-1252"),
        (json.dumps(document_of(subject="Größe")).encode(), "us-ascii"),
    ],
)
def test_json_is_read_in_the_charset_that_is_declared(
    services: FakeServices, body: bytes, charset: str | None
) -> None:
    content_type = f"application/json; charset={charset}" if charset else "application/json"

    assert send(body, content_type).status_code == 202

    assert sent(services).subject == "Größe"


def test_what_only_windows_1252_has_is_read_as_that(services: FakeServices) -> None:
    assert send(EURO.encode("cp1252"), "application/json; charset=windows-1252").status_code == 202

    assert sent(services).subject == "5 €"


@pytest.mark.parametrize(
    ("body", "content_type", "status", "field", "words"),
    [
        (TEXT.encode(), "application/json; charset=shift_jis", 415, "Content-Type", "shift_jis"),
        (TEXT.encode(), "application/json; charset=utf-7", 415, "Content-Type", "use one of utf-8"),
        (TEXT.encode(), "application/json; charset=punycode", 415, "Content-Type", "punycode"),
        (
            TEXT.encode(),
            "application/json; charset=a; charset=b",
            415,
            "Content-Type",
            "cannot be read",
        ),
        (TEXT.encode(), 'application/json; charset="utf-8', 415, "Content-Type", "cannot be read"),
        (TEXT.encode("utf-16"), "application/json", 415, "body", "UTF-16"),
        (TEXT.encode("utf-16-le"), "application/json", 415, "body", "UTF-16"),
        (TEXT.encode("utf-16-be"), "application/json", 415, "body", "say charset=utf-16"),
        (TEXT.encode("utf-16"), "application/json; charset=utf-8", 415, "body", "send UTF-8"),
        (TEXT.encode("utf-32"), "application/json", 415, "body", "UTF-32"),
        (TEXT.encode(), "application/json; charset=us-ascii", 400, "body", "us-ascii"),
        (
            EURO.encode("cp1252"),
            "application/json; charset=iso-8859-1",
            400,
            "body",
            "windows-1252",
        ),
        (TEXT.encode("utf-16")[:-1], "application/json; charset=utf-16", 400, "body", "utf-16"),
        (RAW.decode().encode("utf-16"), "message/rfc822", 415, "body", "UTF-16"),
        (RAW, "message/rfc822; charset=utf-16", 415, "Content-Type", "leave the parameter out"),
        (RAW, "message/rfc822; charset=iso-8859-1", 415, "Content-Type", "iso-8859-1"),
        (RAW + "é".encode(), "message/rfc822; charset=us-ascii", 400, "body", "us-ascii"),
    ],
)
def test_a_charset_that_cannot_be_honoured_is_refused_by_name(
    services: FakeServices, body: bytes, content_type: str, status: int, field: str, words: str
) -> None:
    answer = send(body, content_type)

    document = read(answer)
    assert answer.status_code == status
    assert [error["field"] for error in document["errors"]] == [field]
    assert words in document["errors"][0]["message"]
    assert services.ledger.mails == []


@pytest.mark.parametrize(
    ("prefix", "content_type"),
    [
        (b"", "message/rfc822"),
        (codecs.BOM_UTF8, "message/rfc822"),
        (b"", "message/rfc822; charset=utf-8"),
        (b"", "message/rfc822; charset=us-ascii"),
    ],
)
def test_a_raw_message_is_taken_with_a_byte_order_mark_and_a_charset_of_ascii(
    services: FakeServices, prefix: bytes, content_type: str
) -> None:
    assert send(prefix + RAW, content_type).status_code == 202

    assert sent(services).subject == "Hi"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "GZIP", "gzip, br"])
@pytest.mark.parametrize("content_type", ["application/json", "message/rfc822", FORM])
def test_a_compressed_body_is_refused_by_name(
    services: FakeServices, coding: str, content_type: str
) -> None:
    answer = send(gzip.compress(TEXT.encode()), content_type, content_encoding=coding)

    assert problem(answer) == (415, "unsupported_encoding", ["Content-Encoding"])
    assert coding.lower().partition(",")[0] in read(answer)["errors"][0]["message"]


def test_a_body_with_the_coding_identity_is_taken(services: FakeServices) -> None:
    assert send(content_encoding="identity").status_code == 202


def every_json_call(body: bytes, headers: Mapping[str, str]) -> list[func.HttpResponse]:
    """Every call with a JSON body besides `send`."""
    mail = {"id": "01990000-0000-7000-8000-000000000000"}
    account = {"alias": "billing"}
    calls = [
        (function_app.send_batch, "POST", {}),
        (function_app.reschedule_mail, "PATCH", mail),
        (function_app.retry_mail, "POST", mail),
        (function_app.resolve_mail, "POST", mail),
        (function_app.cancel_mail, "POST", mail),
        (function_app.release_mail, "POST", mail),
        (function_app.change_account, "PATCH", account),
        (function_app.release_account, "POST", account),
    ]
    given = {"content-length": str(len(body)), **headers}
    return [
        function(request(method, body=body, headers=given, route=route))
        for function, method, route in calls
    ]


def test_every_call_with_a_json_body_refuses_what_it_does_not_read(services: FakeServices) -> None:
    wide = every_json_call("{}".encode("utf-16"), {"content-type": "application/json"})
    odd = every_json_call(b"{}", {"content-type": "application/json; charset=koi8-r"})
    packed = every_json_call(b"{}", {"content-type": "application/json", "content-encoding": "br"})

    for answer in (*wide, *odd, *packed):
        assert problem(answer)[:2] == (415, "unsupported_encoding")


def test_every_call_with_a_json_body_takes_a_byte_order_mark(services: FakeServices) -> None:
    for answer in every_json_call(codecs.BOM_UTF8 + b"{}", {"content-type": "application/json"}):
        assert "json" not in read(answer).get("code", "")


def test_an_account_is_changed_by_utf_16(services: FakeServices) -> None:
    raw = json.dumps({"defaults": {"display_name": "Größe"}}, ensure_ascii=False)

    answer = change_account(
        "billing", raw.encode("utf-16"), content_type="application/json; charset=utf-16"
    )

    assert answer.status_code == 200
    assert read(answer)["defaults"]["display_name"] == "Größe"


# Forms.


def mail_part(body: bytes, content_type: str) -> bytes:
    return part(f"name=mail\r\nContent-Type: {content_type}", body)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (codecs.BOM_UTF8 + TEXT.encode(), "application/json"),
        (TEXT.encode("utf-16"), "application/json; charset=utf-16"),
        (TEXT.encode("latin-1"), "text/plain; charset=ISO-8859-1"),
        (TEXT.encode(), "text/plain; charset=utf-8"),
    ],
)
def test_the_mail_of_a_form_is_read_in_its_own_charset(
    services: FakeServices, body: bytes, content_type: str
) -> None:
    assert send(form(mail_part(body, content_type)), FORM).status_code == 202

    assert sent(services).subject == "Größe"


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (TEXT.encode("utf-16"), "application/json", "UTF-16"),
        (TEXT.encode(), "application/json; charset=koi8-r", "koi8-r"),
    ],
)
def test_the_mail_of_a_form_in_another_charset_is_refused_by_name(
    services: FakeServices, body: bytes, content_type: str, words: str
) -> None:
    answer = send(form(mail_part(body, content_type)), FORM)

    assert problem(answer) == (415, "unsupported_encoding", ["mail"])
    assert words in read(answer)["errors"][0]["message"]


@pytest.mark.parametrize(
    "head",
    [
        "name=invoice\r\nContent-Type: application/pdf",
        'name=invoice; filename=""\r\nContent-Type: application/pdf',
        'name=invoice; filename=" "',
    ],
)
def test_a_file_without_a_file_name_is_refused_as_that(services: FakeServices, head: str) -> None:
    answer = send(form(MAIL_PART, part(head, b"%PDF")), FORM)

    assert problem(answer) == (400, "invalid_request", ["invoice"])
    assert "is a file without a file name" in read(answer)["detail"]


def test_a_field_of_a_form_that_is_no_file_is_told_where_the_mail_belongs(
    services: FakeServices,
) -> None:
    answer = send(form(MAIL_PART, part("name=subject", b"Hi")), FORM)

    assert problem(answer) == (400, "invalid_request", ["subject"])
    assert "a part named 'mail'" in read(answer)["detail"]
    assert "filename" in read(answer)["detail"]


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ('form-data; name="f"; filename="a b.pdf"', "a b.pdf"),
        ("form-data; name=f; filename=a.pdf", "a.pdf"),
        ('Form-Data; Name="f"; FileName="a.pdf"', "a.pdf"),
        ("form-data; name=f; filename=x.pdf; filename*=utf-8''Gr%C3%B6%C3%9Fe.pdf", "Größe.pdf"),
        ("form-data; name=f; filename*=UTF-8'de'a%20b.pdf; filename=x", "a b.pdf"),
        ('form-data; name="f"; filename="a%22b.pdf"', 'a"b.pdf'),
        (r'form-data; name="f"; filename="a\"b.pdf"', 'a"b.pdf'),
        ('form-data; name="f"; filename="Größe; x=1.pdf"', "Größe; x=1.pdf"),
    ],
)
def test_file_names_are_read_as_clients_write_them(
    services: FakeServices, head: str, name: str
) -> None:
    raw = f"--{BOUNDARY}\r\nContent-Disposition: {head}\r\n\r\n".encode() + b"x"

    assert send(form(MAIL_PART, raw), FORM).status_code == 202

    assert [item.filename for item in sent(services).attachments] == [name]


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_files_arrive_byte_for_byte(services: FakeServices, line_end: bytes) -> None:
    files = [
        b"",
        b"\r\n",
        b"--",
        b"bound--",
        b"\n--boundless\r\n",
        b"a\r\n\r\nb\n",
        bytes(range(256)),
    ]
    head = f'--{BOUNDARY}\nContent-Disposition: form-data; name=f; filename="a"\n\n'.encode()
    parts = [
        b"a preamble",
        MAIL_PART.replace(b"\r\n", line_end),
        *(head.replace(b"\n", line_end) + file for file in files),
        f"--{BOUNDARY}--".encode(),
        b"an epilogue",
    ]

    assert send(line_end.join(parts), FORM).status_code == 202

    assert [item.in_memory for item in sent(services).attachments] == files


@pytest.mark.parametrize(
    ("body", "content_type", "status", "field"),
    [
        (form(MAIL_PART), "multipart/form-data", 415, "Content-Type"),
        (form(MAIL_PART), "multipart/form-data; boundary=", 415, "Content-Type"),
        (form(MAIL_PART), "multipart/form-data; boundary=" + "b" * 71, 415, "Content-Type"),
        (form(MAIL_PART), "multipart/form-data; boundary=other", 400, "body"),
        (MAIL_PART, FORM, 400, "body"),
        (form(MAIL_PART)[:-6], FORM, 400, "body"),
        (form(MAIL_PART, b"--bound\r\n\r\nx"), FORM, 400, "body"),
        (form(MAIL_PART, b"--bound\r\nno colon\r\n\r\nx"), FORM, 400, "body"),
        (form(MAIL_PART, part('name=f; filename="a"; filename="b"', b"x")), FORM, 400, "body"),
        (form(MAIL_PART, part('name=f; filename="a', b"x")), FORM, 400, "body"),
        (
            form(MAIL_PART, part('name=f; filename="a"\r\nX-A: ' + "x" * 9000, b"x")),
            FORM,
            400,
            "body",
        ),
        (
            form(MAIL_PART, part('name=f; filename="a"\r\n' + "X-A: x\r\n" * 2 + "X: 1", b"x")),
            FORM,
            400,
            "body",
        ),
        (
            form(MAIL_PART, part("name=f; filename*=koi8-r''a", b"x")),
            FORM,
            400,
            "filename*",
        ),
        (
            form(
                MAIL_PART,
                part('name=f; filename="a"\r\nContent-Transfer-Encoding: base64', b"eA=="),
            ),
            FORM,
            400,
            "f",
        ),
    ],
)
def test_a_form_that_is_not_one_is_refused_by_what_is_wrong(
    services: FakeServices, body: bytes, content_type: str, status: int, field: str
) -> None:
    answer = send(body, content_type)

    assert answer.status_code == status
    assert [error["field"] for error in read(answer)["errors"]] == [field]
    assert services.ledger.mails == []


def test_parts_are_counted_before_any_of_them_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    use(FakeServices(max_bytes=32 * 1024 * 1024), monkeypatch)
    body = form(MAIL_PART, *[part("name=f", b"x")] * 200_000)
    started = time.thread_time()

    answer = send(body, FORM)

    assert time.thread_time() - started < 1
    assert problem(answer) == (422, "invalid_mail", ["attachments"])


def test_a_form_takes_as_many_files_as_a_mail_may_have(services: FakeServices) -> None:
    files = [part(f'name=f; filename="{index}"', b"x") for index in range(MAX_ATTACHMENTS)]

    assert send(form(MAIL_PART, *files), FORM).status_code == 202
    assert problem(send(form(MAIL_PART, *files, files[0]), FORM))[2] == ["attachments"]


def test_the_content_type_of_a_file_keeps_its_parameters() -> None:
    file = part('name=f; filename="i.ics"\r\nContent-Type: text/calendar; method=REQUEST', b"x")

    _, files = read_form(form(MAIL_PART, file), FORM)

    assert files == [Attachment("i.ics", b"x", "text/calendar; method=REQUEST")]
