"""The calls that change mails, and batches, over real requests."""

from __future__ import annotations

import json

import pytest

import function_app
from shared.mail.account import AccountState
from shared.mail.outcome import GraphAnswer
from shared.mail.status import Status
from shared.services.mails.change_document import MAX_BYTES
from tests.fakes import NOT_REACHED, FakeServices, document_of
from tests.functional.calling import (
    change,
    posted,
    read,
    release_account,
    reschedule,
    send_batch,
    show_mail,
)
from tests.functional.test_send import problem


def failed(services: FakeServices) -> str:
    mail_id = services.accepted()
    services.graph.answers = [GraphAnswer(403, "ErrorSendAsDenied")]
    services.handle(mail_id)
    return mail_id


def test_a_cancelled_mail_is_answered_with_its_story(services: FakeServices) -> None:
    mail_id = services.accepted()

    answer = change("cancel", mail_id)

    assert answer.status_code == 200
    assert read(answer) == read(show_mail(mail_id))
    assert read(answer)["status"] == "cancelled"
    assert [event["status"] for event in read(answer)["events"]] == ["queued", "cancelled"]


def test_cancelling_twice_is_no_error(services: FakeServices) -> None:
    mail_id = services.accepted()
    change("cancel", mail_id)

    assert change("cancel", mail_id).status_code == 200


