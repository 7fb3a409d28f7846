"""What the timer watches over, whom it tells, and that it tells it once."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from datetime import datetime, timedelta

import pytest

from shared.errors import ConsentRequired, CredentialRefused, NotSent, RequestRejected
from shared.mail.account import AccountState
from shared.mail.mail import Mail
from shared.mail.outcome import GraphAnswer
from shared.services.accounts.access_tokens import TokenSource
from shared.services.intake.mail_document import own_place
from shared.services.sign_in.ports import CredentialVersion
from shared.services.upkeep.watch import MOST_SECONDS
from tests.fakes import LOST, NOT_REACHED, NOW, Crash, FakeServices, Outside, account_of
from tests.unit.sign_in_fakes import FakeIdentity, FakeVault, grant_of

OPS = ("ops@contoso.com", "night@contoso.com")
REVOKED = ConsentRequired("AADSTS50173", "revoked")


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "postroom")


@pytest.fixture
def services() -> FakeServices:
    return FakeServices(account_of(is_default=True), account_of("hr"), operators=OPS)


def events(caplog: pytest.LogCaptureFixture, *names: str) -> list[dict[str, object]]:
    found = [json.loads(one) for one in caplog.messages if one.startswith("{")]
    return [one for one in found if one["event"] in names]


def mails(services: FakeServices) -> list[Mail]:
    """Those to operators."""
    return [one for one in services.ledger.mails if "postroom" in one.tags]


def expires(services: FakeServices, at: datetime | None, version: str = "0f3c9a1b") -> None:
    services.credential.versions = [CredentialVersion("secret", version, True, True, at, True)]


def revoke(services: FakeServices, alias: str) -> None:
    """From here on Microsoft refuses the account's grant, and the account is marked as it is then."""

    def refuse() -> None:
        if services.tokens.renewed_last == alias:
            services.accounts.change(alias, state=AccountState.NEEDS_SIGN_IN, reason=REVOKED.code)
            raise REVOKED

    services.faults.always("tokens.renew", refuse)


# --- accounts


def test_every_account_is_checked_once_a_day(services: FakeServices) -> None:
    for _ in range(72):
        services.watch.run()
        services.clock.forward(hours=1)

    assert [one.alias for one in services.tokens.renewed].count("billing") in (3, 4)
    assert [one.alias for one in services.tokens.renewed].count("hr") in (3, 4)


def test_a_day_that_was_missed_is_made_up_for_by_the_next_run(services: FakeServices) -> None:
    services.watch.run()
    services.clock.forward(days=40)

    assert services.watch.run() == 2


def test_an_idle_grant_is_renewed_and_the_new_one_is_stored() -> None:
    outside = Outside(account_of())
    vault, identity = FakeVault(outside.clock), FakeIdentity()
    vault.set("postroom-grant-id-billing", "stored-1")
    outside.tokens = TokenSource(  # type: ignore[assignment]
        identity, vault, outside.accounts, outside.clock
    )
    services = FakeServices(outside=outside)
    for days in (1, 80, 81):
        services.clock.forward(days=days)
        identity.refreshed = [grant_of(refresh_token=f"after-{days}")]
        services.watch.run()
    stored = vault.get("postroom-grant-id-billing")

    assert len(identity.refreshes) == 3
    assert stored is not None
    assert stored.created_at == services.clock()


def test_a_run_ends_in_time_and_the_next_one_goes_on_where_it_stopped() -> None:
    services = FakeServices(*(account_of(f"a{n}") for n in range(10)))
    slow = MOST_SECONDS / 4
    services.faults.always("graph.user", lambda: services.clock.forward(seconds=slow))
    counts = [services.watch.run() for _ in range(3)]

    assert counts == [4, 4, 2]
    assert len({one.alias for one in services.tokens.renewed}) == 10


def test_an_account_that_fails_leaves_the_others(services: FakeServices) -> None:
    services.faults.before("tokens.renew", Crash())
    with pytest.raises(Crash):
        services.watch.run()

    assert services.watch.run() == 2


def test_what_could_not_be_found_out_is_asked_again_an_hour_later(services: FakeServices) -> None:
    services.faults.before("tokens.renew", NotSent("entra", "503"))
    services.watch.run()
    services.clock.forward(hours=1)

    assert services.watch.run() == 1


