"""What the timer watches over, whom it tells, and that it tells it once."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from datetime import datetime, timedelta

import pytest

from shared.errors import ConsentRequired, CredentialRefused, NotSent, Refused
from shared.mail.account import AccountState
from shared.mail.mail import Mail
from shared.mail.outcome import GraphAnswer
from shared.services.accounts.access_tokens import TokenSource
from shared.services.intake.mail_document import own_place
from shared.services.sign_in.ports import CredentialVersion
from shared.services.upkeep.watch import MOST_SECONDS
from tests.fakes import LOST, NOT_REACHED, NOW, Crash, Outside, Room, account_of
from tests.unit.sign_in_fakes import FakeIdentity, FakeVault, grant_of

OPS = ("ops@contoso.com", "night@contoso.com")
REVOKED = ConsentRequired("AADSTS50173", "revoked")


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "postroom")


@pytest.fixture
def room() -> Room:
    return Room(account_of(is_default=True), account_of("hr"), operators=OPS)


def events(caplog: pytest.LogCaptureFixture, *names: str) -> list[dict[str, object]]:
    found = [json.loads(one) for one in caplog.messages if one.startswith("{")]
    return [one for one in found if one["event"] in names]


def mails(room: Room) -> list[Mail]:
    """Those to operators."""
    return [one for one in room.ledger.mails if "postroom" in one.tags]


def expires(room: Room, at: datetime | None, version: str = "0f3c9a1b") -> None:
    room.credential.versions = [CredentialVersion("secret", version, True, True, at, True)]


def revoke(room: Room, alias: str) -> None:
    """From here on Microsoft refuses the account's grant, and the account is marked as it is then."""

    def refuse() -> None:
        if room.tokens.renewed_last == alias:
            room.accounts.change(alias, state=AccountState.NEEDS_SIGN_IN, reason=REVOKED.code)
            raise REVOKED

    room.faults.always("tokens.renew", refuse)


# --- accounts


def test_every_account_is_checked_once_a_day(room: Room) -> None:
    for _ in range(72):
        room.watch.run()
        room.clock.forward(hours=1)

    assert [one.alias for one in room.tokens.renewed].count("billing") in (3, 4)
    assert [one.alias for one in room.tokens.renewed].count("hr") in (3, 4)


def test_a_day_that_was_missed_is_made_up_for_by_the_next_run(room: Room) -> None:
    room.watch.run()
    room.clock.forward(days=40)

    assert room.watch.run() == 2


def test_an_idle_grant_is_renewed_and_the_new_one_is_stored() -> None:
    outside = Outside(account_of())
    vault, identity = FakeVault(outside.clock), FakeIdentity()
    vault.set("postroom-grant-id-billing", "stored-1")
    outside.tokens = TokenSource(  # type: ignore[assignment]
        identity, vault, outside.accounts, outside.clock
    )
    room = Room(outside=outside)
    for days in (1, 80, 81):
        room.clock.forward(days=days)
        identity.refreshed = [grant_of(refresh_token=f"after-{days}")]
        room.watch.run()
    stored = vault.get("postroom-grant-id-billing")

    assert len(identity.refreshes) == 3
    assert stored is not None
    assert stored.created_at == room.clock()


def test_a_run_ends_in_time_and_the_next_one_goes_on_where_it_stopped() -> None:
    room = Room(*(account_of(f"a{n}") for n in range(10)))
    slow = MOST_SECONDS / 4
    room.faults.always("graph.user", lambda: room.clock.forward(seconds=slow))
    counts = [room.watch.run() for _ in range(3)]

    assert counts == [4, 4, 2]
    assert len({one.alias for one in room.tokens.renewed}) == 10


def test_an_account_that_fails_leaves_the_others(room: Room) -> None:
    room.faults.before("tokens.renew", Crash())
    with pytest.raises(Crash):
        room.watch.run()

    assert room.watch.run() == 2


def test_what_could_not_be_found_out_is_asked_again_an_hour_later(room: Room) -> None:
    room.faults.before("tokens.renew", NotSent("entra", "503"))
    room.watch.run()
    room.clock.forward(hours=1)

    assert room.watch.run() == 1


