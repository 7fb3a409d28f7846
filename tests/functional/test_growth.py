"""How long it takes to read what callers send: twice the input never takes four times as long.

Each case is up to the size that a request may have, or to the limit that refuses more.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping

import azure.functions as func
import pytest

import function_app
from shared.services.accounts.change_document import MAX_BYTES as MAX_ACCOUNT
from shared.services.intake.document_size import MAX_TEXTS
from shared.services.mails.change_document import MAX_BYTES as MAX_CHANGE
from shared.web.forms import MAX_BODY_BYTES, MAX_FIELDS, form_of
from tests.fakes import FakeServices, document_of
from tests.functional.calling import list_mails, request
from tests.functional.conftest import use
from tests.functional.test_send import BOUNDARY, FORM, MAIL_PART, form, part
from tests.growth import assert_linear

MB = 1024 * 1024
JSON = "application/json"
MAIL = {"id": "01990000-0000-7000-8000-000000000000"}
ACCOUNT = {"alias": "billing"}


def dumped(**fields: object) -> bytes:
    return json.dumps(document_of(**fields)).encode()


def inside(raw: bytes) -> bytes:
    """A document with one more field, whose value is written as it stands."""
    return dumped()[:-1] + b',"cc":' + raw + b"}"


def call(
    function: Callable[[func.HttpRequest], func.HttpResponse],
    method: str,
    route: Mapping[str, str],
    content_type: str,
) -> Callable[[bytes], object]:
    def posted(body: bytes) -> object:
        headers = {"content-type": content_type, "content-length": str(len(body))}
        answer = function(request(method, body=body, headers=headers, route=route))
        assert answer.status_code in (200, 202, 400, 404, 409, 413, 422), answer.get_body()[:200]
        assert b'"request_too_large"' not in answer.get_body()
        return answer

    return posted


SEND = call(function_app.send, "POST", {}, JSON)
SEND_UTF16 = call(function_app.send, "POST", {}, f"{JSON}; charset=utf-16")
SEND_FORM = call(function_app.send, "POST", {}, FORM)
BATCH = call(function_app.send_batch, "POST", {}, JSON)
RETRY = call(function_app.retry_mail, "POST", MAIL, JSON)
RESCHEDULE = call(function_app.reschedule_mail, "PATCH", MAIL, JSON)
CHANGE = call(function_app.change_account, "PATCH", ACCOUNT, JSON)

LARGEST = 8 * MB
"""A quarter of what a request may have: a reader that takes the square of it is found out with less."""

Case = tuple[Callable[[bytes], object], Callable[[int], bytes], int]

CASES: dict[str, Case] = {
    # A mail.
    "a text": (SEND, lambda n: dumped(text="x" * n), LARGEST),
    "a text of escapes": (SEND, lambda n: dumped(text='\\"\n\u2028' * (n // 4)), LARGEST // 4),
    "a text of quotation marks": (SEND, lambda n: dumped(text='"' * n), LARGEST // 2),
    "an attachment": (
        SEND,
        lambda n: dumped(attachments={"filename": "a", "content": "QUJD" * (n // 4)}),
        LARGEST,
    ),
    "an attachment that is no base64": (
        SEND,
        lambda n: dumped(attachments={"filename": "a", "content": "QUJD" * (n // 4) + "!"}),
        LARGEST,
    ),
    "a subject": (SEND, lambda n: dumped(subject="=?" * (n // 2)), LARGEST),
    "a file name": (SEND, lambda n: dumped(attachments={"filename": "/" * n, "content": ""}), MB),
    "a blob's name": (
        SEND,
        lambda n: dumped(attachments={"filename": "a", "blob": "attachments" + "/a" * (n // 2)}),
        MB,
    ),
    "a content type": (
        SEND,
        lambda n: dumped(
            attachments={"filename": "a", "content": "", "content_type": "a/b" + "; a=b" * (n // 5)}
        ),
        MB,
    ),
    "a content id": (
        SEND,
        lambda n: dumped(attachments={"filename": "a", "content": "", "content_id": "a" * n}),
        MB,
    ),
    "a header": (SEND, lambda n: dumped(headers={"X-A": "=?utf-8?q?" * (n // 10)}), MB),
    "a header's name": (SEND, lambda n: dumped(headers={"X-" * (n // 2): "a"}), MB),
    "a name of metadata": (SEND, lambda n: dumped(metadata={"a" * n: "a"}), MB),
    "a value of metadata": (SEND, lambda n: dumped(metadata={"a": "\\" * n}), MB),
    "a tag": (SEND, lambda n: dumped(tags="\x01" * n), MB),
    "a key": (SEND, lambda n: dumped(idempotency_key="a" * n), MB),
    "an account": (SEND, lambda n: dumped(account="a" * n), MB),
    "a time": (SEND, lambda n: dumped(scheduled_at="2026-12-01T08:00:00." + "0" * n), MB),
    "a number where none is taken": (SEND, lambda n: inside(b"9" * n), MB),
    "a fraction where none is taken": (SEND, lambda n: inside(b"0." + b"9" * n), MB),
    "an unknown name": (SEND, lambda n: dumped(**{"x" * n: 1}), MB),
    "an unknown name of slashes": (SEND, lambda n: dumped(**{" - at `$." * (n // 9): 1}), MB),
    "many unknown names": (
        SEND,
        lambda n: dumped(**{f"subjec{i}": 1 for i in range(n)}),
        MAX_TEXTS,
    ),
    "many names twice": (SEND, lambda n: inside(b'""' + b',"cc":""' * n), MAX_TEXTS // 2),
    "many values of a wrong type": (SEND, lambda n: inside(b"[" + b"0," * n + b"0]"), 49_000),
    "many objects of a wrong type": (
        SEND,
        lambda n: inside(b"[" + b'{"a":0},' * n + b"0]"),
        12_000,
    ),
    "many attachments of a wrong type": (
        SEND,
        lambda n: dumped(attachments=[{"a": 0}] * n),
        12_000,
    ),
    "many values beyond what is looked at": (SEND, lambda n: inside(b"[" + b"0," * n + b"0]"), MB),
    "many lists": (SEND, lambda n: inside(b"[" * n), LARGEST),
    "many line ends before a mistake": (SEND, lambda n: b"\n" * n + b"x", LARGEST),
    "a mistake at the end of one line": (SEND, lambda n: b" " * n + b"x", LARGEST),
    "half a document": (SEND, lambda n: b'{"text":"' + "é".encode() * (n // 2), LARGEST),
    "bytes that are no text": (SEND, lambda n: b'{"text":"' + b"x" * n + b"\xff", LARGEST),
    # Addresses.
    "recipients in one text": (SEND, lambda n: dumped(to="a@example.com," * (n // 14)), 250_000),
    "recipients in many texts": (
        SEND,
        lambda n: dumped(to=["a@example.com," * (n // 14 // 400)] * 400),
        4 * MB,
    ),
    "separators": (SEND, lambda n: dumped(to=",;" * (n // 2)), 500_000),
    "quotation marks in an address": (SEND, lambda n: dumped(to='"' + '\\"' * (n // 2)), MB),
    "open quotes in an address": (SEND, lambda n: dumped(to='"' * n), 250_000),
    "parentheses in an address": (SEND, lambda n: dumped(to="(" * n), 250_000),
    "angle brackets in an address": (SEND, lambda n: dumped(to="<" * n), 250_000),
    "spaces in an address": (SEND, lambda n: dumped(to="a" + " " * n + "b"), 250_000),
    "a long domain": (SEND, lambda n: dumped(to="a@" + "é." * (n // 2)), 250_000),
    "an address in an object": (SEND, lambda n: dumped(to={"email": "a@b," * (n // 4)}), MB),
    "a from address": (SEND, lambda n: dumped(**{"from": "a@example.com," * (n // 14)}), MB),
    "references in one text": (SEND, lambda n: dumped(references="<a@b> " * (n // 6)), MB),
    "references in a list": (SEND, lambda n: dumped(references=["<a@b>"] * n), 15_000),
    "an id in references": (SEND, lambda n: dumped(in_reply_to="<" + "@" * n), MB),
    # Charsets.
    "UTF-16": (SEND_UTF16, lambda n: dumped(text="x" * n).decode().encode("utf-16"), LARGEST // 2),
    "bytes that are no UTF-16": (
        SEND_UTF16,
        lambda n: b"\xff\xfe" + b"\x00\xd8" * (n // 2),
        LARGEST,
    ),
    # Batches.
    "a batch of nothing": (BATCH, lambda n: b'{"mails":[' + b"0," * (n // 2) + b"0]}", LARGEST),
    "a batch of empty lists": (
        BATCH,
        lambda n: b'{"mails":[[' + b"[]," * (n // 3) + b"0]]}",
        LARGEST,
    ),
    "a batch with a long number": (BATCH, lambda n: b'{"mails":[' + b"9" * n + b"]}", LARGEST),
    "a batch with its mails twice": (
        BATCH,
        lambda n: b'{"mails":[[' + b"[]," * (n // 3) + b'0]],"mails":[{}]}',
        LARGEST,
    ),
    "a batch of large mails": (
        BATCH,
        lambda n: json.dumps({"mails": [document_of(text="x" * (n // 10))] * 10}).encode(),
        LARGEST,
    ),
    "a batch with many names": (
        BATCH,
        lambda n: b'{"mails":[{}]' + b',"mode":null' * n + b"}",
        100_000,
    ),
    # Other documents.
    "a retry with many recipients": (
        RETRY,
        lambda n: json.dumps({"to": ["a@example.com"] * n}).encode()[:MAX_CHANGE],
        MAX_CHANGE // 17,
    ),
    "a retry with names twice": (
        RETRY,
        lambda n: b'{"to":""' + b',"to":""' * n + b"}",
        MAX_CHANGE // 9,
    ),
    "a retry with unknown names": (
        RETRY,
        lambda n: json.dumps({f"t{i}": 1 for i in range(n)}).encode(),
        MAX_CHANGE // 16,
    ),
    "a new time": (RESCHEDULE, lambda n: b'{"scheduled_at":"' + b"2" * n + b'"}', MAX_CHANGE - 99),
    "an account with many addresses": (
        CHANGE,
        lambda n: json.dumps({"allowed_from": ["a@b.de"] * n}).encode(),
        MAX_ACCOUNT // 12,
    ),
    "an account with many names": (
        CHANGE,
        lambda n: b'{"default":true' + b',"default":true' * n + b"}",
        MAX_ACCOUNT // 16,
    ),
    "an account's cap": (
        CHANGE,
        lambda n: b'{"defaults":{"daily_cap":' + b"9" * n + b"}}",
        MAX_ACCOUNT - 99,
    ),
    "an account's signature": (
        CHANGE,
        lambda n: json.dumps({"defaults": {"signature_html": "<b>" * (n // 3)}}).encode(),
        MAX_ACCOUNT - 99,
    ),
    # Forms.
    "a form of many parts": (
        SEND_FORM,
        lambda n: form(MAIL_PART, *[part("name=f", b"")] * n),
        200_000,
    ),
    "a form of boundaries": (SEND_FORM, lambda n: f"--{BOUNDARY}\r\n".encode() * n, LARGEST // 9),
    "a form of bare boundaries": (SEND_FORM, lambda n: f"--{BOUNDARY}".encode() * n, LARGEST // 9),
    "a form of line ends": (
        SEND_FORM,
        lambda n: form(MAIL_PART, part('name=f; filename="a"', b"\r\n" * (n // 2))),
        LARGEST,
    ),
    "a form of hyphens": (
        SEND_FORM,
        lambda n: form(MAIL_PART, part('name=f; filename="a"', b"-" * n)),
        LARGEST,
    ),
    "a form with spaces behind a boundary": (
        SEND_FORM,
        lambda n: f"--{BOUNDARY}".encode() + b" " * n,
        LARGEST,
    ),
    "a form with a long header": (
        SEND_FORM,
        lambda n: form(part("name=f; " + "a=b; " * (n // 5), b"")),
        LARGEST,
    ),
    "a form with a header of quotes": (
        SEND_FORM,
        lambda n: form(part('name="' + '\\"' * (n // 2), b"")),
        LARGEST,
    ),
    "a form without an end": (SEND_FORM, lambda n: MAIL_PART + b"\r\n" * (n // 2), LARGEST),
}


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> FakeServices:
    found = FakeServices(max_bytes=4 * LARGEST)
    use(found, monkeypatch)
    return found


@pytest.mark.parametrize("name", CASES)
def test_twice_the_body_takes_twice_the_time(services: FakeServices, name: str) -> None:
    read, made, largest = CASES[name]

    assert_linear(read, made, largest)


def with_header(name: str) -> Callable[[str], object]:
    def sent(value: str) -> object:
        headers = {"content-type": JSON, name: value}
        return function_app.send(request("POST", body=dumped(dry_run=True), headers=headers))

    return sent


HEADERS: dict[str, tuple[str, Callable[[int], str]]] = {
    "Content-Type": ("content-type", lambda n: "application/json" + "; a=b" * (n // 5)),
    "Content-Type of spaces": ("content-type", lambda n: JSON + " " * n + ";"),
    "Content-Type of quotes": ("content-type", lambda n: JSON + '; a="' + '\\"' * (n // 2)),
    "Content-Type of semicolons": ("content-type", lambda n: JSON + ";" * n),
    "a boundary": ("content-type", lambda n: "multipart/form-data; boundary=" + "a" * n),
    "Content-Encoding": ("content-encoding", lambda n: "gzip," * (n // 5)),
    "Content-Length": ("content-length", lambda n: "9" * n),
    "Prefer": ("prefer", lambda n: "wait=x," * (n // 7)),
    "Prefer of digits": ("prefer", lambda n: "wait=" + "9" * n),
    "Prefer of quotes": ("prefer", lambda n: 'wait="' + '"' * n),
    "Idempotency-Key": ("idempotency-key", lambda n: "\x1f" * n),
    "X-Request-Id": ("x-request-id", lambda n: "a" * n),
}


@pytest.mark.parametrize("name", HEADERS)
def test_twice_the_header_takes_twice_the_time(services: FakeServices, name: str) -> None:
    header, made = HEADERS[name]
    assert_linear(with_header(header), made, MB)


PARAMETERS: dict[str, tuple[str, Callable[[int], str]]] = {
    "cursor": (
        "cursor",
        lambda n: base64.b64encode(json.dumps(["a"] * (n // 7)).encode()).decode(),
    ),
    "cursor of lists": ("cursor", lambda n: base64.b64encode(b"[" * n).decode()),
    "status": ("status", lambda n: "sent," * (n // 5) + "sent"),
    "since": ("since", lambda n: "2026-12-01T08:00:00." + "0" * n + " 00:00"),
    "since of spaces": ("since", lambda n: "T0" + " 00" * (n // 3)),
    "until": ("until", lambda n: "9" * n),
    "limit": ("limit", lambda n: "9" * n),
    "tag": ("tag", lambda n: "a" * n),
    "account": ("account", lambda n: "a" * n),
    "idempotency_key": ("idempotency_key", lambda n: "a/" * (n // 2)),
    "attention": ("attention", lambda n: "true" * (n // 4)),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_twice_the_parameter_takes_twice_the_time(services: FakeServices, name: str) -> None:
    parameter, made = PARAMETERS[name]

    assert_linear(lambda value: list_mails(**{parameter: value}), made, 256 * 1024)


def test_many_parameters_take_time_in_proportion(services: FakeServices) -> None:
    assert_linear(
        lambda names: list_mails(**dict.fromkeys(names, "")),
        lambda n: [f"a{i}" for i in range(n)],
        40_000,
    )


@pytest.mark.parametrize(
    "made",
    [
        lambda n: b"a=1&" * (n // 4),
        lambda n: b"a=" + b"%41" * (n // 3),
        lambda n: b"&" * n,
        lambda n: b"=" * n,
        lambda n: b"a;" * (n // 2),
        lambda n: b"to=" + b"a%40b.de%2C" * (n // 11),
    ],
    ids=["fields", "escapes", "separators", "equal signs", "semicolons", "addresses"],
)
def test_twice_the_page_form_takes_twice_the_time(made: Callable[[int], bytes]) -> None:
    def read(body: bytes) -> object:
        try:
            return form_of(request("POST", body=body))
        except ValueError as error:
            return str(error)

    assert_linear(read, made, MAX_BODY_BYTES)


def test_the_fields_of_a_page_form_are_counted_before_they_are_read() -> None:
    body = b"&".join(b"a%d=1" % index for index in range(MAX_FIELDS + 1))

    with pytest.raises(ValueError, match="fields"):
        form_of(request("POST", body=body))
