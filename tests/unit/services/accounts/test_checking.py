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
    Refused,
    RemoteRefused,
)
from shared.mail.account import AccountKind, AccountState
from shared.mail.findings import Check, Result, Topic
from shared.mail.outcome import GraphAnswer
from shared.mail.status import Status
from shared.services.accounts.ports import Profile
from tests.fakes import LOST, NOT_REACHED, Room, account_of

VERIFIED = frozenset({"Mail.Send", "Mail.ReadWrite", "User.Read"})
PASSING = [
    NotSent("graph", "Microsoft Graph answered 503"),
    NotSent("graph", "Microsoft Graph answered 429", retry_after=30),
    AnswerLost("graph", "no answer"),
]


@pytest.fixture
def room() -> Room:
    return Room(account_of(scopes=VERIFIED))


def topics(check: Check) -> list[tuple[str, str]]:
    return [(one.topic.value, one.result.value) for one in check.findings]


def events(caplog: pytest.LogCaptureFixture, *names: str) -> list[dict[str, object]]:
    found = [json.loads(one) for one in caplog.messages if one.startswith("{")]
    return [one for one in found if one["event"] in names]


NEWS = ("account_trouble_found", "account_trouble_over", "account_well_again")


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "postroom")


def test_a_sound_account_is_found_to_be_sound(room: Room) -> None:
    check = room.checking.check("billing")

    assert check.result is Result.OK
    assert topics(check) == [("grant", "ok"), ("mailbox", "ok"), ("scope", "ok"), ("draft", "ok")]
    assert room.checks.rows["id-billing"].check == check


def test_a_check_asks_microsoft_and_not_the_memory(room: Room) -> None:
    room.tokens.access_token(room.accounts.rows["billing"])
    room.checking.check("billing")
    room.checking.check("billing")

    assert len(room.tokens.renewed) == 2


def test_a_check_of_no_account_is_refused_by_name(room: Room) -> None:
    with pytest.raises(Refused) as refused:
        room.checking.check("hr")

    assert refused.value.kind.code == "unknown_alias"


def test_the_draft_is_gone_afterwards_and_is_no_mails(room: Room) -> None:
    seen = []
    room.faults.after("drafts.create", lambda: seen.extend(room.drafts.letters))
    room.checking.check("billing")

    assert [one.key for one in seen] == [None]
    assert room.drafts.letters == []


def test_a_draft_whose_answer_was_lost_goes_with_the_next_check(room: Room) -> None:
    room.faults.after("drafts.create", LOST)
    first = room.checking.check("billing")
    left = len(room.drafts.letters)
    second = room.checking.check("billing")

    assert ("draft", "unsure") in topics(first)
    assert left == 1
    assert room.drafts.letters == []
    assert second.result is Result.OK


def test_a_draft_that_could_not_be_removed_is_told_and_goes_with_the_next_check(room: Room) -> None:
    room.drafts.answers["remove"] = [GraphAnswer(503)]
    first = room.checking.check("billing")
    room.checking.check("billing")

    assert first.result is Result.UNSURE
    assert room.drafts.letters == []


def test_a_check_beside_it_may_have_removed_the_draft(room: Room) -> None:
    room.faults.after("drafts.create", lambda: room.drafts.letters.clear())

    assert room.checking.check("billing").result is Result.OK


def test_no_sweep_and_no_look_for_a_mail_meets_the_checks_draft(room: Room) -> None:
    room.faults.after("drafts.create", LOST)
    room.checking.check("billing")

    assert room.drafts.marked("t", "/me", room.clock.now + timedelta(minutes=1)) == []
    room.clock.forward(days=9)
    room.retention.sweep()
    assert room.drafts.removed == []


def test_without_the_right_to_write_no_draft_is_made() -> None:
    room = Room(account_of())
    check = room.checking.check("billing")

    assert "draft" not in dict(topics(check))
    assert room.faults.calls["drafts.create"] == 0


def test_a_permission_that_went_is_named_with_who_gives_it_back(room: Room) -> None:
    room.tokens.granted["billing"] = frozenset({"Mail.Send", "User.Read"})
    check = room.checking.check("billing")
    (missing,) = [one for one in check.findings if one.result is Result.NOT_OK]

    assert (missing.topic, missing.subject) == (Topic.SCOPE, "Mail.ReadWrite")
    assert missing.code == "scope_missing"
    assert missing.who
    assert missing.step


def test_a_refused_draft_is_a_trouble_with_microsofts_code(room: Room) -> None:
    room.drafts.answers["create"] = [GraphAnswer(403, "ErrorAccessDenied")]
    check = room.checking.check("billing")

    assert check.troubles == ("draft:ErrorAccessDenied",)


