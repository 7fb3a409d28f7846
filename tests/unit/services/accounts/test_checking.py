"""What a check of an account asks, finds, keeps and tells."""

from __future__ import annotations

import json
import logging
from datetime import timedelta

import pytest

from shared.errors import (
    AnswerLost,
    ConsentRequired,
    CredentialRefused,
    LostRace,
    NotSent,
    RemoteRefused,
    RequestRejected,
)
from shared.mail.account import AccountKind, AccountState
from shared.mail.findings import Check, Result, Topic
from shared.mail.outcome import GraphAnswer
from shared.mail.status import Status
from shared.services.accounts.ports import Profile
from tests.fakes import LOST, NOT_REACHED, FakeServices, account_of

VERIFIED = frozenset({"Mail.Send", "Mail.ReadWrite", "User.Read"})
PASSING = [
    NotSent("graph", "Microsoft Graph answered 503"),
    NotSent("graph", "Microsoft Graph answered 429", retry_after=30),
    AnswerLost("graph", "no answer"),
]


@pytest.fixture
def services() -> FakeServices:
    return FakeServices(account_of(scopes=VERIFIED))


def topics(check: Check) -> list[tuple[str, str]]:
    return [(one.topic.value, one.result.value) for one in check.findings]


def events(caplog: pytest.LogCaptureFixture, *names: str) -> list[dict[str, object]]:
    found = [json.loads(one) for one in caplog.messages if one.startswith("{")]
    return [one for one in found if one["event"] in names]


NEWS = ("account_trouble_found", "account_trouble_over", "account_well_again")


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "postroom")


def test_a_sound_account_is_found_to_be_sound(services: FakeServices) -> None:
    check = services.checking.check("billing")

    assert check.result is Result.OK
    assert topics(check) == [("grant", "ok"), ("mailbox", "ok"), ("scope", "ok"), ("draft", "ok")]
    assert services.checks.rows["id-billing"].check == check


def test_a_check_asks_microsoft_and_not_the_memory(services: FakeServices) -> None:
    services.tokens.access_token(services.accounts.rows["billing"])
    services.checking.check("billing")
    services.checking.check("billing")

    assert len(services.tokens.renewed) == 2


def test_a_check_of_no_account_is_refused_by_name(services: FakeServices) -> None:
    with pytest.raises(RequestRejected) as refused:
        services.checking.check("hr")

    assert refused.value.kind.code == "unknown_alias"


def test_the_draft_is_gone_afterwards_and_is_no_mails(services: FakeServices) -> None:
    seen = []
    services.faults.after("drafts.create", lambda: seen.extend(services.drafts.letters))
    services.checking.check("billing")

    assert [one.key for one in seen] == [None]
    assert services.drafts.letters == []


def test_a_draft_whose_answer_was_lost_goes_with_the_next_check(services: FakeServices) -> None:
    services.faults.after("drafts.create", LOST)
    first = services.checking.check("billing")
    left = len(services.drafts.letters)
    second = services.checking.check("billing")

    assert ("draft", "unsure") in topics(first)
    assert left == 1
    assert services.drafts.letters == []
    assert second.result is Result.OK


def test_a_draft_that_could_not_be_removed_is_told_and_goes_with_the_next_check(
    services: FakeServices,
) -> None:
    services.drafts.answers["remove"] = [GraphAnswer(503)]
    first = services.checking.check("billing")
    services.checking.check("billing")

    assert first.result is Result.UNSURE
    assert services.drafts.letters == []


def test_a_check_beside_it_may_have_removed_the_draft(services: FakeServices) -> None:
    services.faults.after("drafts.create", lambda: services.drafts.letters.clear())

    assert services.checking.check("billing").result is Result.OK


def test_no_sweep_and_no_look_for_a_mail_meets_the_checks_draft(services: FakeServices) -> None:
    services.faults.after("drafts.create", LOST)
    services.checking.check("billing")

    assert services.drafts.marked("t", "/me", services.clock.now + timedelta(minutes=1)) == []
    services.clock.forward(days=9)
    services.retention.sweep()
    assert services.drafts.removed == []