def test_an_account_that_broke_while_mail_was_sent_is_looked_at_within_the_hour(
    room: Room,
) -> None:
    room.watch.run()
    revoke(room, "hr")
    room.accounts.change("hr", state=AccountState.NEEDS_SIGN_IN, reason=REVOKED.code)
    room.clock.forward(hours=1)
    room.watch.run()

    assert [one.recipients for one in mails(room)] == [OPS]
    room.clock.forward(hours=1)
    assert room.watch.run() == 0


def test_checks_of_accounts_that_are_gone_are_forgotten(room: Room) -> None:
    room.watch.run()
    del room.accounts.rows["hr"]
    room.watch.run()

    assert list(room.checks.rows) == ["id-billing"]


def test_an_account_that_is_being_disconnected_is_left_alone(room: Room) -> None:
    room.accounts.change("hr", state=AccountState.NEEDS_SIGN_IN, reason="disconnecting")

    assert room.watch.run() == 1


def test_trouble_that_stays_is_told_once_and_its_end_once(room: Room) -> None:
    revoke(room, "hr")
    for _ in range(48):
        room.watch.run()
        room.clock.forward(hours=1)
    told = [one.subject for one in mails(room)]
    room.faults.forget()
    for _ in range(48):
        room.watch.run()
        room.clock.forward(hours=1)

    assert told == ["Postroom: the account hr has trouble"]
    assert [one.subject for one in mails(room)][1:] == ["Postroom: the account hr works again"]
    assert room.accounts.rows["hr"].state is AccountState.READY


def test_the_mail_goes_by_an_account_that_works_and_says_who_does_what(room: Room) -> None:
    revoke(room, "billing")
    room.watch.run()
    (mail,) = mails(room)

    assert mail.account == "hr"
    assert mail.recipients == OPS
    text = room.payload_text(mail)
    assert "AADSTS50173" in text
    assert "Who: the person whose mailbox it is." in text
    assert "https://postroom.example/accounts" in text


def test_where_no_account_works_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = Room(operators=OPS)
    revoke(room, "billing")
    room.watch.run()

    assert mails(room) == []
    assert len(events(caplog, "operators_not_told")) == 1


def test_without_an_address_nobody_is_written_to_and_all_else_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = Room(account_of(), account_of("hr"))
    room.drafts.answers["create"] = [GraphAnswer(403, "ErrorAccessDenied")]
    room.faults.always("tokens.renew", CredentialRefused("AADSTS7000222", "expired"))
    room.watch.run()

    assert mails(room) == []
    assert len(events(caplog, "account_trouble_found")) == 2


def test_a_mail_to_operators_that_fails_raises_no_other(room: Room) -> None:
    revoke(room, "hr")
    room.watch.run()
    (mail,) = mails(room)
    room.graph.default = GraphAnswer(403, "ErrorSendAsDenied")
    room.hear(mail.mail_id)
    for _ in range(72):
        room.clock.forward(hours=1)
        room.watch.run()

    assert len(mails(room)) == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["checks.save", "keys.claim", "ledger.insert"])
@pytest.mark.parametrize("trouble", [Crash(), LOST, NOT_REACHED], ids=["crash", "lost", "out"])
def test_whatever_fails_while_it_is_told_it_is_told_by_one_mail(
    room: Room, when: str, call: str, trouble: BaseException
) -> None:
    revoke(room, "hr")
    getattr(room.faults, when)(call, trouble, nth=2 if call == "checks.save" else 1)
    for _ in range(4):
        with suppress(Crash):
            room.watch.run()
        room.clock.forward(hours=1)

    assert [one.subject for one in mails(room)] == ["Postroom: the account hr has trouble"]


def test_two_instances_send_one_mail(room: Room) -> None:
    other = Room(outside=room.outside, operators=OPS, seed=8)
    revoke(room, "hr")
    room.faults.before("checks.save", lambda: other.checking.check("hr"), nth=2)
    room.watch.run()

    assert len(mails(room)) == 1


# --- the credential