def test_an_account_that_broke_while_mail_was_sent_is_looked_at_within_the_hour(
    services: FakeServices,
) -> None:
    services.watch.run()
    revoke(services, "hr")
    services.accounts.change("hr", state=AccountState.NEEDS_SIGN_IN, reason=REVOKED.code)
    services.clock.forward(hours=1)
    services.watch.run()

    assert [one.recipients for one in mails(services)] == [OPS]
    services.clock.forward(hours=1)
    assert services.watch.run() == 0


def test_checks_of_accounts_that_are_gone_are_forgotten(services: FakeServices) -> None:
    services.watch.run()
    del services.accounts.rows["hr"]
    services.watch.run()

    assert list(services.checks.rows) == ["id-billing"]


def test_an_account_that_is_being_disconnected_is_left_alone(services: FakeServices) -> None:
    services.accounts.change("hr", state=AccountState.NEEDS_SIGN_IN, reason="disconnecting")

    assert services.watch.run() == 1


def test_trouble_that_stays_is_told_once_and_its_end_once(services: FakeServices) -> None:
    revoke(services, "hr")
    for _ in range(48):
        services.watch.run()
        services.clock.forward(hours=1)
    told = [one.subject for one in mails(services)]
    services.faults.forget()
    for _ in range(48):
        services.watch.run()
        services.clock.forward(hours=1)

    assert told == ["Postroom: the account hr has trouble"]
    assert [one.subject for one in mails(services)][1:] == ["Postroom: the account hr works again"]
    assert services.accounts.rows["hr"].state is AccountState.READY


def test_the_mail_goes_by_an_account_that_works_and_says_who_does_what(
    services: FakeServices,
) -> None:
    revoke(services, "billing")
    services.watch.run()
    (mail,) = mails(services)

    assert mail.account == "hr"
    assert mail.recipients == OPS
    text = services.payload_text(mail)
    assert "AADSTS50173" in text
    assert "Who: the person whose mailbox it is." in text
    assert "https://postroom.example/accounts" in text


def test_where_no_account_works_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    services = FakeServices(operators=OPS)
    revoke(services, "billing")
    services.watch.run()

    assert mails(services) == []
    assert len(events(caplog, "operators_not_told")) == 1


def test_without_an_address_nobody_is_written_to_and_all_else_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    services = FakeServices(account_of(), account_of("hr"))
    services.drafts.answers["create"] = [GraphAnswer(403, "ErrorAccessDenied")]
    services.faults.always("tokens.renew", CredentialRefused("AADSTS7000222", "expired"))
    services.watch.run()

    assert mails(services) == []
    assert len(events(caplog, "account_trouble_found")) == 2


def test_a_mail_to_operators_that_fails_raises_no_other(services: FakeServices) -> None:
    revoke(services, "hr")
    services.watch.run()
    (mail,) = mails(services)
    services.graph.default = GraphAnswer(403, "ErrorSendAsDenied")
    services.handle(mail.mail_id)
    for _ in range(72):
        services.clock.forward(hours=1)
        services.watch.run()

    assert len(mails(services)) == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["checks.save", "keys.claim", "ledger.insert"])
@pytest.mark.parametrize("trouble", [Crash(), LOST, NOT_REACHED], ids=["crash", "lost", "out"])
def test_whatever_fails_while_it_is_told_it_is_told_by_one_mail(
    services: FakeServices, when: str, call: str, trouble: BaseException
) -> None:
    revoke(services, "hr")
    getattr(services.faults, when)(call, trouble, nth=2 if call == "checks.save" else 1)
    for _ in range(4):
        with suppress(Crash):
            services.watch.run()
        services.clock.forward(hours=1)

    assert [one.subject for one in mails(services)] == ["Postroom: the account hr has trouble"]


def test_two_instances_send_one_mail(services: FakeServices) -> None:
    other = FakeServices(outside=services.outside, operators=OPS, seed=8)
    revoke(services, "hr")
    services.faults.before("checks.save", lambda: other.checking.check("hr"), nth=2)
    services.watch.run()

    assert len(mails(services)) == 1


# --- the credential


