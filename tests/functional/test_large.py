"""Large mail at the front door: what is refused by which name, and what reading a request costs."""

from __future__ import annotations

import base64
import secrets
import tracemalloc
from collections.abc import Callable

import azure.functions as func
import pytest

import function_app
from shared.mail.account import AccountKind
from tests.fakes import NOT_REACHED, FakeServices, account_of, document_of
from tests.functional.calling import posted, read, send, send_batch
from tests.functional.conftest import use
from tests.functional.test_send import FORM, MAIL_PART, form, part

MB = 1024 * 1024
LARGE = secrets.token_bytes(5 * MB)
SENDS = account_of()
WRITES = account_of(scopes=frozenset({"Mail.Send", "Mail.ReadWrite"}))
PERSONAL = account_of(scopes=WRITES.scopes, kind=AccountKind.PERSONAL)

Behind = Callable[[FakeServices], FakeServices]


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> Behind:
    """Puts a room of one's own behind the functions, with a file of 27 MB in storage."""

    def put(services: FakeServices) -> FakeServices:
        services.files.blobs["attachments"]["a.bin"] = bytes(27 * MB)
        use(services, monkeypatch)
        return services

    return put


def named(blob: str = "attachments/a.bin", **fields: object) -> dict[str, object]:
    return document_of(attachments=[{"filename": "a.bin", "blob": blob}], **fields)


def upload(content: bytes) -> func.HttpResponse:
    return send(form(MAIL_PART, part('name=f; filename="f.bin"', content)), FORM)


def problem(answer: func.HttpResponse) -> tuple[int, str, list[str]]:
    document = read(answer)
    return answer.status_code, document["code"], [error["field"] for error in document["errors"]]


@pytest.mark.parametrize(
    "answer",
    [
        lambda: upload(LARGE),
        lambda: send(
            document_of(
                attachments=[{"filename": "f", "content": base64.b64encode(LARGE).decode()}]
            )
        ),
    ],
)
def test_a_large_file_is_accepted_in_either_form_and_kept_apart(
    behind: Behind, answer: Callable[[], func.HttpResponse]
) -> None:
    services = behind(FakeServices(WRITES))

    assert answer().status_code == 202

    (mail,) = services.ledger.mails
    assert [services.payloads.blobs[name] for name in mail.payload.files] == [LARGE]


def test_a_file_by_name_is_accepted_and_not_copied(behind: Behind) -> None:
    services = behind(FakeServices(WRITES, max_mail_bytes=40 * MB))

    assert send(named()).status_code == 202

    assert services.payloads.blobs == {}


@pytest.mark.parametrize(
    ("services", "answer", "expected"),
    [
        pytest.param(
            lambda: FakeServices(SENDS),
            lambda: upload(LARGE),
            (413, "mail_too_large", ["attachments"]),
            id="without Mail.ReadWrite",
        ),
        pytest.param(
            lambda: FakeServices(WRITES),
            lambda: send(named()),
            (413, "mail_too_large", ["attachments"]),
            id="one mail",
        ),
        pytest.param(
            lambda: FakeServices(PERSONAL, max_mail_bytes=40 * MB),
            lambda: send(named()),
            (413, "mail_too_large", ["attachments"]),
            id="personal account",
        ),
        pytest.param(
            lambda: FakeServices(WRITES),
            lambda: send(named(save_to_sent_items=False)),
            (413, "mail_too_large", ["attachments", "attachments"]),
            id="not saved",
        ),
        pytest.param(
            lambda: FakeServices(WRITES),
            lambda: upload(LARGE * 2),
            (413, "request_too_large", ["body"]),
            id="one request",
        ),
        pytest.param(
            lambda: FakeServices(WRITES),
            lambda: send(named("attachments/b.bin")),
            (422, "attachment_missing", ["attachments[0].blob"]),
            id="not there",
        ),
        pytest.param(
            lambda: FakeServices(WRITES),
            lambda: send(named("payloads/a.bin")),
            (422, "invalid_mail", ["attachments[0].blob"]),
            id="another container",
        ),
        pytest.param(
            lambda: FakeServices(WRITES),
            lambda: send(b'{"to": "a@example.com", "tags": [' + b'"a",' * 50_000 + b'"a"]}'),
            (422, "invalid_mail", ["body"]),
            id="crumbs",
        ),
    ],
)
def test_what_is_too_large_or_not_there_is_refused_by_name_and_nothing_is_stored(
    behind: Behind,
    services: Callable[[], FakeServices],
    answer: Callable[[], func.HttpResponse],
    expected: tuple[int, str, list[str]],
) -> None:
    found = behind(services())

    assert problem(answer()) == expected

    assert (found.ledger.mails, found.payloads.blobs, found.keys.claims) == ([], {}, {})


