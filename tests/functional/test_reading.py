"""The calls that read: mails, accounts, health."""

from __future__ import annotations

from datetime import timedelta

import pytest

import function_app
from shared.errors import AnswerLost, ConfigurationError, NotSent
from shared.mail import known_errors
from shared.mail.account import AccountState
from shared.mail.outcome import GraphAnswer
from tests.fakes import NOT_REACHED, NOW, FakeServices, account_of
from tests.functional.calling import list_mails, read, request, send, show_mail
from tests.functional.test_send import problem


def listed(**params: str) -> list[str]:
    return [mail["id"] for mail in read(list_mails(**params))["mails"]]


# One mail.


def test_a_mail_is_shown_with_its_story(services: FakeServices) -> None:
    mail_id = services.accepted(tags=["invoice"], metadata={"order": "7"})
    services.clock.forward(seconds=3)
    services.handle(mail_id)

    document = read(show_mail(mail_id))

    assert document == {
        "id": mail_id,
        "status": "sent",
        "accepted_at": "2026-08-20T12:00:00Z",
        "updated_at": "2026-08-20T12:00:03Z",
        "due_at": "2026-08-20T12:00:00Z",
        "sent_at": "2026-08-20T12:00:03Z",
        "caller": "http",
        "attempts": 1,
        "account": "billing",
        "from": "Billing <billing@contoso.com>",
        "recipients": ["Ada <ada@example.com>"],
        "recipient_count": 1,
        "subject": "Your invoice",
        "delivery": "direct",
        "tags": ["invoice"],
        "metadata": {"order": "7"},
        "request_id": "req-1",
        "events": [
            {"at": "2026-08-20T12:00:00Z", "status": "queued"},
            {"at": "2026-08-20T12:00:03Z", "status": "sending"},
            {"at": "2026-08-20T12:00:03Z", "status": "sent"},
        ],
        "links": {"self": f"/api/mails/{mail_id}"},
    }


def test_a_verified_mail_shows_its_message_id_once_it_is_known(services: FakeServices) -> None:
    services.accounts.put(account_of("desk", scopes=account_of().scopes | {"Mail.ReadWrite"}))
    mail_id = services.accepted(account="desk")
    assert "message_id" not in read(show_mail(mail_id))
    services.faults.before("drafts.send", AnswerLost("graph", "no answer came back"))
    services.handle(mail_id)

    assert read(show_mail(mail_id))["message_id"] == "<draft-1@prod.outlook.com>"
    assert read(list_mails())["mails"][0]["message_id"] == "<draft-1@prod.outlook.com>"


def test_a_failed_mail_says_why_and_what_to_do(services: FakeServices) -> None:
    mail_id = services.accepted()
    services.graph.answers = [GraphAnswer(403, "ErrorSendAsDenied")]
    services.handle(mail_id)

    document = read(show_mail(mail_id))

    assert (document["status"], document["reason"]) == ("failed", "ErrorSendAsDenied")
    assert "Send as" in document["help"]


def test_an_id_in_capitals_is_the_same_id(services: FakeServices) -> None:
    mail_id = services.accepted()

    assert read(show_mail(mail_id.upper()))["id"] == mail_id


@pytest.mark.parametrize(
    "mail_id",
    [
        "7",
        "..%2f",
        "01a01f0a-da00-72d3-a652-e44da7f29e26",
        "ffffffff-ffff-7fff-bfff-ffffffffffff",
        "x" * 5000,
    ],
)
def test_a_mail_that_is_not_there_is_a_404(services: FakeServices, mail_id: str) -> None:
    assert problem(show_mail(mail_id)) == (404, "unknown_mail", [])


def test_reading_a_mail_takes_no_parameters(services: FakeServices) -> None:
    assert problem(show_mail(services.accepted(), {"verbose": "1"})) == (
        400,
        "invalid_request",
        ["verbose"],
    )


# By key.


def test_a_mail_is_found_by_its_key_after_its_answer_was_lost(services: FakeServices) -> None:
    mail_id = services.accepted(idempotency_key="invoice-7")
    services.accepted()

    assert listed(idempotency_key="invoice-7") == [mail_id]
    assert listed(idempotency_key="invoice-8") == []


def test_finding_by_key_reads_no_more_than_the_key_and_the_mail(services: FakeServices) -> None:
    services.accepted(idempotency_key="invoice-7")
    services.faults.calls.clear()

    listed(idempotency_key="invoice-7")

    assert dict(services.faults.calls) == {"keys.find": 1, "ledger.get": 1}


# The list.