def test_each_from_address_is_told_what_it_takes_and_that_only_sending_shows_it() -> None:
    room = Room(account_of(allowed_from=("info@contoso.com", "hr@contoso.com")))
    check = room.checking.check("billing")
    notes = [one for one in check.findings if one.topic is Topic.SENDER]

    assert [one.subject for one in notes] == ["info@contoso.com", "hr@contoso.com"]
    assert all(one.result is Result.NOTE for one in notes)
    assert all("Mail.Send.Shared" in one.meaning for one in notes)
    assert all("'Send as'" in one.meaning and "real send" in one.meaning for one in notes)
    assert check.result is Result.OK


def test_an_address_that_changed_is_told(room: Room) -> None:
    room.graph.profiles["/me"] = Profile("oid", "accounts@contoso.com", "Accounts")
    check = room.checking.check("billing")

    assert "address_changed" in [one.code for one in check.findings]
    assert check.result is Result.OK


def test_a_mailbox_that_graph_refuses_is_a_trouble(room: Room) -> None:
    refused = RemoteRefused("graph", "refused", code="Request_ResourceNotFound")
    room.faults.before("graph.user", refused)

    assert room.checking.check("billing").troubles == ("mailbox:Request_ResourceNotFound",)


def test_another_persons_mailbox_that_cannot_be_looked_up_is_no_trouble() -> None:
    scopes = frozenset({"Mail.Send.Shared", "User.Read"})
    shared = account_of(kind=AccountKind.SHARED, through="id-hr", scopes=scopes)
    room = Room(shared, account_of("hr", scopes=scopes | VERIFIED))
    denied = RemoteRefused("graph", "refused", code="Authorization_RequestDenied")
    room.faults.before("graph.user", denied)
    check = room.checking.check("billing")

    assert ("mailbox", "note") in topics(check)
    assert ("from", "note") in topics(check)
    assert check.result is Result.OK


@pytest.mark.parametrize("call", ["graph.user", "drafts.trials", "drafts.create", "drafts.remove"])
@pytest.mark.parametrize("trouble", PASSING, ids=["503", "429", "silence"])
def test_passing_trouble_marks_nothing_and_is_no_news(
    room: Room, caplog: pytest.LogCaptureFixture, call: str, trouble: Exception
) -> None:
    room.faults.before(call, trouble)
    check = room.checking.check("billing")

    assert check.result is Result.UNSURE
    assert room.accounts.rows["billing"].state is AccountState.READY
    assert events(caplog, *NEWS) == []


def test_passing_trouble_of_the_sign_in_service_marks_nothing(room: Room) -> None:
    room.faults.before("tokens.renew", NotSent("entra", "answered 503"))
    check = room.checking.check("billing")

    assert topics(check) == [("grant", "unsure")]
    assert room.accounts.rows["billing"].state is AccountState.READY


def test_a_refused_grant_is_found_with_its_code_and_who_acts(room: Room) -> None:
    room.faults.always("tokens.renew", ConsentRequired("AADSTS50173", "revoked"))
    (finding,) = room.checking.check("billing").findings

    assert (finding.topic, finding.result) == (Topic.GRANT, Result.NOT_OK)
    assert finding.code == "AADSTS50173"
    assert finding.who == "the person whose mailbox it is"
    assert "/accounts" in (finding.step or "")


@pytest.mark.parametrize("code", ["AADSTS7000222", "vault_refused", "no_client_secret"])
def test_a_refused_credential_is_the_operators_and_marks_no_account(room: Room, code: str) -> None:
    room.faults.before("tokens.renew", CredentialRefused(code, "refused"))
    (finding,) = room.checking.check("billing").findings

    assert finding.who == "whoever runs Postroom"
    assert finding.step
    assert room.accounts.rows["billing"].state is AccountState.READY


# --- news