def test_each_threshold_is_told_once_by_event_mail_and_memory(
    services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    expires(services, NOW + timedelta(days=70))
    for _ in range(72 * 4):
        services.watch.run()
        services.clock.forward(hours=6)
    told = events(caplog, "credential_expires", "credential_expired")

    assert [one["days_left"] for one in told] == [60, 30, 14, 7, 1, 0]
    assert [one["event"] for one in told][-1] == "credential_expired"
    assert len(mails(services)) == 6
    assert services.watch_memory.remembered.credential is not None


def test_after_missed_runs_one_warning_is_given(
    services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    expires(services, NOW + timedelta(days=70))
    services.watch.run()
    services.clock.forward(days=58)
    services.watch.run()
    services.watch.run()

    assert [one["days_left"] for one in events(caplog, "credential_expires")] == [12]
    assert len(mails(services)) == 1


def test_a_renewed_credential_ends_the_warnings(services: FakeServices) -> None:
    expires(services, NOW + timedelta(days=5))
    services.watch.run()
    expires(services, NOW + timedelta(days=300), "99aa00bb")
    services.clock.forward(hours=1)
    services.watch.run()
    remembered = services.watch_memory.remembered.credential

    assert remembered is not None
    assert (remembered.version, remembered.told) == ("99aa00bb", None)
    assert len(mails(services)) == 1


def test_a_disabled_version_is_not_what_counts(services: FakeServices) -> None:
    old = CredentialVersion("secret", "old", True, False, NOW + timedelta(days=90), True)
    new = CredentialVersion("secret", "new", False, True, NOW + timedelta(days=2), False)
    services.credential.versions = [new, old]
    services.watch.run()

    assert mails(services) == []


def test_a_managed_identity_never_expires(
    services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    services.credential.versions = [
        CredentialVersion("managed-identity", "", True, True, None, True)
    ]
    services.watch.run()

    assert events(caplog, "credential_expiry_unknown") == []
    assert services.watch_memory.remembered.credential is None


def test_a_date_that_nobody_wrote_down_is_told_once(
    services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    expires(services, None)
    for _ in range(3):
        services.watch.run()
        services.clock.forward(days=1)

    assert len(events(caplog, "credential_expiry_unknown")) == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["memory.remember", "keys.claim", "ledger.insert"])
@pytest.mark.parametrize("trouble", [Crash(), LOST, NOT_REACHED], ids=["crash", "lost", "out"])
def test_whatever_fails_the_warning_is_one_mail(
    services: FakeServices, when: str, call: str, trouble: BaseException
) -> None:
    expires(services, NOW + timedelta(days=30))
    getattr(services.faults, when)(call, trouble)
    for _ in range(4):
        with suppress(Crash):
            services.watch.run()
        services.clock.forward(hours=1)

    assert len(mails(services)) == 1


def test_of_two_instances_one_says_it(
    services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    other = FakeServices(outside=services.outside, operators=OPS, seed=8)
    for one in (services, other):
        expires(one, NOW + timedelta(days=7))
    services.faults.before("memory.remember", other.watch.run)
    services.watch.run()

    assert len(events(caplog, "credential_expires")) == 1
    assert len(mails(services)) == 1


def test_a_vault_that_does_not_answer_leaves_the_accounts_watched(
    services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    services.credential.trouble = NotSent("vault", "503")

    assert services.watch.run() == 2
    assert len(events(caplog, "watch_part_failed")) == 1


def test_a_mail_that_no_account_could_carry_follows_and_the_event_is_not_repeated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    services = FakeServices(
        account_of(state=AccountState.HELD, reason="quota", held_until=NOW + timedelta(days=9)),
        operators=OPS,
    )
    expires(services, NOW - timedelta(hours=1))
    for _ in range(3):
        services.watch.run()
        services.clock.forward(hours=1)
    assert mails(services) == []
    services.accounts.change("billing", state=AccountState.READY, reason=None, held_until=None)
    for _ in range(3):
        services.watch.run()
        services.clock.forward(hours=1)

    assert [one.subject for one in mails(services)] == ["Postroom: the client secret has expired"]
    assert len(events(caplog, "credential_expired")) == 1


def test_no_caller_can_take_the_key_of_a_mail_to_operators(services: FakeServices) -> None:
    expires(services, NOW - timedelta(hours=1))
    key = "watch/credential/0f3c9a1b/0"
    services.accept(idempotency_key=key)
    with pytest.raises(RequestRejected):
        services.accept(idempotency_key=own_place(key))
    services.watch.run()

    assert [one.subject for one in mails(services)] == ["Postroom: the client secret has expired"]