@pytest.fixture
def five(services: FakeServices) -> list[str]:
    """Five mails, an hour between each; oldest first."""
    written = []
    for number in range(5):
        written.append(services.accepted(tags=[f"t{number % 2}"]))
        services.clock.forward(hours=1)
    return written


def test_mails_are_listed_newest_first_without_their_stories(
    services: FakeServices, five: list[str]
) -> None:
    document = read(list_mails())

    assert [mail["id"] for mail in document["mails"]] == five[::-1]
    assert all("events" not in mail for mail in document["mails"])
    assert "next_cursor" not in document


def test_pages_follow_each_other_by_cursor(services: FakeServices, five: list[str]) -> None:
    first = read(list_mails(limit="2"))
    second = read(list_mails(limit="2", cursor=first["next_cursor"]))
    third = read(list_mails(limit="2", cursor=second["next_cursor"]))

    pages = [[mail["id"] for mail in page["mails"]] for page in (first, second, third)]
    assert pages == [five[:2:-1], five[2:0:-1], five[:1]]
    assert "next_cursor" not in third


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"status": "sent"}, [1]),
        ({"status": "queued"}, [4, 3, 2, 0]),
        ({"status": "sent,queued"}, [4, 3, 2, 1, 0]),
        ({"status": "sent, failed"}, [1]),
        ({"attention": "true"}, []),
        ({"attention": "false"}, [4, 3, 2, 1, 0]),
        ({"attention": "false", "status": "sent"}, [1]),
        ({"account": "billing"}, [4, 3, 2, 1, 0]),
        ({"account": "hr' or '1' eq '1"}, []),
        ({"tag": "t1"}, [3, 1]),
        ({"since": "2026-08-20T14:00:00Z"}, [4, 3, 2]),
        ({"until": "2026-08-20T14:00:00Z"}, [1, 0]),
        ({"since": "2026-08-20T15:00:00+02:00", "until": "2026-08-20T14:00:00Z"}, [1]),
        ({"code": "key"}, [4, 3, 2, 1, 0]),
    ],
)
def test_the_list_is_filtered(
    services: FakeServices, five: list[str], params: dict[str, str], expected: list[int]
) -> None:
    services.handle(five[1])

    assert listed(**params) == [five[number] for number in expected]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"status": "lost"}, "status"),
        ({"status": ""}, "status"),
        ({"status": "sent,"}, "status"),
        ({"attention": "yes"}, "attention"),
        ({"attention": "true", "status": "held"}, "attention"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"idempotency_key": "k" * 257}, "idempotency_key"),
        ({"idempotency_key": "k", "tag": "t"}, "tag"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-08-20T14:00:00"}, "since"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "since"),
        ({"until": "9999-12-31T23:59:59Z"}, "until"),
        ({"until": "2026-08-20T15:00:00 02:00"}, "until"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "00000000100000"}, "limit"),
        ({"limit": "1" + "0" * 5000}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"cursor": "é"}, "cursor"),
        ({"cursor": "a"}, "cursor"),
        ({"sort": "asc"}, "sort"),
    ],
)
def test_a_bad_parameter_is_refused_by_its_name(
    services: FakeServices, params: dict[str, str], field: str
) -> None:
    assert problem(list_mails(**params)) == (400, "invalid_request", [field])


@pytest.mark.parametrize("limit", ["1", "100"])
def test_the_smallest_and_the_largest_page_are_allowed(services: FakeServices, limit: str) -> None:
    assert list_mails(limit=limit).status_code == 200


def test_a_ledger_that_is_away_is_a_503(services: FakeServices) -> None:
    services.faults.before("ledger.page", NOT_REACHED)

    assert problem(list_mails()) == (503, "unavailable", [])


# Accounts.


def test_accounts_are_listed_by_alias_and_fresh(services: FakeServices) -> None:
    services.accounts.put(
        account_of(
            "accounting",
            is_default=True,
            allowed_from=("info@contoso.com",),
            state=AccountState.HELD,
            reason="ErrorExceededMessageLimit",
            held_until=NOW + timedelta(hours=1),
        )
    )

    document = read(function_app.list_accounts(request(path="/api/accounts")))

    assert document["accounts"] == [
        {
            "alias": "accounting",
            "address": "accounting@contoso.com",
            "display_name": "Accounting",
            "kind": "work",
            "state": "held",
            "scopes": ["Mail.Send", "User.Read"],
            "default": True,
            "allowed_from": ["info@contoso.com"],
            "reason": "ErrorExceededMessageLimit",
            "trouble": {
                "code": "ErrorExceededMessageLimit",
                "meaning": "Outlook.com's daily limit for this mailbox is used up.",
                "who": "the person whose mailbox it is",
                "step": known_errors.find("ErrorExceededMessageLimit").step,
                "retryable": True,
            },
            "held_until": "2026-08-20T13:00:00Z",
            "signed_in_at": "2026-07-21T12:00:00Z",
        },
        {
            "alias": "billing",
            "address": "billing@contoso.com",
            "display_name": "Billing",
            "kind": "work",
            "state": "ready",
            "scopes": ["Mail.Send", "User.Read"],
            "default": False,
            "signed_in_at": "2026-07-21T12:00:00Z",
        },
    ]