def test_what_is_broken_is_told_once_and_its_end_once(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    room.tokens.granted["billing"] = frozenset({"Mail.Send", "User.Read"})
    for _ in range(3):
        room.checking.check("billing")
        room.clock.forward(days=1)
    broken = events(caplog, *NEWS)
    caplog.clear()
    del room.tokens.granted["billing"]
    for _ in range(3):
        room.checking.check("billing")
        room.clock.forward(days=1)

    assert [(one["event"], one["code"]) for one in broken] == [
        ("account_trouble_found", "scope_missing")
    ]
    assert [one["event"] for one in events(caplog, *NEWS)] == ["account_trouble_over"]


def test_a_check_that_learned_nothing_neither_mends_nor_breaks_anew(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    refused = CredentialRefused("AADSTS7000222", "expired")
    for trouble in (refused, NOT_REACHED, refused):
        room.faults.before("tokens.renew", trouble)
        room.checking.check("billing")
        room.clock.forward(days=1)

    assert [one["event"] for one in events(caplog, *NEWS)] == ["account_trouble_found"]


def test_of_two_checks_that_find_the_same_one_tells_it(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    room.drafts.answers["create"] = [GraphAnswer(403, "ErrorAccessDenied")] * 2

    def beside() -> None:
        room.faults.forget()
        room.clock.forward(seconds=-1)
        room.checking.check("billing")
        room.clock.forward(seconds=1)

    room.faults.before("checks.save", beside)
    room.checking.check("billing")

    assert len(events(caplog, *NEWS)) == 1


def test_an_older_check_does_not_overwrite_a_newer_one(room: Room) -> None:
    def beside() -> None:
        room.clock.forward(seconds=5)
        room.checking.check("billing")

    room.faults.before("graph.user", beside)
    room.checking.check("billing")

    assert room.checks.rows["id-billing"].check.checked_at == room.clock()


@pytest.mark.parametrize("trouble", [NOT_REACHED, LOST, LostRace("changed")])
def test_what_cannot_be_kept_is_found_all_the_same(room: Room, trouble: Exception) -> None:
    room.faults.always("checks.save", trouble)

    assert room.checking.check("billing").result is Result.OK


# --- well again


def held_mail(room: Room) -> str:
    mail_id = room.accepted()
    room.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN)
    room.accounts.all(fresh=True)
    room.bell.take_due()
    room.hear(mail_id)
    assert room.status(mail_id) is Status.HELD
    return mail_id


@pytest.mark.parametrize("reason", ["AADSTS50076", "AADSTS50057", "no_grant", "http_401"])
def test_an_account_that_works_again_is_ready_and_its_mails_go(
    room: Room, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    mail_id = held_mail(room)
    room.accounts.change("billing", reason=reason)
    room.checking.check("billing")

    assert room.accounts.rows["billing"].state is AccountState.READY
    assert room.accounts.rows["billing"].reason is None
    assert [ring.mail_id for ring in room.bell.take_due()] == [mail_id]
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
    room = Room(account_of(scopes=scopes, state=state, reason=reason))
    room.checking.check("billing")

    assert (room.accounts.rows["billing"].state is AccountState.READY) == ready


def test_an_account_without_the_permission_to_send_does_not_work_again(room: Room) -> None:
    room.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN, reason="AADSTS65001")
    room.tokens.granted["billing"] = frozenset({"User.Read"})
    room.checking.check("billing")

    assert room.accounts.rows["billing"].state is AccountState.NEEDS_SIGN_IN


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
    room: Room, reason: str, ready: bool
) -> None:
    until = room.clock() + timedelta(hours=9)
    room.accounts.change("billing", state=AccountState.HELD, reason=reason, held_until=until)
    room.checking.check("billing")

    assert (room.accounts.rows["billing"].state is AccountState.READY) == ready


@pytest.mark.parametrize("opened", [True, False])
def test_a_right_that_was_given_is_seen_where_a_draft_can_be_made(opened: bool) -> None:
    app = account_of(kind=AccountKind.APP, scopes=VERIFIED)
    room = Room(app)
    room.accounts.change("billing", state=AccountState.HELD, reason="ErrorAccessDenied")
    room.drafts.answers["create"] = [] if opened else [GraphAnswer(403, "ErrorAccessDenied")]
    room.checking.check("billing")

    assert (room.accounts.rows["billing"].state is AccountState.READY) == opened


def test_a_sign_in_meanwhile_is_left_as_it_is(room: Room) -> None:
    room.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN, reason="AADSTS50076")

    def signed_in() -> None:
        room.accounts.change("billing", signed_in_at=room.clock(), reason="AADSTS70043")

    room.faults.before("graph.user", signed_in)
    room.checking.check("billing")

    assert room.accounts.rows["billing"].reason == "AADSTS70043"


def test_mails_that_cannot_be_let_go_at_once_are_left_to_the_timer(room: Room) -> None:
    held_mail(room)
    room.accounts.change("billing", reason="AADSTS50076")
    room.faults.before("waiting.of_account", NOT_REACHED)
    room.checking.check("billing")

    assert room.accounts.rows["billing"].state is AccountState.READY


@pytest.mark.parametrize("begun", [AccountState.READY, AccountState.NEEDS_SIGN_IN])
def test_an_account_that_was_marked_while_a_check_ran_stays_marked(
    room: Room, begun: AccountState
) -> None:
    was = None if begun is AccountState.READY else "AADSTS700082"
    room.accounts.change("billing", state=begun, reason=was)
    room.faults.after(
        "graph.user",
        lambda: room.accounts.change(
            "billing", state=AccountState.NEEDS_SIGN_IN, reason="AADSTS50173"
        ),
    )
    check = room.checking.check("billing")

    assert room.accounts.rows["billing"].state is AccountState.NEEDS_SIGN_IN
    assert room.accounts.rows["billing"].reason == "AADSTS50173"
    assert "AADSTS50173" in [one.code for one in check.findings]