def test_without_the_right_to_write_no_draft_is_made() -> None:
    services = FakeServices(account_of())
    check = services.checking.check("billing")

    assert "draft" not in dict(topics(check))
    assert services.faults.calls["drafts.create"] == 0


def test_a_permission_that_went_is_named_with_who_gives_it_back(services: FakeServices) -> None:
    services.tokens.granted["billing"] = frozenset({"Mail.Send", "User.Read"})
    check = services.checking.check("billing")
    (missing,) = [one for one in check.findings if one.result is Result.NOT_OK]

    assert (missing.topic, missing.subject) == (Topic.SCOPE, "Mail.ReadWrite")
    assert missing.code == "scope_missing"
    assert missing.who
    assert missing.step


def test_a_refused_draft_is_a_trouble_with_microsofts_code(services: FakeServices) -> None:
    services.drafts.answers["create"] = [GraphAnswer(403, "ErrorAccessDenied")]
    check = services.checking.check("billing")

    assert check.troubles == ("draft:ErrorAccessDenied",)


def test_each_from_address_is_told_what_it_takes_and_that_only_sending_shows_it() -> None:
    services = FakeServices(account_of(allowed_from=("info@contoso.com", "hr@contoso.com")))
    check = services.checking.check("billing")
    notes = [one for one in check.findings if one.topic is Topic.SENDER]

    assert [one.subject for one in notes] == ["info@contoso.com", "hr@contoso.com"]
    assert all(one.result is Result.NOTE for one in notes)
    assert all("Mail.Send.Shared" in one.meaning for one in notes)
    assert all("'Send as'" in one.meaning and "real send" in one.meaning for one in notes)
    assert check.result is Result.OK


def test_an_address_that_changed_is_told(services: FakeServices) -> None:
    services.graph.profiles["/me"] = Profile("oid", "accounts@contoso.com", "Accounts")
    check = services.checking.check("billing")

    assert "address_changed" in [one.code for one in check.findings]
    assert check.result is Result.OK


def test_a_mailbox_that_graph_refuses_is_a_trouble(services: FakeServices) -> None:
    refused = RemoteRefused("graph", "refused", code="Request_ResourceNotFound")
    services.faults.before("graph.user", refused)

    assert services.checking.check("billing").troubles == ("mailbox:Request_ResourceNotFound",)


def test_another_persons_mailbox_that_cannot_be_looked_up_is_no_trouble() -> None:
    scopes = frozenset({"Mail.Send.Shared", "User.Read"})
    shared = account_of(kind=AccountKind.SHARED, through="id-hr", scopes=scopes)
    services = FakeServices(shared, account_of("hr", scopes=scopes | VERIFIED))
    denied = RemoteRefused("graph", "refused", code="Authorization_RequestDenied")
    services.faults.before("graph.user", denied)
    check = services.checking.check("billing")

    assert ("mailbox", "note") in topics(check)
    assert ("from", "note") in topics(check)
    assert check.result is Result.OK


@pytest.mark.parametrize("call", ["graph.user", "drafts.trials", "drafts.create", "drafts.remove"])
@pytest.mark.parametrize("trouble", PASSING, ids=["503", "429", "silence"])
def test_passing_trouble_marks_nothing_and_is_no_news(
    services: FakeServices, caplog: pytest.LogCaptureFixture, call: str, trouble: Exception
) -> None:
    services.faults.before(call, trouble)
    check = services.checking.check("billing")

    assert check.result is Result.UNSURE
    assert services.accounts.rows["billing"].state is AccountState.READY
    assert events(caplog, *NEWS) == []


def test_passing_trouble_of_the_sign_in_service_marks_nothing(services: FakeServices) -> None:
    services.faults.before("tokens.renew", NotSent("entra", "answered 503"))
    check = services.checking.check("billing")

    assert topics(check) == [("grant", "unsure")]
    assert services.accounts.rows["billing"].state is AccountState.READY