def test_each_threshold_is_told_once_by_event_mail_and_memory(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    expires(room, NOW + timedelta(days=70))
    for _ in range(72 * 4):
        room.watch.run()
        room.clock.forward(hours=6)
    told = events(caplog, "credential_expires", "credential_expired")

    assert [one["days_left"] for one in told] == [60, 30, 14, 7, 1, 0]
    assert [one["event"] for one in told][-1] == "credential_expired"
    assert len(mails(room)) == 6
    assert room.watch_memory.remembered.credential is not None


def test_after_missed_runs_one_warning_is_given(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    expires(room, NOW + timedelta(days=70))
    room.watch.run()
    room.clock.forward(days=58)
    room.watch.run()
    room.watch.run()

    assert [one["days_left"] for one in events(caplog, "credential_expires")] == [12]
    assert len(mails(room)) == 1


def test_a_renewed_credential_ends_the_warnings(room: Room) -> None:
    expires(room, NOW + timedelta(days=5))
    room.watch.run()
    expires(room, NOW + timedelta(days=300), "99aa00bb")
    room.clock.forward(hours=1)
    room.watch.run()
    remembered = room.watch_memory.remembered.credential

    assert remembered is not None
    assert (remembered.version, remembered.told) == ("99aa00bb", None)
    assert len(mails(room)) == 1


def test_a_disabled_version_is_not_what_counts(room: Room) -> None:
    old = CredentialVersion("secret", "old", True, False, NOW + timedelta(days=90), True)
    new = CredentialVersion("secret", "new", False, True, NOW + timedelta(days=2), False)
    room.credential.versions = [new, old]
    room.watch.run()

    assert mails(room) == []


def test_a_managed_identity_never_expires(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    room.credential.versions = [CredentialVersion("managed-identity", "", True, True, None, True)]
    room.watch.run()

    assert events(caplog, "credential_expiry_unknown") == []
    assert room.watch_memory.remembered.credential is None


def test_a_date_that_nobody_wrote_down_is_told_once(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    expires(room, None)
    for _ in range(3):
        room.watch.run()
        room.clock.forward(days=1)

    assert len(events(caplog, "credential_expiry_unknown")) == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["memory.remember", "keys.claim", "ledger.insert"])
@pytest.mark.parametrize("trouble", [Crash(), LOST, NOT_REACHED], ids=["crash", "lost", "out"])
def test_whatever_fails_the_warning_is_one_mail(
    room: Room, when: str, call: str, trouble: BaseException
) -> None:
    expires(room, NOW + timedelta(days=30))
    getattr(room.faults, when)(call, trouble)
    for _ in range(4):
        with suppress(Crash):
            room.watch.run()
        room.clock.forward(hours=1)

    assert len(mails(room)) == 1


def test_of_two_instances_one_says_it(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    other = Room(outside=room.outside, operators=OPS, seed=8)
    for one in (room, other):
        expires(one, NOW + timedelta(days=7))
    room.faults.before("memory.remember", other.watch.run)
    room.watch.run()

    assert len(events(caplog, "credential_expires")) == 1
    assert len(mails(room)) == 1


def test_a_vault_that_does_not_answer_leaves_the_accounts_watched(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    room.credential.trouble = NotSent("vault", "503")

    assert room.watch.run() == 2
    assert len(events(caplog, "watch_part_failed")) == 1


def test_a_mail_that_no_account_could_carry_follows_and_the_event_is_not_repeated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = Room(
        account_of(state=AccountState.HELD, reason="quota", held_until=NOW + timedelta(days=9)),
        operators=OPS,
    )
    expires(room, NOW - timedelta(hours=1))
    for _ in range(3):
        room.watch.run()
        room.clock.forward(hours=1)
    assert mails(room) == []
    room.accounts.change("billing", state=AccountState.READY, reason=None, held_until=None)
    for _ in range(3):
        room.watch.run()
        room.clock.forward(hours=1)

    assert [one.subject for one in mails(room)] == ["Postroom: the client secret has expired"]
    assert len(events(caplog, "credential_expired")) == 1


def test_no_caller_can_take_the_key_of_a_mail_to_operators(room: Room) -> None:
    expires(room, NOW - timedelta(hours=1))
    key = "watch/credential/0f3c9a1b/0"
    room.accept(idempotency_key=key)
    with pytest.raises(Refused):
        room.accept(idempotency_key=own_place(key))
    room.watch.run()

    assert [one.subject for one in mails(room)] == ["Postroom: the client secret has expired"]
