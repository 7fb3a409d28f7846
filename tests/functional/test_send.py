"""`POST /api/send`: every way in, every refusal."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from types import SimpleNamespace

import azure.functions as func
import pytest

from shared.errors import AnswerLost, NotSent, RemoteRefused
from shared.mail.account import AccountState
from shared.mail.outcome import GraphAnswer
from shared.mail.status import Status
from shared.services.mails.packing import Packed, unpack
from shared.web.api import mails
from tests.fakes import LOST, NOT_REACHED, FakeServices, account_of, document_of
from tests.functional.calling import read, send

BOUNDARY = "bound"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def problem(answer: func.HttpResponse) -> tuple[int, str, list[str]]:
    """Status, code and fields, of an answer that is a proper problem document."""
    document = read(answer)
    assert answer.mimetype == "application/problem+json"
    assert answer.headers["X-Request-Id"] == document["request_id"]
    assert document["status"] == answer.status_code
    assert document["type"] == f"urn:postroom:problem:{document['code']}"
    assert document["title"]
    assert document["detail"]
    assert document["help"]
    assert ("Retry-After" in answer.headers) is (answer.status_code in (429, 503))
    errors = document.get("errors", [])
    assert all(error["message"] for error in errors)
    return answer.status_code, document["code"], [error["field"] for error in errors]


def part(head: str, content: bytes) -> bytes:
    return f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content


def form(*parts: bytes) -> bytes:
    return b"\r\n".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


MAIL_PART = part("name=mail", json.dumps(document_of()).encode())


def packed(services: FakeServices) -> Packed:
    (mail,) = services.ledger.mails
    return unpack(mail.payload.inline or b"")


# Accepted.


def test_a_mail_is_accepted_with_its_id_and_its_address(services: FakeServices) -> None:
    answer = send()

    (mail,) = services.ledger.mails
    where = f"/api/mails/{mail.mail_id}"
    assert answer.status_code == 202
    assert answer.headers["Location"] == where
    assert answer.mimetype == "application/json"
    assert read(answer) == {
        "id": mail.mail_id,
        "status": "queued",
        "delivery": "direct",
        "links": {"self": where},
    }


def test_an_answer_is_not_cached_and_has_a_request_id(services: FakeServices) -> None:
    answer = send()

    assert answer.headers["Cache-Control"] == "no-store"
    assert len(answer.headers["X-Request-Id"]) == 36


def test_the_callers_request_id_comes_back(services: FakeServices) -> None:
    assert send(x_request_id="abc-1").headers["X-Request-Id"] == "abc-1"


@pytest.mark.parametrize("given", ["a\r\nX: y", "<script>", "x" * 65, "é"])
def test_a_hostile_request_id_does_not_come_back(services: FakeServices, given: str) -> None:
    assert send(x_request_id=given).headers["X-Request-Id"] != given


@pytest.mark.parametrize("spelled", ["application/json; charset=utf-8", "Application/JSON"])
def test_a_content_type_may_be_spelled_in_other_ways(services: FakeServices, spelled: str) -> None:
    assert send(content_type=spelled).status_code == 202


@pytest.mark.parametrize("parameter", ["code", "clientId"])
def test_the_hosts_own_parameters_are_let_through(services: FakeServices, parameter: str) -> None:
    assert send(params={parameter: "key"}).status_code == 202


def test_a_dry_run_is_checked_and_not_stored(services: FakeServices) -> None:
    answer = send(document_of(dry_run=True, to=["a@example.com", "b@example.com"]))

    assert answer.status_code == 200
    assert read(answer) == {
        "dry_run": True,
        "account": "billing",
        "from": "Billing <billing@contoso.com>",
        "recipient_count": 2,
        "delivery": "direct",
        "save_to_sent_items": True,
    }
    assert (services.ledger.mails, services.wake_ups.enqueued) == ([], [])


def test_a_replay_says_so_and_answers_the_first_mail(services: FakeServices) -> None:
    first = send(idempotency_key="k")

    again = send(idempotency_key="k")

    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.status_code, read(again)["id"]) == (202, read(first)["id"])


def test_the_key_in_the_document_and_in_the_header_are_one(services: FakeServices) -> None:
    first = send(idempotency_key="k")

    again = send(document_of(idempotency_key="k"))

    assert read(again)["id"] == read(first)["id"]


def test_a_raw_message_is_accepted(services: FakeServices) -> None:
    raw = b"To: ada@example.com\r\nSubject: Raw\r\n\r\nhello"

    answer = send(raw, "message/rfc822")

    message = packed(services).message
    assert answer.status_code == 202
    assert message is not None
    assert (message.subject, message.mime) == ("Raw", b"\r\nhello")


def test_a_raw_message_takes_a_key_from_the_header(services: FakeServices) -> None:
    raw = b"To: ada@example.com\r\n\r\nhello"
    send(raw, "message/rfc822", idempotency_key="k")

    again = send(raw, "message/rfc822", idempotency_key="k")

    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_form_carries_the_mail_and_its_files(services: FakeServices) -> None:
    answer = send(
        form(
            MAIL_PART,
            part('name=f; filename="rechnung é.pdf"\r\nContent-Type: application/pdf', b"\x00%PDF"),
            part('name=f; filename="b.txt"\r\nContent-Type: text/plain', b"b"),
            part("name=g; filename*=UTF-8''%e2%82%ac.txt", b"c"),
            part('name=l; filename="l.png"\r\nContent-Type: image/png\r\nContent-ID: <logo>', b"l"),
            part('name=h; filename=" a  b.csv"\r\nContent-Type: text/csv; header=present', b"h"),
        ),
        FORM,
    )

    message = packed(services).message
    assert answer.status_code == 202
    assert message is not None
    assert [(a.filename, a.content, a.content_type, a.content_id) for a in message.attachments] == [
        ("rechnung é.pdf", b"\x00%PDF", "application/pdf", None),
        ("b.txt", b"b", "text/plain", None),
        ("€.txt", b"c", "application/octet-stream", None),
        ("l.png", b"l", "image/png", "logo"),
        (" a  b.csv", b"h", "text/csv; header=present", None),
    ]


def test_the_mail_part_may_be_a_file(services: FakeServices) -> None:
    as_file = part(
        'name=mail; filename="mail.json"\r\nContent-Type: application/json',
        json.dumps(document_of()).encode(),
    )

    assert send(form(as_file), FORM).status_code == 202


# Waiting.


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch, services: FakeServices) -> list[float]:
    """Sleeping only moves the clock that waiting goes by."""
    slept: list[float] = []
    monkeypatch.setattr(mails, "time", SimpleNamespace(monotonic=lambda: sum(slept)))
    monkeypatch.setitem(mails.send.__kwdefaults__ or {}, "sleep", slept.append)
    return slept


def deliver_at_the_next_look(services: FakeServices) -> None:
    services.faults.before(
        "ledger.get", lambda: services.handle(services.wake_ups.enqueued[0].mail_id)
    )


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (GraphAnswer(202), "sent", None),
        (GraphAnswer(403, "ErrorSendAsDenied"), "failed", "ErrorSendAsDenied"),
        (GraphAnswer(504), "unknown", "http_504"),
    ],
)
def test_a_caller_who_waits_hears_the_outcome(
    services: FakeServices, naps: list[float], answer: GraphAnswer, status: str, reason: str | None
) -> None:
    services.graph.answers = [answer]
    deliver_at_the_next_look(services)

    found = send(params={"wait": "20"})

    document = read(found)
    assert (found.status_code, document["status"], document.get("reason")) == (202, status, reason)
    assert found.headers["Preference-Applied"] == "wait=20"
    assert sum(naps) < 1


def test_a_caller_who_waits_in_vain_is_answered_when_the_time_is_up(
    services: FakeServices, naps: list[float]
) -> None:
    answer = send(params={"wait": "20"})

    assert (answer.status_code, read(answer)["status"]) == (202, "queued")
    assert sum(naps) == pytest.approx(20)


def test_a_preference_in_a_header_is_met_as_far_as_it_can_be(
    services: FakeServices, naps: list[float]
) -> None:
    answer = send(prefer="respond-async, wait=600")

    assert answer.headers["Preference-Applied"] == "wait=60"
    assert sum(naps) == pytest.approx(60)


def test_whoever_finds_no_place_to_wait_is_answered_at_once(
    services: FakeServices, naps: list[float]
) -> None:
    services.limits.waiting.acquire()

    answer = send(params={"wait": "20"})

    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers
    assert naps == []


def test_a_place_to_wait_is_given_back(services: FakeServices, naps: list[float]) -> None:
    services.faults.before("ledger.get", NOT_REACHED)
    send(params={"wait": "5"})

    assert "Preference-Applied" in send(params={"wait": "1"}).headers


def test_a_caller_who_waits_is_answered_202_though_the_ledger_is_not_reached_meanwhile(
    services: FakeServices, naps: list[float]
) -> None:
    for trouble in (NOT_REACHED, LOST):
        services.faults.before("ledger.get", trouble)
        answer = send(params={"wait": "5"})

        assert (answer.status_code, read(answer)["status"]) == (202, "queued")
        assert read(answer)["id"] == services.ledger.mails[-1].mail_id


@pytest.mark.parametrize("prefer", ["wait=abc", "wait", "respond-async", "wait=-1", ""])
def test_a_preference_that_is_not_understood_is_ignored(
    services: FakeServices, naps: list[float], prefer: str
) -> None:
    answer = send(prefer=prefer)

    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


# Refused.

BIG = b"x" * (8 * 1024 * 1024 + 1)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(
            lambda: send(content_type="text/plain"),
            (415, "unsupported_content_type", ["Content-Type"]),
            id="wrong content type",
        ),
        pytest.param(
            lambda: send(content_type=None),
            (415, "unsupported_content_type", ["Content-Type"]),
            id="no content type",
        ),
        pytest.param(
            lambda: send(b"", content_length="", transfer_encoding="chunked"),
            (411, "length_required", ["Content-Length"]),
            id="chunked",
        ),
        pytest.param(lambda: send(b""), (400, "empty_body", ["body"]), id="empty body"),
        pytest.param(lambda: send(BIG), (413, "request_too_large", ["body"]), id="big body"),
        pytest.param(
            lambda: send(b"", content_length=str(len(BIG))),
            (413, "request_too_large", ["body"]),
            id="big body announced",
        ),
        pytest.param(
            lambda: send(
                document_of(
                    attachments=[
                        {"filename": "a", "content": base64.b64encode(b"x" * 3_100_000).decode()}
                    ]
                )
            ),
            (413, "mail_too_large", ["attachments"]),
            id="attachment over what the account can send",
        ),
        pytest.param(
            lambda: send(document_of(**{"from": "ceo@contoso.com"})),
            (422, "sender_not_allowed", ["from"]),
            id="from that no account may use",
        ),
        pytest.param(
            lambda: send(document_of(account="nobody")),
            (422, "unknown_account", ["account"]),
            id="unknown account",
        ),
        pytest.param(
            lambda: send(params={"wait": "61"}),
            (400, "invalid_request", ["wait"]),
            id="wait too long",
        ),
        pytest.param(
            lambda: send(params={"wait": "9" * 5000}),
            (400, "invalid_request", ["wait"]),
            id="wait for ever",
        ),
        pytest.param(
            lambda: send(params={"wait": "1.5"}),
            (400, "invalid_request", ["wait"]),
            id="wait in fractions",
        ),
        pytest.param(
            lambda: send(params={"wiat": "5"}),
            (400, "invalid_request", ["wiat"]),
            id="unknown query parameter",
        ),
        pytest.param(lambda: send(b"{"), (400, "invalid_json", []), id="half a document"),
        pytest.param(
            lambda: send(document_of(to="nobody", subject="a\nb")),
            (422, "invalid_mail", ["to", "subject"]),
            id="two bad fields",
        ),
        pytest.param(
            lambda: send(idempotency_key="x" * 257),
            (422, "invalid_mail", ["idempotency_key"]),
            id="long key",
        ),
        pytest.param(
            lambda: send(b"hello", "message/rfc822"),
            (422, "invalid_mail", ["body"]),
            id="raw message without headers",
        ),
        pytest.param(
            lambda: send(b"x", "multipart/form-data"),
            (415, "unsupported_content_type", ["Content-Type"]),
            id="form without boundary",
        ),
        pytest.param(
            lambda: send(form(part('name=f; filename="a"', b"x")), FORM),
            (400, "invalid_request", ["mail"]),
            id="form without mail part",
        ),
        pytest.param(
            lambda: send(form(MAIL_PART, MAIL_PART), FORM),
            (400, "invalid_request", ["mail"]),
            id="form with two mail parts",
        ),
        pytest.param(
            lambda: send(form(MAIL_PART, part("name=note", b"x")), FORM),
            (400, "invalid_request", ["note"]),
            id="form with a field that is no mail",
        ),
        pytest.param(
            lambda: send(form(part("filename=x", b"x")), FORM),
            (400, "invalid_request", ["mail"]),
            id="form part without name",
        ),
        pytest.param(
            lambda: send(form(MAIL_PART, part('name=f; filename="../a"', b"x")), FORM),
            (422, "invalid_mail", ["attachments[0].filename"]),
            id="file with a path",
        ),
        pytest.param(
            lambda: send(form(MAIL_PART, *[part("name=f; filename=a", b"x")] * 101), FORM),
            (422, "invalid_mail", ["attachments"]),
            id="too many files",
        ),
    ],
)
def test_a_bad_request_is_refused_by_what_is_wrong_and_stores_nothing(
    services: FakeServices,
    answer: Callable[[], func.HttpResponse],
    expected: tuple[int, str, list[str]],
) -> None:
    assert problem(answer()) == expected
    assert (services.ledger.mails, services.wake_ups.enqueued, services.keys.claims) == ([], [], {})


def test_an_account_that_needs_a_sign_in_is_a_conflict(services: FakeServices) -> None:
    services.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN)
    services.accounts.all(fresh=True)

    assert problem(send()) == (409, "account_needs_sign_in", ["account"])


def test_without_any_account_the_answer_says_what_comes_first(services: FakeServices) -> None:
    services.accounts.rows.clear()
    services.accounts.all(fresh=True)

    assert problem(send()) == (409, "no_account", [])


def test_several_accounts_without_a_default_are_told_apart_by_the_caller(
    services: FakeServices,
) -> None:
    services.accounts.put(account_of("hr"))
    services.accounts.all(fresh=True)

    assert problem(send()) == (422, "unknown_account", ["account"])


def test_a_key_used_with_another_document_is_a_conflict(services: FakeServices) -> None:
    send(idempotency_key="k")

    answer = send(document_of(subject="Another"), idempotency_key="k")

    assert problem(answer) == (409, "idempotency_conflict", ["idempotency_key"])
    assert len(services.ledger.mails) == 1


@pytest.mark.parametrize(
    ("call", "trouble"),
    [
        ("ledger.insert", NOT_REACHED),
        ("keys.claim", LOST),
        ("accounts.all", RemoteRefused("storage", "403")),
    ],
)
def test_storage_that_fails_is_a_503_with_a_time_to_come_back(
    services: FakeServices, call: str, trouble: Exception
) -> None:
    services.faults.before(call, trouble)

    answer = send(idempotency_key="k")

    assert problem(answer) == (503, "unavailable", [])
    assert answer.headers["Retry-After"] == "10"
    assert "storage" in read(answer)["detail"]


def test_the_same_request_after_a_503_is_accepted_once(services: FakeServices) -> None:
    services.faults.before("ledger.insert", LOST)
    send(idempotency_key="k")

    answer = send(idempotency_key="k")

    assert answer.status_code == 202
    assert [mail.status for mail in services.ledger.mails] == [Status.QUEUED]


def test_the_wait_that_storage_asked_for_is_passed_on_in_whole_seconds(
    services: FakeServices,
) -> None:
    services.faults.before("ledger.insert", NotSent("storage", "busy", retry_after=2.1))

    assert send().headers["Retry-After"] == "3"


@pytest.mark.parametrize("error", [RuntimeError("ada@example.com"), KeyError("hush")])
def test_a_bug_is_a_500_that_says_nothing_of_it(
    services: FakeServices, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    services.faults.before("ledger.insert", error)

    answer = send(x_request_id="req-7")

    assert problem(answer) == (500, "internal_error", [])
    told = answer.get_body().decode() + caplog.text
    assert "ada@example.com" not in told
    assert "hush" not in told
    assert "req-7" in caplog.text


def test_a_remotes_failure_is_told_by_its_system_and_never_by_its_text(
    services: FakeServices,
) -> None:
    services.faults.before("ledger.insert", AnswerLost("storage", "hush"))

    answer = send()

    assert answer.status_code == 503
    assert "hush" not in answer.get_body().decode()


# What PowerShell makes of an error.


@pytest.mark.parametrize(
    "answer",
    [
        lambda: send(document_of(to="nobody")),
        lambda: send(document_of(**{"<b>": 1})),
        lambda: send(document_of(to=["Ada <ada>"])),
        lambda: send(document_of(attachments=[{"filename": "a", "blob": "x"}])),
        lambda: send(b"To: <>>\r\n\r\nHello", "message/rfc822"),
        lambda: send(params={"<script>": "1"}),
    ],
)
def test_an_error_has_no_angle_brackets_for_powershell_to_cut(
    services: FakeServices, answer: Callable[[], func.HttpResponse]
) -> None:
    """`$_.ErrorDetails` removes `<…>`, wherever in the body the two stand."""
    given = answer()

    assert given.status_code >= 400
    assert not set(b"<>") & set(given.get_body())
    problem(given)


def test_a_name_that_a_caller_wrote_in_angle_brackets_is_told_without_them(
    services: FakeServices,
) -> None:
    assert problem(send(document_of(**{"<b>": 1}))) == (422, "invalid_mail", ["?b?"])
    assert problem(send(params={"<b>": "1"})) == (400, "invalid_request", ["?b?"])