def test_a_refusal_names_the_status_and_what_to_do(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.handle(mail_id)

    answer = change("cancel", mail_id)

    assert problem(answer) == (409, "wrong_status", [])
    assert read(answer)["mail_status"] == "sent"
    assert "send a new mail" in read(answer)["detail"]


def test_a_mail_gets_another_time(services: FakeServices) -> None:
    answer = reschedule(services.accepted(), {"scheduled_at": "2026-09-01T10:00:00+02:00"})

    assert (read(answer)["status"], read(answer)["due_at"]) == ("scheduled", "2026-09-01T08:00:00Z")


def test_null_is_now(services: FakeServices) -> None:
    mail_id = services.accepted(scheduled_at="2026-09-01T08:00:00Z")

    assert read(reschedule(mail_id, {"scheduled_at": None}))["status"] == "queued"


def test_a_mail_is_retried_to_others_and_its_story_says_so(services: FakeServices) -> None:
    answer = change("retry", failed(services), {"to": "Grace <grace@example.com>"})

    document = read(answer)
    assert (document["status"], document["attempts"]) == ("queued", 0)
    assert document["recipients"] == ["Grace <grace@example.com>"]
    assert document["former_recipients"] == ["Ada <ada@example.com>"]
    assert document["events"][-1]["reason"] == "recipients_changed"


def test_an_unknown_outcome_is_settled(services: FakeServices) -> None:
    services.graph.answers = [GraphAnswer(504)]
    mail_id = services.accepted()
    services.handle(mail_id)

    assert read(change("resolve", mail_id, {"decision": "sent"}))["status"] == "sent"


def test_what_an_account_holds_is_released(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN)
    services.accounts.remember(*services.accounts.rows.values())
    services.handle(mail_id)
    refused = release_account("billing")
    services.accounts.change("billing", state=AccountState.READY)
    services.wake_ups.enqueued.clear()

    answer = release_account("billing")

    assert problem(refused) == (409, "account_cannot_send", [])
    assert read(refused)["help"] == (
        "The mailbox has to be signed in again. Sign the mailbox in again on /accounts. (Who: the "
        "person whose mailbox it is.) Its mails go by themselves then."
    )
    assert read(answer) == {"released": 1}
    assert [ring.mail_id for ring in services.wake_ups.enqueued] == [mail_id]


def test_an_account_that_is_not_there_is_a_404(services: FakeServices) -> None:
    assert problem(release_account("nobody")) == (404, "unknown_alias", [])


@pytest.mark.parametrize("mail_id", ["7", "..%2f", "01a01f0a-da00-72d3-a652-e44da7f29e26"])
@pytest.mark.parametrize("what", ["cancel", "retry", "release"])
def test_a_mail_that_is_not_there_is_a_404(services: FakeServices, what: str, mail_id: str) -> None:
    assert problem(change(what, mail_id)) == (404, "unknown_mail", [])


@pytest.mark.parametrize(
    ("what", "body", "status", "code", "fields"),
    [
        ("cancel", {"reason": "x"}, 400, "invalid_request", ["reason"]),
        ("cancel", b"nonsense", 400, "invalid_json", []),
        ("retry", {"subject": "x"}, 400, "invalid_request", ["subject"]),
        ("retry", {"to": "x"}, 400, "invalid_request", ["to"]),
        ("retry", {"to": ["a@example.com", "x"]}, 400, "invalid_request", ["to[1]"]),
        ("retry", {"to": 7}, 400, "invalid_request", ["to"]),
        ("retry", {"to": []}, 422, "invalid_mail", ["to"]),
        ("retry", {"account": "nobody"}, 422, "unknown_account", ["account"]),
        (
            "retry",
            b'{"to": "a@example.com", "to": "b@example.com"}',
            400,
            "invalid_request",
            ["to"],
        ),
        ("retry", b" " * (MAX_BYTES + 1), 413, "request_too_large", ["body"]),
        ("resolve", None, 400, "empty_body", ["body"]),
        ("resolve", b"{}", 400, "invalid_request", ["decision"]),
        ("resolve", {"decision": "lost"}, 400, "invalid_request", ["decision"]),
        ("release", {"now": True}, 400, "invalid_request", ["now"]),
        ("reschedule", b"{}", 400, "invalid_request", ["scheduled_at"]),
        ("reschedule", {"scheduled_at": "soon"}, 400, "invalid_request", ["scheduled_at"]),
        (
            "reschedule",
            {"scheduled_at": "2026-09-01T08:00"},
            400,
            "invalid_request",
            ["scheduled_at"],
        ),
        (
            "reschedule",
            {"scheduled_at": "2028-09-01T08:00Z"},
            400,
            "invalid_request",
            ["scheduled_at"],
        ),
        ("reschedule", {"scheduled_at": None, "to": "x"}, 400, "invalid_request", ["to"]),
    ],
)
def test_a_body_that_cannot_be_taken_is_refused_by_name(
    services: FakeServices,
    what: str,
    body: bytes | dict[str, object] | None,
    status: int,
    code: str,
    fields: list[str],
) -> None:
    mail_id = failed(services)

    assert problem(change(what, mail_id, body)) == (status, code, fields)
    assert services.status(mail_id) is Status.FAILED


def test_a_body_must_say_that_it_is_json(services: FakeServices) -> None:
    answer = change("retry", failed(services), b"{}", content_type="text/plain")

    assert problem(answer) == (415, "unsupported_content_type", ["Content-Type"])


# Batches.


def test_a_batch_is_answered_mail_by_mail(services: FakeServices) -> None:
    answer = send_batch(document_of(), document_of(to="x"))

    document = read(answer)
    (mail,) = services.ledger.mails
    assert answer.status_code == 202
    assert (document["accepted"], document["refused"]) == (1, 1)
    assert document["results"][0] == {
        "index": 0,
        "id": mail.mail_id,
        "status": "queued",
        "links": {"self": f"/api/mails/{mail.mail_id}"},
    }
    assert document["results"][1]["index"] == 1
    assert document["results"][1]["problem"]["code"] == "invalid_mail"
    assert document["results"][1]["problem"]["errors"][0]["field"] == "to"


@pytest.mark.parametrize("mode", ["permissive", "all_or_nothing"])
def test_a_batch_of_which_nothing_is_accepted_is_a_problem(
    services: FakeServices, mode: str
) -> None:
    good = [document_of()] if mode == "all_or_nothing" else []

    answer = send_batch(*good, document_of(to="x"), mode=mode)

    assert problem(answer) == (422, "batch_refused", [])
    assert read(answer)["accepted"] == 0
    assert read(answer)["results"][-1]["problem"]["code"] == "invalid_mail"
    assert services.ledger.mails == []


def test_a_torn_batch_says_which_mails_were_accepted(services: FakeServices) -> None:
    services.faults.before("ledger.insert", NOT_REACHED, nth=2)

    answer = send_batch(*[document_of()] * 4, mode="all_or_nothing", idempotency_key="k")

    assert problem(answer) == (503, "batch_incomplete", [])
    told = [result["id"] for result in read(answer)["results"] if "id" in result]
    assert sorted(told) == [mail.mail_id for mail in services.ledger.mails]
    assert read(answer)["accepted"] == 3


def test_a_batch_of_which_storage_took_nothing_may_be_repeated(services: FakeServices) -> None:
    services.faults.always("ledger.insert", NOT_REACHED)

    answer = send_batch(document_of())

    assert problem(answer) == (503, "batch_incomplete", [])


@pytest.mark.parametrize("mode", ["permissive", "all_or_nothing"])
def test_a_batch_on_which_postroom_itself_fails_says_what_was_stored(
    services: FakeServices, mode: str
) -> None:
    services.faults.before("ledger.insert", ZeroDivisionError(), nth=2)

    answer = send_batch(*[document_of()] * 3, mode=mode)

    results = read(answer)["results"]
    assert answer.status_code == (202 if mode == "permissive" else 503)
    told = sorted(one["id"] for one in results if "id" in one)
    assert told == sorted(mail.mail_id for mail in services.ledger.mails)
    assert [one["problem"]["code"] for one in results if "problem" in one] == ["internal_error"]
    assert read(answer)["accepted"] == 2


def test_a_batch_on_which_postroom_fails_altogether_is_no_fault_of_its_mails(
    services: FakeServices,
) -> None:
    services.faults.always("ledger.insert", ZeroDivisionError())

    answer = send_batch(document_of())

    assert problem(answer) == (503, "batch_incomplete", [])


def test_a_repeated_batch_says_that_its_mails_were_there(services: FakeServices) -> None:
    send_batch(document_of(), idempotency_key="k")

    (result,) = read(send_batch(document_of(), idempotency_key="k"))["results"]

    assert result["replayed"] is True


def test_a_batch_is_json_alone(services: FakeServices) -> None:
    answer = posted(
        function_app.send_batch, json.dumps({"mails": []}).encode(), {}, content_type="text/plain"
    )

    assert problem(answer) == (415, "unsupported_content_type", ["Content-Type"])


def test_a_batch_may_be_as_large_as_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.functional.conftest import use

    use(FakeServices(max_bytes=200), monkeypatch)

    assert problem(send_batch(*[document_of()] * 3)) == (413, "request_too_large", ["body"])