def test_listing_accounts_takes_no_parameters(services: FakeServices) -> None:
    answer = function_app.list_accounts(request(params={"alias": "hr"}))

    assert problem(answer) == (400, "invalid_request", ["alias"])


# Health.


def test_a_process_with_sound_settings_is_alive(services: FakeServices) -> None:
    answer = function_app.show_health(request(path="/api/health"))

    assert (answer.status_code, read(answer)) == (200, {"status": "ok"})
    assert sum(services.faults.calls.values()) == 0


def broken() -> FakeServices:
    raise ConfigurationError(["POSTROOM_TENANT is missing: set it", "POSTROOM_CLIENT_ID is wrong"])


def test_a_process_with_broken_settings_is_not_well_and_tells_strangers_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shared.bootstrap.services", broken)

    answer = function_app.show_health(request(path="/api/health"))

    assert (answer.status_code, read(answer)) == (503, {"status": "misconfigured"})
    assert answer.headers["Retry-After"]


def test_a_call_with_broken_settings_names_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.bootstrap.services", broken)

    answer = send()

    assert problem(answer) == (503, "misconfigured", ["POSTROOM_TENANT", "POSTROOM_CLIENT_ID"])
    assert answer.headers["Retry-After"] == "60"


def test_health_in_detail_asks_each_dependency(services: FakeServices) -> None:
    answer = function_app.show_health_details(request(path="/api/health/details"))

    document = read(answer)
    assert (answer.status_code, document["status"]) == (200, "ok")
    assert [(d["name"], d["ok"]) for d in document["dependencies"]] == [("ledger", True)]
    assert [account["alias"] for account in document["accounts"]] == ["billing"]


def test_health_in_detail_says_which_version_of_the_credential_answers(
    services: FakeServices,
) -> None:
    answer = function_app.show_health_details(request(path="/api/health/details"))

    assert read(answer)["credential"] == [
        {
            "kind": "secret",
            "version": "0f3c9a1b",
            "enabled": True,
            "newest": True,
            "in_use": True,
            "expires_at": "2027-02-16T12:00:00Z",
            "days_left": 180,
        }
    ]


def test_health_in_detail_does_without_the_credential_where_the_vault_is_silent(
    services: FakeServices,
) -> None:
    services.credential.trouble = NotSent("vault", "Key Vault cannot be reached.")

    answer = function_app.show_health_details(request(path="/api/health/details"))

    assert (answer.status_code, read(answer)["credential"]) == (200, [])


def test_a_dependency_that_is_away_is_named(services: FakeServices) -> None:
    services.faults.before("waiting.snapshot", NotSent("storage", "storage was not reached"))

    answer = function_app.show_health_details(request(path="/api/health/details"))

    document = read(answer)
    (ledger,) = document["dependencies"]
    assert (answer.status_code, document["status"]) == (503, "degraded")
    assert answer.headers["Retry-After"]
    assert ledger["problem"] == "NotSent: storage was not reached"


def test_an_account_that_cannot_send_makes_the_whole_not_well(services: FakeServices) -> None:
    services.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN, reason="AADSTS50173")

    answer = function_app.show_health_details(request(path="/api/health/details"))

    assert (answer.status_code, read(answer)["status"]) == (503, "degraded")
    assert read(answer)["accounts"][0]["reason"] == "AADSTS50173"


def test_health_in_detail_has_the_last_check_of_each_account(services: FakeServices) -> None:
    services.tokens.granted["billing"] = frozenset({"User.Read"})
    services.watch.run()
    answer = function_app.show_health_details(request(path="/api/health/details"))

    assert read(answer)["checks"] == [
        {
            "alias": "billing",
            "result": "not_ok",
            "checked_at": "2026-08-20T12:00:00Z",
            "troubles": ["scope:Mail.Send:scope_missing"],
        }
    ]


@pytest.mark.parametrize("name", ["account", "tag"])
def test_a_blank_filter_is_as_if_it_were_left_out(services: FakeServices, name: str) -> None:
    mail_id = services.accepted()

    assert listed(**{name: " "}) == [mail_id]