def test_storage_that_does_not_tell_is_unavailable_and_says_when_to_come_back(
    behind: Behind,
) -> None:
    services = behind(FakeServices(WRITES))
    services.faults.always("files.head", NOT_REACHED)

    answer = send(named())

    assert (answer.status_code, read(answer)["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert services.ledger.mails == []


def test_a_repeated_key_finds_its_mail_though_the_file_is_gone(behind: Behind) -> None:
    services = behind(FakeServices(WRITES, max_mail_bytes=40 * MB))
    first = send(named(), idempotency_key="k")
    services.files.blobs["attachments"].clear()

    again = send(named(), idempotency_key="k")
    other = send(named(subject="Another"), idempotency_key="k")

    assert again.headers["Idempotent-Replayed"] == "true"
    assert read(again)["id"] == read(first)["id"]
    assert problem(other) == (422, "attachment_missing", ["attachments[0].blob"])


def test_one_mail_of_a_batch_may_lack_its_file(behind: Behind) -> None:
    services = behind(FakeServices(WRITES, max_mail_bytes=40 * MB))

    send_batch(named(), named("attachments/b.bin"), document_of())

    assert len(services.ledger.mails) == 2


def extra_bytes(work: Callable[[], object]) -> int:
    """The peak of what work takes beside what is there already."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_reading_an_upload_takes_little_more_than_the_file_itself(behind: Behind) -> None:
    behind(FakeServices(WRITES, max_bytes=40 * MB))
    body = form(MAIL_PART, part('name=f; filename="f.bin"', LARGE * 4))
    send()

    assert extra_bytes(lambda: send(body, FORM)) <= 1.5 * len(body)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"mails":[' + b"0," * (4 * MB) + b"0]}",
        b'{"mails":[' + b"[]," * (3 * MB) + b"0]}",
        b'{"mails":[[' + b"[]," * (3 * MB) + b'0]],"mails":[{}]}',
        b'{"mails":[{}]' + b',"mode":null' * 100_000 + b"}",
    ],
    ids=["numbers", "lists", "twice", "many names"],
)
def test_a_batch_of_very_much_is_refused_before_it_is_read(behind: Behind, raw: bytes) -> None:
    behind(FakeServices(WRITES, max_bytes=40 * MB))
    answers: list[func.HttpResponse] = []

    needed = extra_bytes(
        lambda: answers.append(
            posted(function_app.send_batch, raw, {})
        )  # as the host hands it over
    )

    assert read(answers[0])["errors"][0]["field"] == "mails"
    assert needed <= 4 * len(raw)


@pytest.mark.parametrize("crumb", [b'"a",', b'"\\\\",', b'{"email":"a@b.c"},'])
def test_a_document_of_crumbs_is_refused_before_it_is_read(behind: Behind, crumb: bytes) -> None:
    behind(FakeServices(WRITES, max_bytes=40 * MB))
    body = b'{"to": [' + crumb * (16 * MB // len(crumb)) + b'"a@example.com"]}'
    send()

    assert extra_bytes(lambda: send(body)) <= MB