def test_a_refused_grant_is_found_with_its_code_and_who_acts(services: FakeServices) -> None:
    services.faults.always("tokens.renew", ConsentRequired("AADSTS50173", "revoked"))
    (finding,) = services.checking.check("billing").findings

    assert (finding.topic, finding.result) == (Topic.GRANT, Result.NOT_OK)
    assert finding.code == "AADSTS50173"
    assert finding.who == "the person whose mailbox it is"
    assert "/accounts" in (finding.step or "")


@pytest.mark.parametrize("code", ["AADSTS7000222", "vault_refused", "no_client_secret"])
def test_a_refused_credential_is_the_operators_and_marks_no_account(
    services: FakeServices, code: str
) -> None:
    services.faults.before("tokens.renew", CredentialRefused(code, "refused"))
    (finding,) = services.checking.check("billing").findings

    assert finding.who == "whoever runs Postroom"
    assert finding.step
    assert services.accounts.rows["billing"].state is AccountState.READY


# --- news


def test_what_is_broken_is_told_once_and_its_end_once(
    services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    services.tokens.granted["billing"] = frozenset({"Mail.Send", "User.Read"})
    for _ in range(3):
        services.checking.check("billing")
        services.clock.forward(days=1)
    broken = events(caplog, *NEWS)
    caplog.clear()
    del services.tokens.granted["billing"]
    for _ in range(3):
        services.checking.check("billing")
        services.clock.forward(days=1)

    assert [(one["event"], one["code"]) for one in broken] == [
        ("account_trouble_found", "scope_missing")
    ]
    assert [one["event"] for one in events(caplog, *NEWS)] == ["account_trouble_over"]


def test_a_check_that_learned_nothing_neither_mends_nor_breaks_anew(
    services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    refused = CredentialRefused("AADSTS7000222", "expired")
    for trouble in (refused, NOT_REACHED, refused):
        services.faults.before("tokens.renew", trouble)
        services.checking.check("billing")
        services.clock.forward(days=1)

    assert [one["event"] for one in events(caplog, *NEWS)] == ["account_trouble_found"]


def test_of_two_checks_that_find_the_same_one_tells_it(
    services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    services.drafts.answers["create"] = [GraphAnswer(403, "ErrorAccessDenied")] * 2

    def beside() -> None:
        services.faults.forget()
        services.clock.forward(seconds=-1)
        services.checking.check("billing")
        services.clock.forward(seconds=1)

    services.faults.before("checks.save", beside)
    services.checking.check("billing")

    assert len(events(caplog, *NEWS)) == 1


def test_an_older_check_does_not_overwrite_a_newer_one(services: FakeServices) -> None:
    def beside() -> None:
        services.clock.forward(seconds=5)
        services.checking.check("billing")

    services.faults.before("graph.user", beside)
    services.checking.check("billing")

    assert services.checks.rows["id-billing"].check.checked_at == services.clock()


@pytest.mark.parametrize("trouble", [NOT_REACHED, LOST, LostRace("changed")])
def test_what_cannot_be_kept_is_found_all_the_same(
    services: FakeServices, trouble: Exception
) -> None:
    services.faults.always("checks.save", trouble)

    assert services.checking.check("billing").result is Result.OK


# --- well again


def held_mail(services: FakeServices) -> str:
    mail_id = services.accepted()
    services.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN)
    services.accounts.all(fresh=True)
    services.wake_ups.take_due()
    services.handle(mail_id)
    assert services.status(mail_id) is Status.HELD
    return mail_id


@pytest.mark.parametrize("reason", ["AADSTS50076", "AADSTS50057", "no_grant", "http_401"])
def test_an_account_that_works_again_is_ready_and_its_mails_go(
    services: FakeServices, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    mail_id = held_mail(services)
    services.accounts.change("billing", reason=reason)
    services.checking.check("billing")

    assert services.accounts.rows["billing"].state is AccountState.READY
    assert services.accounts.rows["billing"].reason is None
    assert [ring.mail_id for ring in services.wake_ups.take_due()] == [mail_id]
    assert len(events(caplog, "account_well_again")) == 1


@pytest.mark.parametrize(
    ("reason", "scopes", "ready"),
    [
        ("ErrorAccessDenied", VERIFIED, True),
        ("ErrorAccessDenied", VERIFIED - {"Mail.ReadWrite"}, False),
        ("Authorization_RequestDenied", VERIFIED - {"Mail.ReadWrite"}, False),
        ("disconnecting", VERIFIED, False),
    ],
)
def test_a_denial_by_the_mailbox_is_over_only_where_the_mailbox_shows_it(
    reason: str, scopes: frozenset[str], ready: bool
) -> None:
    state = AccountState.NEEDS_SIGN_IN
    services = FakeServices(account_of(scopes=scopes, state=state, reason=reason))
    services.checking.check("billing")

    assert (services.accounts.rows["billing"].state is AccountState.READY) == ready


def test_an_account_without_the_permission_to_send_does_not_work_again(
    services: FakeServices,
) -> None:
    services.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN, reason="AADSTS65001")
    services.tokens.granted["billing"] = frozenset({"User.Read"})
    services.checking.check("billing")

    assert services.accounts.rows["billing"].state is AccountState.NEEDS_SIGN_IN


@pytest.mark.parametrize(
    ("reason", "ready"),
    [
        ("AADSTS7000222", True),
        ("vault_refused", True),
        ("ErrorSubmissionQuotaExceeded", False),
        ("ErrorAccountSuspend", False),
        ("throttled", False),
    ],
)
def test_a_hold_ends_by_a_check_only_where_the_apps_credential_was_the_cause(
    services: FakeServices, reason: str, ready: bool
) -> None:
    until = services.clock() + timedelta(hours=9)
    services.accounts.change("billing", state=AccountState.HELD, reason=reason, held_until=until)
    services.checking.check("billing")

    assert (services.accounts.rows["billing"].state is AccountState.READY) == ready


@pytest.mark.parametrize("opened", [True, False])
def test_a_right_that_was_given_is_seen_where_a_draft_can_be_made(opened: bool) -> None:
    app = account_of(kind=AccountKind.APP, scopes=VERIFIED)
    services = FakeServices(app)
    services.accounts.change("billing", state=AccountState.HELD, reason="ErrorAccessDenied")
    services.drafts.answers["create"] = [] if opened else [GraphAnswer(403, "ErrorAccessDenied")]
    services.checking.check("billing")

    assert (services.accounts.rows["billing"].state is AccountState.READY) == opened


def test_a_sign_in_meanwhile_is_left_as_it_is(services: FakeServices) -> None:
    services.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN, reason="AADSTS50076")

    def signed_in() -> None:
        services.accounts.change("billing", signed_in_at=services.clock(), reason="AADSTS70043")

    services.faults.before("graph.user", signed_in)
    services.checking.check("billing")

    assert services.accounts.rows["billing"].reason == "AADSTS70043"


def test_mails_that_cannot_be_let_go_at_once_are_left_to_the_timer(services: FakeServices) -> None:
    held_mail(services)
    services.accounts.change("billing", reason="AADSTS50076")
    services.faults.before("waiting.of_account", NOT_REACHED)
    services.checking.check("billing")

    assert services.accounts.rows["billing"].state is AccountState.READY


@pytest.mark.parametrize("begun", [AccountState.READY, AccountState.NEEDS_SIGN_IN])
def test_an_account_that_was_marked_while_a_check_ran_stays_marked(
    services: FakeServices, begun: AccountState
) -> None:
    was = None if begun is AccountState.READY else "AADSTS700082"
    services.accounts.change("billing", state=begun, reason=was)
    services.faults.after(
        "graph.user",
        lambda: services.accounts.change(
            "billing", state=AccountState.NEEDS_SIGN_IN, reason="AADSTS50173"
        ),
    )
    check = services.checking.check("billing")

    assert services.accounts.rows["billing"].state is AccountState.NEEDS_SIGN_IN
    assert services.accounts.rows["billing"].reason == "AADSTS50173"
    assert "AADSTS50173" in [one.code for one in check.findings]
